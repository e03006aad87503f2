import Cluster
import Configuration
import Contracts
import Primitives
import Testing

@testable import Operator

@Suite struct Views {
    private func node(_ name: NodeName, _ change: (inout NodeReport) -> Void = { _ in }) -> NodeReport {
        var report = NodeReport(name: name, state: "up", roles: ["edge", "room"])
        report.incarnation = Incarnation(1_700_000_000_000)
        report.version = "0.1.0"
        report.uptimeSeconds = 3_725
        report.capacity = .init(units: 100, used: 3, reserved: 0)
        report.rooms = 2
        report.participants = 5
        report.recordings = 0
        report.links = [.init(peer: "n2", roundTripMilliseconds: 0.214, queueBytes: 40, clockOffsetMilliseconds: -1.25)]
        change(&report)
        return report
    }
    @Test func nodesShowWhoIsAwayAndWhoDrains() {
        let drain = { (report: inout DrainReport) in report.state = .draining; report.actors = 3; report.actorsLeft = 2; report.clients = 5; report.clientsLeft = 4; report.secondsLeft = 41.2 }
        var away = NodeReport(name: "n3", state: NodeReport.away)
        away.reason = "no link to it"
        let text = NodeViews.nodes([node("n1"), node("n2") { $0.state = "draining"; $0.drain = DrainReport(node: "n2"); drain(&$0.drain!) }, away], asked: "n1", terminal: nil)
        #expect(text == """
            NODE  STATE     ROLES      REGION  ROOMS  PEOPLE  REC   USED  UPTIME      RTT    CLOCK  QUEUE  VERSION
            n1    up        edge,room  –           2       5    0  3/100   1h 2m        –        –   40 B  0.1.0
            n2    draining  edge,room  –           2       5    0  3/100   1h 2m  0.21 ms  -1.3 ms   40 B  0.1.0
            n3    away      –          –           –       –    –      –       –        –        –      –  –
            n3 is away: no link to it
            n2 drains: 2 of 3 rooms and recordings left, 4 of 5 clients left, 42s to the deadline

            """)
    }
    @Test func roomsShowWhatIsMissing() {
        let room = RoomSummary(id: "R_1", meetingCode: "abc-def-ghi", title: "Standup\u{1B}[2J", node: "n1", epoch: Epoch(4), participants: 3, publications: 6, createdAt: WallTime(seconds: 1_000))
        let page = RoomPage(rooms: [room], hasMore: true, away: ["n3"])
        #expect(RoomViews.rooms(page, now: WallTime(seconds: 1_090), terminal: nil) == """
            ROOM  CODE         NODE  EPOCH  PEOPLE  TRACKS  RECORDING     AGE  TITLE
            R_1   abc-def-ghi  n1        4       3       6  –          1m 30s  Standup\u{FFFD}[2J
            there are more: troupectl rooms --after R_1
            without the rooms of n3: away

            """)
        #expect(RoomViews.rooms(RoomPage(rooms: [], hasMore: false), now: WallTime(seconds: 0), terminal: nil) == "no node holds such a room\n")
    }
    @Test func ordersSayWhatToDoNext() {
        #expect(OrderViews.move(MoveReport(room: "R_1", from: "n1", to: "n2", epoch: Epoch(5), milliseconds: 12.34)) == "R_1 moved from n1 to n2 in 12.3 ms (epoch 5)\n")
        #expect(OrderViews.move(MoveReport(room: "R_1", from: "n2", to: "n2", epoch: Epoch(5), milliseconds: 0)) == "R_1 is on n2 already (epoch 5)\n")
        #expect(OrderViews.rebalance(RebalanceReport(state: .planned), terminal: nil) == "nothing to move: load follows capacity\n")
        let move = RebalanceReport.Move(kind: "room", key: "R_1", from: "n1", to: "n2", cost: 2, reason: "overloaded")
        #expect(OrderViews.rebalance(RebalanceReport(state: .planned, moves: [move], planned: 1), terminal: nil) == """
            #  WHAT      FROM  TO  COST  REASON
            1  room R_1  n1    n2     2  overloaded
            1 move; nothing was moved: `troupectl rebalance` makes them

            """)
    }
    @Test func anEndBeforeWhatWasAskedIsSaid() {
        #expect(RoomViews.events(EventFeed(events: [], cursor: 12, isCut: true), since: 99) == "the log ends at 12, before 99\n")
        #expect(RoomViews.events(EventFeed(events: [], cursor: 12, isCut: true), since: 3) == "older events than the first below have been removed\n")
    }
    @Test func eventsAreOneLineEach() {
        let lost = EventEntry(position: 7, room: "R_1", first: 3, sequence: 5, epoch: Epoch(2), at: WallTime(seconds: 0), type: "events_lost", payload: #"{"from":3,"to":5}"#)
        #expect(RoomViews.events(EventFeed(events: [lost], cursor: 7, isCut: false)) == #"7         1970-01-01T00:00:00.000Z  R_1  3–5     events_lost         {"from":3,"to":5}"# + "\n")
    }
}

@Suite struct Statuses {
    @Test(arguments: [
        (ServiceError(.notFound, code: "unknown_room", message: "m"), .failed, "unknown_room"), (ServiceError(.unavailable, code: "store_away", message: "m"), .tryAgain, "store_away"),
        (ClusterError.notExecuted(.unreachable), .tryAgain, "not_executed"), (ClusterError.unknownOutcome(.deadline), .tryAgain, "unknown_outcome"), (ClusterError.notExecuted(.unknownTarget), .failed, "older_node"),
        (UsageError("m"), .usage, "usage"), (TopologyError(file: "t", mistakes: []), .failed, "bad_topology"),
    ] as [(any Error, ExitCode, String)])
    func followTheError(error: any Error, status: ExitCode, code: String) {
        let failure = CommandFailure(error)
        #expect(failure.status == status && failure.code == code && failure.json["error"]?["code"] == .string(code))
    }
}
