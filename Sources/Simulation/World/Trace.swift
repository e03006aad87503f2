// What happened, as one number to compare and as lines to read.
import Primitives

/// A running hash of everything that happened, and the last lines of it for people.
///
/// Bytes of links do not enter it: TLS draws its randomness from the system. Their order and times do.
package struct Trace: Sendable {
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// How many lines are kept.
    private let bound: Int
    private var lines: [String] = []
    private var oldest = 0

    init(lines bound: Int) { self.bound = bound }

    mutating func add(_ a: UInt64, _ b: UInt64, at time: Int64) {
        mix(UInt64(bitPattern: time))
        mix(a)
        mix(b)
    }
    mutating func say(_ time: Int64, _ line: String) {
        mix(UInt64(bitPattern: time))
        mix(StableHash.fnv1a(line.utf8))
        show(time, line)
    }
    /// For people only.
    mutating func remark(_ time: Int64, _ line: () -> String) {
        if bound > 0 { show(time, line()) }
    }
    private mutating func show(_ time: Int64, _ line: String) {
        guard bound > 0 else { return }
        let text = "\(Self.seconds(time))  \(line)"
        if lines.count < bound { lines.append(text) } else {
            lines[oldest] = text
            oldest = (oldest + 1) % bound
        }
    }
    private mutating func mix(_ word: UInt64) { hash = (hash.rotated(by: 23) ^ word) &* 0x9E37_79B9_7F4A_7C15 }

    /// Oldest first.
    package var lastLines: [String] { Array(lines[oldest...] + lines[..<oldest]) }

    package static func seconds(_ time: Int64) -> String {
        let micro = String(time / 1000 % 1_000_000)
        let whole = String(time / 1_000_000_000)
        return String(repeating: " ", count: max(0, 4 - whole.count)) + whole + "." + String(repeating: "0", count: 6 - micro.count) + micro
    }
}

extension UInt64 {
    fileprivate func rotated(by count: UInt64) -> UInt64 { self << count | self >> (64 - count) }
}
