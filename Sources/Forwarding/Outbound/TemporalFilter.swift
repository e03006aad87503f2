// Which temporal layers of one encoding a subscriber gets.

/// Lowers the frame rate by leaving out higher temporal layers. Changes take effect where a frame begins: down at once, up where the
/// publisher says a receiver may switch. A pure value.
struct TemporalFilter {
    private(set) var target: UInt8 = .max
    private var current: UInt8 = .max

    var isOpen: Bool { current == .max && target == .max }
    mutating func setTarget(_ layer: UInt8) { target = layer }

    /// The stream begins anew with a key frame: everything may follow.
    mutating func splice() { current = target }

    /// - Parameter isNewest: the packet is not late; only such packets move the filter.
    mutating func admits(_ facts: PacketFacts, isNewest: Bool) -> Bool {
        if isNewest, current != target, facts.flags.contains(.startsFrame) { move(at: facts) }
        return facts.temporalID <= current
    }

    private mutating func move(at facts: PacketFacts) {
        if target < current || facts.flags.contains(.keyFrame) {
            current = target
        } else if facts.flags.contains(.layerSync) {
            // RFC 9628 §4.2, U: every higher layer may follow. RFC 7741 §4.2, Y: this frame needs the base layer only.
            if facts.codec == .vp9 { current = target } else if facts.temporalID > current { current = min(facts.temporalID, target) }
        }
    }
}
