// Numbers of a stream without holes where packets were left out on purpose.

/// Maps the numbers of an incoming stream (extended sequence or picture numbers) to outgoing ones, closing up those that are dropped on
/// purpose and keeping the gaps of those that are lost, so that a late packet finds its own place.
///
/// A pure value without allocation; one for sequence numbers and one for picture ids in each rewritten stream.
struct NumberLine {
    enum Limits {
        /// How far behind the highest number a late one may be: as far as the packet cache reaches.
        static let window: UInt64 = 512
    }
    /// First number of the line; nothing before it is mapped.
    private(set) var firstIn: UInt64 = 0
    private(set) var highestIn: UInt64 = 0
    /// What `highestIn` became, or, where that was dropped, the last number given out before it.
    private(set) var highestOut: UInt64 = 0
    private var newestDrop: UInt64 = 0
    private var droppedBits = InlineArray<8, UInt64>(repeating: 0)

    /// The line goes on with `number`, which becomes `out`; `map(number)` answers it.
    mutating func begin(at number: UInt64, as out: UInt64) {
        firstIn = number
        highestIn = number
        highestOut = out
        newestDrop = 0
    }

    /// The outgoing number. For a number beyond the highest this moves the line; numbers skipped over count as lost.
    /// - Returns: nil for one before the line, outside the window, or dropped.
    mutating func map(_ number: UInt64) -> UInt64? {
        if number > highestIn {
            advance(to: number)
            highestOut &+= 1
            return highestOut
        }
        return place(of: number)
    }

    /// Leaves a number out: those after it close up.
    /// - Returns: nil, or, when the number is late and its place was kept open, that place: it stays a hole.
    mutating func drop(_ number: UInt64) -> UInt64? {
        if number > highestIn {
            advance(to: number)
            mark(number)
            return nil
        }
        return place(of: number)
    }

    private func place(of number: UInt64) -> UInt64? {
        guard number >= firstIn, highestIn &- number < Limits.window, !isDropped(number) else { return nil }
        return highestOut &- (highestIn &- number &- drops(after: number))
    }
    /// Moves to `number`, not giving it a place yet.
    private mutating func advance(to number: UInt64) {
        let lost = number &- highestIn &- 1
        if hasDrops { clear(from: highestIn &+ 1, count: min(lost &+ 1, Limits.window)) }
        highestIn = number
        highestOut &+= lost
    }
    private var hasDrops: Bool { newestDrop != 0 && highestIn &- newestDrop < Limits.window }
    private func isDropped(_ number: UInt64) -> Bool {
        hasDrops && droppedBits[Self.word(number)] & Self.bit(number) != 0
    }
    private func drops(after number: UInt64) -> UInt64 {
        guard hasDrops, newestDrop > number else { return 0 }
        var total: UInt64 = 0, n = number &+ 1
        while n <= newestDrop {
            if droppedBits[Self.word(n)] & Self.bit(n) != 0 { total &+= 1 }
            n &+= 1
        }
        return total
    }
    private mutating func mark(_ number: UInt64) {
        if !hasDrops { for i in 0..<8 { droppedBits[i] = 0 } }
        droppedBits[Self.word(number)] |= Self.bit(number)
        newestDrop = number
    }
    private mutating func clear(from first: UInt64, count: UInt64) {
        var n = first
        while n < first &+ count { droppedBits[Self.word(n)] &= ~Self.bit(n); n &+= 1 }
    }
    private static func word(_ number: UInt64) -> Int { Int(number >> 6 & 7) }
    private static func bit(_ number: UInt64) -> UInt64 { 1 << (number & 63) }
}
