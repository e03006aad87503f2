import Conference
import EventLoop
import Glibc
import Primitives
import Testing

@testable import Gateway

/// What can go wrong at start has a name and a remedy; and HTTPS.
@Suite(.serialized, .timeLimit(.minutes(2))) struct StartTests {
    static func make(bind: String = "127.0.0.1", port: UInt16 = 0, tls: TLSFiles? = nil, loop: UVLoop, keys: [APIKey] = [TestGateway.key], studio: String? = nil) throws(GatewayError) -> Gateway {
        let configuration = GatewayConfiguration(node: "north", bind: SocketAddress(host: bind, port: port)!, tls: tls, keys: keys, studioDirectory: studio)
        return try Gateway(configuration: configuration, loop: loop, service: TestConference(), composition: TestComposition(), uploads: TestUploads(), operations: TestOperations(), store: TestRoomStore())
    }
    @Test func mistakesHaveNames() throws {
        let loop = try UVLoop(name: "unused")
        let folder = TemporaryFolder()
        let good = TestCertificate.make(in: folder)
        let other = TestCertificate.make(in: folder, name: "other")
        let expired = TestCertificate.make(in: folder, validSeconds: -60, name: "expired")
        folder.write("junk", "junk")
        let missing = folder.path + "/none.pem", junk = folder.path + "/junk"
        #expect(throws: GatewayError.noKeys) { try Self.make(loop: loop, keys: []) }
        #expect(throws: GatewayError.plainHTTPNotOnLoopback(SocketAddress(host: "0.0.0.0", port: 0)!)) { try Self.make(bind: "0.0.0.0", loop: loop) }
        #expect(throws: GatewayError.certificateMissing(path: missing, reason: "No such file or directory")) { try Self.make(tls: TLSFiles(certificate: missing, privateKey: good.privateKey), loop: loop) }
        #expect(throws: GatewayError.privateKeyMissing(path: missing, reason: "No such file or directory")) { try Self.make(tls: TLSFiles(certificate: good.certificate, privateKey: missing), loop: loop) }
        #expect(throws: GatewayError.certificateUnreadable(path: junk)) { try Self.make(tls: TLSFiles(certificate: junk, privateKey: good.privateKey), loop: loop) }
        #expect(throws: GatewayError.privateKeyUnreadable(path: junk)) { try Self.make(tls: TLSFiles(certificate: good.certificate, privateKey: junk), loop: loop) }
        #expect(throws: GatewayError.privateKeyDoesNotMatch(certificate: good.certificate, key: other.privateKey)) { try Self.make(tls: TLSFiles(certificate: good.certificate, privateKey: other.privateKey), loop: loop) }
        #expect(throws: GatewayError.certificateExpired(path: expired.certificate)) { try Self.make(tls: expired, loop: loop) }
        #expect(throws: GatewayError.directoryMissing(missing)) { try Self.make(loop: loop, studio: missing) }
    }
    @Test func aBusyPortIsNamed() async throws {
        try await TestGateway.run { gateway in
            let second = try Self.make(port: gateway.port, loop: gateway.loop)
            await #expect(throws: GatewayError.portInUse(SocketAddress(host: "127.0.0.1", port: gateway.port)!)) { try await second.start() }
            await #expect(throws: GatewayError.alreadyStarted) { try await gateway.gateway.start() }
            #expect(try gateway.client().request("GET", "/healthz").status == 200)
        }
    }
    @Test func theSamePortAgainAfterAStop() async throws {
        let loop = try UVLoop(name: "again")
        loop.start()
        var port: UInt16 = 0
        for _ in 0..<3 {
            let gateway = try Self.make(port: port, loop: loop)
            try await gateway.start()
            port = gateway.address.port
            let client = try TestClient(port: port)
            #expect(try client.request("GET", "/healthz").status == 200)
            await gateway.stop()
            await gateway.stop()
        }
        loop.stop()
        loop.join()
    }
    /// The library gives a descriptor up twice while it ends: whoever was handed the number in between must keep it.
    @Test func stoppingClosesNothingOfOthers() async throws {
        for _ in 0..<5 {
            let gateway = try await TestGateway()
            let others = Task.detached { () -> [Int32] in
                var opened: [Int32] = []
                while !Task.isCancelled, opened.count < 500 {
                    opened.append(open("/dev/null", O_RDONLY | O_CLOEXEC))
                    try? await Task.sleep(for: .microseconds(200))
                }
                return opened
            }
            await gateway.stop()
            others.cancel()
            let opened = await others.value
            #expect(opened.allSatisfy { fcntl($0, F_GETFD) >= 0 })
            for descriptor in opened { close(descriptor) }
        }
    }
    @Test func servesHTTPS() async throws {
        let folder = TemporaryFolder()
        let studio = TemporaryFolder()
        studio.write("index.html", "<!doctype html>" + String(repeating: "x", count: 500_000))
        try await TestGateway.run(tls: TestCertificate.make(in: folder), studio: studio.path) { gateway in
            let client = try gateway.client(tls: true, alpn: "h2,http/1.1")
            #expect(client.negotiatedALPN == "http/1.1")
            let created = try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k"], body: #"{"title":"x","host_name":"a"}"#)
            #expect(created.status == 201 && created.json["ws_url"]?.string?.hasPrefix("wss://rooms.test/ws/") == true && created.json["join_url"]?.string?.hasPrefix("https://") == true)
            #expect(try client.request("POST", "/api/v1/sessions/create", headers: ["Idempotency-Key": "k"], body: #"{"title":"x","host_name":"a"}"#).headers["idempotent-replay"] == "true")
            #expect(try client.request("GET", "/").body.count == 500_015)
            let socket = try gateway.client(tls: true)
            let id = created.json["session_id"]?.string ?? "", host = created.json["host"]
            #expect(try socket.upgrade("/ws/\(id)?participant_id=\(host?["participant_id"]?.string ?? "")&token=\(host?["token"]?.string ?? "")").status == 101)
            #expect(try socket.receiveJSON()["type"] == "welcome")
            try socket.sendText(#"{"type":"webrtc_offer","id":9,"sdp":"\#(String(repeating: "s", count: 190_000))"}"#)
            #expect(try socket.receiveJSON() == ["type": "ok", "id": 9])
            let plain = try gateway.client()
            try plain.send(TestClient.head("GET", "/healthz"))
            #expect((try? plain.response().status) != 200, "no plain HTTP on the TLS port")
        }
    }
}
