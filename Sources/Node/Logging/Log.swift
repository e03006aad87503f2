// Logs: one JSON object a line on standard error.
internal import Glibc
package import Primitives
internal import Synchronization

package enum LogLevel: String, CaseIterable, Sendable, Comparable {
    case debug, info, warning, error
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rank < b.rank }
}

/// Writes lines with a level, the node's name and whatever fields a caller adds. From any thread.
///
/// A reader that does not read costs lines, never time: a line that would block is dropped, and the next one that
/// gets through says how many were.
package final class Log: Sendable {
    package enum Limits {
        /// Bytes of a line: a pipe takes so many at once or none (PIPE_BUF).
        package static let lineBytes = 4_096
    }
    private let node: NodeName?
    private let least: LogLevel
    private let descriptor: Int32
    private let wall: @Sendable () -> WallTime
    private let dropped = Atomic<Int>(0)

    package init(node: NodeName?, least: LogLevel = .info, descriptor: Int32 = STDERR_FILENO, wall: @escaping @Sendable () -> WallTime) {
        self.node = node
        self.least = least
        self.descriptor = descriptor
        self.wall = wall
    }

    package func debug(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.debug, message, fields) }
    package func info(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.info, message, fields) }
    package func warning(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.warning, message, fields) }
    package func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.error, message, fields) }

    package func write(_ level: LogLevel, _ message: String, _ fields: some Sequence<(key: String, value: String)>) {
        guard level >= least else { return }
        let lost = dropped.exchange(0, ordering: .relaxed)
        var all = fields.map { ($0.key, $0.value) }
        if lost > 0 { all.append(("lines_dropped", String(lost))) }
        let line = LogLine.text(at: wall(), level: level, node: node, message: message, fields: all)
        if !put(line) { dropped.add(lost + 1, ordering: .relaxed) }
    }

    private func put(_ line: [UInt8]) -> Bool {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard Glibc.poll(&poll, 1, 0) == 1, poll.revents & Int16(POLLOUT) != 0 else { return false }
        return Glibc.write(descriptor, line, line.count) == line.count
    }
}

/// The pure part: one line's bytes.
package enum LogLine {
    private static let reserved: Set<String> = ["time", "level", "node", "message"]

    package static func text(at time: WallTime, level: LogLevel, node: NodeName?, message: String, fields: [(String, String)]) -> [UInt8] {
        var line = #"{"time":"\#(time.rfc3339)","level":"\#(level.rawValue)""#
        if let node { line += #","node":\#(quoted(node.rawValue))"# }
        line += #","message":\#(quoted(message))"#
        let bound = Log.Limits.lineBytes - 2
        for (key, value) in fields where !reserved.contains(key) {
            let field = ",\(quoted(key)):\(quoted(value))"
            // What does not fit is left out whole, so that a line is always JSON.
            if line.utf8.count + field.utf8.count <= bound { line += field }
        }
        if line.utf8.count > bound { return text(at: time, level: level, node: node, message: String(decoding: message.utf8.prefix(512), as: UTF8.self), fields: []) }
        return Array((line + "}\n").utf8)
    }

    /// A JSON string (RFC 8259 §7).
    package static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}", "\u{2028}", "\u{2029}":
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
