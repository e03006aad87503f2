import Conference
import Contracts
import Primitives
import Testing

@testable import Gateway

/// Signalling over the real server.
@Suite(.serialized, .timeLimit(.minutes(2))) struct WebSocketTests {
    /// A room, and a participant's place in it.
    static func join(_ gateway: TestGateway) throws -> (room: String, participant: String, token: String) {
        let client = try gateway.client()
        let room = try client.request("POST", "/api/v1/sessions/create", body: #"{"title":"x","host_name":"a"}"#).json["session_id"]?.string ?? ""
        let joined = try client.request("POST", "/api/v1/sessions/\(room)/join", body: #"{"display_name":"Grace"}"#).json
        return (room, joined["participant_id"]?.string ?? "", joined["token"]?.string ?? "")
    }
    static func open(_ gateway: TestGateway) throws -> TestClient {
        let place = try join(gateway)
        let client = try gateway.client()
        guard try client.upgrade("/ws/\(place.room)?participant_id=\(place.participant)&token=\(place.token)").status == 101 else { throw ClientFailure("no upgrade") }
        guard try client.receiveJSON()["type"] == "welcome" else { throw ClientFailure("no welcome") }
        return client
    }

    @Test func welcomesAndAnswers() async throws {
        try await TestGateway.run { gateway in
            let place = try Self.join(gateway)
            let client = try gateway.client()
            let upgraded = try client.upgrade("/ws/\(place.room)?participant_id=\(place.participant)&token=\(place.token)")
            #expect(upgraded.status == 101 && upgraded.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455 section 1.3's own example")
            let welcome = try client.receiveJSON()
            #expect(SchemaCheck.problems(welcome, try #require(SignallingCodecTests.schemas["welcome"])) == [])
            #expect(welcome["participant"]?["name"] == "Grace" && welcome["seq"] == 1)
            try client.sendText(#"{"type":"heartbeat"}"#)
            #expect(try client.receiveJSON()["type"] == "heartbeat")
            try client.sendText(#"{"type":"publish","id":5,"track_id":"cam","source":"camera"}"#)
            #expect(try client.receiveJSON() == ["type": "ok", "id": 5])
            try client.sendText(#"{"type":"chat","text":"hi"}"#)
            let chat = try client.receiveJSON()
            #expect(chat["type"] == "chat" && chat["text"] == "hi" && chat["seq"] == 2)
            try client.sendText(#"{"type":"bye"}"#)
            #expect(try client.receive() == .close(1000, "bye"))
            client.close()
            let session = try #require(gateway.conference.state.withLock { $0.sessions.first })
            #expect(await gateway.waits { session.lost.withLock { $0 } == 1 }, "told once that the connection is gone")
        }
    }
    /// The token of one node's welcome is good at any node with the same keys, in the first frame and nowhere else.
    @Test func resumesByAToken() async throws {
        try await TestGateway.run { gateway in
            let place = try Self.join(gateway)
            let first = try gateway.client()
            _ = try first.upgrade("/ws/\(place.room)?participant_id=\(place.participant)&token=\(place.token)")
            let token = try #require(try first.receiveJSON()["resume_token"]?.string)
            let second = try gateway.client()
            #expect(try second.upgrade("/ws/\(place.room)").status == 101)
            try second.sendText(#"{"type":"resume","token":"\#(token)","last_seq":1,"attempt":2,"move":true,"features":["move"]}"#)
            let resumed = try second.receiveJSON()
            #expect(SchemaCheck.problems(resumed, try #require(SignallingCodecTests.schemas["resumed"])) == [], "\(resumed.text)")
            #expect(resumed["participant"]?["id"]?.string == place.participant && resumed["participant"]?["name"] == "Grace")
            let request = try #require(gateway.conference.state.withLock { $0.resumes.last })
            #expect(request.lastSeen == 1 && request.attempt == 2 && request.isMove && request.features == [.move] && request.session.attachment == 7)
            try second.sendText(#"{"type":"resume","token":"\#(token)","last_seq":1}"#)
            #expect(try second.receiveJSON()["code"] == "already_attached")
        }
    }
    @Test func refusesTokensThatAreNotItsOwn() async throws {
        try await TestGateway.run { gateway in
            let place = try Self.join(gateway)
            let first = try gateway.client()
            _ = try first.upgrade("/ws/\(place.room)?participant_id=\(place.participant)&token=\(place.token)")
            let token = try #require(try first.receiveJSON()["resume_token"]?.string)
            let other = try gateway.client()
            #expect(try other.upgrade("/ws/elsewhere").status == 101)
            try other.sendText(#"{"type":"resume","token":"\#(token)","last_seq":1}"#)
            #expect(try other.receiveJSON()["type"] == "unknown_session")
            #expect(try other.receive() == .close(4412, "unknown_session"))
            let silent = try gateway.client()
            _ = try silent.upgrade("/ws/\(place.room)")
            try silent.sendText(#"{"type":"heartbeat"}"#)
            #expect(try silent.receiveJSON()["code"] == "token_required")
            #expect(try silent.receive() == .close(4401, "token_required"))
        }
    }
    @Test func admitsByTokenOrBareID() async throws {
        try await TestGateway.run { gateway in
            let place = try Self.join(gateway)
            let bare = try gateway.client()
            #expect(try bare.upgrade("/ws/\(place.room)?participant_id=\(place.participant)&auto_subscribe=0").status == 101)
            #expect(try bare.receiveJSON()["seq"] == 0, "auto_subscribe=0 reached the conference")
            #expect(gateway.conference.state.withLock { $0.callers.last?.isBare } == true)
            let minted = try gateway.client()
            let token = try gateway.token { $0.identity = "alice@example.com"; $0.name = "Alice"; $0.room = RoomID(place.room) }
            #expect(try minted.upgrade("/ws/\(place.room)?token=\(token)").status == 101)
            #expect(try minted.receiveJSON()["participant"]?["name"] == "Alice")
            let header = try gateway.client()
            #expect(try header.upgrade("/ws/\(place.room)", headers: ["Authorization": "Bearer \(token)"]).status == 101)
            #expect(try header.receiveJSON()["type"] == "welcome")
        }
    }
    @Test func refusesWithAReason() async throws {
        try await TestGateway.run { gateway in
            let place = try Self.join(gateway)
            let cases: [(String, String, UInt16)] = [
                ("/ws/\(place.room)?participant_id=nobody", "unknown_participant", 4401), ("/ws/\(place.room)?participant_id=a%20b", "unknown_participant", 4401),
                ("/ws/\(place.room)?participant_id=\(place.participant)&token=abc", "bad_token", 4401), ("/ws/\(place.room)?participant_id=p_other&token=\(place.token)", "wrong_participant", 4403),
                ("/ws/\(place.room)?token=\(try gateway.token { $0.roomJoin = false })", "wrong_room", 4403), ("/ws/\(place.room)?token=\(try gateway.token { $0.room = "other" })", "wrong_room", 4403),
                ("/ws/none?token=\(try gateway.token())", "unknown_session", 4404), ("/ws/\(place.room)?token=\(try gateway.token { $0.expires = WallTime(seconds: 1) })", "token_expired", 4401),
            ]
            for (path, code, close) in cases {
                let client = try gateway.client()
                #expect(try client.upgrade(path).status == 101)
                let error = try client.receiveJSON()
                #expect(error["type"] == "error" && error["code"]?.string == code, "\(path): \(error.text)")
                #expect(try client.receive() == .close(close, code))
            }
            #expect(try gateway.client().upgrade("/elsewhere").status == 404)
            #expect(try gateway.client().upgrade("/ws/\(place.room)", headers: ["Origin": "https://evil.example"]).json["error"]?["code"] == "origin_not_allowed")
            #expect(try gateway.client().upgrade("/ws/\(place.room)?participant_id=\(place.participant)", headers: ["Origin": "http://rooms.test"]).status == 101)
        }
    }
    @Test func joinsPiecesAndBoundsFrames() async throws {
        try await TestGateway.run { gateway in
            let client = try Self.open(gateway)
            let text = String(repeating: "é", count: 3000)
            let message = Array("{\"type\":\"chat\",\"text\":\"\(text)\"}".utf8)
            try client.send(TestClient.frame(Array(message[..<10]), opcode: 1, isFinal: false) + TestClient.frame(Array(message[10..<5000]), opcode: 0, isFinal: false))
            try client.send(TestClient.frame(Array("ping".utf8), opcode: 9) + TestClient.frame(Array(message[5000...]), opcode: 0))
            #expect(try client.receiveJSON()["text"]?.string == text)
            let sdp = String(repeating: "s", count: 190_000)
            try client.sendText(#"{"type":"webrtc_offer","id":9,"sdp":"\#(sdp)"}"#)
            #expect(try client.receiveJSON() == ["type": "ok", "id": 9])
            try client.sendText(String(repeating: " ", count: 262_145))
            guard case .close(1009, _) = try client.receive() else { Issue.record("expected 1009"); return }
            let binary = try Self.open(gateway)
            try binary.send(TestClient.frame([1, 2, 3], opcode: 2))
            guard case .close(1003, _) = try binary.receive() else { Issue.record("expected 1003"); return }
            let invalid = try Self.open(gateway)
            try invalid.send(TestClient.frame([0xC3, 0x28]))
            guard case .close(1007, _) = try invalid.receive() else { Issue.record("expected 1007"); return }
        }
    }
    @Test func malformedMessagesAreAnsweredThenClosed() async throws {
        try await TestGateway.run(limits: { $0.malformedBeforeClose = 3 }) { gateway in
            let client = try Self.open(gateway)
            for (text, code) in [("{", "malformed"), (#"{"type":"dance","id":3}"#, "unknown_type"), (#"{"type":"chat","id":4}"#, "malformed")] {
                try client.sendText(text)
                let error = try client.receiveJSON()
                #expect(error["type"] == "error" && error["code"]?.string == code)
            }
            try client.sendText("nonsense")
            #expect(try client.receiveJSON()["type"] == "error")
            #expect(try client.receive() == .close(4400, "bad_request"))
            let other = try Self.open(gateway)
            try other.sendText(#"{"type":"heartbeat"}"#)
            #expect(try other.receiveJSON()["type"] == "heartbeat", "nobody else notices")
        }
    }
    @Test func aFloodIsRefusedThenClosed() async throws {
        try await TestGateway.run(limits: { $0.messagesPerSecond = 0.001; $0.messageBurst = 5; $0.refusalsBeforeClose = 4 }) { gateway in
            let client = try Self.open(gateway)
            for id in 0..<10 { try client.sendText(#"{"type":"subscribe","id":\#(id),"track_id":"t"}"#) }
            var codes: [String] = []
            while case .text(let text) = try client.receive() { codes.append(try JSONParser.parse(text)["code"]?.string ?? "ok") }
            #expect(codes == Array(repeating: "ok", count: 5) + Array(repeating: "rate_limited", count: 5))
            let session = try #require(gateway.conference.state.withLock { $0.sessions.last })
            #expect(session.received.withLock { $0.count } == 5, "what is refused is not acted on")
        }
    }
    @Test func slowReadersAreClosed() async throws {
        try await TestGateway.run(limits: { $0.sendQueueBytes = 100_000 }) { gateway in
            let client = try Self.open(gateway)
            let session = try #require(gateway.conference.state.withLock { $0.sessions.last })
            let big = ServerMessage.offer(SessionDescriptionMessage(sdp: String(repeating: "x", count: 50_000)))
            gateway.loop.post { for _ in 0..<500 { session.connection.send(big) } }
            #expect(await gateway.waits(8) { session.lost.withLock { $0 } == 1 }, "cut although it never read")
            #expect(gateway.gateway.metricsForTests.contains("troupe_signalling_refused_total{reason=\"slow_reader\"} 1\n"))
            _ = client
        }
    }
    @Test func aVanishedClientIsNoticed() async throws {
        try await TestGateway.run(limits: { $0.pingInterval = .seconds(1); $0.pongTimeout = .seconds(2) }) { gateway in
            let client = try Self.open(gateway)
            let session = try #require(gateway.conference.state.withLock { $0.sessions.last })
            #expect(await gateway.waits(8) { session.lost.withLock { $0 } == 1 }, "pings without pong end it")
            _ = client
        }
    }
    @Test func stopSaysGoodbyeAndFreesThePort() async throws {
        let gateway = try await TestGateway()
        let client = try Self.open(gateway)
        let port = gateway.port
        await gateway.stop()
        #expect(try client.receive() == .close(1001, "shutdown"))
        #expect(throws: ClientFailure.self) { try TestClient(port: port) }
    }
}
