// The same exchange from a client's side, for `troupe-load` and tests.

/// Publishes tracks in sections of its own and receives what the server offers. The impolite side: while an offer of its own is
/// outstanding it ignores the server's, which will be offered again (RFC 8829 §4.1.10.2; "perfect negotiation").
package struct ClientNegotiation: Sendable {
    private var negotiation: Negotiation

    package init(local: LocalTransport, sessionID: UInt64) {
        negotiation = Negotiation(local: local, sessionID: sessionID, role: .client)
    }

    package var hasOutstandingOffer: Bool { negotiation.hasOutstandingOffer }
    package var needsOffer: Bool { negotiation.needsOffer }
    /// The server's transport with its candidates, once it described itself.
    package var remote: RemoteTransport? { negotiation.remote }

    package mutating func publish(_ track: OutboundTrack) { negotiation.addOutbound(track) }
    package mutating func unpublish(id: String) { negotiation.removeOutbound(id: id) }

    /// Offers what is published, or nil: nothing new, or an offer is outstanding.
    package mutating func makeOffer() -> String? { negotiation.makeOffer() }

    /// `outbound` is what may be sent and under which numbers; `inbound` what the server sends.
    package mutating func receive(answer: String) throws(SDPError) -> Accepted { try negotiation.receive(answer: answer) }

    /// Answers an offer of the server; nil when it is ignored because ours is outstanding.
    package mutating func receive(offer: String) throws(SDPError) -> Accepted? {
        guard !negotiation.hasOutstandingOffer else { return nil }
        return try negotiation.receive(offer: offer)
    }
}
