// Randomness as an argument.

/// A source of randomness that a shell hands down: the system's in production, a seeded one in tests and the simulator.
package protocol RandomSource: AnyObject, Sendable {
    func next() -> UInt64
}

extension RandomSource {
    /// `count` random bytes.
    package func bytes(_ count: Int) -> [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(count)
        while out.count < count {
            var word = next()
            for _ in 0..<min(8, count - out.count) { out.append(UInt8(truncatingIfNeeded: word)); word >>= 8 }
        }
        return out
    }
    /// A string of `count` characters out of 32 that do not look alike (5 bits each): for codes read aloud and ids.
    package func token(_ count: Int) -> String {
        let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)
        return String(decoding: bytes(count).map { alphabet[Int($0 & 31)] }, as: UTF8.self)
    }
}

/// The operating system's generator (getrandom behind the standard library).
package final class SystemRandom: RandomSource {
    package init() {}
    package func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one seed, one sequence.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    package var state: UInt64
    package init(seed: UInt64) { state = seed }
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
