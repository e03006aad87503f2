// Which of a publication's encodings one subscriber gets (simulcast, RFC 8853).

/// Holds what is sent, what is aimed at, and decides packet by packet whether the stream changes over.
///
/// A change happens only at a key frame of the encoding aimed at; until then the old one goes on. A pure value.
struct EncodingSelection {
    enum Step: Equatable {
        /// Belongs to what is being sent.
        case forward
        /// The stream begins, or goes on with this packet.
        case splice
        case skip(DropReason)
    }
    static let none: UInt8 = .max
    /// What is being sent; `none` before the first key frame and after an interruption.
    private(set) var current = Self.none
    /// Which life of that encoding: it changes with the encoding's SSRC or a restart of its numbers.
    private(set) var generation: UInt8 = 0
    private(set) var target: UInt8 = 0
    private(set) var preferred: UInt8 = .max
    /// Original packets go on without waiting for a key frame: the reader is not a decoder.
    let startsAnywhere: Bool

    init(startsAnywhere: Bool = false) { self.startsAnywhere = startsAnywhere }

    var isWaiting: Bool { current != target }

    /// - Parameters:
    ///   - active: bit n is set while encoding n delivers packets.
    /// - Returns: true when a key frame of `target` is needed now.
    mutating func retarget(active: UInt8, preferred: UInt8? = nil) -> Bool {
        if let preferred { self.preferred = preferred }
        let allowed: UInt8 = self.preferred >= 7 ? .max : (2 << self.preferred) - 1
        let before = target
        if active & allowed != 0 {
            target = 7 - UInt8((active & allowed).leadingZeroBitCount)
        } else if active != 0 {
            target = UInt8(active.trailingZeroBitCount)
        }
        return target != before && target != current
    }

    /// The stream was interrupted (paused, muted): it goes on at the next key frame.
    mutating func interrupt() { current = Self.none }

    mutating func step(encoding: UInt8, generation: UInt8, canBegin: Bool) -> Step {
        if encoding == current, generation == self.generation { return .forward }
        guard encoding == target else { return .skip(.otherEncoding) }
        guard canBegin || startsAnywhere && current == Self.none else { return .skip(.awaitingKeyFrame) }
        current = encoding
        self.generation = generation
        return .splice
    }
}
