// Rooms full of clients on a cluster: the real Conference, Forwarding and pipes, and clients that remember.
import Cluster
import Conference
import Contracts
import EventLoop
import Primitives
import Transport

package final class ConferenceScenario: Scenario, @unchecked Sendable {
    package enum Limits {
        /// One room for each ten.
        package static let clients = 200
        package static let clientsOfARoom = 10
        /// Of these, so many have media, in the first rooms.
        package static let clientsWithMedia = 24
        package static let roomsWithMedia = 6
        /// Between two looks at the queues. Nanoseconds.
        package static let look: Int64 = 1_000_000_000
        /// Milliseconds over which clients come.
        package static let arrival: UInt64 = 7000
    }
    package let world: World
    package let ledger: Ledger
    /// Set by the cluster that it runs on.
    package var cluster: SimulatedCluster!
    private(set) var clientsHost: Host = 0
    private(set) var clientsLoop: SimulatedLoop!
    private(set) var clientsMedia: MediaLoop!
    private(set) var rooms: [Int: RoomID] = [:]
    private let clientCount: Int
    private let roomCount: Int
    private let database: SimulatedDatabase
    private var clients: [SimulatedClient] = []
    /// Of each room, what its clients were told was said and kept.
    private var acknowledged: [Int: [String]] = [:]
    private var living: [Life] = []
    private var random: SplitMix64
    private(set) var isQuiet = false
    private(set) var isOver = false
    var mediaPackets: UInt64 = 0

    package init(_ world: World, _ database: SimulatedDatabase, clients: Int) {
        self.world = world
        self.database = database
        clientCount = clients
        roomCount = max(1, clients / Limits.clientsOfARoom)
        let ledger = Ledger(world)
        self.ledger = ledger
        random = world.random("conference")
        database.onClaim = { ledger.claimed($0) }
        database.onRetirement = { ledger.retired($0, $1, byVote: $2) }
        database.onLog = { ledger.logged($0.rawValue, $1) }
    }

    package func begin(_ cluster: SimulatedCluster) {
        self.cluster = cluster
        clientsHost = cluster.machines.count
        clientsLoop = SimulatedLoop(world, name: "clients", clock: SimulatedClock())
        clientsLoop.ports = cluster.wires.ports
        do {
            clientsMedia = try MediaLoop(
                loop: clientsLoop, bind: Wires.address(of: clientsHost, port: 9000), pipeBind: Wires.address(of: clientsHost, port: 9001),
                certificate: SimulatedEdge.certificate, random: SeededRandom(seed: random.next()))
        } catch { return world.fail(.nodeFailed, "the clients' media loop: \(error)") }
        for room in 0..<roomCount { clientsLoop.spawn { await self.open(room) } }
        for number in 0..<clientCount {
            let hasMedia = number < Limits.clientsWithMedia
            let room = hasMedia ? number % min(Limits.roomsWithMedia, roomCount) : Int(random.next() % UInt64(roomCount))
            let client = SimulatedClient("c\(number)", room: room, hasMedia: hasMedia, self)
            clients.append(client)
            let wait = Int64(random.next() % Limits.arrival)
            clientsLoop.spawn {
                try? await self.clientsLoop.sleep(for: .milliseconds(wait))
                await client.live()
            }
        }
        watchOwners()
        watchQueues()
    }
    private func open(_ room: Int) async {
        while rooms[room] == nil, !isOver {
            try? await clientsLoop.sleep(for: .milliseconds(Int64(100 + random.next() % 400)))
            guard let life = anyEdge(random.next()), let edge = life.belongings as? SimulatedEdge else { continue }
            let made = await ask(life, within: .seconds(5)) {
                try await edge.service.createSession(CreateSession(title: "room \(room)", hostName: "host", maxParticipants: 100), caller: .anyone).room.id
            }
            if let made, rooms[room] == nil { rooms[room] = made }
        }
    }
    /// Every so often: who believes to own what?
    private func watchOwners() {
        world.after(50_000_000) { [self] in
            for life in living { for claim in life.system.heldClaims { ledger.holds(claim, in: life) } }
            if !isOver { watchOwners() }
        }
    }

    private func watchQueues() {
        world.after(Limits.look) { [self] in
            typealias Bounds = ClusterConfiguration.Limits
            for life in living {
                for link in life.system.linksNow {
                    let isWithin = link.callsInFlight <= Bounds.callsInFlight && link.callsExecuting <= Bounds.callsExecuting
                        && link.executingBytes <= Bounds.executingBytes && link.queueBytes <= Bounds.linkBytesMost
                    if !isWithin { world.fail(.queueBound, "\(life.loop.name)'s link to \(link.peer): \(link)") }
                }
            }
            if !isOver { watchQueues() }
        }
    }

    // MARK: Lives

    package func prepare(_ life: Life) {
        do { life.belongings = try SimulatedEdge(life, world) } catch { world.fail(.nodeFailed, "\(life.loop.name): \(error)") }
    }
    package func joined(_ life: Life) { living.append(life) }
    package func stop(_ life: Life) async {
        if let edge = life.belongings as? SimulatedEdge { await edge.edge.shutdown() }
        await life.system.shutdown()
    }
    package func drain(_ life: Life, within deadline: Duration) async {
        guard let edge = life.belongings as? SimulatedEdge else { return }
        if let plan = try? await life.system.drainPlan(life.name) { life.system.carryOut(plan).resume() }
        let progress = await edge.context.drainEdge(within: deadline * 4 / 5)
        world.say("\(life.loop.name) drained: \(progress)")
    }
    package func undrain(_ life: Life) { (life.belongings as? SimulatedEdge)?.edge.undrain() }
    package func ended(_ life: Life, silently: Bool) {
        living.removeAll { $0 === life }
        // The kernel tells the clients of a killed process; those of a machine without power find out by its silence.
        guard !silently else { return }
        for client in clients {
            for connection in client.connections where connection.life === life {
                world.after(cluster.wires.delay(life.host, clientsHost), on: clientsLoop) { connection.end("connection reset") }
            }
        }
    }
    package func quiet() { isQuiet = true }
    package func probe() {}

    func edge(named name: String) -> Life? { living.first { $0.name.rawValue == name } }
    /// The client that was in its room, under the epoch of an event, before it, and did not say that it leaves: its edge's attachment is the
    /// newest. One that gave up a later try may have been taken at its word.
    func inside(_ id: ParticipantID, before event: RoomEvent) -> String? {
        clients.first { $0.participant == id && $0.isInside && !$0.hasSaidGoodbye && !$0.hasGivenUp && $0.view.epoch == event.epoch && $0.view.since < event.sequence }?.name
    }
    func acknowledged(_ text: String, in room: Int) { acknowledged[room, default: []].append(text) }
    func anyEdge(_ draw: UInt64) -> Life? { living.isEmpty ? nil : living[Int(draw % UInt64(living.count))] }
    func isCut(_ life: Life) -> Bool { cluster.wires.isCut(life.host, clientsHost) || cluster.wires.isCut(clientsHost, life.host) }

    /// Runs `body` at an edge on behalf of a client, there and back over the network. - Returns: nil when it failed or did not answer.
    func ask<T: Sendable>(_ life: Life, within limit: Duration, _ body: @escaping @Sendable () async throws -> T) async -> T? {
        let once = OneAnswer<T>(), wires = cluster.wires, loop = clientsLoop!, host = clientsHost
        return try? await withCheckedThrowingContinuation { continuation in
            once.open(continuation)
            let timer = loop.schedule(after: limit) { once.answer(.failure(DeadlineExceeded(after: limit))) }
            once.atEnd { loop.run { timer.cancel() } }
            wires.world.after(wires.delay(host, life.host)) {
                guard !wires.isCut(host, life.host) else { return }
                life.loop.spawn {
                    let result: Result<T, any Error>
                    do { result = .success(try await body()) } catch { result = .failure(error) }
                    wires.world.after(wires.delay(life.host, host), on: loop) { once.answer(result) }
                }
            }
        }
    }

    // MARK: The end

    package func check() {
        defer { isOver = true }
        let names = Set(living.map(\.name))
        for life in living {
            let seen = Set(life.system.members().map(\.name))
            if seen != names { return world.fail(.healed, "\(life.loop.name) sees \(seen.sorted()); up are \(names.sorted())") }
        }
        for client in clients where !client.isInside { return world.fail(.member, "\(client.name) is in no room when all is quiet") }
        for room in 0..<roomCount {
            compare(room)
            compareLog(room)
        }
    }
    /// Every word that was acknowledged as kept is in the room's log; every other that somebody can show was said is as well, unless that says what it lost.
    private func compareLog(_ room: Int) {
        guard let id = rooms[room] else { return }
        let log = database.log(of: id)
        var last: UInt64 = 0
        for event in log {
            if event.first != last + 1 { return world.fail(.eventHole, "the log of room \(room) goes on with \(event.first) after \(last)") }
            last = event.sequence
        }
        let words = Set(log.filter { $0.type == "chat" }.compactMap { Self.text(in: $0.payload) })
        for text in acknowledged[room] ?? [] where !words.contains(text) {
            return world.fail(.acknowledged, "`\(text)` was acknowledged as kept in room \(room); its log has it not")
        }
        guard !log.contains(where: \.isLoss) else { return }
        for text in clients.filter({ $0.room == room }).flatMap(\.promised) where !words.contains(text) {
            return world.fail(.acknowledged, "`\(text)` was said in room \(room), as its client or an edge can show; its log has it not, and tells of no loss")
        }
    }
    /// The value of `text` in a JSON object; clients' words need no escapes.
    private static func text(in payload: String) -> String? {
        let parts = payload.split(separator: "\"", omittingEmptySubsequences: false)
        return parts.firstIndex(of: "text").flatMap { parts.indices.contains($0 + 2) ? String(parts[$0 + 2]) : nil }
    }
    private func compare(_ room: Int) {
        let inside = clients.filter { $0.room == room }
        let truth = Set(inside.compactMap(\.participant))
        for client in inside {
            let missing = truth.subtracting(client.view.participants), extra = client.view.participants.subtracting(truth)
            if !missing.isEmpty || !extra.isEmpty {
                return world.fail(.roster, "\(client.name) in room \(room) at \(client.connection?.life.loop.name ?? "-") misses \(names(missing)) and still sees \(extra.count) who left")
            }
        }
        let published = inside.reduce(into: Set<TrackID>()) { $0.formUnion($1.mediaSide?.published ?? []) }
        for client in inside {
            let seen = Set(client.view.publications.keys)
            if seen != published {
                return world.fail(.roster, "\(client.name) in room \(room) misses tracks \(published.subtracting(seen).sorted()) and still sees \(seen.subtracting(published).sorted())")
            }
        }
    }
    private func names(_ ids: Set<ParticipantID>) -> String { clients.filter { $0.participant.map(ids.contains) ?? false }.map(\.name).sorted().joined(separator: " ") }
}
