// All links of a node: who may connect, who is up, who comes after whom.
import EventLoop
import Primitives

/// Confined to the control loop.
final class Links: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private let system: ClusterSystem
    private var configuration: ClusterConfiguration { system.configuration }
    private var loop: any Loop { system.loop }
    private var membership: MembershipKeeper { system.membership }
    private var server: TLSContext?
    private var client: TLSContext?
    private var listener: (any Listener)?
    private let dialer: Dialer
    private var up: [NodeName: Link] = [:]
    private var strangers: [ObjectIdentifier: Link] = [:]
    private var operators: [ObjectIdentifier: Link] = [:]
    /// Replaced, with calls under way.
    private var retiring: [ObjectIdentifier: Link] = [:]
    /// Peers whose link is being made anew, and those whose turn comes after them.
    private var renewing: Set<NodeName> = []
    private var toRenew: [NodeName] = []
    private var lastLinked: [NodeName: Int] = [:]
    private var isStopped = false
    private var answerTimer: RepeatingTimer?
    /// Orders of `sever` that are not over.
    private var severed = 0

    init(_ system: ClusterSystem) {
        self.system = system
        dialer = Dialer(system)
    }
    /// Where it listens, once started.
    var address: SocketAddress? { listener?.address }

    func start(_ incarnation: Incarnation) throws {
        if let identity = configuration.tls {
            do throws(TLSError) { try use(identity) } catch { throw ClusterStartError.tls(error) }
            if let bind = configuration.bind, configuration.kind == .node {
                do throws(NetworkError) {
                    listener = try system.network.listen(bind, backlog: NetworkDefaults.backlog, bufferBound: Limits.streamBytes) { [weak self] in self?.accept($0) }
                } catch { throw ClusterStartError.network(error) }
            }
        }
        if configuration.kind == .node {
            membership.start(incarnation, at: address)
            answerTimer = loop.every(AnswerWatch.Limits.tick) { [weak self] in self?.watchAnswers() }
        }
        for (name, address) in configuration.peers.sorted(by: { $0.key < $1.key }) where system.node < name || configuration.kind == .operator {
            dialer.wants(.node(name), at: address)
        }
        for address in configuration.seeds { dialer.wants(.seed(address), at: address) }
    }
    func stop() {
        isStopped = true
        answerTimer?.cancel()
        dialer.stop()
        listener?.close()
        for link in all { link.leave("shutting down") }
        for link in Array(strangers.values) + Array(retiring.values) { link.end("shutting down") }
    }
    /// Every link that is up, members' by name and then operators'.
    private var all: [Link] { up.sorted { $0.key < $1.key }.map(\.value) + Array(operators.values) }

    // MARK: Connecting

    private func accept(_ stream: any Stream) {
        guard severed == 0 else { return turnAway(stream, "severed for a test") }
        guard let server, !isStopped, strangers.count < Limits.strangers else { return turnAway(stream, "too many connections that have not said who they are") }
        begin(stream, server, .accepted)
    }
    private func turnAway(_ stream: any Stream, _ why: String) {
        system.count { $0.connectionsRefused += 1 }
        system.notice(.refused(stream.remoteAddress, .other(why)), once: "refused \(stream.remoteAddress.host) \(why)")
        stream.abort()
    }
    private func begin(_ stream: any Stream, _ context: TLSContext, _ side: Link.Side) {
        do throws(TLSError) {
            let link = try Link(system, stream, context, side)
            strangers[ObjectIdentifier(link)] = link
            link.start()
        } catch { turnAway(stream, "\(error)") }
    }
    /// The dialer has a connection.
    func connected(_ stream: any Stream, _ target: Dialer.Target) {
        guard let client, severed == 0 else {
            stream.abort()
            return dialer.failed(target, "severed for a test")
        }
        begin(stream, client, .dialed(target))
    }
    /// Whether a link to it is missing.
    func needs(_ target: Dialer.Target) -> Bool {
        switch target {
        case .node(let name): up[name] == nil || renewing.contains(name)
        case .seed: up.isEmpty
        }
    }
    func dialAgain() { dialer.hurry() }
    var lastFailure: String? { dialer.lastFailure }

    // MARK: Greeting

    var hello: Hello {
        let versions = [configuration.versions.lowerBound, configuration.versions.upperBound], capabilities = configuration.capabilities.sorted(), core = membership.core
        return switch configuration.kind {
        case .node: Hello(versions: versions, capabilities: capabilities, member: core.me, revision: core.revision)
        case .operator:
            Hello(
                versions: versions, capabilities: capabilities, member: Member(name: "operator", incarnation: core.me.incarnation), operatorName: OperatorName.prefix + configuration.name.rawValue)
        }
    }
    /// Why a peer that said this is not let in; nil when it is.
    func refusal(of hello: Hello, on link: Link) -> LinkRefusal? {
        let versions = configuration.versions
        guard hello.commonVersion(with: versions) != nil else { return .versions(theirs: hello.versions, ours: [versions.lowerBound, versions.upperBound]) }
        if let name = hello.operatorName { return refusal(ofOperator: name, on: link) }
        let name = hello.member.name
        guard link.certificateIs(of: name.rawValue) else { return .wrongName(name.rawValue) }
        if configuration.kind == .operator { return nil }
        guard configuration.allowUnlisted || configuration.peers[name] != nil else { return .notListed(name) }
        guard name != system.node else { return .nameTaken(name) }
        switch link.side {
        case .dialed(.node(let expected)): if name != expected { return .notDialed(expected: expected, name) }
        case .dialed(.seed): break
        // A larger name dials only to be introduced: once known, it is dialed.
        case .accepted: if name > system.node, up[name] != nil || configuration.peers[name] != nil { return .wrongDirection(name) }
        }
        // Before our own hello: a peer that holds us for dead as well would take leave on hearing it, and never hear of its own end.
        let votes = membership.core.verdict(on: hello.member.life)
        return votes.map { .dead(name, hello.member.incarnation, by: $0) }
    }
    private func refusal(ofOperator name: String, on link: Link) -> LinkRefusal? {
        guard OperatorName.isValid(name), link.side == .accepted, link.certificateIs(of: name) else { return .wrongName(name) }
        return operators.count < Limits.operators ? nil : .operatorsFull
    }
    /// Whether another life with this name is linked. It is asked whether it is there; if so, the later one is an impostor.
    func isOnTrial(_ link: Link, _ hello: Hello) -> Bool {
        guard hello.operatorName == nil, let former = up[hello.member.name], let known = former.peer, known.incarnation < hello.member.incarnation else { return false }
        let before = former.counts.bytesReceived, name = hello.member.name
        former.challenge()
        loop.schedule(after: Limits.trial) { [weak self] in
            guard let self, !link.isClosed else { return }
            let isThere = up[name] === former && former.counts.bytesReceived > before
            if isThere { link.refuse(.nameTaken(name)) } else { link.acquit() }
        }
        return true
    }
    /// A peer that was let in. One of a life that is over is put out again.
    func isUp(_ link: Link, _ hello: Hello) {
        let member = hello.member
        if hello.operatorName != nil {
            strangers[ObjectIdentifier(link)] = nil
            operators[ObjectIdentifier(link)] = link
            return system.notice(.operatorUp(hello.operatorName ?? "", link.stream.remoteAddress))
        }
        // The greeting is answered over the link, so it is there first.
        let former = up.updateValue(link, forKey: member.name)
        if let refusal = greet(member, hello.revision ?? 0) {
            up[member.name] = former
            return link.refuse(refusal)
        }
        guard !link.isClosed else { return }
        strangers[ObjectIdentifier(link)] = nil
        if let former {
            retiring[ObjectIdentifier(former)] = former
            former.retire()
        }
        lastLinked[member.name, default: -1] += 1
        if renewing.remove(member.name) != nil { renewNext() }
        if case .dialed(let target) = link.side { dialer.succeeded(target) }
        system.count { $0.linksUp += 1 }
        system.notice(.linkUp(member.name, link.stream.remoteAddress))
    }
    private func greet(_ member: Member, _ revision: UInt64) -> LinkRefusal? {
        guard configuration.kind == .node else { return nil }
        return switch membership.apply({ $0.greeted(member, revision: revision, now: loop.now) }) {
        case .welcome: nil
        case .stale: .staleLife(member.name, member.incarnation)
        case .dead(let votes): .dead(member.name, member.incarnation, by: votes)
        case .full: .full
        }
    }
    /// The peer says why it ends the link.
    func refused(_ link: Link, _ why: LinkRefusal) {
        system.count { $0.refusedByPeers += 1 }
        system.notice(.refusedBy(link.stream.remoteAddress, why), once: "refusedBy \(link.stream.remoteAddress) \(why.cause)")
        if case .dead(let name, let incarnation, let votes) = why, name == system.node, incarnation == system.incarnation {
            membership.apply { $0.condemned(votes) }
        }
        link.end("refused: \(why)")
    }

    // MARK: Life of links

    func link(to node: NodeName) -> Link? {
        if configuration.kind == .operator, node.rawValue.isEmpty { return all.first }
        return up[node]
    }
    var anyPeer: Member? { all.first?.peer }

    func saidGoodbye(_ link: Link, _ text: String) {
        if let peer = link.peer, up[peer.name] === link, configuration.kind == .node { membership.apply { $0.left(peer.life, now: loop.now) } }
        link.end("said goodbye: \(text)")
    }
    func ended(_ link: Link, _ why: String) {
        let id = ObjectIdentifier(link)
        let wasStranger = strangers.removeValue(forKey: id) != nil
        retiring[id] = nil
        if operators.removeValue(forKey: id) != nil {
            system.notice(.operatorDown(link.operatorName ?? "", why))
        } else if let peer = link.peer, up[peer.name] === link {
            up[peer.name] = nil
            system.count { $0.linksLost += 1 }
            system.notice(.linkDown(peer.name, why))
            if configuration.kind == .node, !isStopped { membership.apply { $0.linkLost(peer.life, now: loop.now) } }
        } else if wasStranger, !isStopped {
            system.count { $0.connectionsRefused += 1 }
            if link.side == .accepted {
                let refusal = link.refusal ?? .other(why)
                let remote = link.stream.remoteAddress
                system.notice(.refused(remote, refusal), once: "refused \(remote.host) \(refusal.cause) \(refusal.cause == "other" ? why : "")")
            }
        }
        // A link replaced by its successor needs no other.
        if case .dialed(let target) = link.side {
            if needs(target) { dialer.failed(target, why) } else { dialer.succeeded(target) }
        }
        dialer.dialAll()
    }
    /// A life is over: whoever still speaks for it is told.
    func cut(_ life: Life, _ why: LinkRefusal) {
        guard let link = up[life.name], link.peer?.incarnation == life.incarnation else { return }
        link.refuse(why)
    }
    /// All at once, to be made anew.
    func endAll(_ why: String) {
        for link in up.sorted(by: { $0.key < $1.key }).map(\.value) + Array(retiring.values) { link.end(why) }
    }

    /// Looks for peers that answer pings and no calls.
    private func watchAnswers() {
        for (name, link) in up.sorted(by: { $0.key < $1.key }) {
            if membership.core.isDoubtedByOthers(name) { link.calls.watch.doubted() }
            switch link.calls.watch.tick() {
            case .rest: break
            case .ask: ask(name)
            case .complain:
                system.count { $0.complaints += 1 }
                system.notice(.answersNoCalls(name), once: "answers no calls \(name)")
                membership.apply { $0.complain(about: name, now: loop.now) }
                ask(name)
            }
        }
    }
    private func ask(_ name: NodeName) {
        loop.spawn { [system] in
            let agent = system.agent(of: name)
            // Its answer is seen by the link, whatever it is.
            _ = try? await ClusterSystem.$deadline.withValue(AnswerWatch.Limits.tick * AnswerWatch.Limits.patience) { try await agent.answer() }
        }
    }

    /// No other node is linked for `span`. Operators' links stay.
    func sever(for span: Duration) {
        severed += 1
        endAll("severed for a test")
        loop.schedule(after: span) { [weak self] in
            self?.severed -= 1
            self?.dialAgain()
        }
    }

    // MARK: New certificates

    private func use(_ identity: TLSIdentity) throws(TLSError) {
        let (newServer, newClient) = (try TLSContext(identity, isServer: true), try TLSContext(identity, isServer: false))
        (server, client) = (newServer, newClient)
    }
    /// New links are made with `identity` from now on; those there are, one after another, are made anew.
    func reload(_ identity: TLSIdentity) throws(TLSError) {
        try use(identity)
        toRenew = up.keys.sorted()
        renewNext()
    }
    private func renewNext() {
        guard !toRenew.isEmpty, !isStopped else { return }
        let name = toRenew.removeFirst()
        guard let link = up[name] else { return renewNext() }
        renewing.insert(name)
        if dialer.dials(name) { dialer.hurry(.node(name)) } else if link.capabilities.contains("renew") { link.send { $0.renew() } }
        loop.schedule(after: Limits.renewal) { [weak self] in
            guard let self, renewing.remove(name) != nil else { return }
            renewNext()
        }
    }
    /// The peer, which this node dials, has new certificates.
    func renew(_ link: Link) {
        guard let name = link.peer?.name, up[name] === link, dialer.dials(name), renewing.insert(name).inserted else { return }
        dialer.hurry(.node(name))
        loop.schedule(after: Limits.renewal) { [weak self] in self?.renewing.remove(name) }
    }

    // MARK: Reports

    var reports: [LinkReport] {
        all.compactMap { link in link.report(reconnects: link.peer.flatMap { lastLinked[$0.name] } ?? 0) }
    }

    // MARK: Members

    /// A member learned from others is dialed like one of the topology.
    func learned(_ member: Member) {
        if up[member.name] == nil, member.state != .suspect { dialer.hurry(.node(member.name)) }
        guard configuration.peers[member.name] == nil, system.node < member.name, let address = member.address, configuration.kind == .node else { return }
        dialer.wants(.node(member.name), at: address)
    }
    func forgot(_ name: NodeName) { if configuration.peers[name] == nil { dialer.forget(.node(name)) } }
}
