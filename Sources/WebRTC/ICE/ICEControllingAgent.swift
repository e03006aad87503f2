// The client's side of ICE: a full, controlling agent with one local socket (RFC 8445 §6–§8, consent RFC 7675).
// Used by the load client and by tests; the node itself is always lite.
package import Primitives

/// Checks every remote candidate, nominates the first that answers, then keeps consent alive on it.
///
/// A pure value: `receive` for STUN messages, `poll` for what is due at `now`, `deadline` for when to poll next.
/// Deviation: one local candidate (the socket itself), so a pair is its remote address; no peer-reflexive ones are learned from responses.
package struct ICEControllingAgent {
    package enum Limits {
        package static let candidates = 16
        /// Ta: pace of new checks (RFC 8445 §14.2).
        package static let pace: Duration = .milliseconds(50)
        /// First retransmission of a check; doubles each time. RFC 8445 §14.3 asks for 500 ms where the path is unknown; ours ends at a
        /// server that answers at once, and a lost check must not cost half a second of joining.
        package static let retransmission: Duration = .milliseconds(200)
        package static let attempts = 7
        /// Consent checks: every 5 s, randomised by ± 20 % (RFC 7675 §5.1).
        package static let consentInterval: Duration = .seconds(5)
        package static let consent: Duration = .seconds(30)
    }
    private enum Phase { case waiting, checking, succeeded, failed }
    private struct Pair {
        let remote: SocketAddress
        var phase = Phase.waiting
        var transaction: STUN.TransactionID?
        var attempts = 0
        var nextAt: Instant
        var nominating = false
    }

    private var local: KeyedCredentials
    private var remoteFragment: String?
    private var remoteKey: HMACSHA1?
    private let tieBreaker: UInt64
    private let random: any RandomSource
    private var pairs: [Pair] = []
    private var nextCheckAt: Instant
    package private(set) var selected: SocketAddress?
    private var consentUntil: Instant?
    /// Outstanding consent checks, newest last; answered by any of them (bounded by the consent time over the interval).
    private var consentChecks: [STUN.TransactionID] = []
    private var nextConsentAt: Instant?

    package init(local: ICECredentials, now: Instant, random: any RandomSource) {
        self.local = KeyedCredentials(local)
        self.random = random
        tieBreaker = random.next()
        nextCheckAt = now
    }

    package mutating func setRemote(_ credentials: ICECredentials) {
        remoteFragment = credentials.fragment
        remoteKey = HMACSHA1(key: Array(credentials.password.utf8))
    }
    /// - Returns: false when `Limits.candidates` are known already; the candidate is then left out.
    package mutating func add(candidate: SocketAddress, now: Instant) -> Bool {
        guard !pairs.contains(where: { $0.remote == candidate }) else { return true }
        guard pairs.count < Limits.candidates else { return false }
        pairs.append(Pair(remote: candidate, nextAt: now))
        return true
    }
    /// ICE restart: all pairs are checked again under new local credentials; `setRemote` brings the peer's. `selected` stays until then.
    package mutating func restart(local: ICECredentials, now: Instant) {
        self.local = KeyedCredentials(local)
        for i in pairs.indices { pairs[i] = Pair(remote: pairs[i].remote, nextAt: now) }
        nextConsentAt = nil
        consentChecks.removeAll()
        nextCheckAt = now
        remoteFragment = nil
        remoteKey = nil
    }
    package func isCandidate(_ address: SocketAddress) -> Bool { pairs.contains { $0.remote == address } }

    // MARK: Time

    package var deadline: Instant? {
        var earliest = consentUntil
        func consider(_ t: Instant?) { if let t { earliest = earliest.map { min($0, t) } ?? t } }
        guard remoteKey != nil else { return earliest }
        consider(nextConsentAt)
        for pair in pairs where pair.phase == .checking { consider(pair.nextAt) }
        if pairs.contains(where: { $0.phase == .waiting }), !isNominated { consider(nextCheckAt) }
        return earliest
    }
    package func hasConsent(now: Instant) -> Bool { consentUntil.map { now < $0 } ?? true }
    private var isNominated: Bool { nextConsentAt != nil }

    /// Appends every message due at `now` to `out`.
    package mutating func poll(now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) {
        guard remoteKey != nil else { return }
        for i in pairs.indices where pairs[i].phase == .checking && pairs[i].nextAt <= now { retransmit(i, now: now, into: &out) }
        if !isNominated, nextCheckAt <= now, let i = pairs.firstIndex(where: { $0.phase == .waiting }) {
            begin(i, nominating: false, now: now, into: &out)
            nextCheckAt = now + Limits.pace
        }
        if let at = nextConsentAt, at <= now, let selected { checkConsent(selected, now: now, into: &out) }
    }

    private mutating func begin(_ i: Int, nominating: Bool, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) {
        let transaction = STUN.TransactionID(random: random)
        pairs[i].phase = .checking
        pairs[i].nominating = nominating
        pairs[i].transaction = transaction
        pairs[i].attempts = 1
        pairs[i].nextAt = now + Limits.retransmission
        out.append((request(transaction, nominating: nominating), pairs[i].remote))
    }
    private mutating func retransmit(_ i: Int, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) {
        guard pairs[i].attempts < Limits.attempts, let transaction = pairs[i].transaction else { pairs[i].phase = .failed; return }
        pairs[i].nextAt = now + Limits.retransmission * (1 << pairs[i].attempts)
        pairs[i].attempts += 1
        out.append((request(transaction, nominating: pairs[i].nominating), pairs[i].remote))
    }
    private mutating func checkConsent(_ selected: SocketAddress, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) {
        let transaction = STUN.TransactionID(random: random)
        if consentChecks.count == 8 { consentChecks.removeFirst() }
        consentChecks.append(transaction)
        nextConsentAt = now + jitteredInterval()
        // The nomination is repeated so that a peer which follows the latest one follows us when our address changes under us.
        out.append((request(transaction, nominating: true), selected))
    }
    private func jitteredInterval() -> Duration { Limits.consentInterval * Int(80 + random.next() % 41) / 100 }

    private func request(_ transaction: STUN.TransactionID, nominating: Bool) -> [UInt8] {
        var writer = STUN.Writer(.request, transaction: transaction)
        writer.username("\(remoteFragment ?? ""):\(local.fragment)")
        writer.controlling(tieBreaker)
        // Type preference 110 (peer-reflexive), local preference 65535, component 1 (RFC 8445 §5.1.2.1, §7.1.1).
        writer.priority(110 << 24 | 65535 << 8 | 255)
        if nominating { writer.useCandidate() }
        return writer.finish(key: remoteKey)
    }

    // MARK: Input

    package mutating func receive(_ message: STUN.Message, from source: SocketAddress, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) -> ICEOutcome {
        guard message.method == STUN.bindingMethod else { return ICEOutcome(drop: .ignored) }
        switch message.messageClass {
        case .request: return answer(message, from: source)
        case .indication: return ICEOutcome(drop: .ignored)
        case .success, .failure: return settle(message, from: source, now: now, into: &out)
        }
    }

    private func answer(_ message: STUN.Message, from source: SocketAddress) -> ICEOutcome {
        guard message.username == nil || BindingResponder.names(local.fragment, message) else { return ICEOutcome(drop: .unknownFragment) }
        switch BindingResponder.answer(message, from: source, local: local, conflicts: message.controlling != nil) {
        case .valid(let response): return ICEOutcome(response: response)
        case .invalid(let response, let reason): return ICEOutcome(response: response, drop: reason)
        }
    }

    /// A response counts only when it answers one of ours, comes from where we asked, and is authentic (RFC 8445 §7.2.5).
    private mutating func settle(_ message: STUN.Message, from source: SocketAddress, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) -> ICEOutcome {
        guard let remoteKey else { return ICEOutcome(drop: .unexpectedResponse) }
        if let i = consentChecks.firstIndex(of: message.transaction), source == selected {
            guard message.messageClass == .success else { return ICEOutcome(drop: .refused(message.errorCode ?? 0)) }
            guard message.isAuthentic(remoteKey) else { return ICEOutcome(drop: .notAuthentic) }
            consentChecks.removeFirst(i + 1)
            consentUntil = now + Limits.consent
            return ICEOutcome()
        }
        guard let i = pairs.firstIndex(where: { $0.transaction == message.transaction && $0.phase == .checking }), pairs[i].remote == source else {
            return ICEOutcome(drop: .unexpectedResponse)
        }
        guard message.messageClass == .success else {
            // 400 and 401 responses cannot be authenticated: believed no more than a loss, the check goes on (RFC 8489 §9.1.4).
            return ICEOutcome(drop: .refused(message.errorCode ?? 0))
        }
        guard message.isAuthentic(remoteKey) else { return ICEOutcome(drop: .notAuthentic) }
        return succeed(i, now: now, into: &out)
    }

    /// First answer: nominate that pair. Answer to the nomination: it is selected (RFC 8445 §8.1.1).
    private mutating func succeed(_ i: Int, now: Instant, into out: inout [(bytes: [UInt8], to: SocketAddress)]) -> ICEOutcome {
        var outcome = ICEOutcome()
        consentUntil = now + Limits.consent
        if pairs[i].nominating {
            pairs[i].phase = .succeeded
            nextConsentAt = now + jitteredInterval()
            if selected != pairs[i].remote {
                selected = pairs[i].remote
                outcome.selected = selected
            }
        } else if pairs.contains(where: { $0.nominating }) {
            pairs[i].phase = .succeeded
        } else {
            outcome.validated = pairs[i].remote
            begin(i, nominating: true, now: now, into: &out)
        }
        return outcome
    }
}
