import Conference
import Hashing
import Primitives
import Testing

@testable import Gateway

/// Chunks from outside, over the real server: whose they are, how large, how many at once.
@Suite(.serialized, .timeLimit(.minutes(2))) struct UploadRoutesTests {
    static let query = "roomId=room-1&participantId=p_1&kind=camera&sequence=3"
    static func bearer(_ gateway: TestGateway, _ identity: String = "p_1") throws -> [String: String] { ["Authorization": "Bearer \(try gateway.token { $0.identity = identity })"] }
    static func path(_ url: String) -> String { String(url[url.firstRange(of: "/api")!.lowerBound...]) }
    /// A URL to PUT to, without scheme and host.
    static func url(_ gateway: TestGateway, _ client: TestClient, _ more: String = "") throws -> String {
        let answer = try client.request("GET", "/api/recordings/upload-url?\(query)\(more)", headers: try bearer(gateway))
        #expect(answer.status == 200 && SchemaCheck.problems(answer.json, ResponseSchemas.uploadURL) == [], "\(answer.text)")
        return path(try #require(answer.json["url"]?.string))
    }
    static let webm = ["Content-Type": "video/webm;codecs=vp8,opus"]

    @Test func aChunkOfSeveralMegabytesArrivesWhole() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let url = try Self.url(gateway, client, "&upload=run-1&firstSequence=2&atUs=4000000&startedAtUs=1700000000000000&offsetUncertaintyUs=900&clock=n1")
            let bytes = (0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
            try client.send(TestClient.head("PUT", url, headers: Self.webm, length: bytes.count))
            try client.send(bytes)
            let answer = try client.response()
            #expect(answer.status == 200 && SchemaCheck.problems(answer.json, ResponseSchemas.chunk) == [], "\(answer.text)")
            #expect(answer.json["sha256"]?.string == Digests.hex(Digests.sha256(bytes)))
            let stored = try #require(gateway.uploads.state.withLock { $0.stored[3] })
            #expect(stored.bytes == bytes)
            #expect(stored.offer == ChunkOffer(
                room: "room-1", recording: "rec-1", participant: "p_1", kind: "camera", upload: "run-1", firstSequence: 2, sequence: 3, mediaType: "video/webm",
                startedAt: 1_700_000_000_000_000, offsetUncertainty: 900, clock: "n1", at: 4_000_000, bytes: nil, sha256: nil))
            // The connection goes on, and the URL is good for the same chunk again.
            try client.send(TestClient.head("PUT", url, headers: Self.webm, length: 4))
            try client.send([1, 2, 3, 4])
            #expect(try client.response().status == 200)
            let list = try client.request("GET", "/api/recordings/rec-1/uploads", headers: try Self.bearer(gateway))
            #expect(list.status == 200 && SchemaCheck.problems(list.json, ResponseSchemas.uploads) == [], "\(list.text)")
            let end = try client.request("POST", "/api/recordings/rec-1/uploads/run-1/complete", headers: try Self.bearer(gateway), body: #"{"kind":"camera","last_sequence":9}"#)
            #expect(end.status == 200 && SchemaCheck.problems(end.json, ResponseSchemas.upload) == [] && end.json["last_sequence"] == 9 && end.json["missing"] == [[1, 2]], "\(end.text)")
        }
    }

    @Test func onlyItsOwnParticipantGetsAURL() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            #expect(try client.request("GET", "/api/recordings/upload-url?\(Self.query)").status == 401)
            let other = try client.request("GET", "/api/recordings/upload-url?\(Self.query)", headers: try Self.bearer(gateway, "p_2"))
            #expect(other.status == 403 && other.json["error"]?["code"] == "not_your_track")
            #expect(try client.request("GET", "/api/recordings/rec-1/uploads?participantId=p_1", headers: try Self.bearer(gateway, "p_2")).status == 403)
            #expect(try client.request("POST", "/api/recordings/rec-1/uploads/x/complete", headers: try Self.bearer(gateway, "p_2"), body: #"{"participant_id":"p_1","kind":"camera","last_sequence":1}"#).status == 403)
            for (query, status) in [
                ("roomId=r&participantId=p_1&kind=camera", 400), ("roomId=r&participantId=p_1&kind=camera&sequence=x", 400), ("roomId=r&participantId=p_1&kind=camera&sequence=-1", 400),
                ("roomId=r&participantId=p_1&kind=camera&sequence=99999999999999999999", 400), ("roomId=r&participantId=p_1&kind=camera&sequence=1&atUs=1.5", 400),
                ("roomId=r&participantId=p_1&kind=camera&sequence=1&recordingId=rec-2", 404),
            ] { #expect(try client.request("GET", "/api/recordings/upload-url?\(query)", headers: try Self.bearer(gateway)).status == status, "\(query)") }
        }
    }
    /// A token's identity is anything; a participant's id is its digest then.
    @Test func identitiesThatAreNoIdsUploadUnderTheirDigest() async throws {
        try await TestGateway.run { gateway in
            let id = Authenticator.participant(identity: "ada@example.com")
            let answer = try gateway.client().request("GET", "/api/recordings/upload-url?roomId=r&participantId=\(id)&kind=audio&sequence=0", headers: try Self.bearer(gateway, "ada@example.com"))
            #expect(answer.status == 200 && answer.json["headers"]?["Content-Type"] == "audio/webm")
        }
    }

    @Test func whatIsNoChunkIsRefusedBeforeItsBody() async throws {
        try await TestGateway.run { gateway in
            let url = try Self.url(gateway, try gateway.client())
            /// Sends the head alone: an answer comes all the same where the body would not be read to its end.
            func head(_ path: String, _ headers: [String: String], _ length: Int) throws -> TestClient.Response {
                let client = try gateway.client()
                try client.send(TestClient.head("PUT", path, headers: headers, length: length))
                return try client.response()
            }
            let five = 5 << 30
            #expect(try head(url, Self.webm, five).json["error"]?["code"] == "too_large")
            #expect(try head(url, ["Content-Type": "video/mp4"], five).status == 415)
            #expect(try head(url, [:], five).status == 415)
            #expect(try head(url + "x", Self.webm, five).json["error"]?["code"] == "bad_signature")
            #expect(try head("/api/recordings/chunk", Self.webm, five).status == 403)
            // One that would be read to its end is answered after it.
            let client = try gateway.client()
            try client.send(TestClient.head("PUT", url, headers: Self.webm, length: 5 << 20))
            try client.send([UInt8](repeating: 1, count: 5 << 20))
            #expect(try client.response().status == 413)
            #expect(try client.request("PUT", url, headers: Self.webm, body: "").status == 411)
            #expect(gateway.uploads.state.withLock { $0.stored.isEmpty })
            let exact = try Self.url(gateway, client, "&bytes=10")
            #expect(try client.request("PUT", exact, headers: Self.webm, body: "0123456789a").status == 413)
            #expect(try client.request("PUT", exact, headers: Self.webm, body: "0123456789").status == 200)
        }
    }
    @Test func ticketsEnd() throws {
        let ticket = UploadTicket(keys: try APIKeyring([TestGateway.key])), now = WallTime(seconds: 1_700_000_000)
        let offer = ChunkOffer(
            room: "r", recording: "c", participant: "p", kind: "screen", upload: "u", firstSequence: 0, sequence: 999_999, mediaType: "video/webm;codecs=\"vp9\"",
            startedAt: 1 << 53, offsetUncertainty: 0, clock: nil, at: 5, bytes: 16 << 20, sha256: String(repeating: "a", count: 64))
        let text = ticket.make(offer, now: now)
        #expect(ticket.open(text, now: now + .seconds(899)) == .valid(offer))
        #expect(ticket.open(text, now: now + .seconds(900)) == .expired)
        #expect(ticket.open(String(text.dropLast()), now: now) == .invalid)
        #expect(ticket.open("", now: now) == .invalid)
        #expect(UploadTicket(keys: try APIKeyring([APIKey(id: "other", secret: "other")])).open(text, now: now) == .invalid)
        // What was sealed for another purpose opens nothing here.
        #expect(ticket.open(Seal(keys: try APIKeyring([TestGateway.key]), purpose: "troupe resume token v1").seal(["x": 1_800_000_000]), now: now) == .invalid)
    }

    /// Chunks stay in memory until they are answered: there is room for so many bytes, and the rest comes again.
    @Test func soManyBytesAreUnderWayAndNoMore() async throws {
        try await TestGateway.run(limits: { $0.largeBodies = 3 << 20 }) { gateway in
            let first = try gateway.client(), second = try gateway.client(), url = try Self.url(gateway, first)
            gateway.uploads.waits.withLock { $0 = true }
            try first.send(TestClient.head("PUT", url, headers: Self.webm, length: 2 << 20))
            try first.send([UInt8](repeating: 1, count: 2 << 20))
            let isHeld = await gateway.waits { gateway.uploads.gate.withLock { $0 != nil } }
            #expect(isHeld)
            try second.send(TestClient.head("PUT", url, headers: Self.webm, length: 2 << 20))
            try second.send([UInt8](repeating: 2, count: 2 << 20))
            let refused = try second.response()
            #expect(refused.status == 503 && refused.json["error"]?["code"] == "uploads_busy" && refused.headers["retry-after"] != nil)
            gateway.uploads.release()
            #expect(try first.response().status == 200)
            #expect(try second.request("PUT", url, headers: Self.webm, body: String(repeating: "c", count: 2 << 20)).status == 200)
            // One that breaks off gives its room back.
            let third = try gateway.client()
            try third.send(TestClient.head("PUT", url, headers: Self.webm, length: 3 << 20))
            try third.send([UInt8](repeating: 3, count: 1 << 20))
            third.close()
            let isLost = await gateway.waits { gateway.gateway.metricsForTests.contains("troupe_http_connections_lost_total 1\n") }
            #expect(isLost)
            #expect(try second.request("PUT", url, headers: Self.webm, body: String(repeating: "d", count: 3 << 20)).status == 200)
            #expect(gateway.gateway.metricsForTests.contains("troupe_http_large_bodies_refused_total 1\n"))
        }
    }
    /// A participant's turn begins with a chunk's head and ends however the chunk does.
    @Test func soManyOfOneParticipantAreUnderWayAndNoMore() async throws {
        try await TestGateway.run { gateway in
            let url = try Self.url(gateway, try gateway.client()), size = 1 << 20
            func underWay() -> Int { gateway.uploads.state.withLock { $0.underWay } }
            let slow = try [gateway.client(), gateway.client()]
            for client in slow {
                try client.send(TestClient.head("PUT", url, headers: Self.webm, length: size))
                try client.send([1, 2, 3])
            }
            let areBoth = await gateway.waits { underWay() == 2 }
            #expect(areBoth)
            let third = try gateway.client(), refused = try third.request("PUT", url, headers: Self.webm, body: "0123")
            #expect(refused.status == 429 && refused.json["error"]?["code"] == "too_many_under_way" && refused.headers["retry-after"] == "1", "\(refused.text)")
            slow[0].close()
            let isOne = await gateway.waits { underWay() == 1 }
            #expect(isOne, "one broke off")
            #expect(try third.request("PUT", url, headers: Self.webm, body: "0123").status == 200, "on the connection of the refusal")
            try slow[1].send([UInt8](repeating: 4, count: size - 3))
            #expect(try slow[1].response().status == 200)
            // Refused after their turn began: too long, not the type that was announced, cut off.
            #expect(try third.request("PUT", try Self.url(gateway, third, "&bytes=4"), headers: Self.webm, body: "01234").status == 413)
            #expect(try third.request("PUT", url, headers: ["Content-Type": "video/mp4"], body: "0123").status == 415)
            #expect(try third.request("PUT", url, headers: Self.webm, body: "").status == 411)
            #expect(underWay() == 0)
        }
    }
    @Test func theNodesClockIsTold() async throws {
        try await TestGateway.run { gateway in
            let before = gateway.loop.wall.microseconds, answer = try gateway.client().request("GET", "/api/v1/time"), after = gateway.loop.wall.microseconds
            #expect(SchemaCheck.problems(answer.json, ResponseSchemas.time) == [] && answer.json["node"] == "north")
            #expect((before...after).contains(answer.json["time_us"]?.integer ?? 0))
        }
    }
}
