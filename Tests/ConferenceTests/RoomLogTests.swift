import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

/// Rooms and their log across deaths, moves and an absent store.
@Suite struct RoomLogTests {
    let base = RoomCoreTests(), start = RoomCoreTests().start
    static let wall = RoomCoreTests.wall

    /// Writes what there is to write.
    private func write(_ core: inout RoomCore, to rows: inout EventRows) throws {
        while let batch = core.takeBatch(now: start) {
            guard case .appended = try rows.append(batch) else { Issue.record("refused \(batch)"); return }
            core.log.appended(through: batch.through)
        }
    }
    private func reopened(_ rows: inout EventRows, epoch: UInt64) throws -> RoomCore {
        guard case .opened(let head) = rows.openLog("R_1", epoch: Epoch(epoch)) else { throw StoreError.conflict }
        return RoomCore(record: RoomCoreTests.record, node: "n2", epoch: Epoch(epoch), log: head, now: start)
    }
    /// Every number once and in order. - Returns: the types.
    private func check(_ rows: EventRows, _ line: SourceLocation = #_sourceLocation) -> [String] {
        let entries = rows.events(room: "R_1", since: 0, limit: .max).events
        var last: UInt64 = 0
        for entry in entries {
            #expect(entry.first == last + 1, sourceLocation: line)
            last = entry.sequence
        }
        return entries.map(\.type)
    }
    private func chat(_ core: inout RoomCore, _ text: String, by id: ParticipantID = "ada") throws -> RoomEvent {
        try core.chat(from: id, attachment: core.members[id]!.attachment, text: text, messageID: text, wall: Self.wall)
    }

    @Test func anEdgesCopiesFillWhatTheStoreNeverGot() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let grant = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant
        try write(&core, to: &rows)
        // The store is away from here on; Ada's edge hears everything.
        var view = RoomView(room: grant.snapshot.room, node: "n1")
        _ = view.replace(by: grant.snapshot, at: Self.wall)
        for text in ["one", "two", "three"] {
            let isNew = view.apply(try chat(&core, text), nil)
            #expect(isNew)
        }
        var next = try reopened(&rows, epoch: 2)
        let again = try next.attach(base.attachment("ada", number: grant.snapshot.attachment, role: .host, known: view.asSnapshot), now: start, wall: Self.wall)
        #expect(again.events.isEmpty && again.grant.snapshot.sequence == 4)
        let fourth = try chat(&next, "four"), losses = next.log.takeLosses()
        #expect(fourth.sequence == 5 && losses.isEmpty)
        try write(&next, to: &rows)
        #expect(check(rows) == ["participant_joined", "chat", "chat", "chat", "chat"])
    }

    @Test func whatNobodyHasIsSaidToBeLost() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let ada = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant.snapshot.attachment
        try write(&core, to: &rows)
        for text in ["one", "two"] { _ = try chat(&core, text) }
        // Node and edge die with what they knew; the client's token says how far it was.
        var next = try reopened(&rows, epoch: 2)
        var back = base.attachment("ada", number: ada, role: .host, node: "n3")
        back.resume = ResumeClaim(epoch: Epoch(1), sequence: 3, lastSeen: 3, attempt: 1, isMove: false)
        let events = try next.attach(back, now: start, wall: Self.wall).events.map(\.0)
        #expect(events.map(\.kind) == [.participantMoved(RoomCoreTests.info("ada", role: .host, node: "n3"))] && events.map(\.sequence) == [2])
        // An edge may have it still.
        let early = next.handleTimeout(now: start + RoomCore.Limits.proofWindow - .milliseconds(1), wall: Self.wall), none = next.log.takeLosses()
        let due = next.handleTimeout(now: start + RoomCore.Limits.proofWindow, wall: Self.wall), losses = next.log.takeLosses()
        #expect(early.isEmpty && none.isEmpty && due.isEmpty)
        #expect(losses == [RoomEvent(sequence: 3, epoch: Epoch(2), at: Self.wall, kind: .eventsLost(from: 2, to: 3, first: 3))])
        try write(&next, to: &rows)
        #expect(check(rows) == ["participant_joined", "participant_moved", "events_lost"])
    }

    /// The client went on elsewhere; the edge it left hears of the new Room only now.
    @Test func whatAnEdgeBringsInTimeIsNotLost() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let grant = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant
        try write(&core, to: &rows)
        var view = RoomView(room: grant.snapshot.room, node: "n1")
        _ = view.replace(by: grant.snapshot, at: Self.wall)
        for text in ["one", "two"] { _ = view.apply(try chat(&core, text), nil) }
        var next = try reopened(&rows, epoch: 2)
        var back = base.attachment("ada", number: grant.snapshot.attachment, role: .host, node: "n3")
        back.resume = ResumeClaim(epoch: Epoch(1), sequence: 3, lastSeen: 3, attempt: 1, isMove: true)
        let missed = try next.attach(back, now: start, wall: Self.wall).grant.missed
        #expect(missed == nil, "2 and 3 of this epoch are not what the client has seen")
        next.bring(view.asSnapshot, wall: Self.wall)
        _ = next.handleTimeout(now: start + RoomCore.Limits.proofWindow, wall: Self.wall)
        let losses = next.log.takeLosses()
        try write(&next, to: &rows)
        #expect(check(rows).filter { $0 == "chat" }.count == 2 && losses.isEmpty)
    }

    @Test func aRoomWithoutEdgesComesBackFromItsLog() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let ada = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = try core.attach(base.attachment("ben"), now: start, wall: Self.wall)
        _ = try core.publish(RoomCoreTests.publication("ta", by: "ada"), by: "ada", attachment: ada, wall: Self.wall)
        _ = try core.mute("ta", muted: true, wall: Self.wall)
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC", roomID: "R_1", state: .recording), wall: Self.wall)
        try write(&core, to: &rows)
        var next = try reopened(&rows, epoch: 2)
        #expect(next.sequence == 5 && next.recording?.recordingID == "RC" && next.publications["ta"]?.info.muted == true)
        #expect(next.snapshot().participants.map(\.role) == [.host, .guest])
        var back = base.attachment("ada", number: ada, role: .host, node: "n3")
        back.resume = ResumeClaim(epoch: Epoch(1), sequence: 5, lastSeen: 3, attempt: 1, isMove: false)
        let grant = try next.attach(back, now: start, wall: Self.wall).grant
        #expect(grant.missed?.map(\.sequence) == [4, 5, 6] && grant.snapshot.attachment > ada)
        // Ben's edge speaks before it has attached again, and then does not come back.
        #expect { try chat(&next, "too early", by: "ben") } throws: { ($0 as? ServiceError)?.code == "unknown_participant" }
        let due = next.handleTimeout(now: start + RoomCore.Limits.recoveryWindow, wall: Self.wall)
        #expect(due.map(\.kind) == [.participantLeft("ben", .nodeLost)])
    }

    @Test func aNewerReportOutdoesTheLogsState() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let grant = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant
        var view = RoomView(room: grant.snapshot.room, node: "n1")
        _ = view.replace(by: grant.snapshot, at: Self.wall)
        for (event, publication) in try core.attach(base.attachment("ben"), now: start, wall: Self.wall).events { _ = view.apply(event, publication) }
        try write(&core, to: &rows)
        // Ben goes while the store is away.
        for event in core.leave("ben", attachment: nil, reason: .left, now: start, wall: Self.wall) { _ = view.apply(event, nil) }
        #expect(view.participants.keys.sorted() == ["ada"] && view.sequence == 3)
        var next = try reopened(&rows, epoch: 2)
        #expect(next.members["ben"] != nil)
        // Cyd comes before anyone tells that Ben went, and has to hear of it.
        _ = try next.attach(base.attachment("cyd"), now: start, wall: Self.wall)
        let told = try next.attach(base.attachment("ada", number: grant.snapshot.attachment, role: .host, known: view.asSnapshot), now: start, wall: Self.wall)
        #expect(next.takeRefresh()?.participants.map(\.id) == ["ada", "cyd"] && next.members.keys.sorted() == ["ada", "cyd"])
        _ = try next.attach(base.attachment("ada", number: told.grant.snapshot.attachment, role: .host, known: view.asSnapshot), now: start, wall: Self.wall)
        #expect(next.takeRefresh() == nil, "nothing new")
        let due = next.handleTimeout(now: start + RoomCore.Limits.recoveryWindow, wall: Self.wall)
        #expect(due.isEmpty)
    }

    @Test func whatWasNotWrittenGoesAlongWithAMove() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        _ = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall)
        // This batch reaches the store, but its answer does not come before the move.
        let taken = core.takeBatch(now: start), underway = try #require(taken)
        for text in ["one", "two"] { _ = try chat(&core, text) }
        let bytes = try CBOREncoder.encode(core.state(now: start))
        _ = try rows.append(underway)
        var moved = RoomCore(try CBORDecoder.decode(RoomState.self, from: bytes), node: "n2", epoch: Epoch(2), now: start, wall: Self.wall)
        let third = try chat(&moved, "three")
        #expect(third.sequence == 4)
        try write(&moved, to: &rows)
        #expect(check(rows) == ["participant_joined", "chat", "chat", "chat"] && moved.log.counters.losses == 0)
        // The old one may not write any more.
        core.log.failed(now: start)
        let again = core.takeBatch(now: start + .seconds(1)), late = try #require(again)
        let outcome = try rows.append(late)
        #expect(outcome == .conflict(highest: 4, epoch: Epoch(2)))
    }

    @Test func copiesAreLetGoOnceTheStoreHasThem() throws {
        var rows = EventRows(), core = try reopened(&rows, epoch: 1)
        let grant = try core.attach(base.attachment("ada"), now: start, wall: Self.wall).grant
        #expect(grant.snapshot.unwritten.map(\.sequence) == [1])
        var view = RoomView(room: grant.snapshot.room, node: "n1")
        _ = view.replace(by: grant.snapshot, at: Self.wall)
        for text in ["one", "two", "three"] {
            let isNew = view.apply(try chat(&core, text), nil)
            #expect(isNew)
        }
        #expect(view.asSnapshot.unwritten == core.log.unwritten)
        view.kept(through: 3)
        #expect(view.asSnapshot.unwritten.map(\.sequence) == [4])
        try write(&core, to: &rows)
        #expect(core.snapshot().unwritten.isEmpty && core.log.isWritten)
    }
}
