// What a system knows of its members, says of itself, and lets others see.
import Distributed
import EventLoop
import Primitives

extension ClusterSystem {
    private var view: Membership { shared.withLock { $0.view! } }

    /// Members that are not dead, this one included, by name, each in the `state` this node sees it in.
    package func members() -> [Member] {
        let view = view
        return (view.members + [view.me]).sorted { $0.name < $1.name }
    }
    package func member(_ name: NodeName) -> Member? {
        let view = view
        return name == node ? view.me : view.member(name)
    }
    var me: Member { view.me }
    /// Who of the members has, by its own judgement, declared that incarnation down. Empty while nobody has.
    package func votesDown(_ node: NodeName, _ incarnation: Incarnation) -> Set<NodeName> { view.votesDown(node, incarnation) }

    /// Tells every member what this node does from now on: `.up`, `.draining` (takes no new work) or `.leaving`.
    package func setState(_ state: MemberState) {
        precondition(state == .up || state == .draining || state == .leaving, "a node does not say \(state) of itself")
        loop.run { [self] in membership.apply { $0.setState(state) } }
    }
    /// Changes what members know of this node. - Returns: why not, where it is too large; then nothing changes.
    @discardableResult
    package func setFacts(capacity: Double? = nil, tags: [String: String]? = nil) -> String? {
        var changed = me
        changed.capacity = capacity ?? changed.capacity
        changed.tags = tags ?? changed.tags
        if let objection = changed.objection { return objection }
        loop.run { [self] in
            membership.apply { core in
                core.change { me in
                    me.capacity = capacity ?? me.capacity
                    me.tags = tags ?? me.tags
                }
            }
        }
        return nil
    }

    /// `body` runs on the control loop at every change from now on.
    package func observeMembers(_ body: @escaping @Sendable (MemberEvent) -> Void) { shared.withLock { $0.memberObservers.append(body) } }
    /// `body` runs on the control loop: for logs.
    package func observeNotices(_ body: @escaping @Sendable (ClusterNotice) -> Void) { shared.withLock { $0.noticeObservers.append(body) } }
    package func counters() -> ClusterCounters { shared.withLock { $0.counters } }

    /// Lets any thread see what the core knows now.
    func publish(_ core: Membership, always: Bool = false) {
        shared.withLock {
            guard always || $0.view!.changes != core.changes else { return }
            $0.view = core
            $0.viewNumber += 1
        }
    }
    func tell(_ event: MemberEvent) {
        for observer in shared.withLock({ $0.memberObservers }) { observer(event) }
    }
    func notice(_ notice: ClusterNotice) {
        for observer in shared.withLock({ $0.noticeObservers }) { observer(notice) }
    }
    /// For what a peer can cause as often as it likes: told once in a while for each `cause`, counted otherwise.
    func notice(_ notice: ClusterNotice, once cause: String) {
        let now = loop.now
        guard shared.withLock({ $0.told.passes(cause, now: now) }) else { return count { $0.noticesSuppressed += 1 } }
        self.notice(notice)
    }
    func count(_ change: (inout ClusterCounters) -> Void) { shared.withLock { change(&$0.counters) } }

    // MARK: Links

    /// Every link as it is now, members' by name and then operators'.
    /// On the control loop. For proofs of what a cut network does: no link to another node for `span`; the store stays within reach.
    package func sever(for span: Duration) { links.sever(for: span) }
    package func linkReports() async -> [LinkReport] { (try? await onLoop { [self] in links.reports }) ?? [] }
    /// What both ends of the link to a node can beyond the protocol version; empty without a link.
    package func capabilities(of node: NodeName) async -> Set<String> { (try? await onLoop { [self] in links.link(to: node)?.capabilities ?? [] }) ?? [] }
    /// Uses a new certificate, key and list of CAs from now on: for new links at once; those there are, are made anew one
    /// after another. Calls under way on them end where they began.
    package func reload(tls identity: TLSIdentity) async throws { try await onLoop { [self] in try links.reload(identity) } }

    // MARK: Services

    /// Offers an actor of this node under a name: `service(A.self, on: node, name)` finds it in whichever life the node is.
    /// Kept until replaced.
    package func provide<A: DistributedActor>(_ actor: A, as name: String) where A.ActorSystem == ClusterSystem { registry.provide(actor, as: name) }
    /// A reference to the actor `node` provides under `name`. On a client that is no member, the empty node is the one it is connected to.
    package func service<A: DistributedActor>(_ type: A.Type, on node: NodeName, _ name: String) -> A where A.ActorSystem == ClusterSystem {
        do { return try A.resolve(id: .service(node: node, name: name), using: self) } catch { preconditionFailure("a service's address always resolves: \(error)") }
    }
    /// Lets operators call these methods (by their base names) of actors of this type, at instances and services only.
    package func allowOperators<A: DistributedActor>(_ type: A.Type, methods: Set<String>) { registry.allowOperators(type, methods) }

    // MARK: A client that is no member

    /// Waits until the client is connected.
    /// - Returns: the node it is connected to.
    package func connected(within limit: Duration) async throws -> Member {
        let end = loop.now + limit
        while true {
            let (peer, failure) = try await onLoop { [self] in (links.anyPeer, links.lastFailure) }
            if let peer { return peer }
            guard loop.now < end, isRunning else { throw ConnectError(description: failure ?? "no answer within \(limit)") }
            try await loop.sleep(for: Limits.connectedLook)
        }
    }
}

/// Why an operator's client is not connected; says what to do.
package struct ConnectError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}
