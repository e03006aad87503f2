import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

/// Transcripts of clients that come back, or move, elsewhere: what the others hear is that nothing happened.
@Suite struct ResumeTests {
    static let wall = RoomCoreTests.wall
    let start = Instant(nanoseconds: 1_000_000_000)
    let base = RoomCoreTests()

    /// Ada (host, n1, publishes `ta`) and Ben (n2).
    func room(epoch: UInt64 = 1) throws -> (core: RoomCore, ada: UInt64, known: RoomSnapshot) {
        var core = base.room(epoch: epoch)
        let ada = try core.attach(base.attachment("ada", role: .host), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = try core.publish(RoomCoreTests.publication("ta", by: "ada", attachment: ada), by: "ada", attachment: ada, wall: Self.wall)
        let known = try core.attach(base.attachment("ben", node: "n2"), now: start, wall: Self.wall).grant.snapshot
        return (core, ada, known)
    }
    func back(
        _ id: ParticipantID, number: UInt64, role: ParticipantRole = .guest, epoch: UInt64 = 1, sequence: UInt64 = 0, lastSeen: UInt64 = 0, attempt: UInt32 = 1, move: Bool = false,
        edge: String = "new", node: NodeName = "n3"
    ) -> RoomAttachment {
        var attachment = base.attachment(id, number: number, edge: edge, role: role, node: node)
        attachment.resume = ResumeClaim(epoch: Epoch(epoch), sequence: sequence, lastSeen: lastSeen, attempt: attempt, isMove: move)
        return attachment
    }

    @Test func aClientThatResumesKeepsItsPlaceAndItsTracks() throws {
        var (core, ada, _) = try room()
        core.nodeDown("n1", now: start)
        let again = try core.attach(back("ada", number: ada, role: .host), now: start + .seconds(1), wall: Self.wall)
        #expect(again.events.map(\.0.kind) == [.participantMoved(RoomCoreTests.info("ada", role: .host, node: "n3"))])
        #expect(again.replaced?.reason == .replaced)
        #expect(again.grant.snapshot.publications.map(\.info.trackID) == ["ta"])
        let number = again.grant.snapshot.attachment
        let moved = try core.publish(RoomCoreTests.publication("ta", by: "ada", router: "r3", attachment: number), by: "ada", attachment: number, wall: Self.wall)
        #expect(moved.map(\.0.kind) == [.trackMoved("ta", "ada")] && moved[0].1?.router.actor == RoomCoreTests.edge("r3"))
        #expect(core.handleTimeout(now: start + .seconds(60), wall: Self.wall).isEmpty)
    }

    @Test func whatWasMissedComesInOrder() throws {
        var (core, ada, known) = try room()
        let hi = try core.chat(from: "ben", attachment: known.attachment, text: "hi", messageID: "1", wall: Self.wall)
        let there = try core.chat(from: "ben", attachment: known.attachment, text: "there?", messageID: "2", wall: Self.wall)
        let grant = try core.attach(back("ada", number: ada, lastSeen: known.sequence), now: start, wall: Self.wall).grant
        #expect(grant.missed?.prefix(2) == [hi, there] && !grant.isSettling)
        let all = try core.attach(back("ada", number: ada, lastSeen: 0, attempt: 2), now: start, wall: Self.wall).grant
        #expect(all.missed?.map(\.sequence) == Array(1...all.snapshot.sequence))
        let ahead = try core.attach(back("ada", number: ada, lastSeen: 10_000, attempt: 3), now: start, wall: Self.wall).grant
        #expect(ahead.missed == nil, "numbers it cannot know: the snapshot counts")
    }
    @Test func beyondItsMemoryARoomSaysSo() throws {
        var (core, ada, known) = try room()
        for n in 0..<RoomCore.Limits.recentEvents + 10 { _ = try core.chat(from: "ben", attachment: known.attachment, text: "\(n)", messageID: "m", wall: Self.wall) }
        #expect(try core.attach(back("ada", number: ada, lastSeen: known.sequence), now: start, wall: Self.wall).grant.missed == nil)
        let late = core.sequence - 5
        #expect(try core.attach(back("ada", number: ada, lastSeen: late, attempt: 2), now: start, wall: Self.wall).grant.missed?.first?.sequence == late + 1)
    }

    @Test func ofTwoTriesTheLaterCounts() throws {
        var (core, ada, _) = try room()
        let second = try core.attach(back("ada", number: ada, attempt: 2, edge: "e2"), now: start, wall: Self.wall)
        #expect { try core.attach(back("ada", number: ada, attempt: 1, edge: "e1"), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
        #expect { try core.chat(from: "ada", attachment: ada, text: "old", messageID: "m", wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
        let third = try core.attach(back("ada", number: second.grant.snapshot.attachment, attempt: 3, edge: "e3"), now: start, wall: Self.wall)
        #expect(third.replaced?.edge == RoomCoreTests.edge("e2"))
        #expect { try core.attach(back("ada", number: ada, attempt: 9, edge: "e9"), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
    }

    /// The answer to the first try was lost, so the client tried elsewhere; the first edge, not told yet, finds itself unknown and attaches again.
    @Test func anEdgeThatWasLeftTakesNobodysPlace() throws {
        var (core, ada, _) = try room()
        let first = try core.attach(back("ada", number: ada, attempt: 1, edge: "e1"), now: start, wall: Self.wall).grant.snapshot
        let second = try core.attach(back("ada", number: ada, attempt: 2, edge: "e2"), now: start, wall: Self.wall).grant.snapshot
        let again = base.attachment("ada", number: first.attachment, edge: "e1", node: "n3", known: first, origin: ClientTry(epoch: Epoch(1), number: ada, attempt: 1))
        #expect(throws: RoomCore.superseded) { try core.attach(again, now: start, wall: Self.wall) }
        let stands = core.touch("ada", attachment: second.attachment, now: start)
        #expect(stands)
        // A Room without memory hears of the edge that was left first, and of it again once it knows better.
        var new = base.room(epoch: 2)
        _ = try new.attach(again, now: start, wall: Self.wall)
        let last = base.attachment("ada", number: second.attachment, edge: "e2", node: "n3", known: second, origin: ClientTry(epoch: Epoch(1), number: ada, attempt: 2))
        #expect(try new.attach(last, now: start, wall: Self.wall).replaced?.edge == RoomCoreTests.edge("e1"))
        #expect(throws: RoomCore.superseded) { try new.attach(again, now: start, wall: Self.wall) }
    }
    /// Its edge attached again, and so has a later number than the token its client still has.
    @Test func whatAnEdgeDoesMakesNoTryOfItsClientLate() throws {
        var (core, ada, known) = try room()
        let again = try core.attach(base.attachment("ada", number: ada, known: known, origin: .join(in: Epoch(1), granted: ada)), now: start, wall: Self.wall)
        #expect(again.grant.snapshot.attachment > ada)
        #expect(try core.attach(back("ada", number: ada, edge: "e3"), now: start, wall: Self.wall).replaced?.edge == RoomCoreTests.edge("e-ada"))
    }
    /// A client that lost patience with its token joined anew; its last try with the token arrives after that.
    @Test func aTryOfBeforeAJoinIsLate() throws {
        var (core, ada, _) = try room()
        let joined = try core.attach(base.attachment("ada", edge: "e2"), now: start, wall: Self.wall).grant.snapshot
        #expect(throws: RoomCore.superseded) { try core.attach(back("ada", number: ada, attempt: 12, edge: "e3"), now: start, wall: Self.wall) }
        #expect(try core.attach(back("ada", number: joined.attachment, attempt: 1, edge: "e4"), now: start, wall: Self.wall).replaced?.edge == RoomCoreTests.edge("e2"))
    }
    /// It was overtaken and does not know: whoever knows of the later epoch is sent on.
    @Test func aRoomOfThePastTakesNobodyWhoKnowsBetter() throws {
        var (core, ada, _) = try room()
        let ben = base.attachment("ben", number: 2, edge: "e5", known: base.room(epoch: 2).snapshot())
        for attachment in [back("ada", number: ada, epoch: 2), ben] { #expect(throws: RoomCore.overtaken) { try core.attach(attachment, now: start, wall: Self.wall) } }
    }

    @Test func whoLeftIsUnknown() throws {
        var (core, ada, _) = try room()
        _ = core.leave("ada", attachment: ada, reason: .left, now: start, wall: Self.wall)
        #expect { try core.attach(back("ada", number: ada), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "unknown_session" }
        #expect(core.members["ada"] == nil)
    }

    @Test func tracksThatAreNotPublishedAgainEnd() throws {
        var (core, ada, _) = try room()
        _ = try core.attach(back("ada", number: ada), now: start, wall: Self.wall)
        #expect(core.handleTimeout(now: start + RoomCore.Limits.republishWindow - .milliseconds(1), wall: Self.wall).isEmpty)
        #expect(core.handleTimeout(now: start + RoomCore.Limits.republishWindow, wall: Self.wall).map(\.kind) == [.trackUnpublished("ta", "ada")])
        #expect(core.members["ada"] != nil)
    }

    @Test func aMoveLeavesTheOldEdgeItsMedia() throws {
        var (core, ada, _) = try room()
        let moved = try core.attach(back("ada", number: ada, move: true), now: start, wall: Self.wall)
        #expect(moved.replaced?.reason == .moved && moved.replaced?.edge == RoomCoreTests.edge("e-ada"))
        #expect(moved.grant.snapshot.publications.first?.router.actor == RoomCoreTests.edge("r1"), "until it publishes at the new edge")
    }

    @Test func aMuteSurvivesAndOneMadeMeanwhileCounts() throws {
        var (core, ada, _) = try room()
        _ = try core.mute("ta", muted: true, wall: Self.wall)
        let number = try core.attach(back("ada", number: ada), now: start, wall: Self.wall).grant.snapshot.attachment
        let moved = try core.publish(RoomCoreTests.publication("ta", by: "ada", router: "r3", attachment: number), by: "ada", attachment: number, wall: Self.wall)
        #expect(moved.map(\.0.kind) == [.trackMoved("ta", "ada")] && core.publications["ta"]?.info.muted == true)
        _ = try core.mute("ta", muted: false, wall: Self.wall)
        let next = try core.attach(back("ada", number: number, attempt: 2, edge: "e4"), now: start, wall: Self.wall).grant.snapshot.attachment
        let muted = try core.publish(RoomCoreTests.publication("ta", by: "ada", router: "r4", attachment: next, muted: true), by: "ada", attachment: next, wall: Self.wall)
        #expect(muted.map(\.0.kind) == [.trackMoved("ta", "ada"), .muted("ta", "ada", true)])
    }

    /// Two edges still have Ada when her room comes back without memory. The one she left reports first: it does not outrank the other.
    @Test func ofTwoEdgesTheNewerAttachmentCountsWhicheverReportsFirst() throws {
        func edge(_ name: String, _ number: UInt64) -> RoomAttachment { base.attachment("ada", number: number, edge: name, node: "n2") }
        var core = base.room(epoch: 2)
        _ = try core.attach(edge("old", 3), now: start, wall: Self.wall)
        let newer = try core.attach(edge("new", 5), now: start, wall: Self.wall)
        #expect(newer.replaced?.edge == RoomCoreTests.edge("old") && newer.replaced?.reason == .replaced)
        #expect(throws: RoomCore.superseded) { try core.attach(edge("old", 3), now: start, wall: Self.wall) }
        // Again at the same edge, and at one that comes later still.
        _ = try core.attach(edge("new", newer.grant.snapshot.attachment), now: start, wall: Self.wall)
        #expect(throws: RoomCore.superseded) { try core.attach(edge("other", 5), now: start, wall: Self.wall) }
        // The newer one first: the old one is refused.
        var other = base.room(epoch: 2)
        _ = try other.attach(edge("new", 5), now: start, wall: Self.wall)
        #expect(throws: RoomCore.superseded) { try other.attach(edge("old", 3), now: start, wall: Self.wall) }
    }

    /// Ada moved while her room lost its memory. Her old edge heard of neither, and says goodbye with the number it was granted last.
    @Test func aNumberOfAnEarlierEpochIsNotTakenForOneOfThis() throws {
        var (first, ada, _) = try room()
        let late = try first.attach(base.attachment("ada", number: ada, role: .host), now: start, wall: Self.wall).grant.snapshot.attachment
        var second = base.room(epoch: 2)
        let moved = try second.attach(back("ada", number: ada, role: .host, move: true), now: start, wall: Self.wall).grant.snapshot.attachment
        #expect(moved > late)
        #expect(second.leave("ada", attachment: late, reason: .left, now: start, wall: Self.wall).isEmpty)
        // It goes along when the room moves, and does not begin anew.
        var third = RoomCore(second.state(now: start), node: "n2", epoch: Epoch(3), now: start, wall: Self.wall)
        #expect(third.members["ada"]?.attachment == moved)
        #expect(try third.attach(base.attachment("ben"), now: start, wall: Self.wall).grant.snapshot.attachment > moved)
    }

    /// Cyd is there already when Ada's old edge, which is refused, reports Ben.
    @Test func whatTheEdgeOfARefusedClientKnewIsToldAllTheSame() throws {
        let (_, ada, known) = try room()
        var core = base.room(epoch: 2)
        _ = try core.attach(back("ada", number: ada, role: .host), now: start, wall: Self.wall)
        _ = try core.attach(base.attachment("cyd"), now: start, wall: Self.wall)
        _ = core.takeRefresh()
        let old = base.attachment("ada", number: ada, role: .host, known: known, origin: ClientTry(epoch: Epoch(1), number: 0, attempt: 1))
        #expect(throws: RoomCore.superseded) { try core.attach(old, now: start, wall: Self.wall) }
        #expect(core.takeRefresh()?.participants.map(\.id) == ["ada", "ben", "cyd"])
        #expect(core.takeRefresh() == nil, "told once")
    }

    /// The room's node and Ada's edge died together: Ada is back before any survivor has reported.
    @Test func aRoomWithoutMemoryBelievesATokenAndLearnsTheRest() throws {
        let (_, ada, known) = try room()
        var core = base.room(epoch: 2)
        let first = try core.attach(back("ada", number: ada, role: .host, sequence: known.sequence - 1), now: start, wall: Self.wall)
        #expect(first.events.isEmpty && first.grant.isSettling && first.grant.missed == nil && core.takeRefresh() != nil, "who joined since must be told")
        #expect(core.sequence == 0, "what the token proves is settled later")
        let number = first.grant.snapshot.attachment
        let published = try core.publish(RoomCoreTests.publication("ta", by: "ada", router: "r3", attachment: number), by: "ada", attachment: number, wall: Self.wall)
        #expect(published.map(\.0.kind) == [.trackPublished(RoomCoreTests.publication("ta", by: "ada").info)])
        let ben = try core.attach(base.attachment("ben", number: known.attachment, node: "n2", known: known), now: start, wall: Self.wall)
        #expect(ben.events.isEmpty && core.takeRefresh() != nil)
        #expect(ben.grant.snapshot.participants.map(\.id) == ["ada", "ben"])
        #expect(ben.grant.snapshot.publications.map(\.router.actor) == [RoomCoreTests.edge("r3")], "the later place counts")

        // What Ben's client is told of it, and Ada's edge when the room sends it what it learned.
        var view = RoomView(room: known.room, node: known.node)
        _ = view.replace(by: known, at: Self.wall)
        let told = view.replace(by: ben.grant.snapshot, at: Self.wall).map(\.0.kind)
        #expect(told == [.participantMoved(RoomCoreTests.info("ada", role: .host, node: "n3")), .trackMoved("ta", "ada")])
        var alone = RoomView(room: known.room, node: known.node)
        _ = alone.replace(by: first.grant.snapshot, at: Self.wall)
        #expect(alone.replace(by: core.snapshot(), at: Self.wall).map(\.0.kind).contains(.participantJoined(RoomCoreTests.info("ben", node: "n2"))))
    }
    @Test func aReportAfterTheReturnKeepsTheTracksUntilTheyArePublishedAgain() throws {
        let (_, ada, known) = try room()
        var core = base.room(epoch: 2)
        _ = try core.attach(back("ada", number: ada, role: .host, sequence: known.sequence), now: start, wall: Self.wall)
        _ = try core.attach(base.attachment("ben", number: known.attachment, node: "n2", known: known), now: start, wall: Self.wall)
        #expect(core.publications["ta"] != nil)
        #expect(core.handleTimeout(now: start + RoomCore.Limits.republishWindow, wall: Self.wall).map(\.kind) == [.trackUnpublished("ta", "ada")])
    }
    @Test func tokensOfTheSameEpochNeedAMemberAndOldOnesARoomThatIsNew() throws {
        var core = base.room(epoch: 2)
        #expect { try core.attach(back("ada", number: 1, epoch: 2), now: start, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "unknown_session" }
        #expect { try core.attach(back("ada", number: 1, epoch: 1), now: start + RoomCore.Limits.recoveryWindow, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "unknown_session" }
        #expect(try core.attach(back("ada", number: 1, epoch: 1), now: start + .seconds(5), wall: Self.wall).events.isEmpty)
    }

    // MARK: A room that moves

    @Test func aMovedRoomRemembersEverything() throws {
        var (core, ada, known) = try room()
        _ = try core.attach(back("ada", number: ada, role: .host, attempt: 4, move: true), now: start, wall: Self.wall)
        core.nodeDown("n2", now: start)
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC", roomID: "R_1", state: .recording), wall: Self.wall)
        let bytes = try CBOREncoder.encode(core.state(now: start + .seconds(1)))
        // Another node, whose clock shows something else.
        let there = Instant(nanoseconds: 77_000_000_000_000)
        var moved = RoomCore(try CBORDecoder.decode(RoomState.self, from: bytes), node: "n9", epoch: Epoch(2), now: there, wall: Self.wall)
        #expect(moved.snapshot().participants == core.snapshot().participants && moved.snapshot().publications == core.snapshot().publications)
        #expect(moved.sequence == core.sequence && moved.recording == core.recording && moved.epoch == Epoch(2) && moved.snapshot().node == "n9")
        #expect { try moved.attach(back("ada", number: ada, attempt: 4), now: there, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "attachment_superseded" }
        #expect { try moved.attach(back("cy", number: 1), now: there, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "unknown_session" }
        #expect(moved.handleTimeout(now: there + RoomCore.Limits.recoveryWindow - .milliseconds(1_001), wall: Self.wall).isEmpty)
        let due = moved.handleTimeout(now: there + RoomCore.Limits.recoveryWindow - .seconds(1), wall: Self.wall)
        #expect(due.map(\.kind) == [.participantLeft("ben", .nodeLost)] && due.map(\.sequence) == [core.sequence + 1] && due.map(\.epoch) == [Epoch(2)])
        let returned = try moved.attach(back("ada", number: ada, epoch: 1, lastSeen: known.sequence, attempt: 5), now: there, wall: Self.wall).grant
        #expect(returned.missed?.map(\.sequence) == Array((known.sequence + 1)...moved.sequence))
        #expect(returned.snapshot.attachment > known.attachment)
    }
}
