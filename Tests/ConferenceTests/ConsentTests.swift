import Cluster
import Contracts
import Primitives
import Testing

@testable import Conference

/// Who is left out of a recording, through everything that may happen to a room.
@Suite struct ConsentTests {
    static let wall = RoomCoreTests.wall
    let start = Instant(nanoseconds: 1_000_000_000)
    let tests = RoomCoreTests()
    static let running = RecordingStatus(recordingID: "RC", roomID: "R_1", state: .recording)

    private func attachment(_ id: ParticipantID, edge: String? = nil, consent: Bool? = nil, publications: [Publication] = [], known: RoomSnapshot? = nil) -> RoomAttachment {
        var attachment = tests.attachment(id, edge: edge, publications: publications, known: known)
        attachment.participant.recordingConsent = consent
        return attachment
    }

    @Test func whoRefusesIsLeftOutBeforeTheirTracksAreTold() throws {
        var core = tests.room()
        _ = try core.attach(attachment("ada"), now: start, wall: Self.wall)
        _ = core.recordingChanged(Self.running, wall: Self.wall)
        let ben = try core.attach(attachment("ben", consent: false, publications: [RoomCoreTests.publication("cam", by: "ben")]), now: start, wall: Self.wall)
        var left = Self.running
        left.refused = ["ben"]
        var info = RoomCoreTests.info("ben")
        info.recordingConsent = false
        #expect(ben.events.map(\.0.kind) == [.participantJoined(info), .recording(left), .trackPublished(RoomCoreTests.publication("cam", by: "ben").info)])
        #expect(core.recording?.leftOut == ["ben"])
    }

    @Test func onlyWhoRefusedTakesItBack() throws {
        var core = tests.room()
        let ben = try core.attach(attachment("ben"), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = core.recordingChanged(Self.running, wall: Self.wall)
        #expect(try core.consent(false, by: "ben", attachment: ben, wall: Self.wall).count == 1)
        #expect(try core.consent(false, by: "ben", attachment: ben, wall: Self.wall).isEmpty, "said twice, told once")
        #expect(try core.exclude([], wall: Self.wall).isEmpty)
        #expect(core.recording?.leftOut == ["ben"], "the host leaving nobody out changes nothing for who refuses")
        #expect(throws: ServiceError.self) { try core.consent(true, by: "ben", attachment: ben + 1, wall: Self.wall) }
        #expect(try core.consent(true, by: "ben", attachment: ben, wall: Self.wall).count == 1)
        #expect(core.recording?.leftOut == [])
        _ = try core.exclude(["ben", "ben"], wall: Self.wall)
        #expect(core.recording?.excluded == ["ben"])
        #expect(try core.consent(true, by: "ben", attachment: ben, wall: Self.wall).isEmpty && core.recording?.leftOut == ["ben"], "whom the host leaves out cannot record themselves in")
    }

    /// The Recording's word about itself is about its state; it may have been said before the Room's.
    @Test func theRecordingsWordDoesNotTakeAnybodyIn() throws {
        var core = tests.room()
        _ = try core.attach(attachment("ben", consent: false), now: start, wall: Self.wall)
        var starting = RecordingStatus(recordingID: "RC", roomID: "R_1", state: .starting)
        starting.excluded = ["eve"]
        _ = core.recordingChanged(starting, wall: Self.wall)
        let told = core.recordingChanged(Self.running, wall: Self.wall)
        #expect(told.count == 1 && core.recording?.state == .recording && core.recording?.excluded == ["eve"] && core.recording?.refused == ["ben"])
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC", roomID: "R_1", state: .ready), wall: Self.wall)
        #expect(core.recording?.leftOut == ["ben", "eve"], "the end names them too")
        #expect(throws: ServiceError.self) { try core.exclude(["ben"], wall: Self.wall) }
        _ = core.recordingChanged(RecordingStatus(recordingID: "RC2", roomID: "R_1", state: .starting), wall: Self.wall)
        #expect(core.recording?.leftOut == ["ben"], "a refusal is for every recording, a host's choice for one")
    }

    @Test func aRefusalSurvivesReconnectionsAndStaleTokens() throws {
        var core = tests.room()
        let first = try core.attach(attachment("ben"), now: start, wall: Self.wall).grant.snapshot.attachment
        _ = try core.consent(false, by: "ben", attachment: first, wall: Self.wall)
        _ = try core.attach(attachment("ben", edge: "elsewhere"), now: start, wall: Self.wall)
        #expect(core.members["ben"]?.info.recordingConsent == false)
        let second = core.members["ben"]!.attachment
        _ = core.leave("ben", attachment: second, reason: .left, now: start, wall: Self.wall)
        _ = try core.attach(attachment("ben"), now: start, wall: Self.wall)
        _ = core.recordingChanged(Self.running, wall: Self.wall)
        #expect(core.recording?.refused == ["ben"])
    }

    @Test func movesAndDeathsKeepIt() throws {
        var core = tests.room()
        _ = try core.attach(attachment("ada"), now: start, wall: Self.wall)
        _ = try core.attach(attachment("ben", consent: false), now: start, wall: Self.wall)
        _ = core.recordingChanged(Self.running, wall: Self.wall)
        _ = try core.exclude(["eve"], wall: Self.wall)
        let moved = RoomCore(try CBORDecoder.decode(RoomState.self, from: CBOREncoder.encode(core.state(now: start))), node: "n2", epoch: Epoch(2), now: start, wall: Self.wall)
        #expect(moved.recording?.leftOut == ["ben", "eve"] && moved.refusals == ["ben"])

        // Without a log: the Recording presents itself first, of an older word; then an edge tells.
        var again = tests.room(epoch: 3)
        _ = again.recordingChanged(Self.running, wall: Self.wall)
        _ = try again.attach(attachment("ada", known: core.snapshot()), now: start, wall: Self.wall)
        #expect(again.recording?.leftOut.contains("eve") == true && again.refusals == ["ben"])
        _ = try again.attach(attachment("ben"), now: start, wall: Self.wall)
        #expect(again.recording?.leftOut == ["ben", "eve"])

        // Nobody but the Recording remembers.
        var alone = tests.room(epoch: 4)
        _ = alone.recordingChanged(core.recording!, wall: Self.wall)
        let ben = try alone.attach(attachment("ben", publications: [RoomCoreTests.publication("cam", by: "ben")]), now: start, wall: Self.wall)
        #expect(ben.events.map(\.0.kind).contains { if case .recording(let status) = $0 { status.leftOut == ["ben", "eve"] } else { false } })
        #expect(alone.members["ben"]?.info.recordingConsent == false)
    }

    @Test func listsAreBounded() throws {
        var core = tests.room()
        _ = core.recordingChanged(Self.running, wall: Self.wall)
        let many = (0...RoomCore.ConsentLimits.people).map { ParticipantID("p\($0)") }
        #expect { try core.exclude(many, wall: Self.wall) } throws: { ($0 as? ServiceError)?.code == "too_many_left_out" }
    }
}
