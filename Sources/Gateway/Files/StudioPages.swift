// The studio's pages: which file a path means.

/// Maps a path to files of the studio folder, in the order they are tried.
enum StudioPages {
    /// `/assets/…` is the folder itself; pages are named by what they show, not by their file.
    static func candidates(_ path: String) -> [String] {
        let key = path.split(separator: "/").joined(separator: "/")
        if key.isEmpty { return ["index.html"] }
        guard StoredFiles.isSafe(key: key) else { return [] }
        let segments = key.split(separator: "/")
        switch segments[0] {
        case "session" where segments.count == 2: return ["session.html", "index.html"]
        case "createsession" where segments.count == 1: return ["createsession.html", "index.html"]
        case "recordings" where segments.count == 1: return ["recordings.html", "index.html"]
        case "recordings" where segments.count == 3 && segments[2] == "edit": return ["editor.html", "index.html"]
        case "assets" where segments.count > 1: return [segments.dropFirst().joined(separator: "/")]
        default: return segments.last!.contains(".") ? [key] : [key, key + ".html"]
        }
    }
}
