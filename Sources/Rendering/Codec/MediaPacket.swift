// One encoded frame as libav holds it.
import CFFmpeg
import Capture

/// Owns one `AVPacket`; reused from frame to frame.
final class MediaPacket {
    let raw: UnsafeMutablePointer<AVPacket>

    init() throws(WorkerError) {
        guard let raw = av_packet_alloc() else { throw Libav.noMemory("a packet") }
        self.raw = raw
    }
    deinit {
        var raw: UnsafeMutablePointer<AVPacket>? = raw
        av_packet_free(&raw)
    }
    /// Decoding and presentation time, in the units of whoever made the packet.
    var time: Int64 {
        get { raw.pointee.pts }
        set { raw.pointee.pts = newValue; raw.pointee.dts = newValue }
    }
    var duration: Int64 {
        get { raw.pointee.duration }
        set { raw.pointee.duration = newValue }
    }
    var isKey: Bool { raw.pointee.flags & AV_PKT_FLAG_KEY != 0 }
    var stream: Int { Int(raw.pointee.stream_index) }
    /// Valid until the packet is filled again, received into or cleared.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: raw.pointee.data, count: Int(max(0, raw.pointee.size))) }

    /// Takes a copy of `data`.
    func fill(_ data: [UInt8], time: Int64, duration: Int64, isKey: Bool) throws(WorkerError) {
        clear()
        try Libav.check(av_new_packet(raw, Int32(clamping: data.count)), "hold a frame of \(data.count) bytes")
        data.withUnsafeBytes { if let base = $0.baseAddress { raw.pointee.data.update(from: base.assumingMemoryBound(to: UInt8.self), count: $0.count) } }
        self.time = time
        self.duration = duration
        raw.pointee.flags = isKey ? AV_PKT_FLAG_KEY : 0
    }
    /// Holds what `other` holds; the memory is shared.
    func reference(_ other: MediaPacket) throws(WorkerError) {
        clear()
        try Libav.check(av_packet_ref(raw, other.raw), "keep a frame")
    }
    func clear() { av_packet_unref(raw) }
}
