import Contracts
import Primitives
import Testing

@testable import Gateway

/// Files over the real server: signed recordings with ranges, and the studio's pages.
@Suite(.serialized, .timeLimit(.minutes(2))) struct MediaAndPagesTests {
    static let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    static func recording(_ state: RecordingState, key: String) -> RecordingRecord {
        let track = RecordedTrack(trackID: "cam", participantID: "p_1", name: "Ada", kind: .video, source: .camera, codec: "vp8", start: 0.25, duration: 20, key: key)
        return RecordingRecord(
            status: RecordingStatus(recordingID: "rec-1", roomID: "room-1", state: state, duration: 20.1, size: 300_000, outputPath: "rooms/room-1/rec-1"), recorder: "north", epoch: Epoch(1),
            startedAt: WallTime(seconds: 1_700_000_000), stoppedAt: WallTime(seconds: 1_700_000_020), title: "Stand-up", tracks: [track])
    }
    @Test func recordingsAreServedBySignedURL() async throws {
        let folder = TemporaryFolder()
        let key = "rooms/room-1/rec-1/tracks/p_1/cam.webm"
        folder.write(key, Self.content)
        folder.write("rooms/room-1/rec-1/metadata.json", #"{"tracks":[{"track_id":"cam","lost":0}]}"#)
        try await TestGateway.run(media: folder.path) { gateway in
            gateway.conference.state.withLock { $0.recordings["rec-1"] = Self.recording(.ready, key: key) }
            let client = try gateway.client()
            let token = ["Authorization": "Bearer \(try gateway.token { $0.room = "room-1" })"]
            let one = try client.request("GET", "/recording/rec-1", headers: token).json
            #expect(SchemaCheck.problems(one, ResponseSchemas.recording) == [])
            #expect(one["metadata"]?["tracks"]?.array?.first?["lost"] == 0 && one["status"] == "ready" && one["state"] == "ready")
            let list = try client.request("GET", "/api/recordings?roomId=room-1", headers: token).json
            #expect(SchemaCheck.problems(list, ResponseSchemas.recordings) == [])
            let url = try #require(list["recordings"]?.array?.first?["tracks"]?.array?.first?["url"]?.string)

            let whole = try client.request("GET", url)
            #expect(whole.status == 200 && whole.body == Self.content && whole.headers["content-type"] == "video/webm" && whole.headers["accept-ranges"] == "bytes")
            let part = try client.request("GET", url, headers: ["Range": "bytes=100000-199999"])
            #expect(part.status == 206 && part.body == Array(Self.content[100_000..<200_000]) && part.headers["content-range"] == "bytes 100000-199999/300000")
            let tail = try client.request("GET", url, headers: ["Range": "bytes=-5"])
            #expect(tail.status == 206 && tail.body == Array(Self.content.suffix(5)))
            let beyond = try client.request("GET", url, headers: ["Range": "bytes=300000-"])
            #expect(beyond.status == 416 && beyond.headers["content-range"] == "bytes */300000")
            let tag = try #require(whole.headers["etag"])
            #expect(try client.request("GET", url, headers: ["If-None-Match": tag]).status == 304)
            #expect(try client.request("GET", url, headers: ["Range": "bytes=0-1", "If-Range": "\"old\""]).status == 200)
            #expect(try client.request("HEAD", url).headers["content-length"] == "300000")
            #expect(try client.request("GET", url + "&download=1").headers["content-disposition"] == "attachment; filename=\"cam.webm\"")
            #expect(try client.request("GET", try #require(one["metadata_url"]?.string)).json["tracks"] != nil)

            #expect(try client.request("GET", "/media/" + key).status == 400)
            #expect(try client.request("GET", url.replacing("cam.webm", with: "mic.webm")).status == 403)
            #expect(try client.request("GET", url.replacing("exp=1", with: "exp=2")).status == 403)
            for path in ["/media/../../etc/passwd?exp=1&sig=a", "/media/%2e%2e/%2e%2e/etc/passwd?exp=1&sig=a"] { #expect(try client.request("GET", path).status >= 400) }
            let escape = MediaSignature(keys: try APIKeyring([TestGateway.key])).path(for: "../secret", now: gateway.loop.wall).replacing("../", with: "%2e%2e%2f")
            #expect(try client.request("GET", escape).status >= 403, "even signed, a key cannot leave the folder")
            let missing = MediaSignature(keys: try APIKeyring([TestGateway.key])).path(for: "rooms/none", now: gateway.loop.wall)
            #expect(try client.request("GET", missing).json["error"]?["code"] == "file_missing")
            let stale = MediaSignature(keys: try APIKeyring([TestGateway.key])).path(for: key, now: gateway.loop.wall + .seconds(-3600))
            #expect(try client.request("GET", stale).status == 410)
            #expect(gateway.gateway.signedMediaPath(key).hasPrefix("/media/rooms/room-1/"))
        }
    }
    @Test func aClientThatStopsReadingIsDropped() async throws {
        let folder = TemporaryFolder()
        folder.write("rooms/big.webm", [UInt8](repeating: 7, count: 32 << 20))
        try await TestGateway.run(media: folder.path, limits: { $0.stalledWrite = .milliseconds(200) }) { gateway in
            let client = try gateway.client()
            try client.send(TestClient.head("GET", gateway.gateway.signedMediaPath("rooms/big.webm")))
            _ = try client.readLine()
            let lost = await gateway.waits { gateway.gateway.metricsForTests.contains("troupe_http_connections_lost_total 1\n") }
            #expect(lost)
            #expect(try gateway.client().request("GET", "/healthz").status == 200)
        }
    }
    @Test func pagesWithTagsAndPolicies() async throws {
        let folder = TemporaryFolder()
        folder.write("index.html", "<!doctype html><title>lobby</title>")
        folder.write("session.html", "<!doctype html><title>room</title>")
        folder.write("editor.html", "<!doctype html><title>editor</title>")
        folder.write("js/api.js", "export {};")
        folder.write("secret", ".")
        try await TestGateway.run(studio: folder.path) { gateway in
            let client = try gateway.client()
            let lobby = try client.request("GET", "/")
            #expect(lobby.status == 200 && lobby.text.contains("lobby") && lobby.headers["content-type"] == "text/html; charset=utf-8" && lobby.headers["cache-control"] == "no-cache")
            #expect(lobby.headers["content-security-policy"]?.contains("ws://rooms.test") == true && lobby.headers["permissions-policy"]?.contains("camera=(self)") == true)
            #expect(try client.request("GET", "/createsession").text.contains("lobby") && client.request("GET", "/session/room-1").text.contains("room"))
            #expect(try client.request("GET", "/recordings/rec-1/edit").text.contains("editor") && client.request("GET", "/recordings/rec-1/edit/more").status == 404)
            let script = try client.request("GET", "/assets/js/api.js")
            #expect(script.text == "export {};" && script.headers["content-type"] == "text/javascript; charset=utf-8" && script.headers["content-security-policy"] == nil)
            #expect(try client.request("GET", "/assets/js/api.js", headers: ["If-None-Match": script.headers["etag"] ?? ""]).status == 304)
            for path in ["/assets/js/none.js", "/assets/../../etc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets//etc/passwd", "/js", "/.git/config"] { #expect(try client.request("GET", path).status == 404, "\(path)") }
            #expect(try client.request("POST", "/", body: "{}").status == 404)
        }
    }
}
