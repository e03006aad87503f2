// HLS playlists and preview indexes with every URL in them signed: players send no tokens.
internal import Primitives

enum SignedPlaylist {
    enum Limits {
        /// Of a playlist: twelve hours of two-second segments are less than a megabyte before their URLs are signed.
        static let bytes: Int64 = 4 << 20
    }
    static func isPlaylist(_ key: String) -> Bool { key.hasSuffix(".m3u8") }

    /// RFC 8216 §4: lines that are no tags are URIs; tags name others in `URI="…"`.
    /// - Parameter key: the playlist's own; the URIs in it are relative to its folder.
    static func sign(_ text: String, key: String, _ signature: MediaSignature, now: WallTime) -> String {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line -> String in
            guard line.hasPrefix("#") else { return line.isEmpty ? "" : signed(String(line), key, signature, now) ?? String(line) }
            guard let start = line.range(of: "URI=\""), let end = line[start.upperBound...].firstIndex(of: "\"") else { return String(line) }
            guard let url = signed(String(line[start.upperBound..<end]), key, signature, now) else { return String(line) }
            return line[..<start.upperBound] + url + line[end...]
        }.joined(separator: "\n")
    }
    /// Every text in a JSON document that names a playlist or a media file beside it becomes a signed URL.
    static func sign(_ json: JSON, key: String, _ signature: MediaSignature, now: WallTime) -> JSON {
        switch json {
        case .string(let text) where [".m3u8", ".mp4", ".m4s", ".jpg"].contains(where: text.hasSuffix): .string(signed(text, key, signature, now) ?? text)
        case .array(let elements): .array(elements.map { sign($0, key: key, signature, now: now) })
        case .object(let object): .object(JSONObject(object.members.map { .init(name: $0.name, value: sign($0.value, key: key, signature, now: now)) }))
        default: json
        }
    }
    /// - Returns: nil for what leads out of the folder, or elsewhere: it is left as it is, and opens nothing.
    private static func signed(_ name: String, _ key: String, _ signature: MediaSignature, _ now: WallTime) -> String? {
        let target = folder(of: key) + name
        guard !name.hasPrefix("/"), !name.contains(":"), !name.contains("?"), StoredFiles.isSafe(key: target) else { return nil }
        return signature.path(for: target, now: now)
    }
    private static func folder(of key: String) -> String { key.lastIndex(of: "/").map { String(key[...$0]) } ?? "" }
}

extension StringProtocol {
    /// The first place of `text`.
    fileprivate func range(of text: String) -> Range<Index>? {
        var from = startIndex
        while from < endIndex {
            if self[from...].hasPrefix(text) { return from..<index(from, offsetBy: text.count) }
            from = index(after: from)
        }
        return nil
    }
}
