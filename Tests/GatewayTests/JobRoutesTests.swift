// Previews, compositions, exports and jobs from outside: a real gateway, its answers, its signed URLs.
import Conference
import Contracts
import Primitives
import Testing

@testable import Gateway

@Suite(.serialized) struct JobRoutesTests {
    private func host(_ gateway: TestGateway) throws -> [String: String] { ["Authorization": "Bearer \(try gateway.token { $0.roomAdmin = true })"] }

    @Test func everyEndpointWantsAToken() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let endpoints = [
                ("POST", "/recordings/rec-1/composition/token"), ("POST", "/recordings/rec-1/preview"), ("PUT", "/recordings/rec-1/composition"), ("GET", "/recordings/rec-1/composition"),
                ("POST", "/recordings/rec-1/export"), ("GET", "/jobs/J_1"), ("DELETE", "/jobs/J_1"), ("GET", "/jobs/J_1/events"), ("GET", "/recordings/rec-1"), ("POST", "/api/recordings/room-1/guest-token"),
            ]
            for (method, path) in endpoints {
                let response = try client.request(method, path, body: method == "GET" || method == "DELETE" ? nil : "{}")
                #expect(response.status == 401 && response.json["error"]?["code"] == "token_required", "\(method) \(path): \(response.status) \(response.text)")
            }
        }
    }
    @Test func anExportTakesAFreshTokenEachTime() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client(), host = try host(gateway)
            let refused = try client.request("POST", "/recordings/rec-1/export", headers: host, body: "{}")
            #expect(refused.status == 403 && refused.json["error"]?["code"] == "composition_token_required")
            let made = try client.request("POST", "/recordings/rec-1/composition/token", headers: host, body: "{}")
            let token = try #require(made.json["token"]?.string)
            #expect(made.status == 201 && made.json["scopes"] == ["preview:read", "composition:write", "export:create"])
            // The text is nowhere kept: what the service has is its hash.
            let known = gateway.composition.state.withLock { $0.tokens }
            #expect(known == [SingleUseToken.hash(of: token)])
            let first = try client.request("POST", "/recordings/rec-1/export", headers: ["Authorization": "Bearer \(token)"], body: #"{"format":"webm","preset":"480p","composition_id":"cut"}"#)
            #expect(first.status == 202 && first.json["status"] == "queued" && first.json["job_id"] == "J_1")
            let asked = gateway.composition.state.withLock { $0.exports.first }
            #expect(asked?.0 == "cut" && asked?.1 == .webm && asked?.2 == 480)
            let second = try client.request("POST", "/recordings/rec-1/export", headers: ["Authorization": "Bearer \(token)"], body: "{}")
            #expect(second.status == 401 && second.json["error"]?["code"] == "token_refused")
            #expect(!gateway.log.lines.withLock { $0.contains { $0.fields.values.contains { $0.contains(token) } } }, "a token is in no log")
        }
    }
    @Test func aCompositionIsSavedByVersions() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client(), host = try host(gateway), path = "/recordings/rec-1/composition"
            let saved = try client.request("PUT", path, headers: host, body: #"{"layout":"speaker"}"#)
            #expect(saved.status == 200 && saved.json["status"] == "saved" && saved.json["version"] == 1 && saved.headers["etag"] == "\"1\"")
            let stale = host.merging(["If-Match": "\"7\""]) { $1 }
            #expect(try client.request("PUT", path, headers: stale, body: #"{"layout":"grid"}"#).status == 409)
            let right = host.merging(["If-Match": "\"1\""]) { $1 }
            #expect(try client.request("PUT", path, headers: right, body: #"{"layout":"grid"}"#).json["version"] == 2)
            #expect(try client.request("GET", path, headers: host).json["composition"]?["layout"] == "grid")
            let unknown = try client.request("PUT", path, headers: host, body: #"{"timeline":[{"t":90000,"type":"pin","peer_id":"eve"}]}"#)
            let message = try #require(unknown.json["error"]?["message"]?.string)
            #expect(unknown.status == 422 && message.contains("timeline[0].peer_id") && message.contains("timeline[0].t"))
            #expect(try client.request("PUT", path, headers: host, body: "{").status == 400)
            #expect(try client.request("PUT", path, headers: host.merging(["If-Match": "x"]) { $1 }, body: "{}").status == 400)
        }
    }
    @Test func aJobIsFollowedToItsEnd() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client(), host = try host(gateway)
            let made = try client.request("POST", "/recordings/rec-1/preview", headers: host, body: #"{"preset":"720p","segment_seconds":2}"#)
            #expect(made.status == 202)
            #expect(gateway.composition.state.withLock { $0.previews } == [PreviewOrder(height: 720, segmentSeconds: 2)])
            #expect(try client.request("POST", "/recordings/rec-1/preview", headers: host, body: #"{"segment_seconds":3}"#).status == 400)
            #expect(try client.request("POST", "/recordings/rec-1/preview", headers: host, body: #"{"mux_per_peer":false}"#).status == 422)
            gateway.composition.change("J_1") { job in
                job.state = .processing
                job.progress = 0.25
                job.secondsLeft = 8
            }
            let running = try client.request("GET", "/jobs/J_1", headers: host).json
            #expect(running["status"] == "processing" && running["progress"]?.double == 0.25 && running["eta_seconds"]?.double == 8)
            gateway.composition.change("J_1") { job in
                job.state = .ready
                job.result = #"{"output_path":"rooms/room-1/rec-1/preview/index.json","duration":12.5,"size":99}"#
            }
            // A stream of an ended job says so and ends.
            let follower = try gateway.client()
            try follower.send(TestClient.head("GET", "/jobs/J_1/events", headers: host))
            #expect(try follower.response().headers["content-type"] == "text/event-stream")
            #expect(try follower.readLine() == "event: end")
            #expect(try follower.readLine().contains("/media/rooms/room-1/rec-1/preview/index.json?exp="))
            #expect(try follower.readLine().isEmpty && follower.isClosedByPeer())
            gateway.composition.change("J_1") { $0.result = #"{"output_path":"rooms/room-2/rec-9/metadata.json"}"# }
            #expect(try client.request("GET", "/jobs/J_1", headers: host).json["url"] == nil, "another recording's file is not signed")
            #expect(try client.request("GET", "/jobs/none", headers: host).status == 404)
            #expect(try client.request("DELETE", "/jobs/J_1", headers: host).json["status"] == "cancelled")
        }
    }
    @Test func anInvitationAdmitsOnce() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let room = try #require(try client.request("POST", "/api/v1/sessions/create", body: #"{"title":"x","host_name":"a"}"#).json["session_id"]?.string)
            let made = try client.request("POST", "/api/recordings/\(room)/guest-token", headers: host(gateway), body: "{}")
            let token = try #require(made.json["guest_token"]?.string)
            #expect(made.status == 201 && made.json["join_url"]?.string?.hasSuffix("/session/\(room)#guest_token=\(token)") == true)
            let body = "{\"display_name\":\"Guest\",\"guest_token\":\"\(token)\"}"
            #expect(try client.request("POST", "/api/v1/sessions/\(room)/join", body: body).status == 200)
            let again = try client.request("POST", "/api/v1/sessions/\(room)/join", body: body)
            #expect(again.status == 401 && again.json["error"]?["code"] == "token_refused")
        }
    }
}

/// Playlists on their way to a player.
@Suite struct SignedPlaylistTests {
    private let signature: MediaSignature
    private let now = WallTime(seconds: 1_700_000_000)
    init() throws { signature = MediaSignature(keys: try APIKeyring([TestGateway.key])) }
    private func isSigned(_ url: String, _ key: String) -> Bool {
        guard url.hasPrefix("/media/\(key)?exp="), let query = url.split(separator: "?").last else { return false }
        let items = Dictionary(uniqueKeysWithValues: query.split(separator: "&").map { HTTPRequest.queryItem(String($0)) }.map { ($0.name, $0.value) })
        return signature.verify(key: key, expires: items["exp"], signature: items["sig"], now: now) == .valid
    }

    @Test func everySegmentAndTheMapAreSigned() throws {
        let text = "#EXTM3U\n#EXT-X-VERSION:7\r\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"9@0\"\n#EXTINF:4.0,\nav_0000.m4s\n#EXTINF:4.0,\nav_0001.m4s\n"
        let lines = SignedPlaylist.sign(text, key: "rooms/r/c/preview/peers/ann/av.m3u8", signature, now: now).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines[0] == "#EXTM3U" && lines[1] == "#EXT-X-VERSION:7" && lines[3] == "#EXTINF:4.0," && lines.last == "")
        let map = try #require(lines[2].split(separator: "\"").dropFirst().first.map(String.init))
        #expect(isSigned(map, "rooms/r/c/preview/peers/ann/init.mp4") && lines[2].hasSuffix("\",BYTERANGE=\"9@0\""))
        #expect(isSigned(lines[4], "rooms/r/c/preview/peers/ann/av_0000.m4s") && isSigned(lines[6], "rooms/r/c/preview/peers/ann/av_0001.m4s"))
    }
    /// A playlist is made by a program that hostile media went through: nothing in it opens another recording.
    @Test(arguments: ["../../../other/metadata.json", "/etc/passwd", "https://elsewhere/x.m4s", ".hidden", "a//b.m4s", "x.m4s?y=1"])
    func nothingElsewhereIsSigned(_ name: String) {
        #expect(SignedPlaylist.sign(name, key: "rooms/r/c/preview/peers/ann/av.m3u8", signature, now: now) == name)
        #expect(SignedPlaylist.sign(.string(name), key: "rooms/r/c/preview/index.json", signature, now: now) == .string(name))
    }
    @Test func anIndexKeepsItsShape() {
        let index: JSON = ["segment_seconds": 4, "peers": [["peer_id": "ann", "av": "peers/ann/av.m3u8", "name": "Ann"]]]
        let signed = SignedPlaylist.sign(index, key: "rooms/r/c/preview/index.json", signature, now: now)
        #expect(signed["segment_seconds"] == 4 && signed["peers"]?.array?.first?["name"] == "Ann")
        #expect(isSigned(signed["peers"]?.array?.first?["av"]?.string ?? "", "rooms/r/c/preview/peers/ann/av.m3u8"))
    }
}
