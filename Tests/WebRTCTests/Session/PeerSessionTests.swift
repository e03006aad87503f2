// Whole transports against each other: connecting, moving, restarting, ending.
import Primitives
import Testing
@testable import WebRTC

@Suite struct PeerSessionTests {
    static let elsewhere = SocketAddress(ipv4: 0x7F00_0001, port: 50_001)

    @Test func connectsAndCarriesMedia() throws {
        let pair = try SessionPair()
        pair.connect()
        let keys = try #require(SessionPair.keys(pair.serverSaid)), mirrored = try #require(SessionPair.keys(pair.clientSaid))
        #expect(pair.serverSaid == [.validated(pair.here), .selected(pair.here), .keyed(keys)])
        #expect(pair.clientSaid == [.validated(SessionPair.server), .selected(SessionPair.server), .keyed(mirrored)])
        #expect(keys.localKey == mirrored.remoteKey && keys.remoteKey == mirrored.localKey && keys.profile == .aeadAES128GCM)
        #expect(pair.server.isKeyed && pair.server.selected == pair.here)

        let sender = try SRTPSender(profile: keys.profile, keyAndSalt: keys.localKey), receiver = try SRTPReceiver(profile: keys.profile, keyAndSalt: mirrored.remoteKey)
        var random = SplitMix64(seed: 1)
        let packet = TestPacket(sequence: 1, ssrc: 9, payloadLength: 200, random: &random)
        let wire = try #require(packet.protect(sender, stream: sender.register(ssrc: 9), prefix: 4))
        #expect(receiver.opened(wire).bytes == packet.header + packet.payload)
    }
    /// The answer may be later than the checks and the ClientHello.
    @Test func handshakesOnceSignallingIsThere() throws {
        let pair = try SessionPair()
        pair.tellClient()
        pair.settle()
        #expect(pair.server.selected == pair.here && !pair.server.isKeyed && SessionPair.drops(pair.serverSaid).isEmpty)
        pair.tellServer()
        pair.settle()
        #expect(pair.server.isKeyed && pair.client.isKeyed)
    }
    @Test func keptDatagramsAreBounded() throws {
        let pair = try SessionPair()
        pair.tellClient()
        pair.settle()
        let hello = [22, 254, 253] + [UInt8](repeating: 0, count: 100)
        for _ in 0..<4 { hello.withBytes { pair.server.receive($0, from: pair.here, now: pair.now) } }
        pair.settle()
        #expect(SessionPair.drops(pair.serverSaid) == [.dtlsTooEarly], "one of five, the client's own counted")
        pair.tellServer()
        pair.settle()
        #expect(pair.server.isKeyed)
    }
    @Test func presetKeysNeedNoHandshake() throws {
        let client = SRTPKeys(profile: .aes128CMSHA1_80, localKey: [1], remoteKey: [2]), server = SRTPKeys(profile: .aes128CMSHA1_80, localKey: [2], remoteKey: [1])
        let pair = try SessionPair(presetKeys: (client, server))
        pair.connect()
        #expect(SessionPair.keys(pair.serverSaid) == server && SessionPair.keys(pair.clientSaid) == client)
        pair.run(for: .seconds(120))
        #expect(!pair.server.isClosed && pair.serverSaid.count == 3)
    }

    @Test func staysAliveAndFollowsAMove() throws {
        let pair = try SessionPair()
        pair.connect()
        pair.run(for: .seconds(100))
        #expect(!pair.server.isClosed && !pair.client.isClosed)
        pair.serverSaid.removeAll()
        pair.here = Self.elsewhere
        pair.run(for: .seconds(7))
        #expect(pair.serverSaid == [.validated(Self.elsewhere), .selected(Self.elsewhere)])
    }
    @Test func consentEndsTheSession() throws {
        let pair = try SessionPair()
        pair.connect()
        pair.run(for: .seconds(20))
        pair.isCut = true
        let lastCheckAtTheLatest = pair.now
        pair.run(for: .seconds(23))
        #expect(!pair.server.isClosed, "30 s after a check within the last 6 s")
        pair.run(for: .seconds(7))
        #expect(SessionPair.closed(pair.serverSaid) == .consentExpired && SessionPair.closed(pair.clientSaid) == .consentExpired)
        #expect(pair.now - lastCheckAtTheLatest == .seconds(30))
        #expect(pair.server.deadline == nil && pair.server.takeOutput() == nil)
    }
    @Test func neverConnectingEndsTheSession() throws {
        let pair = try SessionPair()
        #expect(pair.server.deadline == pair.now + PeerSession.Limits.connectTime)
        pair.run(for: .seconds(29))
        #expect(!pair.server.isClosed)
        pair.run(for: .seconds(1))
        #expect(pair.serverSaid == [.closed(.connectTimeout)] && pair.clientSaid == [.closed(.connectTimeout)])
    }
    @Test func restartsWithNewCredentials() throws {
        let pair = try SessionPair()
        pair.connect()
        let fresh = ICECredentials(fragment: "newserver", password: "the-server-s-next-secret"), mine = ICECredentials(fragment: "newclient", password: "the-client-s-next-secret")
        pair.serverSaid.removeAll()
        pair.server.restart(localUfrag: fresh.fragment, localPassword: fresh.password)
        pair.client.restart(localUfrag: mine.fragment, localPassword: mine.password)
        pair.server.setRemote(ufrag: mine.fragment, password: mine.password, fingerprint: DTLSPair.fingerprint(DTLSPair.clientCertificate))
        pair.here = Self.elsewhere
        pair.tellClient(credentials: fresh)
        pair.run(for: .milliseconds(100))
        #expect(pair.serverSaid == [.validated(Self.elsewhere), .selected(Self.elsewhere)], "the association and its keys go on")
        pair.run(for: .seconds(60))
        #expect(!pair.server.isClosed && !pair.client.isClosed)
    }
    @Test func anotherFingerprintEndsTheSession() throws {
        let pair = try SessionPair()
        pair.connect()
        pair.tellServer(fingerprint: Fingerprint(algorithm: .sha256, digest: Array(repeating: 1, count: 32)))
        pair.settle()
        #expect(SessionPair.closed(pair.serverSaid) == .fingerprintChanged && SessionPair.closed(pair.clientSaid) == .remote)
    }
    @Test func aForgedCertificateEndsTheSession() throws {
        let pair = try SessionPair()
        pair.tellServer(fingerprint: Fingerprint(algorithm: .sha256, digest: Array(repeating: 1, count: 32)))
        pair.tellClient()
        pair.settle()
        #expect(SessionPair.closed(pair.serverSaid) == .handshake(.wrongFingerprint))
        #expect(SessionPair.keys(pair.serverSaid) == nil && SessionPair.keys(pair.clientSaid) == nil)
        guard case .handshake = SessionPair.closed(pair.clientSaid) else { Issue.record("the alert tells the client"); return }
    }
    @Test(arguments: [true, false])
    func closingTellsTheOther(clientCloses: Bool) throws {
        let pair = try SessionPair()
        pair.connect()
        (clientCloses ? pair.client : pair.server).close()
        pair.settle()
        #expect(SessionPair.closed(pair.clientSaid) == (clientCloses ? .local : .remote))
        #expect(SessionPair.closed(pair.serverSaid) == (clientCloses ? .remote : .local))
        [0 as UInt8].withBytes { pair.server.receive($0, from: pair.here, now: pair.now) }
        #expect(pair.server.takeOutput() == .dropped(.closed))
        pair.server.close()
        #expect(pair.server.takeOutput() == nil)
    }
    @Test func dropsAreNamed() throws {
        let pair = try SessionPair()
        pair.connect()
        pair.serverSaid.removeAll()
        func drop(_ bytes: [UInt8], from: SocketAddress) -> PeerSessionDrop? {
            bytes.withBytes { pair.server.receive($0, from: from, now: pair.now) }
            var last: PeerSessionDrop?
            while let output = pair.server.takeOutput() { if case .dropped(let reason) = output { last = reason } }
            return last
        }
        #expect(drop([], from: pair.here) == .notForSession)
        #expect(drop([0x80, 0x60], from: pair.here) == .notForSession)
        #expect(drop([0, 1, 2], from: pair.here) == .ice(.malformed(.notSTUN)))
        #expect(drop([22, 254, 253, 0, 0], from: Self.elsewhere) == .dtlsFromUnknownAddress)
        #expect(drop(ICELiteAgentTests.request(.init()), from: pair.here) == .ice(.unknownFragment))
        #expect(drop(ICELiteAgentTests.request(.init(username: "srvrfrag:clntfrag")), from: pair.here) == .ice(.notAuthentic))
        #expect(!pair.server.isClosed)
    }
    /// Datagrams of a real run with bytes changed: no trap, and the session is closed for a named reason or works.
    @Test func survivesMutatedTraffic() throws {
        var random = SplitMix64(seed: 71)
        for _ in 0..<60 {
            let pair = try SessionPair()
            pair.onTheWayUp = { DTLSConnectionTests.mutate($0, &random) }
            pair.connect()
            pair.onTheWayUp = { $0 }
            if let client = SessionPair.keys(pair.clientSaid), let server = SessionPair.keys(pair.serverSaid) { #expect(client.localKey == server.remoteKey) }
            pair.server.close()
            pair.settle()
            #expect(SessionPair.closed(pair.serverSaid) != nil)
        }
    }
}
