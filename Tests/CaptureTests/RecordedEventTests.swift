import Capture
import Primitives
import Testing

/// Notes of several writers, told once.
@Suite struct RecordedEventTests {
    private func event(_ kind: RecordedEvent.Kind, _ seconds: Int64, _ number: UInt64? = nil, epoch: UInt64 = 1, who: ParticipantID? = nil, track: TrackID? = nil, _ fill: (inout RecordedEvent) -> Void = { _ in }) -> RecordedEvent {
        var event = RecordedEvent(kind, at: WallTime(seconds: seconds), participant: who, track: track)
        event.epoch = epoch
        event.sequence = number
        fill(&event)
        return event
    }
    private func brief(_ events: [RecordedEvent]) -> [String] { events.map { "\($0.at.microseconds / 1_000_000) \($0.type)" } }

    @Test func whatBothHeardIsToldOnce() {
        let notes = [
            event(.participantJoined, 1, 5, who: "ada"), event(.chat, 2, 6, who: "ada") { $0.text = "hello" },
            event(.trackPublished, 3, 7, who: "ada", track: "t"), event(.muted, 4, 8, who: "ada", track: "t") { $0.muted = true },
        ]
        #expect(RecordedEvent.merge([notes, notes]) == notes)
    }

    /// The first decider died at second 3; its standby heard what came before the next one did.
    @Test func oneGoesOnWhereTheOtherEnded() {
        let first = [event(.recordingStarted, 0), event(.chat, 2, 6) { $0.text = "one" }]
        let standby = [event(.chat, 2, 6) { $0.text = "one" }, event(.chat, 3, 7) { $0.text = "two" }, event(.chat, 5, 7, epoch: 2) { $0.text = "three" }]
        let merged = RecordedEvent.merge([standby, first])
        #expect(brief(merged) == ["0 recording_started", "2 chat", "3 chat", "5 chat"])
        #expect(merged.compactMap(\.text) == ["one", "two", "three"])
    }

    /// Who comes late sees in a snapshot, under the snapshot's number, what others saw happen.
    @Test func aSnapshotTellsNothingNew() {
        let first = [event(.participantJoined, 1, 5, who: "ada"), event(.participantLeft, 9, 12, who: "ada"), event(.participantJoined, 11, 14, who: "ada")]
        let late = [event(.participantJoined, 4, 9, who: "ada"), event(.participantLeft, 10, 13, who: "ada"), event(.participantJoined, 11, 14, who: "ada")]
        #expect(brief(RecordedEvent.merge([first, late])) == ["1 participant_joined", "9 participant_left", "11 participant_joined"])
    }

    /// Several events of one snapshot carry its one number.
    @Test func oneNumberMayStandForSeveralEvents() {
        let notes = [event(.participantLeft, 4, 9, who: "ada"), event(.participantLeft, 4, 9, who: "ben"), event(.trackUnpublished, 4, 9, who: "ada", track: "t")]
        #expect(RecordedEvent.merge([notes]).count == 3)
    }

    @Test func unknownTypesAndUnnumberedLinesStay() {
        var strange = event(.chat, 1)
        strange.type = "of_a_newer_release"
        #expect(RecordedEvent.merge([[strange], [strange]]).count == 2)
    }
}
