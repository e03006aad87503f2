// The server's side of ICE: a lite agent that answers checks, follows nominations and watches consent (RFC 8445 §2.5, RFC 7675).
package import Primitives

/// One session's ICE-lite agent. A pure value: STUN messages and `now` go in, an `ICEOutcome` comes out. It never sends of its own accord.
///
/// Until one is nominated, the first address a valid check comes from is selected, then the valid one the peer sends to us from
/// (RFC 8445 §12.1 allows any valid pair: browsers shake hands before they nominate, and hear only the path they chose). The nominated address that was checked last wins, so a client that moves (RFC 8445 §12, NAT rebinding, Wi-Fi to mobile) is followed
/// at its next check. Consent is an authenticated request within `Limits.consent` (a lite agent sends no checks of its own, RFC 7675 §5.1
/// is deviated from in that we count requests, not responses).
package struct ICELiteAgent {
    package enum Limits {
        /// Time without an authenticated request after which the peer is gone.
        package static let consent: Duration = .seconds(30)
        /// The selected address must have been silent this long before an unnominated check moves us: two and more check intervals.
        package static let selectedSilence: Duration = .seconds(10)
        /// Addresses a peer may hold at once.
        package static let validAddresses = 8
    }
    private struct Valid { var address: SocketAddress; var checkedAt: Instant }

    private var current: KeyedCredentials
    /// Before an ICE restart; answers checks until the restarted session has nominated (RFC 8445 §9).
    private var previous: KeyedCredentials?
    /// Oldest check first.
    private var valid: [Valid] = []
    /// Where everything is sent; nil before the first valid check.
    package private(set) var selected: SocketAddress?
    private var isNominated = false
    private var lastRequestAt: Instant?

    package init(local: ICECredentials) { current = KeyedCredentials(local) }

    /// When consent ends; nil before the first authenticated request.
    package var deadline: Instant? { lastRequestAt.map { $0 + Limits.consent } }
    package func hasConsent(now: Instant) -> Bool { deadline.map { now < $0 } ?? true }
    package func isValid(_ address: SocketAddress) -> Bool { valid.contains { $0.address == address } }

    /// New local credentials; the selected address stays until the peer nominates with them.
    package mutating func restart(local: ICECredentials) {
        previous = current
        current = KeyedCredentials(local)
    }

    package mutating func receive(_ message: STUN.Message, from source: SocketAddress, now: Instant) -> ICEOutcome {
        guard message.messageClass == .request, message.method == STUN.bindingMethod else {
            return ICEOutcome(drop: message.messageClass == .request || message.messageClass == .indication ? .ignored : .unexpectedResponse)
        }
        let isOld = previous.map { BindingResponder.names($0.fragment, message) } ?? false
        let credentials = isOld ? previous! : current
        // A request without USERNAME is answered 400 below; one with another's fragment is not for us to answer.
        guard message.username == nil || isOld || BindingResponder.names(current.fragment, message) else { return ICEOutcome(drop: .unknownFragment) }
        // The lite side is always controlled (RFC 8445 §6.1.1): a peer that says so of itself is told to switch.
        switch BindingResponder.answer(message, from: source, local: credentials, conflicts: message.controlled != nil) {
        case .invalid(let response, let reason):
            return ICEOutcome(response: response, drop: reason)
        case .valid(let response):
            var outcome = ICEOutcome(response: response)
            noteValid(source, now: now, &outcome)
            if message.useCandidate || selected == nil || selectedIsSilent(now) { select(source, &outcome) }
            if message.useCandidate { isNominated = true }
            if message.useCandidate, !isOld { previous = nil }
            return outcome
        }
    }

    /// The peer sent something else than a check from there. - Returns: the address newly selected for it, if any.
    package mutating func receivedTraffic(from source: SocketAddress) -> SocketAddress? {
        guard !isNominated, selected != source, isValid(source) else { return nil }
        selected = source
        return source
    }

    /// Refreshes `source` as the address checked last; beyond the bound the one checked longest ago goes, never the selected one.
    private mutating func noteValid(_ source: SocketAddress, now: Instant, _ outcome: inout ICEOutcome) {
        lastRequestAt = now
        if let i = valid.firstIndex(where: { $0.address == source }) {
            valid.remove(at: i)
        } else {
            outcome.validated = source
            if valid.count == Limits.validAddresses, let oldest = valid.firstIndex(where: { $0.address != selected }) {
                outcome.invalidated = valid.remove(at: oldest).address
            }
        }
        valid.append(Valid(address: source, checkedAt: now))
    }
    private mutating func select(_ source: SocketAddress, _ outcome: inout ICEOutcome) {
        guard selected != source else { return }
        selected = source
        outcome.selected = source
    }
    /// A client that stopped nominating moved without telling: its checks come from elsewhere only.
    private func selectedIsSilent(_ now: Instant) -> Bool {
        guard let selected, let last = valid.first(where: { $0.address == selected })?.checkedAt else { return false }
        return now - last >= Limits.selectedSilence
    }
}

/// What a STUN message led to.
package struct ICEOutcome {
    /// To be sent back to where the message came from.
    package var response: [UInt8]?
    package var drop: ICEDrop?
    /// An address that is the peer's from now on, and one that is no longer.
    package var validated: SocketAddress?
    package var invalidated: SocketAddress?
    /// Where everything is sent from now on.
    package var selected: SocketAddress?
    package init(response: [UInt8]? = nil, drop: ICEDrop? = nil) { self.response = response; self.drop = drop }
}
