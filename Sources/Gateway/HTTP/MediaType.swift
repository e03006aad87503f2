// Content types by file extension.

package enum MediaType {
    package static func of(path: String) -> String {
        guard let dot = path.lastIndex(of: "."), let slash = Optional(path.lastIndex(of: "/") ?? path.startIndex), dot >= slash else { return "application/octet-stream" }
        switch path[path.index(after: dot)...].lowercased() {
        case "html": return "text/html; charset=utf-8"
        case "css": return "text/css; charset=utf-8"
        case "js", "mjs": return "text/javascript; charset=utf-8"
        case "json", "map": return "application/json"
        case "webmanifest": return "application/manifest+json"
        case "txt": return "text/plain; charset=utf-8"
        case "svg": return "image/svg+xml"
        case "png": return "image/png"
        case "jpg", "jpeg": return "image/jpeg"
        case "webp": return "image/webp"
        case "ico": return "image/x-icon"
        case "woff2": return "font/woff2"
        case "wasm": return "application/wasm"
        case "webm": return "video/webm"
        case "mkv": return "video/x-matroska"
        case "mp4": return "video/mp4"
        case "m4a": return "audio/mp4"
        case "m4s": return "video/iso.segment"
        case "m3u8": return "application/vnd.apple.mpegurl"
        default: return "application/octet-stream"
        }
    }
}
