// What nodes tell operators, and do for them, over real links.
import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

@Suite(.serialized, .timeLimit(.minutes(2))) struct OperationsTests {
    @Test func aNodeGathersFromAllAndToldWhoIsAway() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            try await until("the links are measured") {
                try await cluster["n1"].run { try await $0.nodes(.cluster) }.allSatisfy { $0.links.count == 2 && $0.links.allSatisfy { $0.roundTripMilliseconds != nil } }
            }
            let nodes = try await cluster["n1"].run { try await $0.nodes(.cluster) }
            #expect(nodes.map(\.name) == ["n1", "n2", "n3"] && nodes.allSatisfy { $0.state == "up" && $0.version == "test" && $0.roles == ["edge", "room"] && $0.capacity != nil })
            for node in nodes { #expect(node.incarnation == cluster[node.name].system.incarnation && node.address != nil) }
            #expect(try await cluster["n2"].run { try await $0.nodes(.node) }.map(\.name) == ["n2"])

            cluster["n3"].kill()
            let begun = ContinuousClock.now
            let after = try await cluster["n1"].run { try await $0.nodes(.cluster) }
            #expect(ContinuousClock.now - begun < .seconds(5))
            #expect(after.map(\.name) == ["n1", "n2", "n3"] && after[1].state == "up" && after[2].isAway && after[2].reason?.isEmpty == false, "\(after)")
            try await until("it is declared down") { cluster["n1"].system.members().count == 2 }
            let gone = try await cluster["n1"].run { try await $0.nodes(.cluster) }[2]
            #expect(gone.isAway && gone.name == "n3", "a dead node stays in the list")
            #expect(try await cluster["n1"].run { try await $0.top(.cluster) }.map(\.state) == ["up", "up", "away"])
            #expect(try await cluster["n1"].run { try await $0.rooms(RoomQuery(), .cluster) }.away == ["n3"])
        }
    }
    @Test func roomsOfAllNodesComeInPages() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            var holders: [RoomID: NodeName] = [:]
            for index in 10..<30 { holders[RoomID("R_\(index)")] = try await cluster.wake(RoomID("R_\(index)"), from: "n1") }
            #expect(Set(holders.values).count > 1, "all on one node")
            var found: [RoomSummary] = [], query = RoomQuery(limit: 7)
            while true {
                let page = try await cluster["n2"].run { [query] in try await $0.rooms(query, .cluster) }
                found += page.rooms
                #expect(page.rooms.count <= 7 && page.away == [])
                guard page.hasMore else { break }
                query.after = page.rooms.last?.id
            }
            #expect(found.map(\.id) == holders.keys.sorted() && found.allSatisfy { $0.node == holders[$0.id] && $0.epoch == Epoch(1) })
            let here = try await cluster["n3"].run { try await $0.rooms(RoomQuery(node: "n2"), .cluster) }
            #expect(Set(here.rooms.map(\.id)) == Set(holders.filter { $0.value == "n2" }.keys))
            await #expect(throws: ServiceError.self) { try await cluster["n1"].run { try await $0.rooms(RoomQuery(node: "n9"), .cluster) } }
        }
    }
    @Test func aFaultIsSufferedWhereTheTopologyAllowsIt() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            #expect(try await cluster["n1"].run { try await $0.fault(.stall, on: "n3", seconds: 2.5) } == FaultReport(node: "n3", fault: .stall, seconds: 2.5))
            try await until("n3 suffers it") { cluster["n3"].suffered.all == ["stall 2.5"] }
            await #expect(throws: ServiceError(.forbidden, code: "chaos_not_allowed", message: "n2 takes no faults: `chaos: true` in the topology allows them, for clusters nobody needs")) {
                try await cluster["n1"].run { try await $0.fault(.kill, on: "n2", seconds: 5) }
            }
            for (node, seconds) in [("n9", 5), ("n3", 61), ("n3", .nan)] as [(NodeName, Double)] {
                await #expect(throws: ServiceError.self) { try await cluster["n1"].run { try await $0.fault(.kill, on: node, seconds: seconds) } }
            }
            #expect(cluster["n1"].suffered.all == [] && cluster["n3"].suffered.all == ["stall 2.5"])
        }
    }
    @Test func lookingWakesNobody() async throws {
        try await withOperatedCluster(["n1", "n2"]) { cluster in
            try await cluster.create("R_idle")
            let idle = try #require(try await cluster["n1"].run { try await $0.room("R_idle", .cluster) })
            #expect(idle.state == .idle && idle.node == nil && idle.away == [])
            #expect(try await cluster["n1"].run { try await $0.room("code-R_idle", .cluster) }?.room.id == "R_idle")
            #expect(try await cluster["n1"].run { try await $0.room("nobody", .cluster) } == nil)
            for node in cluster.nodes { #expect(await node.system.claims().isEmpty) }
            let holder = try await cluster.wake("R_live", from: "n1")
            let other: NodeName = holder == "n1" ? "n2" : "n1"
            let live = try #require(try await cluster[other].run { try await $0.room("code-R_live", .cluster) })
            #expect(live.state == .active && live.node == holder && live.epoch == Epoch(1))
            // With the store away what runs is still told; what lies in the store cannot be.
            cluster.rows.isAway = true
            #expect(try await cluster[other].run { try await $0.room("R_live", .cluster) }?.state == .active)
            do {
                _ = try await cluster[other].run { try await $0.room("R_idle", .cluster) }
                Issue.record("told")
            } catch let error as ServiceError { #expect(error.code == "store_away" && error.kind == .unavailable) }
        }
    }
    @Test func roomsMove() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            let from = try await cluster.wake("R_1", from: "n1"), asked = try #require(cluster.nodes.first { $0.name != from })
            let target = try #require(cluster.nodes.map(\.name).first { $0 != from && $0 != asked.name })
            let moved = try await asked.run { try await $0.move("R_1", to: target) }
            #expect(moved.from == from && moved.to == target && moved.epoch == Epoch(2))
            #expect(try await asked.run { try await $0.room("R_1", .cluster) }?.node == target)
            #expect(try await asked.run { try await $0.move("R_1", to: target) }.milliseconds == 0, "it is there")
            func refused(_ room: RoomID, _ node: NodeName) async -> String? {
                do { _ = try await asked.run { try await $0.move(room, to: node) } } catch { return (error as? ServiceError)?.code ?? "\(error)" }
                return nil
            }
            try await cluster.create("R_idle")
            #expect(await refused("R_1", "n9") == "unknown_node")
            #expect(await refused("R_none", target) == "unknown_room")
            _ = try await asked.run { try await $0.drain(from, seconds: 5) }
            try await until("all know that it drains") { await refused("R_1", from) == "node_takes_no_work" }
            #expect(await refused("R_idle", target) == "room_idle")
        }
    }
    @Test func pinsDecideWhereRoomsComeToLife() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            for (index, node) in (["n1", "n2", "n3"] as [NodeName]).enumerated() {
                let room = RoomID("R_pinned_\(index)")
                try await cluster.create(room)
                #expect(try await cluster["n1"].run { try await $0.pin(room, to: node) } == PinReport(room: room, node: node))
                #expect(try await cluster["n2"].run { try await $0.room(room.rawValue, .cluster) }?.pinned == node)
                let context = cluster["n1"].context
                #expect(try await cluster["n1"].run { _ in try await context.room(room).snapshot().node } == node)
                _ = try await cluster["n3"].run { try await $0.pin(room, to: nil) }
                #expect(try await cluster["n2"].run { try await $0.room(room.rawValue, .cluster) }?.pinned == nil)
            }
            await #expect(throws: ServiceError.self) { try await cluster["n1"].run { try await $0.pin("R_none", to: "n1") } }
        }
    }
    @Test func aNodeEmptiesItselfAndTakesWorkAgain() async throws {
        try await withOperatedCluster(["n1", "n2", "n3"]) { cluster in
            for index in 0..<12 { try await cluster.wake(RoomID("R_\(index)"), from: "n1") }
            let held = await cluster["n2"].system.claims().count
            try #require(held > 0)
            // Asked of another node than the one that drains.
            let begun = try await cluster["n1"].run { try await $0.drain("n2", seconds: 20) }
            #expect(begun.node == "n2" && begun.state == .draining)
            try await until("n2 is drained") { try await cluster["n1"].run { try await $0.nodes(.cluster) }[1].drain?.state == .drained }
            let node = try await cluster["n3"].run { try await $0.nodes(.cluster) }[1]
            #expect(node.state == "draining" && node.rooms == 0 && node.drain?.actors == held && node.drain?.actorsLeft == 0)
            #expect(await cluster["n2"].system.claims().isEmpty)
            #expect(try await cluster["n1"].run { try await $0.drain("n2", seconds: 20) }.state == .drained, "a second drain does nothing")
            for index in 12..<24 { #expect(try await cluster.wake(RoomID("R_\(index)"), from: "n1") != "n2", "no new work") }
            #expect(try await cluster["n3"].run { try await $0.undrain("n2") }.state == .none)
            try await until("n2 takes work again") { try await cluster["n1"].run { try await $0.nodes(.cluster) }[1].state == "up" }
            try await cluster.create("R_back")
            _ = try await cluster["n1"].run { try await $0.pin("R_back", to: "n2") }
            let context = cluster["n1"].context
            #expect(try await cluster["n1"].run { _ in try await context.room("R_back").snapshot().node } == "n2")
            for seconds in [-1, 3601, Double.nan] { await #expect(throws: ServiceError.self) { try await cluster["n1"].run { try await $0.drain("n2", seconds: seconds) } } }
        }
    }
    @Test func aNodeThatIsAloneStaysAsItIs() async throws {
        try await withOperatedCluster(["n1"]) { cluster in
            try await cluster.wake("R_1", from: "n1")
            _ = try await cluster["n1"].run { try await $0.drain("n1", seconds: 5) }
            try await until("it gives up") { try await cluster["n1"].run { try await $0.nodes(.node) }[0].drain?.isOver == true }
            let drain = try #require(try await cluster["n1"].run { try await $0.nodes(.node) }[0].drain)
            #expect(drain.state == .incomplete && drain.actorsLeft == 1 && !drain.failures.isEmpty, "\(drain)")
            #expect(try await cluster["n1"].run { try await $0.undrain("n1") }.state == .none)
        }
    }
    @Test func aPlanIsOneInTheWholeCluster() async throws {
        try await withOperatedCluster(["n1", "n2"]) { cluster in
            for index in 0..<4 { try await cluster.wake(RoomID("R_\(index)"), from: "n1") }
            let holder = try #require(try await cluster["n1"].run { try await $0.room("R_0", .cluster) }?.node), other: NodeName = holder == "n1" ? "n2" : "n1"
            _ = try await cluster["n1"].run { try await $0.pin("R_0", to: other) }
            let plan = try await cluster["n2"].run { try await $0.rebalance(.plan, .cluster) }
            #expect(plan.state == .planned && plan.moves.contains(RebalanceReport.Move(kind: "room", key: "R_0", from: holder, to: other, cost: 1, reason: "pinned")), "\(plan)")
            #expect(try await cluster["n1"].run { try await $0.room("R_0", .cluster) }?.node == holder, "a plan moves nothing")
            for order in [RebalanceOrder.stop, .resume] { await #expect(throws: ServiceError.self) { try await cluster["n1"].run { try await $0.rebalance(order, .cluster) } } }
            let begun = try await cluster["n1"].run { try await $0.rebalance(.begin, .cluster) }
            #expect(begun.node == "n1" && begun.planned == plan.planned)
            try await until("the plan is carried out") { try await cluster["n1"].run { try await $0.rebalance(.status, .node) }.state == .done }
            #expect(try await cluster["n2"].run { try await $0.room("R_0", .cluster) }?.node == other)
        }
    }
    @Test func eventsRecordingsAndJobsComeFromTheStore() async throws {
        try await withOperatedCluster(["n1", "n2"]) { cluster in
            func record(_ id: RecordingID, _ state: RecordingState, _ recorder: NodeName, at seconds: Int64) -> RecordingRecord {
                RecordingRecord(status: RecordingStatus(recordingID: id, roomID: "R_1", state: state), recorder: recorder, epoch: Epoch(1), startedAt: WallTime(seconds: seconds), title: "t")
            }
            for one in [record("RC_1", .ready, "n1", at: 1), record("RC_2", .processing, "n2", at: 3), record("RC_3", .stopping, "n1", at: 2), record("RC_4", .recording, "n1", at: 4)] { try await cluster.rows.insert(one) }
            #expect(try await cluster["n2"].run { try await $0.recordings(RecordingQuery()) }.map(\.status.recordingID) == ["RC_4", "RC_2", "RC_3", "RC_1"])
            #expect(try await cluster["n2"].run { try await $0.recordings(RecordingQuery(limit: 1)) }.count == 1)
            #expect(try await cluster["n1"].run { try await $0.jobs(10) }.map(\.id) == ["RC_3", "RC_2"], "oldest first")
            _ = try await cluster.events.openLog("R_1", epoch: Epoch(1))
            let logged = (1...3).map { LoggedEvent(sequence: $0, epoch: Epoch(1), at: WallTime(seconds: 1), type: "chat", payload: "{}") }
            #expect(try await cluster.events.appendEvents(EventBatch(room: "R_1", epoch: Epoch(1), after: 0, events: logged)) == .appended)
            let feed = try await cluster["n1"].run { try await $0.events(EventQuery(limit: 2)) }
            #expect(feed.events.map(\.position) == [1, 2] && feed.cursor == 2)
            #expect(try await cluster["n1"].run { try await $0.events(EventQuery(since: feed.cursor)) }.events.map(\.sequence) == [3])
            #expect(try await cluster["n1"].run { try await $0.events(EventQuery(since: 1, room: "R_1")) }.events.map(\.sequence) == [2, 3])
            cluster.rows.isAway = true
            cluster.events.isAway = true
            for question in [{ try await $0.jobs(1).count }, { try await $0.recordings(RecordingQuery()).count }, { try await $0.events(EventQuery()).events.count }] as [@Sendable (ClusterOperations) async throws -> Int] {
                do {
                    _ = try await cluster["n1"].run(question)
                    Issue.record("answered")
                } catch { #expect((error as? ServiceError)?.code == "store_away") }
            }
        }
    }
}
