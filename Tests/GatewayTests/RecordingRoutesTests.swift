import Contracts
import Primitives
import Testing

@testable import Gateway

/// Recordings over the real server: whom they leave out, who may see them, what deleting one answers.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RecordingRoutesTests {
    private func bearer(_ gateway: TestGateway, _ fill: (inout AccessToken) -> Void = { _ in }) throws -> [String: String] {
        ["Authorization": "Bearer \(try gateway.token { $0.room = "room-1"; fill(&$0) })"]
    }
    @Test func aStudioSessionIsARoom() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let made = try client.request("POST", "/api/recordings", body: #"{"title":"Talk","host_name":"Ada","recording_policy":{"viewers":"host","retention_days":30}}"#)
            #expect(made.status == 201 && SchemaCheck.problems(made.json, ResponseSchemas.studioSession) == [])
            let room = try #require(made.json["roomId"]?.string)
            #expect(made.json["session_id"]?.string == room)
            let session = try client.request("GET", "/api/v1/sessions/\(room)").json
            #expect(session["recording_policy"] == ["viewers": "host", "retention_days": 30])
            #expect(SchemaCheck.problems(session, ResponseSchemas.session) == [])
        }
    }
    @Test(arguments: [
        #""host""#, #"{"viewers":"everyone"}"#, #"{"viewers":7}"#, #"{"retention_days":0}"#, #"{"retention_days":36501}"#, #"{"retention_days":1.5}"#, #"{"retention_days":"30"}"#, "[]",
    ]) func aWrongPolicyIsRefused(_ policy: String) async throws {
        try await TestGateway.run { gateway in
            let answer = try gateway.client().request("POST", "/api/v1/sessions/create", body: #"{"title":"T","host_name":"A","recording_policy":\#(policy)}"#)
            #expect(answer.status == 400 && answer.json["error"]?["message"]?.string?.contains("recording_policy") == true)
        }
    }
    @Test func refusalsAndExclusionsArePassedOn() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let room = try #require(try client.request("POST", "/api/recordings", body: #"{"title":"Talk","host_name":"Ada"}"#).json["roomId"]?.string)
            let joined = try client.request("POST", "/api/v1/sessions/\(room)/join", body: #"{"display_name":"Ben","recording_consent":false}"#).json
            let ben = ParticipantID(try #require(joined["participant_id"]?.string))
            #expect(gateway.conference.state.withLock { $0.admissions[ben]?.recordingConsent } == false)
            let host = try bearer(gateway) { $0.roomRecord = true }
            let started = try client.request("POST", "/recording/start", headers: host, body: #"{"room_id":"room-1","exclude":["p_2"]}"#).json
            #expect(started["excluded"] == ["p_2"] && SchemaCheck.problems(started, ResponseSchemas.recordingStatus) == [])
            #expect(try client.request("POST", "/recording/exclude", headers: host, body: #"{"room_id":"room-1","exclude":["p_2","p_3"]}"#).json["excluded"] == ["p_2", "p_3"])
            for body in [#"{"room_id":"room-1"}"#, #"{"room_id":"room-1","exclude":"p_2"}"#, #"{"room_id":"room-1","exclude":[7]}"#] {
                #expect(try client.request("POST", "/recording/exclude", headers: host, body: body).status == 400)
            }
        }
    }
    @Test func aLinkNeedsNoTokenAndDeletingSaysWhatWent() async throws {
        try await TestGateway.run { gateway in
            var record = MediaAndPagesTests.recording(.ready, key: "rooms/room-1/rec-1/tracks/p_1/cam.webm")
            gateway.conference.state.withLock { $0.recordings["rec-1"] = record }
            let client = try gateway.client()
            #expect(try client.request("GET", "/recording/rec-1").status == 401)
            record.policy = RecordingPolicy(viewers: .link, retentionDays: 7)
            record.deleteAfter = WallTime(seconds: 1_700_600_000)
            record.status.refused = ["p_2"]
            gateway.conference.state.withLock { $0.recordings["rec-1"] = record }
            let seen = try client.request("GET", "/recording/rec-1").json
            #expect(SchemaCheck.problems(seen, ResponseSchemas.recording) == [])
            #expect(seen["policy"] == ["viewers": "link", "retention_days": 7] && seen["delete_after"] != nil && seen["excluded"] == ["p_2"])
            #expect(try client.request("DELETE", "/recording/rec-1").status == 401)
            let gone = try client.request("DELETE", "/recording/rec-1", headers: bearer(gateway))
            #expect(gone.status == 200 && gone.json == ["ok": true, "removed": ["objects": 3, "bytes": 300_000, "bucket_objects": 3, "rows": 1]])
            #expect(SchemaCheck.problems(gone.json, ResponseSchemas.removal) == [])
            record.policy?.retentionDays = 1
            gateway.conference.state.withLock { $0.recordings["rec-1"] = record }
            let pending = try client.request("DELETE", "/recording/rec-1", headers: bearer(gateway))
            #expect(pending.status == 202 && pending.json["pending"] == true)
        }
    }
}
