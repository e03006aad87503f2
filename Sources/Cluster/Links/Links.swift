// All links of a node: who may connect, who dials whom, who is up.
import EventLoop
import Primitives

/// Confined to the control loop.
final class Links: @unchecked Sendable {
    private typealias Limits = ClusterConfiguration.Limits
    private struct Dialing {
        let address: SocketAddress
        var backoff = Backoff(shortest: Limits.redialShortest, longest: Limits.redialLongest)
        /// Why the last attempt failed; told once until it changes.
        var lastFailure: String?
    }
    private let system: ClusterSystem
    private var configuration: ClusterConfiguration { system.configuration }
    private var loop: any Loop { system.loop }
    private var server: TLSContext?
    private var client: TLSContext?
    private var listener: (any Listener)?
    private var timer: RepeatingTimer?
    private var table: MembershipTable
    private var up: [NodeName: Link] = [:]
    private var strangers: [ObjectIdentifier: Link] = [:]
    private var dialing: [NodeName: Dialing] = [:]
    private var isStopped = false

    init(_ system: ClusterSystem) {
        self.system = system
        table = MembershipTable(timing: system.configuration.timing)
    }
    /// Where it listens, once started.
    var address: SocketAddress? { listener?.address }

    func start() throws {
        if let identity = configuration.tls {
            do throws(TLSError) {
                server = try TLSContext(identity, isServer: true)
                client = try TLSContext(identity, isServer: false)
            } catch { throw ClusterStartError.tls(error) }
            if let bind = configuration.bind {
                do throws(NetworkError) {
                    listener = try system.network.listen(bind) { [weak self] in self?.accept($0) }
                } catch { throw ClusterStartError.network(error) }
            }
        }
        timer = loop.every(configuration.timing.heartbeat) { [self] in tick() }
        for (name, address) in configuration.peers.sorted(by: { $0.key < $1.key }) where system.node < name {
            dialing[name] = Dialing(address: address)
            loop.post { [weak self] in self?.dial(name) }
        }
    }
    func stop() {
        isStopped = true
        timer?.cancel()
        listener?.close()
        for link in up.values.sorted(by: { $0.peer!.name < $1.peer!.name }) { link.leave("shutting down") }
        for link in Array(strangers.values) { link.end("shutting down") }
    }

    // MARK: Connecting

    private func accept(_ stream: any Stream) {
        guard let server, !isStopped, strangers.count < Limits.strangers else { return refuse(stream, "too many connections that have not said who they are") }
        begin(stream, server, .accepted)
    }
    private func refuse(_ stream: any Stream, _ why: String) {
        system.count { $0.connectionsRefused += 1 }
        system.notice(.refused(stream.remoteAddress, why))
        stream.abort()
    }
    private func begin(_ stream: any Stream, _ context: TLSContext, _ side: Link.Side) {
        do throws(TLSError) {
            let link = try Link(system, stream, context, side)
            strangers[ObjectIdentifier(link)] = link
            link.start()
        } catch { refuse(stream, "\(error)") }
    }
    private func dial(_ name: NodeName) {
        guard !isStopped, let client, let target = dialing[name] else { return }
        system.network.connect(target.address, timeout: Limits.connect, bufferBound: Limits.linkBytesMost) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let stream):
                if isStopped { stream.abort() } else { begin(stream, client, .dialed(name)) }
            case .failure(let error): redial(name, "\(error)")
            }
        }
    }
    private func redial(_ name: NodeName, _ why: String) {
        guard !isStopped, dialing[name] != nil else { return }
        if dialing[name]?.lastFailure != why {
            dialing[name]?.lastFailure = why
            system.notice(.dialFailed(name, why))
        }
        let wait = dialing[name]!.backoff.next(random: system.random.next())
        loop.schedule(after: wait) { [weak self] in self?.dial(name) }
    }

    // MARK: Greeting

    var hello: Hello {
        let versions = ClusterConfiguration.protocolVersions
        return Hello(versions: [versions.lowerBound, versions.upperBound], capabilities: [], member: system.me)
    }
    /// Why a peer that said this is not let in; nil when it is.
    func refusal(of hello: Hello, on link: Link) -> String? {
        let name = hello.member.name
        guard hello.commonVersion(with: ClusterConfiguration.protocolVersions) != nil else {
            return "speaks protocol versions \(hello.versions); this release speaks \(ClusterConfiguration.protocolVersions)"
        }
        guard link.certificateIs(of: name) else { return "\(TLSError.wrongName(expected: name.rawValue))" }
        guard configuration.peers[name] != nil else { return "\(name) is not in the topology" }
        switch link.side {
        case .dialed(let expected): guard name == expected else { return "\(expected) was dialed, \(name) answers" }
        case .accepted: guard name < system.node else { return "\(name) has to be dialed, not to dial" }
        }
        return nil
    }
    /// - Returns: nothing; a peer of an older life than the one known is ended.
    func isUp(_ link: Link, _ member: Member) {
        guard table.greeted(member, now: loop.now) == .welcome else { return link.end("\(member.name) comes with incarnation \(member.incarnation.rawValue), which is over") }
        strangers[ObjectIdentifier(link)] = nil
        let former = up.updateValue(link, forKey: member.name)
        former?.end("replaced by a new connection")
        dialing[member.name]?.backoff.reset()
        dialing[member.name]?.lastFailure = nil
        system.count { $0.linksUp += 1 }
        system.notice(.linkUp(member.name, link.stream.remoteAddress))
        publish()
    }

    // MARK: Life of links

    func link(to node: NodeName) -> Link? { up[node] }
    func standing(_ node: NodeName, _ incarnation: Incarnation) -> ClaimDecision.Standing { table.standing(node, incarnation) }
    /// Whether any peer that was up is not.
    var hasDoubt: Bool { table.hasDoubt }
    func heard(_ node: NodeName) { table.heard(node, now: loop.now) }

    func saidGoodbye(_ link: Link, _ text: String) {
        guard let name = link.peer?.name, up[name] === link else { return }
        table.saidGoodbye(name)
        link.end("said goodbye: \(text)")
    }
    func ended(_ link: Link, _ why: String) {
        let wasStranger = strangers.removeValue(forKey: ObjectIdentifier(link)) != nil
        if let name = link.peer?.name, up[name] === link {
            up[name] = nil
            table.linkLost(name, now: loop.now)
            system.count { $0.linksLost += 1 }
            system.notice(.linkDown(name, why))
            publish()
        } else if wasStranger, !isStopped {
            system.count { $0.connectionsRefused += 1 }
            if link.side == .accepted { system.notice(.refused(link.stream.remoteAddress, why)) }
        }
        // A link replaced by its successor needs no other.
        if case .dialed(let name) = link.side, up[name] == nil { redial(name, why) }
    }
    private func tick() {
        for name in up.keys.sorted() { up[name]?.ping() }
        for name in table.handleTimeout(now: loop.now) { up[name]?.end("silent for \(configuration.timing.silence)") }
        publish()
    }
    private func publish() {
        let events = table.takeEvents()
        guard !events.isEmpty else { return }
        for case .down(let member) in events { system.virtuals.nodeDown(member.name) }
        system.membersChanged(to: table.members, events)
    }
}
