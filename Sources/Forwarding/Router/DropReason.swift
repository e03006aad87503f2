// Every way in which a packet, or a copy of it, goes no further.

/// Counted in `RouterCounters.drops`. The first group is about packets that arrive, the second about copies that are not sent on,
/// the third about retransmissions and feedback.
package enum DropReason: UInt8, CaseIterable, Sendable {
    // Arriving
    /// Not an RTP packet (RFC 3550 §5.1).
    case malformed
    /// Longer than a cache slot may be.
    case oversized
    /// No track of the transport claims the SSRC, MID, RID or payload type.
    case unknownStream
    case unknownPayloadType
    case duplicate
    /// Further behind than the cache reaches.
    case tooOld
    /// First of a jump in numbers: accepted only if the next one follows it (RFC 3550 A.1).
    case sequenceJump
    /// An RTX packet that carries nothing: a bandwidth probe.
    case emptyRetransmission
    /// An RTX packet before the stream it belongs to.
    case orphanRetransmission
    /// The track is muted at the router.
    case muted
    /// More packets in one receive batch than a track may hold.
    case arrivalsFull

    // Sending on
    case paused
    case awaitingKeyFrame
    /// Belongs to an encoding this subscriber does not get.
    case otherEncoding
    case temporalLayer
    /// Carries no payload: its number is closed up instead.
    case paddingOnly
    /// Older than what this subscriber's stream began with.
    case beforeStart
    case alreadySent
    /// The publisher changed to a codec the subscriber did not agree on.
    case codecMismatch
    /// Left the cache before it was sent.
    case evicted
    /// Does not fit a wire buffer.
    case wireTooSmall

    // Retransmissions and feedback
    /// Asked for again, but neither sent before nor in the cache any more.
    case resendUnknown
    /// Asked for again less than a round trip after it was last sent, or too often.
    case resendTooSoon
    case resendQueueFull
    case malformedRTCP
    /// Feedback about a stream we do not send.
    case unknownFeedbackTarget
}

/// What became of a packet given to `RouterCore.receiveRTP`.
package enum Disposition: Equatable, Sendable {
    case accepted
    case dropped(DropReason)
}
