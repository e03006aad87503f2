import Conference
import Contracts
import Primitives
import Synchronization
import Testing

@testable import Gateway

/// The real server over loopback sockets.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ServerTests {
    @Test func keepsAConnectionAlive() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            for _ in 0..<3 {
                let response = try client.request("GET", "/api/v1/node")
                #expect(response.status == 200)
                #expect(response.json == ["node": "north", "region": "eu", "roles": ["edge", "room"], "version": "1.2.3"])
                #expect(response.headers["content-type"] == "application/json" && response.headers["x-request-id"]?.count == 16)
                #expect(response.headers["x-content-type-options"] == "nosniff" && response.headers["date"]?.hasSuffix("GMT") == true)
            }
            let head = try client.request("HEAD", "/api/v1/node")
            #expect(head.status == 200 && Int(head.headers["content-length"] ?? "") ?? 0 > 10 && head.body.isEmpty)
            #expect(try client.request("GET", "/healthz").json == ["ok": true])
            let last = try client.request("GET", "/healthz", headers: ["Connection": "close"])
            #expect(last.status == 200 && last.headers["connection"] == "close")
            #expect(client.isClosedByPeer())
            let old = try gateway.client()
            try old.send("GET /healthz HTTP/1.0\r\n\r\n")
            #expect(try old.response().headers["connection"] == "close")
            #expect(old.isClosedByPeer())
        }
    }
    @Test func createsShowsJoinsEnds() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let created = try client.request("POST", "/api/v1/sessions/create", body: #"{"title":"Stand-up","host_name":"Ada","mode":"sfu","max_participants":5,"unknown":true}"#)
            #expect(created.status == 201)
            #expect(SchemaCheck.problems(created.json, ResponseSchemas.created) == [])
            let id = try #require(created.json["session_id"]?.string)
            #expect(created.json["join_url"]?.string == "http://rooms.test/session/\(id)" && created.json["ws_url"]?.string == "ws://rooms.test/ws/\(id)")
            let token = try #require(created.json["host"]?["token"]?.string)

            let shown = try client.request("GET", "/api/v1/sessions/\(id)")
            #expect(shown.status == 200 && shown.json["title"] == "Stand-up" && shown.json["node"] == nil)
            #expect(SchemaCheck.problems(shown.json, ResponseSchemas.session) == [])
            let forHost = try client.request("GET", "/api/v1/sessions/abc-1", headers: ["Authorization": "Bearer \(token)"])
            #expect(forHost.json["node"] == "north" && forHost.json["epoch"] == 3, "by meeting code, as host")

            let joined = try client.request("POST", "/api/v1/sessions/\(id)/join", body: #"{"display_name":"Grace"}"#)
            #expect(joined.status == 200 && joined.json["ice_servers"]?.array?.map { $0["urls"] } == [["stun:127.0.0.1:3478"], ["turn:127.0.0.1:3478"]])
            #expect(SchemaCheck.problems(joined.json, ResponseSchemas.joined) == [])
            let guest = try #require(joined.json["token"]?.string)

            let refused = try client.request("DELETE", "/api/v1/sessions/\(id)", headers: ["Authorization": "Bearer \(guest)"])
            #expect(refused.status == 403 && refused.json["error"]?["code"] == "not_host")
            #expect(try client.request("DELETE", "/api/v1/sessions/\(id)", headers: ["Authorization": "Bearer \(token)"]).status == 200)
            #expect(try client.request("POST", "/api/v1/sessions/\(id)/join", body: #"{"display_name":"Late"}"#).status == 410)
        }
    }
    @Test func errorsHaveOneShape() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let cases: [(String, String, [String: String], String?, Int, String)] = [
                ("GET", "/nothing", [:], nil, 404, "not_found"), ("GET", "/api/v1/sessions/none", [:], nil, 404, "unknown_session"), ("DELETE", "/api/v1/node", [:], nil, 405, "method_not_allowed"),
                ("POST", "/api/v1/sessions/create", [:], "{", 400, "malformed"), ("POST", "/api/v1/sessions/create", [:], "[]", 400, "malformed"), ("POST", "/api/v1/sessions/create", [:], "", 400, "malformed"),
                ("POST", "/api/v1/sessions/create", [:], #"{"title":"x"}"#, 400, "malformed"), ("POST", "/api/v1/sessions/create", [:], #"{"title":7,"host_name":"a"}"#, 400, "malformed"),
                ("POST", "/api/v1/sessions/create", [:], #"{"title":"x","host_name":"a","mode":"mesh"}"#, 400, "malformed"), ("GET", "/recording/x", [:], nil, 401, "token_required"),
                ("GET", "/recording/x", ["Authorization": "Bearer nonsense"], nil, 401, "bad_token"), ("POST", "/recording/start", ["Authorization": "Bearer \(try gateway.token())"], #"{"room_id":"r"}"#, 403, "not_host"),
                ("GET", "/recording/x", ["Authorization": "Bearer \(try gateway.token())"], nil, 404, "unknown_recording"), ("GET", "/recording/x", ["Authorization": "Bearer \(try gateway.token { $0.expires = WallTime(seconds: 1) })"], nil, 401, "token_expired"),
                ("POST", "/api/v1/rooms/r/participants/p/remove", ["Authorization": "Bearer \(try gateway.token())"], "{}", 409, "already_left"),
                ("POST", "/api/v1/sessions/none/join", [:], #"{"display_name":"x","guest_token":7}"#, 400, "malformed"),
            ]
            for (method, path, headers, body, status, code) in cases {
                let response = try client.request(method, path, headers: headers, body: body)
                #expect(response.status == status && response.json["error"]?["code"]?.string == code, "\(method) \(path) \(body ?? ""): \(response.status) \(response.text)")
                #expect(response.json["error"]?["message"]?.string?.isEmpty == false)
                #expect(response.json["error"]?["request_id"]?.string == response.headers["x-request-id"])
            }
            #expect(try client.request("DELETE", "/api/v1/node").headers["allow"] == "GET, OPTIONS")
            #expect(try client.request("GET", "/recording/x").headers["www-authenticate"] == "Bearer")
        }
    }
    @Test func failuresInsideAreNotTold() async throws {
        struct Secret: Error { let password = "hunter2" }
        try await TestGateway.run(conference: TestConference(onCreate: { throw Secret() })) { gateway in
            let response = try gateway.client().request("POST", "/api/v1/sessions/create", body: #"{"title":"x","host_name":"a"}"#)
            #expect(response.status == 500 && response.json["error"]?["code"] == "internal" && !response.text.contains("hunter2"))
            let line = gateway.log.lines.withLock { $0.first { $0.level == .error } }
            #expect(line?.fields["request_id"] == response.headers["x-request-id"] && line?.fields["error"]?.contains("Secret") == true)
        }
        try await TestGateway.run(conference: TestConference(onCreate: { throw StoreError.away("disk full") })) { gateway in
            let response = try gateway.client().request("POST", "/api/v1/sessions/create", body: #"{"title":"x","host_name":"a"}"#)
            #expect(response.status == 503 && response.json["error"]?["code"] == "store_away" && response.headers["retry-after"] == "2")
        }
    }
    @Test func aHandlerThatHangsIsAnsweredInTime() async throws {
        let never = TestConference(onCreate: { try await withUnsafeThrowingContinuation { (_: UnsafeContinuation<Void, any Error>) in } })
        try await TestGateway.run(conference: never, limits: { $0.handlerTime = .milliseconds(50) }) { gateway in
            let response = try gateway.client().request("POST", "/api/v1/sessions/create", body: #"{"title":"x","host_name":"a"}"#)
            #expect(response.status == 503 && response.json["error"]?["code"] == "timeout")
        }
    }
    @Test func bodiesAreBounded() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let large = #"{"title":"x","host_name":"a","pad":""# + String(repeating: "p", count: 300_000) + "\"}"
            #expect(try client.request("POST", "/api/v1/sessions/create", body: large).status == 413)
            let fits = #"{"title":"x","host_name":"a","pad":""# + String(repeating: "p", count: 200_000) + "\"}"
            #expect(try client.request("POST", "/api/v1/sessions/create", body: fits).status == 201, "and the connection goes on")
            let huge = try gateway.client()
            try huge.send(TestClient.head("POST", "/api/v1/sessions/create", length: 1 << 40))
            #expect(try huge.response().status == 413)
            #expect(huge.isClosedByPeer())
            let chunked = try gateway.client()
            try chunked.send("POST /api/v1/sessions/create HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try chunked.response().status == 411)
            let none = try gateway.client()
            try none.send("POST /api/v1/sessions/create HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try none.response().status == 400)
            #expect(none.isClosedByPeer())
            let negative = try gateway.client()
            try negative.send("POST /api/v1/sessions/create HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n")
            #expect(try negative.response().status == 400)
        }
    }
    @Test func aBodyMayComeInPieces() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let body = #"{"title":"Stück","host_name":"Ada"}"#
            try client.send(TestClient.head("POST", "/api/v1/sessions/create", length: body.utf8.count))
            for byte in body.utf8 { try client.send([byte]) }
            #expect(try client.response().status == 201)
        }
    }
    /// Requests sent before the answer of the one before: kept apart, answered in order.
    @Test func pipelinedRequests() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let create = #"{"title":"x","host_name":"a"}"#
            let post = TestClient.head("POST", "/api/v1/sessions/create", length: create.utf8.count) + create
            try client.send(TestClient.head("GET", "/healthz") + TestClient.head("GET", "/api/v1/node") + TestClient.head("GET", "/nothing"))
            #expect(try [client.response().status, client.response().status, client.response().status] == [200, 200, 404])
            try client.send(post + TestClient.head("GET", "/nothing"))
            #expect(try [client.response().status, client.response().status] == [201, 404])
            for body in [create, create + String(repeating: " ", count: 100_000)] {
                let other = try gateway.client()
                try other.send(TestClient.head("GET", "/healthz") + TestClient.head("POST", "/api/v1/sessions/create", length: body.utf8.count) + body + TestClient.head("GET", "/healthz"))
                #expect(try other.response().status == 200)
                #expect(other.isClosedByPeer(), "a body that waited behind another request: ended rather than misread")
            }
            #expect(gateway.conference.state.withLock { $0.creations } == 1)
        }
    }
    @Test func nonsenseHurtsNobody() async throws {
        try await TestGateway.run { gateway in
            let nonsense = [
                "\r\n\r\n", "GET\r\n\r\n", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n" + String(repeating: "X-Pad: aaaaaaaaaaaaaaaa\r\n", count: 2000) + "\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nhello",
                "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /?" + (0..<300).map { "a\($0)=1&" }.joined() + " HTTP/1.1\r\nHost: a\r\n\r\n", String(repeating: "\u{0}", count: 5000),
            ]
            for text in nonsense {
                let client = try TestClient(port: gateway.port, timeoutSeconds: 1)
                try client.send(text)
                if let response = try? client.response() { #expect((400..<500).contains(response.status), "\(text.prefix(40)): \(response.status)") }
                client.close()
            }
            #expect(try gateway.client().request("GET", "/healthz").status == 200)
        }
    }
    @Test func seededGarbageHurtsNobody() async throws {
        try await TestGateway.run { gateway in
            var random = SplitMix64(seed: 99)
            let seedText = Array((TestClient.head("POST", "/api/v1/sessions/create?x=1&y=%20", headers: ["Authorization": "Bearer abc", "Range": "bytes=0-1", "Idempotency-Key": "k"], length: 4) + "{}  ").utf8)
            for _ in 0..<300 {
                var bytes = seedText
                for _ in 0..<Int.random(in: 1...8, using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
                let client = try gateway.client()
                try? client.send(bytes)
                client.close()
            }
            #expect(try gateway.client().request("GET", "/healthz").status == 200)
        }
    }
    @Test func moreConnectionsThanAllowed() async throws {
        try await TestGateway.run(limits: { $0.connections = 24 }) { gateway in
            var clients = try (0..<40).map { _ in try TestClient(port: gateway.port, timeoutSeconds: 1) }
            for client in clients { try? client.send(TestClient.head("GET", "/healthz")) }
            let served = clients.filter { (try? $0.response().status) == 200 }.count
            #expect(served >= 15 && served < 40, "\(served)")
            clients = []
            let recovered = await gateway.waits { (try? TestClient(port: gateway.port, timeoutSeconds: 1).request("GET", "/healthz").status) == 200 }
            #expect(recovered)
        }
    }
    @Test func repeatedRequestsAreDoneOnce() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let body = #"{"title":"x","host_name":"a"}"#
            let first = try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k1"], body: body)
            let again = try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k1"], body: body)
            #expect(first.status == 201 && again.status == 201 && first.body == again.body && again.headers["idempotent-replay"] == "true" && first.headers["idempotent-replay"] == nil)
            #expect(gateway.conference.state.withLock { $0.creations } == 1)
            let other = try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k1"], body: #"{"title":"y","host_name":"a"}"#)
            #expect(other.status == 422 && other.json["error"]?["code"] == "idempotency_key_reused")
            let stranger = try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k1", "Authorization": "Bearer \(try gateway.token())"], body: body)
            #expect(stranger.status == 201 && stranger.body != first.body, "another caller's key is another key")
            #expect(try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": String(repeating: "k", count: 300)], body: body).status == 400)
            gateway.store.isAway.withLock { $0 = true }
            #expect(try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k2"], body: body).status == 201, "with the store away requests are served all the same")
        }
    }
    @Test func ratesAreLimitedByAddress() async throws {
        try await TestGateway.run(limits: { $0.requestsPerSecond = 0.001; $0.requestBurst = 3 }) { gateway in
            let client = try gateway.client()
            let statuses = try (0..<5).map { _ in try client.request("GET", "/api/v1/node").status }
            #expect(statuses == [200, 200, 200, 429, 429])
            let refused = try client.request("GET", "/api/v1/node")
            #expect(refused.headers["retry-after"] == "1" && refused.json["error"]?["code"] == "rate_limited")
            #expect(try client.request("GET", "/healthz").status == 200, "health is not rated")
        }
    }
    @Test func originsDecideWhoMayCall() async throws {
        try await TestGateway.run(origins: ["https://app.example"]) { gateway in
            let client = try gateway.client()
            let body = #"{"title":"x","host_name":"a"}"#
            let preflight = try client.request("OPTIONS", "/api/v1/sessions/create", headers: ["Origin": "https://app.example", "Access-Control-Request-Method": "POST"])
            #expect(preflight.status == 204 && preflight.headers["access-control-allow-origin"] == "https://app.example" && preflight.headers["access-control-allow-methods"]?.contains("POST") == true)
            #expect(preflight.headers["access-control-allow-headers"]?.contains("Idempotency-Key") == true)
            let allowed = try client.request("POST", "/api/v1/sessions/create", headers: ["Origin": "https://app.example"], body: body)
            #expect(allowed.status == 201 && allowed.headers["access-control-allow-origin"] == "https://app.example")
            #expect(try client.request("POST", "/api/v1/sessions/create", headers: ["Origin": "http://rooms.test"], body: body).status == 201, "its own pages")
            let evil = try client.request("POST", "/api/v1/sessions/create", headers: ["Origin": "https://evil.example"], body: body)
            #expect(evil.status == 403 && evil.headers["access-control-allow-origin"] == nil && evil.json["error"]?["code"] == "origin_not_allowed")
            let read = try client.request("GET", "/api/v1/node", headers: ["Origin": "https://evil.example"])
            #expect(read.status == 200 && read.headers["access-control-allow-origin"] == nil, "served, but no page of that origin may see it")
        }
    }
    @Test func readinessAndMetrics() async throws {
        try await TestGateway.run(ready: .init(isReady: false, reason: "draining")) { gateway in
            let client = try gateway.client()
            let ready = try client.request("GET", "/readyz")
            #expect(ready.status == 503 && ready.json["error"]?["message"] == "draining" && ready.headers["retry-after"] == "2")
            _ = try client.request("GET", "/api/v1/sessions/secret-room-id")
            let metrics = try client.request("GET", "/metrics")
            #expect(metrics.headers["content-type"]?.hasPrefix("text/plain") == true)
            #expect(metrics.text.contains("troupe_http_requests_total{route=\"/readyz\",status=\"503\"} 1\n"))
            #expect(metrics.text.contains("troupe_http_requests_total{route=\"/api/v1/sessions/{id}\",status=\"404\"} 1\n") && !metrics.text.contains("secret-room-id"))
            #expect(gateway.log.lines.withLock { lines in lines.allSatisfy { !"\($0)".contains("secret-room-id") } })
        }
    }
    @Test func describesItself() async throws {
        try await TestGateway.run(publicURL: "https://rooms.example/") { gateway in
            let document = try gateway.client().request("GET", "/openapi.json").json
            #expect(document["openapi"] == "3.1.0" && document["servers"] == [["url": "https://rooms.example"]] && document["info"]?["version"] == "1.2.3")
        }
    }
    @Test func mutesAndRecords() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let host = ["Authorization": "Bearer \(try gateway.token { $0.roomAdmin = true; $0.roomRecord = true })"]
            #expect(try client.request("POST", "/api/v1/rooms/room-1/participants/p_2/mute", headers: host, body: #"{"track_id":"mic","muted":true}"#).json == ["ok": true])
            #expect(gateway.conference.state.withLock { $0.muted.map { "\($0.0) \($0.1?.rawValue ?? "") \($0.2)" } } == ["p_2 mic true"])
            let started = try client.request("POST", "/recording/start", headers: host, body: #"{"room_id":"room-1"}"#)
            #expect(started.json == ["recording_id": "rec-1", "room_id": "room-1", "state": "recording"])
            let stopped = try client.request("POST", "/recording/stop", headers: host, body: #"{"room_id":"room-1"}"#)
            #expect(stopped.json["state"] == "stopping" && stopped.json["duration"] == .number(12.5))
        }
    }
}
