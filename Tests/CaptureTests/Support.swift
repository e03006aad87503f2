import Primitives
import RTP
@testable import Capture

/// One RTP packet as bytes.
func rtp(_ sequence: UInt16, _ timestamp: UInt32, payloadType: UInt8 = 96, marker: Bool = false, ssrc: UInt32 = 1, _ payload: [UInt8]) -> [UInt8] {
    var head = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
    head.withUnsafeMutableBytes {
        RTPHeader.write(to: $0.baseAddress!, payloadType: payloadType, marker: marker, sequence: sequence, timestamp: timestamp, ssrc: ssrc)
    }
    return head + payload
}
/// An RTCP sender report of SSRC 1.
func senderReport(sentAt: Int64, timestamp: UInt32) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = buffer.withUnsafeMutableBytes { raw in
        var writer = RTCPWriter(raw)
        _ = writer.senderReport(SenderInfo(ssrc: 1, ntp: NTPTime(WallTime(microseconds: sentAt)), rtpTimestamp: timestamp, packetCount: 1, octetCount: 1))
        return writer.count
    }
    return Array(buffer[..<count])
}
/// VP8 frames small enough for a test: a key frame with its size, and an interframe.
enum VP8Sample {
    static let key: [UInt8] = [0x10, 0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00, 0xAA]
    static let inter: [UInt8] = [0x10, 0x11, 0x02, 0x00, 0xBB]
    static let more: [UInt8] = [0x00, 0xCC, 0xDD]
}
/// 20 ms of mono CELT.
let opusFrame: [UInt8] = [0xF8, 1, 2, 3]

/// Bytes that stay where they are for the life of a test's evidence.
final class Pinned {
    private var buffers: [UnsafeMutableRawBufferPointer] = []
    func pin(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        buffer.copyBytes(from: bytes)
        buffers.append(buffer)
        return UnsafeRawBufferPointer(buffer)
    }
    deinit { for buffer in buffers { buffer.deallocate() } }
}

/// A track's merged journals, its packets in order, all of them in memory.
@dynamicMemberLookup struct Merged {
    let evidence: TrackEvidence
    let packets: [[CapturedPacket]]
    subscript<Value>(dynamicMember path: KeyPath<TrackEvidence, Value>) -> Value { evidence[keyPath: path] }

    /// - Returns: nil where no segment can be read.
    init?(_ segments: [UnsafeRawBufferPointer], track: TrackID = "cam1", offsets: [String: Int64] = [:]) {
        var known = TrackSegments(recording: "rec1", track: track, offsets: offsets)
        for (number, bytes) in segments.enumerated() { known.add(bytes, number: number) }
        guard var merge = TrackMerge(known) else { return nil }
        var packets: [[CapturedPacket]] = []
        while true {
            while let (stream, packet) = merge.next() {
                while packets.count <= stream { packets.append([]) }
                packets[stream].append(packet)
            }
            guard let number = merge.wanted else { break }
            merge.open(segments[number])
        }
        self.packets = packets
        evidence = merge.finish()
    }
    /// On clocks made by the caller, one for each stream.
    func presenter(_ clocks: [StreamClock], zero: Int64) -> TrackPresenter {
        var presenter = TrackPresenter(evidence, clocks: clocks, zero: zero)
        for (stream, packets) in packets.enumerated() { presenter.append(packets, to: stream) }
        presenter.endGrowing()
        return presenter
    }
}

/// One track's evidence out of (receive time, packet) pairs; RTCP is told by its second byte.
func evidence(_ pinned: Pinned, codec: Codec = .vp8, _ items: [(Int64, [UInt8])], events: [(Int64, JournalEvent)] = [(0, .closed)]) -> Merged {
    var bytes = JournalEncoder.header(sampleHeader(codec: codec, ingress: nil))
    for (at, packet) in items {
        let type: Journal.RecordType = PacketKind.isRTCP(secondByte: packet[1]) ? .rtcp : .rtp
        _ = packet.withUnsafeBytes { JournalEncoder.record(type, receivedAt: at, $0, into: &bytes) }
    }
    for (at, event) in events { JournalEncoder.event(event, at: at, into: &bytes) }
    return Merged([pinned.pin(bytes)])!
}

/// Everything a presenter gives, on clocks made from arrivals.
func present(_ merged: Merged, zero: Int64 = 0) -> (frames: [PresentedFrame], summary: PresentationSummary) {
    let timings = merged.streams.map(\.timing), clock = ParticipantClock(timings)
    var presenter = merged.presenter(timings.map(clock.clock), zero: zero)
    var frames: [PresentedFrame] = []
    while let frame = presenter.next() { frames.append(frame) }
    return (frames, presenter.summary)
}
