// A fault in a running test cluster, with clients in a room of its own, and what it cost. Decision: docs/decisions/0043-faults-on-request.md
internal import Cluster
internal import Configuration
internal import Contracts
internal import EventLoop
internal import Primitives

struct ChaosOrder: Equatable {
    enum Limits {
        static let clients = 6
        static let clientsMost = 50
    }
    var plan: ChaosPlan
    /// Nil: whoever hosts the room.
    var node: NodeName?
    var span: Duration
    var clients: Int
}

/// Confined to the loop.
final class ChaosRun: @unchecked Sendable {
    enum Limits {
        /// Until all clients are in the room with their tracks.
        static let join = Duration.seconds(30)
        /// From then to the fault.
        static let steady = Duration.seconds(2)
        /// From the end of the fault to the end of the clients.
        static let after = 14
        /// For the room to be told again, and for a node to come back.
        static let back = Duration.seconds(30)
        static let drain: Double = 15
        /// For the load to end after its time.
        static let leave = Duration.seconds(60)
        static let look = Duration.milliseconds(100)
        /// Nodes without which a dead one's rooms have nowhere to go by a majority.
        static let nodes = 3
        static let events = 10_000
    }
    private let order: ChaosOrder
    private let client: ClusterClient
    private let loop: UVLoop
    private let say: (String) -> Void

    init(_ order: ChaosOrder, client: ClusterClient, loop: UVLoop, say: @escaping (String) -> Void) { self.order = order; self.client = client; self.loop = loop; self.say = say }

    func run() async throws -> ChaosVerdict {
        guard order.plan == .drain || client.topology.allowsChaos else {
            throw CommandFailure(.failed, code: "chaos_not_allowed", "this cluster's topology allows no faults; where nobody needs the cluster, write `chaos: true` there and start its nodes anew")
        }
        let nodes = try await client.ask { try await $0.nodes(.cluster) }
        let absent = nodes.filter { $0.state != "up" }.map(\.name.rawValue)
        guard absent.isEmpty, nodes.count >= Limits.nodes else {
            throw CommandFailure(.failed, code: "not_whole", absent.isEmpty ? "a fault is for a cluster of \(Limits.nodes) nodes or more" : "\(absent.joined(separator: ", ")) not up: a fault would meet a cluster that is broken already")
        }
        let seconds = Int(Limits.steady.inSeconds + (order.plan == .drain ? Limits.drain : order.span.inSeconds).rounded(.up)) + Limits.after
        let load = try LoadProcess(client.topology, loop: loop, clients: order.clients, seconds: seconds)
        defer { load.stop() }
        let before = try await joined(load)
        guard let owner = before.node, let epoch = before.epoch else { throw CommandFailure(.failed, code: "no_room", "no node holds the clients' room") }
        let victim = order.node ?? owner
        try await loop.sleep(for: Limits.steady)

        // Not by way of the node that goes.
        try await client.avoid(victim)
        say("\(order.plan.rawValue) \(victim), which \(victim == owner ? "hosts" : "does not host") the room \(before.room.id) of \(before.participants.count) clients")
        let begun = loop.now
        try await strike(victim)
        var verdict = ChaosVerdict(plan: order.plan, node: victim, room: before.room.id)
        let returned = try await roomReturns(before, from: victim, epoch: epoch, isOwner: victim == owner, since: begun)
        verdict.atMost("the room answers with everybody in it", returned ?? .infinity, order.plan.gapSeconds + ClusterClient.Limits.answer.inSeconds)
        try await finish(load, within: .seconds(Int64(seconds)) + Limits.leave)
        judge(load, before, &verdict)
        try await judgeEvents(before.room.id, &verdict)
        if order.plan == .drain { _ = try await client.ask { try await $0.undrain(victim) } }
        if order.plan.returns {
            let isBack = try await until(Limits.back) { try await self.client.ask { try await $0.nodes(.cluster) }.allSatisfy { $0.state == "up" } }
            verdict.holds("every node is up again", isBack, "`troupectl nodes` shows which is not")
        }
        return verdict
    }

    // MARK: Steps

    private func joined(_ load: LoadProcess) async throws -> RoomReport {
        let expected = LoadProcess.Limits.publishers + order.clients
        var found: RoomReport?
        let isThere = try await until(Limits.join) { [self] in
            if let exit = load.exit { throw CommandFailure(.failed, code: "no_clients", "troupe-load ended with \(exit.status) before all its clients were there") }
            let page = try await client.ask { try await $0.rooms(RoomQuery(filter: load.title), .cluster) }
            guard let room = page.rooms.first, room.participants == expected, room.publications == 2 * LoadProcess.Limits.publishers else { return false }
            found = try await client.ask { try await $0.room(room.id.rawValue, .cluster) }
            return found?.state == .active
        }
        guard isThere, let found else { throw CommandFailure(.tryAgain, code: "no_clients", "not all \(expected) clients came into the room within \(Int(Limits.join.inSeconds)) s") }
        return found
    }
    private func strike(_ victim: NodeName) async throws {
        let span = order.span.inSeconds
        func suffer(_ fault: Fault) async throws { _ = try await client.ask { try await $0.fault(fault, on: victim, seconds: span) } }
        switch order.plan {
        case .kill: try await suffer(.kill)
        case .stall: try await suffer(.stall)
        case .sever: try await suffer(.sever)
        case .drain: _ = try await client.ask { try await $0.drain(victim, seconds: Limits.drain) }
        }
    }
    /// Seconds until a node that is not the victim holds the room, later than before if the victim held it, with everybody in it; nil: never.
    private func roomReturns(_ before: RoomReport, from victim: NodeName, epoch: Epoch, isOwner: Bool, since begun: Instant) async throws -> Double? {
        let people = Set(before.participants.map(\.id))
        let isBack = try await until(Limits.back) { [self] in
            guard let room = try await client.ask({ try await $0.room(before.room.id.rawValue, .cluster) }), room.state == .active, let now = room.epoch else { return false }
            return (isOwner ? room.node != victim && now > epoch : now >= epoch) && Set(room.participants.map(\.id)) == people
        }
        return isBack ? (loop.now - begun).inSeconds : nil
    }
    private func finish(_ load: LoadProcess, within limit: Duration) async throws {
        let end = loop.now + limit
        while load.exit == nil, loop.now < end { try await loop.sleep(for: Limits.look) }
    }
    private func judge(_ load: LoadProcess, _ before: RoomReport, _ verdict: inout ChaosVerdict) {
        guard load.exit != nil, let found = try? LoadFindings(load.report) else { return verdict.holds("the clients tell what they saw", false, "troupe-load gave no report") }
        verdict.atMost("media gap p95 of \(found.gaps.count) subscribers", found.gapP95, order.plan.gapSeconds)
        verdict.holds("every client is there to the end", found.failures.isEmpty, found.failures.prefix(2).joined(separator: "; "))
        let known = Set(before.participants.map(\.id.rawValue))
        verdict.holds("nobody joined anew", found.participants == known, "\(found.participants.subtracting(known).count) unknown, \(known.subtracting(found.participants).count) ghosts")
    }
    private func judgeEvents(_ room: RoomID, _ verdict: inout ChaosVerdict) async throws {
        var query = EventQuery(limit: EventQuery.Limits.pageMost, room: room), events: [EventEntry] = []
        while events.count < Limits.events {
            let page = try await client.ask { [query] in try await $0.events(query) }
            events += page.events
            query.since = page.cursor
            if page.events.count < query.rows { break }
        }
        let holes = zip(events, events.dropFirst()).filter { $1.first != $0.sequence + 1 }.count, lost = events.filter { $0.type == "events_lost" }.count
        verdict.holds("no event lost", !events.isEmpty && holes == 0 && lost == 0, "\(events.count) events, \(holes) holes, \(lost) `events_lost`")
    }
    /// Looks again and again; a question that no node answered just now is asked anew.
    private func until(_ limit: Duration, _ holds: () async throws -> Bool) async throws -> Bool {
        let end = loop.now + limit
        while loop.now < end {
            do { if try await holds() { return true } } catch where CommandFailure(error).status == .tryAgain || CommandFailure(error).status == .unreachable {}
            try await loop.sleep(for: Limits.look)
        }
        return false
    }
}
