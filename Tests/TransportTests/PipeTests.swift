// Pipes between two media loops: streams, replay, tampering, strangers.
import CShims
import EventLoop
import Forwarding
import Primitives
import Testing
@testable import Transport

/// Two pipes that face each other.
func joinByPipe(_ a: MediaLoop, _ b: MediaLoop, addressOfB: SocketAddress? = nil, tellsRecovered: Bool = true) async throws -> (Unchecked<PipeTransport>, Unchecked<PipeTransport>) {
    let random = SystemRandom()
    let ab = random.bytes(16), ba = random.bytes(16)
    let (idA, idB) = (try await a.call { a.freeFlowID() }, try await b.call { b.freeFlowID() })
    func add(_ flow: PipeFlow, to loop: MediaLoop) async throws -> Unchecked<PipeTransport> { try await loop.call { Unchecked(try loop.addPipe(flow)) } }
    let pipeA = try await add(PipeFlow(localID: idA, remoteID: idB, remote: addressOfB ?? b.pipeAddress, sendKey: ab, receiveKey: ba, tellsRecovered: tellsRecovered), to: a)
    let pipeB = try await add(PipeFlow(localID: idB, remoteID: idA, remote: a.pipeAddress, sendKey: ba, receiveKey: ab, tellsRecovered: tellsRecovered), to: b)
    return (pipeA, pipeB)
}

/// Hands datagrams on by hand, so that a test may lose, repeat or change them.
final class Wiretap: @unchecked Sendable {
    let socket: DatagramSocket
    let receiver = shim_receiver_new(64, 2048)!
    init() throws { socket = try DatagramSocket(bind: loopback) }
    deinit { shim_receiver_free(receiver) }
    /// What has come, within two seconds at most.
    func take(_ count: Int, loop: UVLoop) async throws -> [[UInt8]] {
        var all: [[UInt8]] = []
        let end = loop.now + .seconds(2)
        while all.count < count {
            let n = Int(shim_receive(receiver, socket.descriptor))
            for i in 0..<max(0, n) {
                let d = shim_receiver_datagrams(receiver)[i]
                all.append(Array(UnsafeRawBufferPointer(start: d.data, count: Int(d.length))))
            }
            if n <= 0 {
                guard loop.now < end else { throw Timeout(what: "\(count) datagrams") }
                try await loop.sleep(for: .milliseconds(1))
            }
        }
        return all
    }
    func send(_ bytes: [UInt8], to address: SocketAddress) {
        var endpoint = socket.endpoint(address)
        _ = bytes.withUnsafeBytes { shim_send_one(socket.descriptor, $0.baseAddress!, UInt32($0.count), &endpoint) }
    }
}

@Suite struct PipeTests {
    @Test func packetsCrossWithTheirTimes() async throws {
        try await withMediaLoops(["a", "b"]) { loops in
            let (a, b) = (loops[0], loops[1])
            let (pipeA, pipeB) = try await joinByPipe(a, b)
            let atB = Collector(), atA = Collector()
            try await b.call { try b.addSink(atB); try b.bindPipeStream(5, of: pipeB.value!, toSink: atB) }
            try await a.call { try a.addSink(atA); try a.bindPipeStream(5, of: pipeA.value!, toSink: atA) }
            let packets = (0..<300).map { rtp(ssrc: 1, payloadType: 96, sequence: UInt16($0), timestamp: 0, payload: [UInt8](repeating: UInt8($0 % 251), count: 1100)) }
            try await a.call {
                for (i, packet) in packets.enumerated() {
                    packet.withUnsafeBytes { a.sendPipe($0, isRTCP: false, stream: 5, receivedAt: Int64(1_000_000 + i), to: pipeA.value!.index) }
                }
            }
            try await b.until("300 packets") { atB.total == 300 }
            let (media, stamps) = try await b.call { (atB.media, atB.packets.map(\.receivedAt)) }
            #expect(media == packets)
            #expect(stamps == (0..<300).map { Int64(1_000_000 + $0) })
            try await b.call { receiverReport(ssrc: 3).withUnsafeBytes { b.sendPipe($0, isRTCP: true, stream: 5, receivedAt: 9, to: pipeB.value!.index) } }
            try await a.until("feedback") { atA.total == 1 }
            let control = try await a.call { atA.control }
            #expect(control == [receiverReport(ssrc: 3)])
            let (sent, received) = (await a.snapshot(), await b.snapshot())
            #expect(sent.pipePacketsOut == 300)
            #expect(received.pipePacketsIn == 300)
            #expect(sent.pipePacketsIn == 1)
            #expect(sent.dropTotal == 0 && received.dropTotal == 0)
            #expect(sent.segmentedOut >= 290)
        }
    }

    @Test func repeatedChangedAndStrangePacketsAreDroppedByReason() async throws {
        try await withMediaLoops(["a", "b"]) { loops in
            let (a, b) = (loops[0], loops[1])
            let wiretap = try Wiretap()
            let (pipeA, pipeB) = try await joinByPipe(a, b, addressOfB: wiretap.socket.address)
            let atB = Collector()
            try await b.call { try b.addSink(atB); try b.bindPipeStream(1, of: pipeB.value!, toSink: atB) }
            let packet = rtp(ssrc: 1, payloadType: 96, sequence: 1, timestamp: 0, payload: [1, 2, 3, 4])
            try await a.call {
                for stream in [1, 1, 2] as [UInt32] { packet.withUnsafeBytes { a.sendPipe($0, isRTCP: false, stream: stream, receivedAt: 0, to: pipeA.value!.index) } }
            }
            let datagrams = try await wiretap.take(3, loop: a.uvLoop)
            #expect(datagrams.allSatisfy { $0.count == packet.count + PipePacket.overhead && $0[0] == PipePacket.magic })
            // Encrypted: the payload is nowhere to be seen.
            #expect(!datagrams[0].indices.contains { datagrams[0][$0...].starts(with: [1, 2, 3, 4]) })
            wiretap.send(datagrams[0], to: b.pipeAddress)
            wiretap.send(datagrams[0], to: b.pipeAddress)
            for i in datagrams[1].indices {
                var changed = datagrams[1]
                changed[i] ^= 0x20
                wiretap.send(changed, to: b.pipeAddress)
            }
            wiretap.send(datagrams[1], to: b.pipeAddress)
            wiretap.send(datagrams[2], to: b.pipeAddress)
            wiretap.send(Array(datagrams[1].prefix(20)), to: b.pipeAddress)
            let all = UInt64(5 + datagrams[1].count)
            try await b.until("\(all) datagrams") { b.counters().datagramsIn == all }
            let counters = await b.snapshot()
            #expect(counters.drops(.pipeReplayed) == 1)
            #expect(counters.drops(.pipeMalformed) == 2, "the magic changed, and a stump")
            #expect(counters.drops(.pipeUnknownFlow) == 4, "a changed flow id")
            #expect(counters.drops(.pipeNotAuthentic) == UInt64(datagrams[1].count - 5))
            #expect(counters.drops(.pipeUnknownStream) == 1)
            let total = try await b.call { atB.total }
            #expect(total == 2)
        }
    }

    @Test func removedPipesAndStreamsTakeNothingMore() async throws {
        try await withMediaLoops(["a", "b"]) { loops in
            let (a, b) = (loops[0], loops[1])
            let (pipeA, pipeB) = try await joinByPipe(a, b)
            let atB = Collector()
            try await b.call { try b.addSink(atB); try b.bindPipeStream(1, of: pipeB.value!, toSink: atB) }
            let packet = rtp(ssrc: 1, payloadType: 96, sequence: 1, timestamp: 0, payload: [1])
            func send() async throws { try await a.call { packet.withUnsafeBytes { a.sendPipe($0, isRTCP: false, stream: 1, receivedAt: 0, to: pipeA.value!.index) } } }
            try await b.call { b.removeSink(atB) }
            try await send()
            try await b.until("unknown stream") { b.counters().drops(.pipeUnknownStream) == 1 }
            try await b.call { b.removePipe(pipeB.value!.index) }
            try await send()
            try await b.until("unknown flow") { b.counters().drops(.pipeUnknownFlow) == 1 }
            try await a.call { a.removePipe(pipeA.value!.index) }
            try await send()
            try await a.until("stale transport") { a.counters().drops(.staleTransport) == 1 }
        }
    }

    @Test func badKeysAndTakenFlowsAreRefused() async throws {
        try await withMediaLoops(["a"]) { loops in
            let a = loops[0]
            try await a.call {
                let key = [UInt8](repeating: 1, count: 16)
                #expect(throws: TransportError.badKey) { _ = try a.addPipe(PipeFlow(id: 1, remote: loopback, sendKey: [1], receiveKey: key)) }
                _ = try a.addPipe(PipeFlow(id: 1, remote: loopback, sendKey: key, receiveKey: key))
                #expect(throws: TransportError.flowTaken(1)) { _ = try a.addPipe(PipeFlow(id: 1, remote: loopback, sendKey: key, receiveKey: key)) }
            }
        }
    }
}
