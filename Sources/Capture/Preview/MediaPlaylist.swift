// HLS media playlists (RFC 8216) of fragmented MP4.

/// One playlist of equal segments numbered from 0.
package struct MediaPlaylist: Equatable, Sendable {
    /// Name before the number: "av" → av_0000.m4s.
    package var name: String
    /// The file with the head all segments need (EXT-X-MAP, §4.3.2.5).
    package var head: String
    /// Seconds of each segment.
    package var durations: [Double]
    package var segmentSeconds: Int
    /// Nothing more will come; until then only segments are added (EXT-X-PLAYLIST-TYPE:EVENT, §4.3.3.5).
    package var isEnded: Bool

    package init(name: String, head: String, segmentSeconds: Int) {
        self.name = name; self.head = head; self.segmentSeconds = segmentSeconds
        durations = []
        isEnded = false
    }
    package static func segment(_ name: String, _ number: Int) -> String {
        let digits = "\(number)"
        return "\(name)_\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits).m4s"
    }
    /// - Parameter count: how many of the segments are told of.
    package func text(count: Int) -> String {
        var lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:\(target)", "#EXT-X-PLAYLIST-TYPE:\(isEnded ? "VOD" : "EVENT")",
            "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-MAP:URI=\"\(head)\""]
        for (number, duration) in durations.prefix(count).enumerated() {
            lines.append("#EXTINF:\(Self.decimal(duration)),")
            lines.append(Self.segment(name, number))
        }
        if isEnded, count >= durations.count { lines.append("#EXT-X-ENDLIST") }
        return lines.joined(separator: "\n") + "\n"
    }
    /// §4.3.3.1: no segment, rounded to the nearest second, is longer.
    private var target: Int { max(segmentSeconds, durations.reduce(0) { max($0, Int($1.rounded())) }) }
    private static func decimal(_ seconds: Double) -> String {
        let micro = Int((seconds * 1_000_000).rounded()), part = "\(micro % 1_000_000)"
        return "\(micro / 1_000_000).\(String(repeating: "0", count: 6 - part.count))\(part)"
    }
}
