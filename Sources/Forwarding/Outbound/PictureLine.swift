// VP8 picture ids and TL0PICIDX of a rewritten stream (RFC 7741 §4.2).

/// Keeps picture ids continuous for a decoder when pictures are left out or the encoding changes.
///
/// Ids have 7 or 15 bits and are extended here; a publisher's encoder that starts over is followed at its key frame. A pure value.
struct PictureLine {
    enum Limits {
        /// Pictures a key frame may be away from the last one; more means the encoder started over.
        static let distance = 128
    }
    struct Numbers: Equatable {
        var pictureID: UInt16 = 0
        var tl0PictureIndex: UInt8 = 0
    }
    private var line = NumberLine()
    private var hasBegun = false
    private var highest: UInt64 = 0
    private var tl0Offset: UInt8 = 0
    private var tl0Last: UInt8 = 0
    /// True when numbers differ from the incoming ones, so that the descriptor has to be rewritten.
    private(set) var isShifted = false

    /// The next packet mapped begins the stream, an encoding or a sequence of pictures anew.
    mutating func splice(at facts: PacketFacts) {
        let id = (UInt64(1) << 20) | UInt64(facts.pictureID)
        if hasBegun {
            line.begin(at: id, as: line.highestOut &+ 1)
            tl0Offset = tl0Last &+ 1 &- facts.tl0PictureIndex
        } else {
            line.begin(at: id, as: id)
            tl0Offset = 0
        }
        hasBegun = true
        highest = id
        isShifted = line.highestOut != id || tl0Offset != 0
    }

    mutating func map(_ facts: PacketFacts) -> Numbers {
        let id = extend(facts)
        if facts.flags.contains(.keyFrame), abs(Int(id) - Int(highest)) > Limits.distance {
            splice(at: facts)
            return map(facts)
        }
        highest = max(highest, id)
        // A picture outside the line's reach keeps its distance to the others.
        let out = line.map(id) ?? (id &+ line.highestOut &- line.highestIn)
        let index = facts.tl0PictureIndex &+ tl0Offset
        if Int8(bitPattern: index &- tl0Last) > 0 || facts.flags.contains(.keyFrame) { tl0Last = index }
        return Numbers(pictureID: UInt16(truncatingIfNeeded: out) & mask(facts), tl0PictureIndex: index)
    }

    /// The picture is left out.
    mutating func drop(_ facts: PacketFacts) {
        let id = extend(facts)
        highest = max(highest, id)
        let before = line.highestIn
        _ = line.drop(id)
        if line.highestIn != before { isShifted = true }
    }

    private func mask(_ facts: PacketFacts) -> UInt16 { facts.flags.contains(.longPictureID) ? 0x7FFF : 0x7F }
    private func extend(_ facts: PacketFacts) -> UInt64 {
        let mask = UInt64(mask(facts)), half = (mask + 1) / 2
        let forward = (UInt64(facts.pictureID) &- highest) & mask
        return forward < half ? highest &+ forward : highest &- ((mask &+ 1) &- forward)
    }
}
