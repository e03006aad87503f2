// What a router tells its control side.

package enum RouterEvent: Equatable, Sendable {
    /// The first packet of the track, or of an encoding after a silence.
    case active(InboundTrack, encoding: UInt8)
    /// No packet of the encoding for `InboundStream.Limits.silence`.
    case silent(InboundTrack, encoding: UInt8)
    /// A packet told which SSRC an encoding has, or that it has another one now.
    case ssrcLearned(InboundTrack, encoding: UInt8, ssrc: UInt32)
    case keyFrame(InboundTrack, encoding: UInt8)
    /// The outbound track gets its packets from the source it was told to go over to.
    case switched(OutboundTrack)
}

extension RouterEvent {
    package enum Limits {
        /// Events kept until the control side takes them; later ones are counted and lost.
        package static let queued = 256
    }
}
