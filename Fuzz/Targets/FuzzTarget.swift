// Every parser of bytes from outside, as something to feed. Shared by the fuzzer (Fuzz/Driver) and by a test that replays corpora.

/// A parser under test: `run` must neither trap nor hang, whatever the bytes; it checks what must hold of what it accepts.
package struct FuzzTarget: Sendable {
    package let name: String
    /// Bytes of the longest input worth trying.
    package let longest: Int
    /// Inputs the parser accepts: where mutation begins.
    package let seeds: @Sendable () -> [[UInt8]]
    package let run: @Sendable (UnsafeRawBufferPointer) -> Void

    package init(_ name: String, longest: Int, seeds: @escaping @Sendable () -> [[UInt8]], run: @escaping @Sendable (UnsafeRawBufferPointer) -> Void) {
        self.name = name; self.longest = longest; self.seeds = seeds; self.run = run
    }

    package static let all: [FuzzTarget] = [.stun, .rtp, .rtcp, .sdp, .frame, .cbor, .journal, .signalling, .token, .composition, .objects, .webm]
    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }

    /// What the parser promised and did not keep: ends the process, so that the fuzzer keeps the input.
    static func check(_ holds: Bool, _ promise: StaticString) {
        precondition(holds, "\(promise)")
    }
}

extension FuzzTarget {
    /// Bytes from hexadecimal digits; blanks are passed over.
    static func hex(_ text: String) -> [UInt8] {
        let digits = text.utf8.compactMap { byte -> UInt8? in
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x61...0x66: byte - 0x61 + 10
            default: nil
            }
        }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
