// One room's packets on one media loop: who gets which, rewritten how.
package import Primitives

/// Takes decrypted packets, writes outgoing ones into the caller's batch.
///
/// Confined to one media loop; no clock, no IO. Allocates in control calls only, never per packet.
/// One round: `receiveRTP` and `receiveRTCP` for each packet of a receive batch, then `flush` until it answers true, sending and emptying
/// the batch after each call. Payload pointers in the batch are good until the next call that is not `flush`.
/// When `deadline` has passed: `handleTimeout`, then `flush`.
package final class RouterCore {
    package init(configuration: RouterConfiguration = RouterConfiguration()) {}

    // MARK: Control

    package func addInbound(_ configuration: InboundConfiguration) -> InboundTrack { fatalError() }
    /// After a renegotiation: codecs, extension ids, encodings. What is known of streams that stay is kept.
    package func updateInbound(_ track: InboundTrack, _ configuration: InboundConfiguration) {}
    /// Removes the track and all its outbound tracks.
    package func removeInbound(_ track: InboundTrack) {}
    /// While muted, packets are counted and go nowhere.
    package func setMuted(_ track: InboundTrack, _ muted: Bool) {}

    /// - Returns: nil when the inbound track is gone.
    package func addOutbound(of track: InboundTrack, _ configuration: OutboundConfiguration) -> OutboundTrack? { nil }
    package func removeOutbound(_ track: OutboundTrack) {}
    package func setPaused(_ track: OutboundTrack, _ paused: Bool, now: Instant) {}
    package func setPreferredLayer(_ track: OutboundTrack, _ layer: LayerPreference, now: Instant) {}
    package func takeEvent() -> RouterEvent? { nil }
    package var counters: RouterCounters { RouterCounters() }

    // MARK: Packets

    /// - Parameters:
    ///   - packet: decrypted RTP; may be changed in place (RTX unwrapping); not needed after the call.
    ///   - pipeStream: the pipe's stream id when `from` is a pipe, else nil.
    ///   - receivedAt: wall time in µs at the ingress node.
    package func receiveRTP(
        _ packet: UnsafeMutableRawPointer, length: Int, from: TransportIndex, pipeStream: UInt32? = nil, receivedAt: Int64, now: Instant
    ) -> Disposition { .accepted }

    /// As `receiveRTP`, for a decrypted compound RTCP packet.
    package func receiveRTCP(
        _ packet: UnsafeRawPointer, length: Int, from: TransportIndex, pipeStream: UInt32? = nil, receivedAt: Int64, now: Instant
    ) {}

    /// Appends what is to be sent, a subscriber's packets together.
    /// - Returns: true when nothing is left; false when the batch is full: send it, empty it and call again.
    package func flush(into batch: SendBatch, now: Instant) -> Bool { true }

    // MARK: Time

    package func handleTimeout(now: Instant) {}
    /// When to call `handleTimeout` next; nil while nothing waits.
    package var deadline: Instant? { nil }
}
