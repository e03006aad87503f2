import Conference
import Contracts
import Primitives
import Testing

@Suite struct RoomEventPayloads {
    private let wall = WallTime(seconds: 1_900_000_000)

    @Test func everyKindHasTheClientsNames() {
        let info = ParticipantInfo(id: "p-1", name: "Ann", role: .host, node: "node-1", joinedAt: wall, metadata: nil)
        let publication = PublicationInfo(trackID: "t", participantID: "p-1", kind: .video, source: .camera, codec: "vp8", muted: false)
        let status = RecordingStatus(recordingID: "rec", roomID: "r", state: .ready, duration: 2.5, size: 7)
        let kinds: [(RoomEvent.Kind, String, String)] = [
            (.participantJoined(info), "participant_joined", #"{"participant":{"id":"p-1","name":"Ann","role":"host","node":"node-1"}}"#),
            (.participantLeft("p-1", .nodeLost), "participant_left", #"{"participant_id":"p-1","reason":"node_lost"}"#),
            (.trackPublished(publication), "track_published", #"{"publication":{"track_id":"t","participant_id":"p-1","kind":"video","source":"camera","codec":"vp8","muted":false}}"#),
            (.trackUnpublished("t", "p-1"), "track_unpublished", #"{"track_id":"t","participant_id":"p-1"}"#),
            (.muted("t", "p-1", true), "muted", #"{"track_id":"t","participant_id":"p-1","muted":true}"#),
            (.recording(status), "recording_status", #"{"recording":{"recording_id":"rec","state":"ready","duration":2.5,"size":7}}"#),
            (.ended, "bye", #"{"reason":"ended"}"#),
        ]
        for (kind, type, payload) in kinds { #expect(kind.logged == (type, payload)) }
    }

    @Test func wordsOfPeopleAreEscaped() {
        let chat = ChatMessage(id: "M", from: "p-1", name: "Ann \"A\"", text: "a\\b\n\u{0}\u{1F}\u{7F}ü🎬", at: wall)
        #expect(RoomEvent.Kind.chat(chat).logged == ("chat", #"{"id":"M","from":"p-1","name":"Ann \"A\"","text":"a\\b\u000a\u0000\u001f\u007fü🎬"}"#))
    }
}
