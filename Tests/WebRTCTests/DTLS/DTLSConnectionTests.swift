// Two associations against each other, datagram by datagram.
import Glibc
import Primitives
import Testing
@testable import WebRTC

/// Both ends, and what they agreed on.
final class DTLSPair {
    static let clientCertificate = try! DTLSCertificate.selfSigned(now: WallTime(seconds: 1_700_000_000))
    static let serverCertificate = try! DTLSCertificate.selfSigned(now: WallTime(seconds: 1_700_000_000))
    static func fingerprint(_ certificate: DTLSCertificate) -> Fingerprint { Fingerprint(algorithm: "sha-256", value: certificate.fingerprint)! }

    let client: DTLSConnection, server: DTLSConnection
    var clientEvents: [DTLSEvent] = [], serverEvents: [DTLSEvent] = []
    /// Every datagram's size, for the bound.
    var longest = 0

    init(serverExpects: Fingerprint = fingerprint(clientCertificate), clientExpects: Fingerprint = fingerprint(serverCertificate)) throws {
        client = try DTLSConnection(certificate: Self.clientCertificate, role: .active, expected: clientExpects)
        server = try DTLSConnection(certificate: Self.serverCertificate, role: .passive, expected: serverExpects)
    }
    func start() -> [[UInt8]] {
        if let event = client.start() { clientEvents.append(event) }
        return client.takeOutgoing()
    }
    func toServer(_ datagrams: [[UInt8]]) -> [[UInt8]] {
        for datagram in datagrams { if let event = datagram.withBytes({ server.receive($0) }) { serverEvents.append(event) } }
        return server.takeOutgoing()
    }
    func toClient(_ datagrams: [[UInt8]]) -> [[UInt8]] {
        for datagram in datagrams { if let event = datagram.withBytes({ client.receive($0) }) { clientEvents.append(event) } }
        return client.takeOutgoing()
    }
    /// Delivers everything until both are silent.
    func run(_ first: [[UInt8]]) {
        var up = first
        for _ in 0..<20 where !up.isEmpty {
            longest = max(longest, up.map(\.count).max() ?? 0)
            let down = toServer(up)
            longest = max(longest, down.map(\.count).max() ?? 0)
            up = toClient(down)
        }
    }
    var clientKeys: SRTPKeys? { clientEvents.compactMap { if case .keyed(let keys) = $0 { keys } else { nil } }.first }
    var serverKeys: SRTPKeys? { serverEvents.compactMap { if case .keyed(let keys) = $0 { keys } else { nil } }.first }
}

@Suite struct DTLSConnectionTests {
    @Test func agreesOnMirroredKeys() throws {
        let pair = try DTLSPair()
        pair.run(pair.start())
        let client = try #require(pair.clientKeys), server = try #require(pair.serverKeys)
        #expect(client.profile == .aeadAES128GCM && client.localKey.count == 28)
        #expect(client.localKey == server.remoteKey && client.remoteKey == server.localKey && client.localKey != client.remoteKey)
        #expect(pair.longest > 0 && pair.longest <= DatagramBIO.Limits.datagramLength)
        #expect(pair.client.deadline(now: .origin) == nil && pair.server.deadline(now: .origin) == nil)
    }

    @Test func aWrongCertificateIsRefused() throws {
        let other = DTLSPair.fingerprint(try DTLSCertificate.selfSigned(now: WallTime(seconds: 1)))
        let byServer = try DTLSPair(serverExpects: other)
        byServer.run(byServer.start())
        #expect(byServer.serverEvents == [.failed(.wrongFingerprint)] && byServer.serverKeys == nil && byServer.clientKeys == nil)
        #expect(byServer.clientEvents.count == 1, "the client is told by an alert")
        let byClient = try DTLSPair(clientExpects: other)
        byClient.run(byClient.start())
        #expect(byClient.clientEvents == [.failed(.wrongFingerprint)] && byClient.serverKeys == nil)
    }
    @Test(arguments: [Fingerprint.Algorithm.sha1, .sha384, .sha512])
    func otherHashesAreTaken(_ algorithm: Fingerprint.Algorithm) throws {
        let fingerprint = try #require(DTLSPair.clientCertificate.fingerprint(algorithm))
        let pair = try DTLSPair(serverExpects: fingerprint)
        pair.run(pair.start())
        #expect(pair.serverKeys != nil && pair.clientKeys != nil)
    }

    /// RFC 6347 §4.2.3: the same ClientHello in fragments, each its own datagram, as browsers with large key shares send it.
    static func fragments(_ hello: [UInt8], at cuts: [Int], sequences: [UInt8]) -> [[UInt8]] {
        let body = Array(hello[25...]), bounds = [0] + cuts + [body.count]
        return zip(bounds, bounds.dropFirst()).enumerated().map { n, range in
            let part = Array(body[range.0..<range.1])
            var out = ByteWriter()
            out.append(hello[0..<3]); out.u16(0); out.u32(0); out.u16(UInt16(sequences[n])) // type, version, epoch, record number
            out.u16(UInt16(part.count + 12))
            out.append(hello[13..<19]) // message type, length, message number
            out.u24(UInt32(range.0)); out.u24(UInt32(part.count))
            out.append(part)
            return out.bytes
        }
    }
    @Test(arguments: [false, true])
    func fragmentedClientHello(swapped: Bool) throws {
        let pair = try DTLSPair()
        let hello = try #require(pair.start().first)
        #expect(hello[0] == 22 && hello[13] == 1, "one ClientHello")
        var parts = Self.fragments(hello, at: [60, 110], sequences: [0, 41, 42])
        if swapped { parts.swapAt(0, 2) }
        #expect(pair.toServer(Array(parts.dropLast())).isEmpty, "not before the last fragment")
        pair.run([parts.last!])
        #expect(pair.clientKeys != nil && pair.clientKeys?.localKey == pair.serverKeys?.remoteKey)
    }

    @Test func lostFlightsAreRepeated() throws {
        let pair = try DTLSPair()
        #expect(!pair.start().isEmpty)
        // OpenSSL's timer reads the system's clock, so this one test waits in real time.
        func wait(_ connection: DTLSConnection) throws -> [[UInt8]] {
            for _ in 0..<100 {
                let deadline = try #require(connection.deadline(now: .origin))
                usleep(UInt32(deadline.nanoseconds / 1000))
                #expect(connection.handleTimeout() == nil)
                let repeated = connection.takeOutgoing()
                if !repeated.isEmpty { return repeated }
            }
            return []
        }
        let lost = pair.toServer(try wait(pair.client)) // the first ClientHello was lost, the server's flight will be
        #expect(!lost.isEmpty)
        let up = pair.toClient(try wait(pair.server))
        #expect(!up.isEmpty)
        let last = pair.toServer(up) // the server's Finished is lost: its keys stand, the client's do not
        #expect(!last.isEmpty && pair.serverKeys != nil && pair.clientKeys == nil)
        pair.run(try wait(pair.client))
        #expect(pair.clientKeys?.remoteKey == pair.serverKeys?.localKey)
    }

    @Test func repeatedAndForeignDatagramsDoNoHarm() throws {
        let pair = try DTLSPair()
        let random = SeededRandom(seed: 51)
        var up = pair.start()
        for _ in 0..<10 where !up.isEmpty {
            for length in [0, 1, 12, 13, 14, 100, 1400] {
                var junk = random.bytes(length)
                if length > 3 { junk.replaceSubrange(0..<3, with: [22, 0xFE, 0xFD]) }
                _ = pair.toServer([junk])
            }
            up = pair.toClient(pair.toServer(up + up))
        }
        #expect(pair.clientKeys != nil && pair.clientKeys?.localKey == pair.serverKeys?.remoteKey)
        #expect(pair.clientEvents.count == 1 && pair.serverEvents.count == 1)
    }

    /// Handshakes with bytes changed on the way end without keys or with the right ones, and never in a trap.
    @Test func survivesMutatedHandshakes() throws {
        var random = SplitMix64(seed: 61)
        for _ in 0..<60 {
            let pair = try DTLSPair()
            var up = pair.start()
            for _ in 0..<8 where !up.isEmpty {
                let down = pair.toServer(up.map { Self.mutate($0, &random) })
                up = pair.toClient(down.map { Self.mutate($0, &random) })
            }
            if let client = pair.clientKeys, let server = pair.serverKeys { #expect(client.localKey == server.remoteKey) }
        }
    }
    static func mutate(_ datagram: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        guard random.next() % 3 == 0 else { return datagram }
        var bytes = datagram
        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
        if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
        return bytes
    }

    @Test func saysGoodbye() throws {
        let pair = try DTLSPair()
        pair.run(pair.start())
        pair.client.close()
        let goodbye = pair.client.takeOutgoing()
        #expect(goodbye.count == 1)
        let answer = pair.toServer(goodbye)
        #expect(pair.serverEvents.last == .closedByPeer && answer.count == 1)
        #expect(pair.toClient(answer).isEmpty && pair.clientEvents.count == 1)
        pair.client.close()
        #expect(pair.client.takeOutgoing().isEmpty)
    }
}
