// One WebRTC transport: ICE, DTLS and their timers behind one input, one deadline and one output queue.
package import Primitives

/// Sans-IO and confined to one loop. The contract: call one of the inputs, then `takeOutput` until nil, then look at `deadline`.
///
/// STUN and DTLS only; media is told apart by its first byte before it gets here (RFC 7983). Life of a server session:
/// checks come → `.validated`, `.selected` → ClientHello comes → `.keyed` → … → `.closed`. After `.closed` nothing comes any more.
package final class PeerSession {
    package enum Limits {
        /// From `init` to `.keyed`: signalling, checks and handshake (time the user takes to accept a prompt does not count: the offer follows it).
        package static let connectTime: Duration = .seconds(30)
        /// DTLS datagrams kept until signalling brings the fingerprint: a fragmented ClientHello, twice.
        package static let earlyDatagrams = 4
        /// Bytes of such a datagram.
        package static let earlyLength = 1500
        /// Outputs waiting; datagrams beyond are lost, as on a network. Nothing else is dropped.
        package static let outputs = 64
    }
    package enum Output: Equatable, Sendable {
        case transmit([UInt8], to: SocketAddress)
        /// An authenticated check came from there: datagrams from this address are the peer's.
        case validated(SocketAddress)
        /// No longer the peer's.
        case invalidated(SocketAddress)
        /// Everything, media too, goes there from now on.
        case selected(SocketAddress)
        case keyed(SRTPKeys)
        case closed(CloseReason)
        /// The datagram just received changed nothing: to be counted.
        case dropped(PeerSessionDrop)
    }
    private enum Agent { case lite(ICELiteAgent), controlling(ICEControllingAgent) }

    private let configuration: PeerSessionConfiguration
    private var agent: Agent
    private var dtls: DTLSConnection?
    private var fingerprint: Fingerprint?
    private var early: [[UInt8]] = []
    private var outputs: [Output] = []
    private var nextOutput = 0
    private let connectBy: Instant
    private var dtlsDeadline: Instant?
    /// The latest instant seen: calls without one of their own use it.
    private var now: Instant
    package private(set) var isKeyed = false
    package private(set) var isClosed = false

    package init(configuration: PeerSessionConfiguration, now: Instant, random: any RandomSource) throws {
        self.configuration = configuration
        self.now = now
        connectBy = now + Limits.connectTime
        let local = ICECredentials(fragment: configuration.localUfrag, password: configuration.localPassword)
        agent = switch configuration.role {
        case .server: .lite(ICELiteAgent(local: local))
        case .client: .controlling(ICEControllingAgent(local: local, now: now, random: random))
        }
    }

    /// Where everything is sent; nil before the first valid check (client: before its nomination is answered).
    package var selected: SocketAddress? {
        switch agent {
        case .lite(let agent): agent.selected
        case .controlling(let agent): agent.selected
        }
    }

    // MARK: Signalling

    /// What signalling says of the other side; again with new credentials on an ICE restart. Another fingerprint than before closes the session.
    package func setRemote(ufrag: String, password: String, fingerprint: Fingerprint) {
        guard !isClosed else { return }
        if let known = self.fingerprint, known != fingerprint { return close(.fingerprintChanged) }
        self.fingerprint = fingerprint
        withControlling { $0.setRemote(ICECredentials(fragment: ufrag, password: password)) }
        startHandshake()
        pollAgent()
    }
    /// The client's checks go to these. - Returns: false when too many are known already, or for a server (it never checks).
    @discardableResult
    package func addRemoteCandidate(_ address: SocketAddress) -> Bool {
        guard !isClosed else { return false }
        var added = false
        withControlling { added = $0.add(candidate: address, now: now) }
        pollAgent()
        return added
    }
    /// New local credentials (ICE restart); `setRemote` brings the other side's.
    package func restart(localUfrag: String, localPassword: String) {
        let local = ICECredentials(fragment: localUfrag, password: localPassword)
        switch agent {
        case .lite(var lite): lite.restart(local: local); agent = .lite(lite)
        case .controlling(var controlling): controlling.restart(local: local, now: now); agent = .controlling(controlling)
        }
    }

    // MARK: Input

    /// One STUN or DTLS datagram.
    package func receive(_ datagram: UnsafeRawBufferPointer, from source: SocketAddress, now: Instant) {
        self.now = now
        guard !isClosed else { return emit(.dropped(.closed)) }
        switch datagram.first {
        case .some(0...3): receiveSTUN(datagram, from: source)
        case .some(20...63): receiveDTLS(datagram, from: source)
        default: emit(.dropped(.notForSession))
        }
    }

    /// Call at `deadline` or later; earlier is harmless.
    package func handleTimeout(now: Instant) {
        self.now = now
        guard !isClosed else { return }
        guard hasConsent else { return close(.consentExpired) }
        guard isKeyed || now < connectBy else { return close(.connectTimeout) }
        pollAgent()
        if let due = dtlsDeadline, due <= now, let dtls { settle(dtls.handleTimeout()) }
    }

    package var deadline: Instant? {
        guard !isClosed else { return nil }
        let ice = switch agent {
        case .lite(let agent): agent.deadline
        case .controlling(let agent): agent.deadline
        }
        return [ice, dtlsDeadline, isKeyed ? nil : connectBy].compactMap { $0 }.min()
    }

    package func takeOutput() -> Output? {
        guard nextOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            nextOutput = 0
            return nil
        }
        defer { nextOutput += 1 }
        return outputs[nextOutput]
    }

    /// Says goodbye (close_notify) and ends with `.closed(.local)`.
    package func close() { close(.local) }

    // MARK: ICE

    private func receiveSTUN(_ datagram: UnsafeRawBufferPointer, from source: SocketAddress) {
        let message: STUN.Message
        do { message = try STUN.Message.parse(datagram) } catch { return emit(.dropped(.ice(.malformed(error)))) }
        var checks: [(bytes: [UInt8], to: SocketAddress)] = []
        let outcome: ICEOutcome
        switch agent {
        case .lite(var lite):
            outcome = lite.receive(message, from: source, now: now)
            agent = .lite(lite)
        case .controlling(var controlling):
            outcome = controlling.receive(message, from: source, now: now, into: &checks)
            agent = .controlling(controlling)
        }
        apply(outcome, source: source)
        for check in checks { emit(.transmit(check.bytes, to: check.to)) }
    }

    private func apply(_ outcome: ICEOutcome, source: SocketAddress) {
        if let response = outcome.response { emit(.transmit(response, to: source)) }
        if let reason = outcome.drop { emit(.dropped(.ice(reason))) }
        if let address = outcome.invalidated { emit(.invalidated(address)) }
        if let address = outcome.validated { emit(.validated(address)) }
        guard let address = outcome.selected else { return }
        emit(.selected(address))
        if let keys = configuration.presetKeys, !isKeyed { becomeKeyed(keys) }
        startHandshake()
    }

    private func pollAgent() {
        guard !isClosed else { return }
        var due: [(bytes: [UInt8], to: SocketAddress)] = []
        withControlling { $0.poll(now: now, into: &due) }
        for check in due { emit(.transmit(check.bytes, to: check.to)) }
    }
    private func withControlling(_ body: (inout ICEControllingAgent) -> Void) {
        guard case .controlling(var controlling) = agent else { return }
        body(&controlling)
        agent = .controlling(controlling)
    }
    private var hasConsent: Bool {
        switch agent {
        case .lite(let agent): agent.hasConsent(now: now)
        case .controlling(let agent): agent.hasConsent(now: now)
        }
    }
    private func isPeer(_ address: SocketAddress) -> Bool {
        switch agent {
        case .lite(let agent): agent.isValid(address)
        case .controlling(let agent): agent.isCandidate(address)
        }
    }

    // MARK: DTLS

    /// Starts once the fingerprint is known, on the active side also the path.
    private func startHandshake() {
        guard configuration.presetKeys == nil, dtls == nil, let fingerprint else { return }
        if configuration.role == .client, selected == nil { return }
        do {
            let connection = try DTLSConnection(certificate: configuration.certificate, role: configuration.role == .client ? .active : .passive, expected: fingerprint)
            dtls = connection
            settle(connection.start())
            let kept = early
            early.removeAll()
            for datagram in kept where !isClosed { datagram.withUnsafeBytes { bytes in settle(connection.receive(bytes)) } }
        } catch {
            close(.handshake(error))
        }
    }

    private func receiveDTLS(_ datagram: UnsafeRawBufferPointer, from source: SocketAddress) {
        guard isPeer(source) else { return emit(.dropped(.dtlsFromUnknownAddress)) }
        if case .lite(var lite) = agent, let address = lite.receivedTraffic(from: source) {
            agent = .lite(lite)
            emit(.selected(address))
        }
        guard let dtls else {
            guard configuration.presetKeys == nil, early.count < Limits.earlyDatagrams, datagram.count <= Limits.earlyLength else { return emit(.dropped(.dtlsTooEarly)) }
            early.append(Array(datagram))
            return
        }
        let ignored = dtls.ignoredRecords
        settle(dtls.receive(datagram))
        if dtls.ignoredRecords > ignored { emit(.dropped(.applicationData)) }
    }

    /// Sends what DTLS wrote, then acts on what happened.
    private func settle(_ event: DTLSEvent?) {
        flushDTLS()
        switch event {
        case .keyed(let keys): becomeKeyed(keys)
        case .closedByPeer: close(.remote)
        case .failed(let error): close(.handshake(error))
        case nil: break
        }
        dtlsDeadline = isClosed ? nil : dtls?.deadline(now: now)
    }
    private func flushDTLS() {
        guard let datagrams = dtls?.takeOutgoing(), let destination = selected else { return }
        for datagram in datagrams { emit(.transmit(datagram, to: destination)) }
    }
    private func becomeKeyed(_ keys: SRTPKeys) {
        isKeyed = true
        emit(.keyed(keys))
    }

    // MARK: Output

    private func close(_ reason: CloseReason) {
        guard !isClosed else { return }
        isClosed = true
        dtls?.close()
        flushDTLS()
        dtls = nil
        dtlsDeadline = nil
        early.removeAll()
        emit(.closed(reason))
    }
    private func emit(_ output: Output) {
        if case .transmit = output, outputs.count - nextOutput >= Limits.outputs { return }
        outputs.append(output)
    }
}
