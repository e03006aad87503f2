// Segments of fragmented MP4 (ISO/IEC 14496-12 §8.8, CMAF): a head once, then one fragment a file.
import CFFmpeg
import Capture

/// Writes one variant of one peer: its head and its segments. Files appear under their names whole.
final class FragmentWriter {
    private enum Constants {
        /// Main profile, level 3.1: what may be copied, and more than we encode.
        static let copies = (entry: "avc3", codec: "avc3.4D401F")
        static let options = [(name: "movflags", value: "cmaf+empty_moov+default_base_moof+frag_custom+skip_sidx+skip_trailer")]
    }
    /// For `codecs="…"`.
    let codecs: String
    private(set) var playlist: MediaPlaylist
    /// Bytes of all segments.
    private(set) var bytes: Int64 = 0
    private let folder: Folder
    private let muxer: Muxer
    private let video: Int?
    private let audio: Int

    /// - Parameters:
    ///   - name: "av", "audio" or "video".
    ///   - video: nil for sound alone.
    ///   - hasCopies: frames of another encoder come as well: parameter sets stand before key frames (ISO/IEC 14496-15 §5.3.5.1, "avc3").
    init(_ folder: Folder, name: String, head: String, segmentSeconds: Int, video: Encoder?, hasCopies: Bool = false, audio: Encoder) throws(WorkerError) {
        self.folder = folder
        let muxer = try Muxer(.memory, format: "mp4", options: Constants.options)
        self.muxer = muxer
        self.video = try video.map { video throws(WorkerError) in try muxer.add(video.parameters, timeBase: video.timeBase, tag: hasCopies ? Constants.copies.entry : nil) }
        self.audio = try muxer.add(audio.parameters, timeBase: audio.timeBase)
        playlist = MediaPlaylist(name: name, head: head, segmentSeconds: segmentSeconds)
        codecs = (video.map { [hasCopies ? Constants.copies.codec : Self.codec($0.parameters)] } ?? []).joined() + (video == nil ? "" : ",") + "mp4a.40.2"
        try muxer.begin()
        try folder.write(muxer.takeBytes(), as: head, isDurable: false)
    }

    /// - Parameter timeBase: of the packet, where it is not the encoder's.
    func writeVideo(_ packet: MediaPacket, timeBase: AVRational? = nil) throws(WorkerError) {
        guard let video else { preconditionFailure("a variant without a picture") }
        try muxer.write(packet, stream: video, timeBase: timeBase)
    }
    func writeAudio(_ packet: MediaPacket) throws(WorkerError) { try muxer.write(packet, stream: audio) }
    /// Ends the segment and gives it its name.
    func endSegment(duration: Double) throws(WorkerError) {
        try muxer.endFragment()
        let made = muxer.takeBytes()
        try folder.write(made, as: MediaPlaylist.segment(playlist.name, playlist.durations.count), isDurable: false)
        bytes += Int64(made.count)
        playlist.durations.append(duration)
    }
    /// - Parameter count: how many segments the playlist tells of; those of all lanes.
    func publish(count: Int, isEnded: Bool) throws(WorkerError) {
        playlist.isEnded = isEnded
        try folder.write(Array(playlist.text(count: count).utf8), as: "\(playlist.name).m3u8", isDurable: false)
    }

    func makeDurable() throws(WorkerError) {
        try folder.sync([playlist.head, "\(playlist.name).m3u8"] + playlist.durations.indices.map { MediaPlaylist.segment(playlist.name, $0) })
    }

    /// RFC 6381 §3.3: profile, constraints and level out of `avcC`.
    private static func codec(_ parameters: StreamParameters) -> String {
        let header = parameters.header
        // libx264 gives its parameter sets behind start codes; the sequence parameter set's first bytes are the same.
        guard let sps = header.firstIndex(where: { $0 & 0x1F == 7 && $0 & 0x60 != 0 }), header.count > sps + 3 else { return "avc1.4D401E" }
        return "avc1." + header[(sps + 1)...(sps + 3)].map { String($0 >> 4, radix: 16, uppercase: true) + String($0 & 15, radix: 16, uppercase: true) }.joined()
    }
}
