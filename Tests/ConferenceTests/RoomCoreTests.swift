import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

/// Transcripts: what is said to a room, and the events everyone hears.
@Suite struct RoomCoreTests {
    static let record = RoomRecord(
        id: "R_1", meetingCode: "abc-def-ghi", title: "Test", hostName: "Ada", mode: .sfu, maxParticipants: 3, recordingPolicy: nil, region: nil,
        createdAt: WallTime(seconds: 1))
    static let wall = WallTime(seconds: 100)
    let start = Instant(nanoseconds: 1_000_000_000)

    static func edge(_ key: String) -> ActorAddress { .virtual(kind: "test-edge", key: key) }
    static func info(_ id: ParticipantID, role: ParticipantRole = .guest, node: NodeName = "n1") -> ParticipantInfo {
        ParticipantInfo(id: id, name: "name of \(id)", role: role, node: node, joinedAt: WallTime(seconds: 50))
    }
    static func publication(_ track: TrackID, by id: ParticipantID, router: String = "r1", attachment: UInt64 = 1, muted: Bool = false) -> Publication {
        Publication(info: PublicationInfo(trackID: track, participantID: id, kind: .video, source: .camera, codec: "vp8", muted: muted), router: RouterAddress(actor: edge(router), node: "n1", incarnation: Incarnation(1), loop: 0), attachment: attachment)
    }
    func room(epoch: UInt64 = 1) -> RoomCore { RoomCore(record: Self.record, node: "n1", epoch: Epoch(epoch), now: start) }
    func attachment(
        _ id: ParticipantID, number: UInt64 = 0, edge: String? = nil, role: ParticipantRole = .guest, node: NodeName = "n1", publications: [Publication] = [], known: RoomSnapshot? = nil,
        origin: ClientTry? = nil
    ) -> RoomAttachment {
        RoomAttachment(
            participant: Self.info(id, role: role, node: node), edge: Self.edge(edge ?? "e-\(id)"), number: number, publications: publications, known: known, origin: origin)
    }

    @Test func eventsAreNumberedWithoutHoles() throws {
        var core = room()
        var heard: [RoomEvent] = []
        let ada = try core.attach(attachment("ada", role: .host), now: start, wall: Self.wall)
        heard += ada.events.map(\.0)
        heard += try core.attach(attachment("ben"), now: start, wall: Self.wall).events.map(\.0)
        heard += try core.publish(Self.publication("t1", by: "ada"), by: "ada", attachment: ada.grant.snapshot.attachment, wall: Self.wall).map(\.0)
        heard += try core.mute("t1", muted: true, wall: Self.wall)
        heard.append(try core.chat(from: "ada", attachment: ada.grant.snapshot.attachment, text: "hi", messageID: "m", wall: Self.wall))
        heard += core.leave("ada", attachment: nil, reason: .left, now: start, wall: Self.wall)
        #expect(heard.map(\.sequence) == Array(1...7))
        #expect(heard.map(\.kind) == [
            .participantJoined(Self.info("ada", role: .host)), .participantJoined(Self.info("ben")), .trackPublished(Self.publication("t1", by: "ada").info),
            .muted("t1", "ada", true), .chat(ChatMessage(id: "m", from: "ada", name: "name of ada", text: "hi", at: Self.wall)),
            .trackUnpublished("t1", "ada"), .participantLeft("ada", .left),
        ])
    }

    @Test func aFullRoomRefusesTheNextButNotAReturningOne() throws {
        var core = room()
        for id in ["a", "b", "c"] as [ParticipantID] { _ = try core.attach(attachment(id), now: start, wall: Self.wall) }
        #expect { try core.attach(attachment("d"), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "room_full" }
        let again = try core.attach(attachment("b", edge: "elsewhere"), now: start, wall: Self.wall)
        #expect(again.events.isEmpty)
        #expect(again.replaced?.edge == Self.edge("e-b") && again.replaced?.reason == .replaced)
    }

    @Test func aMemberWhoseEdgeIsSilentIsGivenUp() throws {
        var core = room()
        let number = try core.attach(attachment("a"), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = try core.attach(attachment("b"), now: start, wall: Self.wall)
        let silence = RoomCore.Limits.silence, late = start + silence
        let isKept = core.touch("a", attachment: number, now: start + silence / 2), isStale = core.touch("b", attachment: number, now: late)
        #expect(isKept && !isStale)
        let first = core.handleTimeout(now: late, wall: Self.wall)
        #expect(first.isEmpty)
        // Both are doubted by now; one of them speaks.
        let second = core.handleTimeout(now: late + silence / 2, wall: Self.wall), isBack = core.touch("a", attachment: number, now: late + silence / 2)
        #expect(second.map(\.kind) == [.participantLeft("b", .nodeLost)] && isBack)
        let third = core.handleTimeout(now: late + silence / 2 + RoomCore.Limits.recoveryWindow, wall: Self.wall)
        #expect(third.isEmpty && core.members.keys.sorted() == ["a"])
    }

    @Test func anOldEdgesLateWordChangesNothing() throws {
        var core = room()
        let old = try core.attach(attachment("a", edge: "old"), now: start, wall: Self.wall).grant.snapshot.attachment
        let new = try core.attach(attachment("a", edge: "new"), now: start, wall: Self.wall).grant.snapshot.attachment
        #expect(new > old)
        #expect(core.leave("a", attachment: old, reason: .connectionLost, now: start, wall: Self.wall).isEmpty)
        #expect { try core.publish(Self.publication("t", by: "a"), by: "a", attachment: old, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
        #expect { try core.attach(attachment("a", number: old, edge: "old"), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
        #expect(core.leave("a", attachment: new, reason: .left, now: start, wall: Self.wall).count == 1)
    }

    @Test func aNewConnectionEndsWhatTheOldOnePublished() throws {
        var core = room()
        let first = try core.attach(attachment("a", publications: [Self.publication("t1", by: "a")]), now: start, wall: Self.wall)
        #expect(first.events.count == 2)
        let second = try core.attach(attachment("a", edge: "new"), now: start, wall: Self.wall)
        #expect(second.events.map(\.0.kind) == [.trackUnpublished("t1", "a")])
    }

    @Test func nobodyTakesAnothersTrackID() throws {
        var core = room()
        let a = try core.attach(attachment("a", publications: [Self.publication("t", by: "a")]), now: start, wall: Self.wall).grant.snapshot.attachment
        let b = try core.attach(attachment("b"), now: start, wall: Self.wall).grant.snapshot.attachment
        #expect { try core.publish(Self.publication("t", by: "b"), by: "b", attachment: b, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "track_id_taken" }
        for n in 1..<RoomCore.Limits.publicationsPerParticipant {
            _ = try core.publish(Self.publication(TrackID("t\(n)"), by: "a"), by: "a", attachment: a, wall: Self.wall)
        }
        #expect { try core.publish(Self.publication("one-more", by: "a"), by: "a", attachment: a, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "too_many_tracks" }
    }

    @Test func aRoomComesBackFromItsEdgesWithoutLeavesOrJoins() throws {
        var first = room(epoch: 1)
        _ = try first.attach(attachment("a", role: .host, node: "n1", publications: [Self.publication("ta", by: "a")]), now: start, wall: Self.wall)
        let b = try first.attach(attachment("b", node: "n2", publications: [Self.publication("tb", by: "b")]), now: start, wall: Self.wall)
        let known = b.grant.snapshot

        var second = room(epoch: 2)
        let back = try second.attach(attachment("b", number: known.attachment, node: "n2", publications: [Self.publication("tb", by: "b")], known: known), now: start, wall: Self.wall)
        #expect(back.events.isEmpty)
        #expect(back.grant.snapshot.participants.map(\.id) == ["a", "b"])
        #expect(back.grant.snapshot.sequence == known.sequence)
        #expect(back.grant.snapshot.attachment > known.attachment)
        let other = try second.attach(attachment("a", number: 1, role: .host, publications: [Self.publication("ta", by: "a")], known: known), now: start, wall: Self.wall)
        #expect(other.events.isEmpty)
        #expect(second.handleTimeout(now: start + .seconds(60), wall: Self.wall).isEmpty)
    }

    @Test func whoDoesNotComeBackInTimeHasLeft() throws {
        var first = room(epoch: 1)
        _ = try first.attach(attachment("a", node: "n1", publications: [Self.publication("ta", by: "a")]), now: start, wall: Self.wall)
        let known = try first.attach(attachment("b", node: "n2"), now: start, wall: Self.wall).grant.snapshot
        var second = room(epoch: 2)
        _ = try second.attach(attachment("b", number: known.attachment, node: "n2", known: known), now: start, wall: Self.wall)
        #expect(second.handleTimeout(now: start + RoomCore.Limits.recoveryWindow - .milliseconds(1), wall: Self.wall).isEmpty)
        let events = second.handleTimeout(now: start + RoomCore.Limits.recoveryWindow, wall: Self.wall)
        #expect(events.map(\.kind) == [.trackUnpublished("ta", "a"), .participantLeft("a", .nodeLost)])
        #expect(events.first?.sequence == known.sequence + 1)
    }

    @Test func anEdgesDeathTakesItsMembersAfterAGrace() throws {
        var core = room()
        _ = try core.attach(attachment("a", node: "n1"), now: start, wall: Self.wall)
        _ = try core.attach(attachment("b", node: "n2"), now: start, wall: Self.wall)
        core.nodeDown("n2", now: start)
        #expect(core.handleTimeout(now: start + RoomCore.Limits.recoveryWindow - .milliseconds(1), wall: Self.wall).isEmpty)
        #expect(core.handleTimeout(now: start + RoomCore.Limits.recoveryWindow, wall: Self.wall).map(\.kind) == [.participantLeft("b", .nodeLost)])
    }

    @Test func onlyTheHostAndWithinBounds() throws {
        var core = room()
        _ = try core.attach(attachment("a", role: .host), now: start, wall: Self.wall)
        let b = try core.attach(attachment("b"), now: start, wall: Self.wall).grant.snapshot.attachment
        #expect { try core.requireHost("b") } throws: { ($0 as? ServiceError)?.code == "host_only" }
        try core.requireHost("a")
        let long = String(repeating: "x", count: RoomCore.Limits.chatBytes + 1)
        #expect { try core.chat(from: "b", attachment: b, text: long, messageID: "m", wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "chat_too_long" }
    }

    @Test func anEmptyRoomStopsItsRecordingThenLeavesMemory() throws {
        var core = room()
        let a = try core.attach(attachment("a"), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC", roomID: "R_1", state: .recording), wall: Self.wall)
        _ = core.leave("a", attachment: a, reason: .left, now: start, wall: Self.wall)
        #expect(core.idle(now: start + .seconds(1)) == .no)
        #expect(core.idle(now: start + RoomCore.Limits.emptyRecordingLife) == .stopRecording)
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC", roomID: "R_1", state: .processing), wall: Self.wall)
        #expect(core.idle(now: start + RoomCore.Limits.emptyLife) == .leaveMemory)
    }

    @Test func aLateFinishDoesNotHideTheRunningRecording() throws {
        var core = room()
        let snapshot = try core.attach(attachment("a"), now: start, wall: Self.wall).grant.snapshot
        var view = RoomView(room: snapshot.room, node: "n1")
        _ = view.replace(by: snapshot, at: Self.wall)
        for event in core.recordingChanged(RecordingStatus(recordingID: "new", roomID: "R_1", state: .recording), wall: Self.wall) { _ = view.apply(event, nil) }
        for state in [RecordingState.ready, .deleted] {
            let told = core.recordingChanged(RecordingStatus(recordingID: "old", roomID: "R_1", state: state), wall: Self.wall)
            #expect(told.count == 1)
            for event in told {
                let isNew = view.apply(event, nil)
                #expect(isNew)
            }
            #expect(core.recording?.recordingID == "new")
            #expect(view.recording?.recordingID == "new")
        }
        #expect(core.recordingChanged(RecordingStatus(recordingID: "new", roomID: "R_1", state: .recording), wall: Self.wall).isEmpty)
    }
}
