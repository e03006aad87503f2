// Which temporal layers of one encoding a subscriber gets.
internal import RTP

/// Lowers the frame rate by leaving out higher temporal layers. Changes take effect where a frame begins: down at once, up where the
/// publisher says a receiver may switch. All packets of a frame share its fate, late ones too. A pure value.
struct TemporalFilter {
    enum Limits {
        /// Frames whose fate is remembered: about a second. A power of two.
        static let frames = 32
    }
    private var target: UInt8 = .max
    private var current: UInt8 = .max
    /// Frames by timestamp, newest at `newest`; a ring.
    private var timestamps = InlineArray<32, UInt32>(repeating: 0)
    private var admitted: UInt32 = 0
    private var newest = 0
    private var count = 0

    mutating func setTarget(_ layer: UInt8) { target = layer }

    /// The stream begins anew with a key frame: everything may follow.
    mutating func splice() {
        current = target
        count = 0
    }

    /// - Parameter isNewest: the packet is not late; only such packets move the filter.
    @inline(__always) mutating func admits(_ facts: PacketFacts, isNewest: Bool) -> Bool {
        if count > 0, timestamps[newest] == facts.timestamp { return admitted & 1 << UInt32(newest) != 0 }
        return admitsOther(facts, isNewest: isNewest)
    }

    private mutating func admitsOther(_ facts: PacketFacts, isNewest: Bool) -> Bool {
        // Only a frame that is not newer than the newest can be known.
        if count > 0, !facts.timestamp.isNewer(than: timestamps[newest]), let fate = fate(of: facts.timestamp) { return fate }
        if isNewest, current != target, facts.flags.contains(.startsFrame) { move(at: facts) }
        let isAdmitted = facts.temporalID <= current
        record(facts.timestamp, isAdmitted)
        return isAdmitted
    }
    private mutating func move(at facts: PacketFacts) {
        if target < current || facts.flags.contains(.keyFrame) {
            current = target
        } else if facts.flags.contains(.layerSync) {
            // RFC 9628 §4.2, U: every higher layer may follow. RFC 7741 §4.2, Y: this frame needs the base layer only.
            if facts.codec.is(.vp9) { current = target } else if facts.temporalID > current { current = min(facts.temporalID, target) }
        }
    }
    private func fate(of timestamp: UInt32) -> Bool? {
        for back in 0..<count {
            let at = (newest - back) & (Limits.frames - 1)
            if timestamps[at] == timestamp { return admitted & 1 << UInt32(at) != 0 }
        }
        return nil
    }
    private mutating func record(_ timestamp: UInt32, _ isAdmitted: Bool) {
        newest = (newest + 1) & (Limits.frames - 1)
        count = min(count + 1, Limits.frames)
        timestamps[newest] = timestamp
        if isAdmitted { admitted |= 1 << UInt32(newest) } else { admitted &= ~(1 << UInt32(newest)) }
    }
}
