// How loud a sound was, slot by slot: what two recordings of one microphone have in common, whatever encoded them.

/// Levels of a mono sound, one for each 5 ms of its time line, in half decibels. Memory: 200 bytes a second.
package struct SoundLevels: Equatable, Sendable {
    package enum Limits {
        /// Of one time line: a day.
        package static let slots = 86_400 * slotsPerSecond
        /// dB: what is quieter is all the same.
        static let floor: Float = -65
    }
    package static let slotsPerSecond = 200
    package static let slot: Int64 = 1_000_000 / Int64(slotsPerSecond)   // µs
    /// Samples a second `add` is given, and how many make a slot.
    package static let rate = 8_000
    static let samplesPerSlot = rate / slotsPerSecond
    private static let unknown = UInt8.max

    /// Number of the first slot: its time is `first · slot`.
    package private(set) var first: Int
    private var values: [UInt8] = []
    private var energy: Float = 0
    private var counted = 0
    private var open: Int
    private var before: Float = 0

    /// - Parameter time: µs; nothing earlier is kept.
    package init(from time: Int64) {
        first = Int(clamping: max(-Int64(Limits.slots), min(Int64(Limits.slots), time / Self.slot)))
        open = first
    }
    package var slots: Range<Int> { first..<(first + values.count) }

    /// - Parameters:
    ///   - samples: at `rate`.
    ///   - position: of the first, in samples from the time line's zero; not going back but by jitter.
    package mutating func add(_ samples: some Sequence<Float>, at position: Int64) {
        var at = position
        for sample in samples {
            // A first difference: hum and steps of the level are nothing.
            let change = sample - before
            before = sample
            let index = Int(clamping: at >= 0 ? at / Int64(Self.samplesPerSlot) : (at + 1) / Int64(Self.samplesPerSlot) - 1)
            at += 1
            if index != open { close(); open = index }
            energy += change * change
            counted += 1
        }
    }
    package mutating func finish() { close() }

    private mutating func close() {
        defer { (energy, counted) = (0, 0) }
        let place = open - first
        guard counted * 2 >= Self.samplesPerSlot, place >= 0, place < Limits.slots else { return }
        while values.count <= place { values.append(Self.unknown) }
        let level = max(Limits.floor, decibels(ofPower: energy / Float(counted)))
        values[place] = UInt8(min(254, (level - Limits.floor) * 2))
    }
    /// Nothing is known of these slots (a hole filled with silence).
    package mutating func forget(_ range: Range<Int64>) {
        let from = max(0, Int(clamping: range.lowerBound / Self.slot) - first), to = min(values.count, Int(clamping: range.upperBound / Self.slot) + 1 - first)
        for index in from..<max(from, to) { values[index] = Self.unknown }
    }
    /// Takes what `other`, of the same time line and begin, knows.
    package mutating func take(_ other: SoundLevels) {
        precondition(other.first == first)
        while values.count < other.values.count { values.append(Self.unknown) }
        for index in other.values.indices where other.values[index] != Self.unknown { values[index] = other.values[index] }
    }
    /// Half decibels above the floor; nil where nothing was recorded.
    package subscript(slot: Int) -> Float? {
        guard slots.contains(slot), values[slot - first] != Self.unknown else { return nil }
        return Float(values[slot - first])
    }
}

/// Of a mean square: dB, full scale is 0; −100 for nothing. Within 0.05 dB.
package func decibels(ofPower power: Float) -> Float {
    guard power > 1e-10 else { return -100 }
    let mantissa = power.significand
    // log2(1 + x) within 0.01.
    return 3.0103 * (Float(power.exponent) + (mantissa - 1) * (1.3465 - 0.3465 * (mantissa - 1)))
}
