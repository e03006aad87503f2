// Media loops on loopback, and clients for them.
import EventLoop
import Forwarding
import Primitives
import Synchronization
import Testing
import WebRTC
@testable import Transport

let loopback = SocketAddress(host: "127.0.0.1", port: 0)!
let certificate = try! DTLSCertificate.selfSigned(now: WallTime(seconds: 1_790_000_000))

/// A running media loop that ends with the test.
func withMediaLoops<R>(_ names: [String], _ body: ([MediaLoop]) async throws -> R) async throws -> R {
    let random = SystemRandom()
    let loops = try names.map { try MediaLoop(name: $0, bind: loopback, pipeBind: loopback, certificate: certificate, random: random) }
    for loop in loops { loop.uvLoop.start() }
    func end() {
        for loop in loops { loop.loop.post { loop.shutDown() }; loop.uvLoop.stop() }
        for loop in loops { loop.uvLoop.join() }
    }
    do {
        let result = try await body(loops)
        end()
        return result
    } catch {
        end()
        throw error
    }
}

struct Timeout: Error { let what: String }

extension MediaLoop {
    /// Runs `body` on the loop and waits for its result.
    func call<R>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
        let box = Unchecked<R>()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            loop.post {
                do {
                    box.value = try body()
                    continuation.resume()
                } catch { continuation.resume(throwing: error) }
            }
        }
        return box.value!
    }
    /// Waits until `condition` holds on the loop; looks once a millisecond, gives up after ten seconds.
    func until(_ what: String, _ condition: @escaping @Sendable () -> Bool) async throws {
        let end = loop.now + .seconds(10)
        while true {
            let holds = try await call(condition)
            if holds { return }
            guard loop.now < end else { throw Timeout(what: what) }
            try await loop.sleep(for: .milliseconds(1))
        }
    }
}

/// Carries a loop-confined value through the test, which hands it back to the same loop.
final class Unchecked<Value>: @unchecked Sendable {
    var value: Value?
    init(_ value: Value? = nil) { self.value = value }
}

/// Gathers what arrives. Confined to its loop.
final class Collector: PacketSink, @unchecked Sendable {
    struct Packet { var bytes: [UInt8]; var isRTCP: Bool; var receivedAt: Int64; var from: TransportIndex }
    var packets: [Packet] = []
    var keep = true
    var total = 0
    var mediaTotal = 0
    func receive(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, from: TransportIndex, receivedAt: Int64, now: Instant) {
        total += 1
        if !isRTCP { mediaTotal += 1 }
        if keep { packets.append(Packet(bytes: Array(packet), isRTCP: isRTCP, receivedAt: receivedAt, from: from)) }
    }
    var media: [[UInt8]] { packets.filter { !$0.isRTCP }.map(\.bytes) }
    var control: [[UInt8]] { packets.filter(\.isRTCP).map(\.bytes) }
}

/// What happened to one peer.
final class EventLog: @unchecked Sendable {
    var events: [PeerEvent] = []
    var isConnected: Bool { events.contains { if case .connected = $0 { true } else { false } } }
    var closed: CloseReason? { events.lazy.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }.first }
}

/// A client on `clients` and its peer at `server`, connected by ICE and DTLS over loopback.
struct Connection {
    let client: TransportIndex
    let clientLog: EventLog
    let peer: TransportIndex
    let peerLog: EventLog
}

enum ServerEnd { case router(RouterCore), sink(any PacketSink) }

func connect(
    _ clients: MediaLoop, _ sink: Collector, to server: MediaLoop, _ end: Unchecked<ServerEnd>, from socket: SocketAddress = loopback, awaiting: Bool = true
) async throws -> Connection {
    let random = SystemRandom()
    let near = ICECredentials.random(random), far = ICECredentials.random(random)
    let peerLog = EventLog(), clientLog = EventLog()
    let peer = try await server.call {
        let configuration = PeerSessionConfiguration(role: .server, localUfrag: far.fragment, localPassword: far.password, certificate: certificate)
        let index = switch end.value! {
        case .router(let router): try server.addPeer(router: router, configuration: configuration) { peerLog.events.append($0) }
        case .sink(let sink): try server.addPeer(sink: sink, configuration: configuration) { peerLog.events.append($0) }
        }
        try server.setRemote(index, ufrag: near.fragment, password: near.password, fingerprintAlgorithm: "sha-256", fingerprint: certificate.fingerprint)
        return index
    }
    let client = try await clients.call {
        try? clients.addSink(sink)
        let configuration = PeerSessionConfiguration(role: .client, localUfrag: near.fragment, localPassword: near.password, certificate: certificate)
        let index = try clients.addPeer(sink: sink, configuration: configuration, ownSocket: socket) { clientLog.events.append($0) }
        try clients.setRemote(index, ufrag: far.fragment, password: far.password, fingerprintAlgorithm: "sha-256", fingerprint: certificate.fingerprint)
        try clients.addRemoteCandidate(index, server.address)
        return index
    }
    if awaiting {
        try await clients.until("client connected") { clientLog.isConnected }
        try await server.until("server connected") { peerLog.isConnected }
    }
    return Connection(client: client, clientLog: clientLog, peer: peer, peerLog: peerLog)
}

/// A plain RTP packet with a payload that tells its number.
func rtp(ssrc: UInt32, payloadType: UInt8, sequence: UInt16, timestamp: UInt32, payload: [UInt8], marker: Bool = false) -> [UInt8] {
    var writer = ByteWriter(capacity: 12 + payload.count)
    writer.u8(0x80)
    writer.u8(payloadType | (marker ? 0x80 : 0))
    writer.u16(sequence)
    writer.u32(timestamp)
    writer.u32(ssrc)
    writer.append(payload)
    return writer.bytes
}
/// An empty receiver report.
func receiverReport(ssrc: UInt32) -> [UInt8] { [0x80, 201, 0, 1] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ssrc >> $0) } }

extension MediaLoop {
    func send(_ packet: [UInt8], stream: Int32 = 0, to index: TransportIndex) {
        packet.withUnsafeBytes { sendRTP($0, headerLength: 12, stream: stream, to: index) }
    }
}
