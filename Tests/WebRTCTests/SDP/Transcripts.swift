/// Descriptions recorded from real clients, one file a client.
enum Transcripts {
    static func crlf(_ text: String) -> String { text.split(separator: "\n").joined(separator: "\r\n") + "\r\n" }
    static let all = [chromiumSimulcast, firefoxSimulcast, aiortc]
}
