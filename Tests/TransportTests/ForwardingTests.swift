// Publishers and subscribers through real routers, over loopback: one loop, two loops and a pipe that loses, a tap, and no allocation.
import CAllocationCounter
import CShims
import EventLoop
import Forwarding
import Primitives
import RTP
import Testing
import WebRTC
@testable import Transport

#if DEBUG
private let isOptimised = false
#else
private let isOptimised = true
#endif
private let opus = PayloadMapping(payloadType: 111, codec: .opus)
private let vp8 = PayloadMapping(payloadType: 96, codec: .vp8)

private func audio(_ n: Int, ssrc: UInt32 = 1000, bytes: Int = 100) -> [UInt8] {
    rtp(ssrc: ssrc, payloadType: 111, sequence: UInt16(truncatingIfNeeded: 65_500 + n), timestamp: UInt32(n) &* 960,
        payload: [UInt8(n & 255), UInt8(n >> 8 & 255)] + [UInt8](repeating: 0x5A, count: bytes - 2))
}
/// A one-packet VP8 frame: descriptor with only S set (RFC 7741 §4.2), then a frame header whose lowest bit says "no key frame" (RFC 6386 §9.1).
private func video(_ n: Int, keyFrame: Bool, ssrc: UInt32 = 3000) -> [UInt8] {
    let header: [UInt8] = keyFrame ? [0x10, 0x02, 0, 0, 0x9D, 0x01, 0x2A, 64, 1, 240, 0] : [0x10, 0x01]
    return rtp(ssrc: ssrc, payloadType: 96, sequence: UInt16(truncatingIfNeeded: n), timestamp: UInt32(n) &* 3000,
        payload: header + [UInt8(n & 255), UInt8(n >> 8 & 255)] + [UInt8](repeating: 0x33, count: 900), marker: true)
}
private func number(ofAudio packet: [UInt8]) -> Int { Int(packet[12]) | Int(packet[13]) << 8 }
private func ssrc(of packet: [UInt8]) -> UInt32 { packet[8..<12].reduce(0) { $0 << 8 | UInt32($1) } }
private func sequence(of packet: [UInt8]) -> UInt16 { UInt16(packet[2]) << 8 | UInt16(packet[3]) }
/// Whether a compound RTCP packet asks for a key frame of `ssrc` (RFC 4585 §6.3.1).
private func asksForKeyFrame(_ compound: [UInt8]) -> Bool {
    var at = 0
    while at + 4 <= compound.count {
        if compound[at + 1] == 206, compound[at] & 31 == 1 { return true }
        at += 4 * (1 + Int(compound[at + 2]) << 8 + Int(compound[at + 3]))
    }
    return false
}

private func inbound(_ transport: TransportIndex, _ codec: PayloadMapping, ssrc: UInt32, origin: InboundConfiguration.Origin = .peer) -> InboundConfiguration {
    InboundConfiguration(transport: transport, origin: origin, kind: codec.codec.kind, codecs: [codec], encodings: [EncodingDescription(ssrc: ssrc)])
}
private func outbound(_ transport: TransportIndex, _ codec: PayloadMapping, ssrc: UInt32) -> OutboundConfiguration {
    OutboundConfiguration(transport: transport, sink: .peer(PeerSink(ssrc: ssrc, codec: codec.codec, payloadType: codec.payloadType)))
}

@Suite struct ForwardingTests {
    @Test func aPublishersPacketsReachASubscriber() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let router = try await server.call { Unchecked(try server.makeRouter()) }
            let end = Unchecked(ServerEnd.router(router.value!))
            let atPublisher = Collector(), atSubscriber = Collector()
            let publisher = try await connect(clients, atPublisher, to: server, end)
            let subscriber = try await connect(clients, atSubscriber, to: server, end)
            try await server.call {
                let track = router.value!.addInbound(inbound(publisher.peer, opus, ssrc: 1000))
                _ = router.value!.addOutbound(of: track, outbound(subscriber.peer, opus, ssrc: 2000))
            }
            try await clients.call { for n in 0..<300 { clients.send(audio(n), to: publisher.client) } }
            try await clients.until("300 packets") { atSubscriber.media.count == 300 }
            let media = try await clients.call { atSubscriber.media }
            #expect(media.map(number) == Array(0..<300))
            #expect(media.allSatisfy { ssrc(of: $0) == 2000 })
            #expect(media.map(sequence) == (0..<300).map { sequence(of: media[0]) &+ UInt16($0) })
            // Reports flow without a packet more: a receiver report to the publisher, a sender report to the subscriber.
            try await clients.call { clients.send(audio(300), to: publisher.client) }
            let counters = await server.snapshot()
            #expect(counters.dropTotal == 0, "\(counters.allDrops)")
            #expect(counters.delay.total > 0)
            try await server.call { server.removePeer(subscriber.peer) }
            try await clients.call { clients.send(audio(301), to: publisher.client) }
            try await server.until("two more") { router.value!.counters.rtpIn == 302 }
            let after = await server.snapshot()
            #expect(after.drops(.staleTransport) == 0)
        }
    }

    @Test func videoCrossesALosingPipeWhole() async throws {
        try await withMediaLoops(["a", "b", "clients"]) { loops in
            let (a, b, clients) = (loops[0], loops[1], loops[2])
            let relay = try Wiretap()
            let relayWatch = try await relayLosing(relay, on: clients, to: b.pipeAddress, every: 7)
            defer { clients.loop.post { relayWatch.close() } }
            let (pipeA, pipeB) = try await joinByPipe(a, b, addressOfB: relay.socket.address)
            let routerA = try await a.call { Unchecked(try a.makeRouter()) }, routerB = try await b.call { Unchecked(try b.makeRouter()) }
            let atPublisher = Collector(), atSubscriber = Collector()
            let publisher = try await connect(clients, atPublisher, to: a, Unchecked(.router(routerA.value!)))
            let subscriber = try await connect(clients, atSubscriber, to: b, Unchecked(.router(routerB.value!)))
            try await a.call {
                try a.bindPipeStream(77, of: pipeA.value!, to: routerA.value!)
                let track = routerA.value!.addInbound(inbound(publisher.peer, vp8, ssrc: 3000))
                _ = routerA.value!.addOutbound(of: track, OutboundConfiguration(transport: pipeA.value!.index, sink: .pipe(streamID: 77)))
            }
            try await b.call {
                try b.bindPipeStream(77, of: pipeB.value!, to: routerB.value!)
                let track = routerB.value!.addInbound(inbound(pipeB.value!.index, vp8, ssrc: 3000, origin: .pipe(streamID: 77)))
                _ = routerB.value!.addOutbound(of: track, outbound(subscriber.peer, vp8, ssrc: 4000))
            }
            // Nothing but a key frame may be first; the subscriber's wish for one crosses the pipe to the publisher.
            try await clients.call { for n in 0..<3 { clients.send(video(n, keyFrame: false), to: publisher.client) } }
            try await clients.until("a request for a key frame") { atPublisher.control.contains(where: asksForKeyFrame) }
            try await clients.call { clients.send(video(3, keyFrame: true), to: publisher.client) }
            for start in stride(from: 4, to: 204, by: 20) {
                try await clients.call { for n in start..<start + 20 { clients.send(video(n, keyFrame: n % 50 == 0), to: publisher.client) } }
                try await clients.until("twenty more") { Set(atSubscriber.media.map(sequence)).count >= start - 3 + 18 }
            }
            // A packet that only shows the last gap, then everything is there.
            try await clients.call { for n in 204..<207 { clients.send(video(n, keyFrame: false), to: publisher.client) } }
            try await clients.until("all of them") { Set(atSubscriber.media.map { Int($0[$0.count - 902]) }).isSuperset(of: 3..<204) }
            let media = try await clients.call { atSubscriber.media }
            #expect(media.allSatisfy { ssrc(of: $0) == 4000 })
            let (sent, received) = (await a.snapshot(), await b.snapshot())
            #expect(sent.pipePacketsOut > received.pipePacketsIn, "the relay lost some")
            #expect(received.pipePacketsIn >= 201)
            let resent = try await a.call { routerA.value!.counters.resent }
            #expect(resent >= 20)
        }
    }
    /// Passes datagrams on, all but each n-th.
    private func relayLosing(_ relay: Wiretap, on clients: MediaLoop, to target: SocketAddress, every n: Int) async throws -> FileWatch {
        try await clients.call {
            let passed = Unchecked(0)
            let watch = try clients.uvLoop.watch(relay.socket.descriptor) { _ in
                let count = Int(shim_receive(relay.receiver, relay.socket.descriptor))
                for i in 0..<max(0, count) {
                    let datagram = shim_receiver_datagrams(relay.receiver)[i]
                    passed.value! += 1
                    if passed.value! % n != 0 { relay.send(Array(UnsafeRawBufferPointer(start: datagram.data, count: Int(datagram.length))), to: target) }
                }
            }
            watch.wait(for: .readable)
            return watch
        }
    }

    @Test func aTapGetsOriginalPacketsAndAFullRingIsCounted() async throws {
        try await withMediaLoops(["server", "clients"]) { loops in
            let (server, clients) = (loops[0], loops[1])
            let ring = PacketRing(capacity: 16 << 10)
            let router = try await server.call { Unchecked(try server.makeRouter()) }
            let publisher = try await connect(clients, Collector(), to: server, Unchecked(.router(router.value!)))
            try await server.call {
                let track = router.value!.addInbound(inbound(publisher.peer, opus, ssrc: 1000))
                let tap = try server.addTap(ring)
                _ = router.value!.addOutbound(of: track, OutboundConfiguration(transport: tap, sink: .tap(tag: 9)))
            }
            try await clients.call { for n in 0..<50 { clients.send(audio(n), to: publisher.client) } }
            try await server.until("50 packets") { server.counters().tapPackets == 50 }
            let packets = Unchecked<[[UInt8]]>([]), tags = Unchecked<Set<UInt32>>([])
            _ = ring.drain { entry in
                packets.value!.append(Array(entry.bytes))
                tags.value!.insert(entry.tag)
                return true
            }
            #expect(packets.value == (0..<50).map { audio($0) })
            #expect(tags.value == [9])
            // Nobody drains now: the ring fills, the rest is counted, forwarding is not disturbed.
            try await clients.call { for n in 50..<250 { clients.send(audio(n), to: publisher.client) } }
            try await server.until("250 packets") { server.counters().tapPackets + server.counters().drops(.tapFull) == 250 }
            let counters = await server.snapshot()
            #expect(counters.drops(.tapFull) > 0)
            #expect(counters.drops(.tapFull) == ring.refused)
        }
    }

    /// From the publisher's RTX to the recorder's ring; a far node of an earlier release gets the same packets without the mark, which it would drop.
    @Test(arguments: [true, false]) func aRetransmissionIsToldToTheTapBehindThePipe(isKnownThere: Bool) async throws {
        try await withMediaLoops(["a", "b", "clients"]) { loops in
            let (a, b, clients) = (loops[0], loops[1], loops[2])
            let (pipeA, pipeB) = try await joinByPipe(a, b, tellsRecovered: isKnownThere)
            let routerA = try await a.call { Unchecked(try a.makeRouter()) }, routerB = try await b.call { Unchecked(try b.makeRouter()) }
            let publisher = try await connect(clients, Collector(), to: a, Unchecked(.router(routerA.value!)))
            let ring = PacketRing(capacity: 64 << 10)
            try await a.call {
                try a.bindPipeStream(77, of: pipeA.value!, to: routerA.value!)
                let track = routerA.value!.addInbound(InboundConfiguration(
                    transport: publisher.peer, kind: .video, codecs: [PayloadMapping(payloadType: 96, codec: .vp8, rtxPayloadType: 97)],
                    encodings: [EncodingDescription(ssrc: 3000, rtxSSRC: 3001)]))
                _ = routerA.value!.addOutbound(of: track, OutboundConfiguration(transport: pipeA.value!.index, sink: .pipe(streamID: 77)))
            }
            try await b.call {
                try b.bindPipeStream(77, of: pipeB.value!, to: routerB.value!)
                let track = routerB.value!.addInbound(inbound(pipeB.value!.index, vp8, ssrc: 3000, origin: .pipe(streamID: 77)))
                _ = routerB.value!.addOutbound(of: track, OutboundConfiguration(transport: try b.addTap(ring), sink: .tap(tag: 9)))
            }
            // 5 and 6 are "lost"; 6 comes again by RTX: its payload stands behind its number (RFC 4588 §4).
            let again = rtp(ssrc: 3001, payloadType: 97, sequence: 1, timestamp: 6 * 3000, payload: [0, 6] + video(6, keyFrame: false)[12...], marker: true)
            try await clients.call {
                for n in 0..<10 where n != 5 && n != 6 { clients.send(video(n, keyFrame: n == 0), stream: 0, to: publisher.client) }
                clients.send(again, stream: 1, to: publisher.client)
            }
            try await b.until("nine packets") { b.counters().tapPackets == 9 }
            let marked = Unchecked<[UInt16: Bool]>([:])
            _ = ring.drain { entry in
                guard entry.kind == .rtp else { return true }
                let bytes = Array(entry.bytes)
                #expect(bytes == video(Int(sequence(of: bytes)), keyFrame: sequence(of: bytes) == 0))
                marked.value![sequence(of: bytes)] = entry.isRecovered
                return true
            }
            #expect(marked.value == Dictionary(uniqueKeysWithValues: [0, 1, 2, 3, 4, 6, 7, 8, 9].map { ($0, $0 == 6 && isKnownThere) }))
            let received = await b.snapshot()
            #expect(received.drops(.pipeMalformed) == 0)
        }
    }

    @Test(.enabled(if: isOptimised && allocation_counting_works() != 0, "unoptimised code allocates for closures and literals; ops/test builds release"))
    func forwardingAllocatesNothing() async throws {
        try await withMediaLoops(["server", "far", "publisher", "subscribers"]) { loops in
            let (server, far, publishing, subscribing) = (loops[0], loops[1], loops[2], loops[3])
            let ring = PacketRing()
            let router = try await server.call { Unchecked(try server.makeRouter()) }
            let end = Unchecked(ServerEnd.router(router.value!))
            let publisher = try await connect(publishing, Collector(), to: server, end)
            let sink = Collector()
            sink.keep = false
            var subscribers: [TransportIndex] = []
            for _ in 0..<8 { subscribers.append(try await connect(subscribing, sink, to: server, end).peer) }
            let (pipe, _) = try await joinByPipe(server, far)
            let peers = subscribers
            try await server.call {
                let tracks = [router.value!.addInbound(inbound(publisher.peer, opus, ssrc: 1000)), router.value!.addInbound(inbound(publisher.peer, vp8, ssrc: 3000))]
                for (i, peer) in peers.enumerated() {
                    _ = router.value!.addOutbound(of: tracks[0], outbound(peer, opus, ssrc: 2000 + UInt32(i)))
                    _ = router.value!.addOutbound(of: tracks[1], outbound(peer, vp8, ssrc: 4000 + UInt32(i)))
                }
                let tap = try server.addTap(ring)
                try server.bindPipeStream(1, of: pipe.value!, to: router.value!)
                for (i, track) in tracks.enumerated() {
                    _ = router.value!.addOutbound(of: track, OutboundConfiguration(transport: pipe.value!.index, sink: .pipe(streamID: UInt32(i) + 1)))
                    _ = router.value!.addOutbound(of: track, OutboundConfiguration(transport: tap, sink: .tap(tag: UInt32(i))))
                }
            }
            // The first round registers streams and grows tables; STUN checks may fall into one round, not into all.
            var next = 0
            var best = UInt64.max
            for round in 0..<12 {
                let (allocationsBefore, before) = try await server.call { (allocation_count(), server.counters()) }
                let start = next
                try await publishing.call {
                    for n in start..<start + 200 {
                        publishing.send(audio(n), stream: 0, to: publisher.client)
                        publishing.send(video(n, keyFrame: n % 100 == 0), stream: 1, to: publisher.client)
                    }
                }
                next += 200
                let all = next * 2 * peers.count
                try await subscribing.until("the round") { sink.mediaTotal >= all }
                let (allocationsAfter, after) = try await server.call { (allocation_count(), server.counters()) }
                _ = ring.drain { _ in true }
                #expect(after.datagramsOut - before.datagramsOut >= 400 * 9, "\(after.allDrops)")
                if round > 0 { best = min(best, allocationsAfter - allocationsBefore) }
            }
            // What the two questions themselves ask for is not the packet path's: measured on an idle loop.
            var idle = UInt64.max
            for _ in 0..<5 {
                let before = try await server.call { (allocation_count(), server.counters()) }.0
                idle = min(idle, try await server.call { (allocation_count(), server.counters()) }.0 - before)
            }
            #expect(idle < 16)
            #expect(best <= idle, "\(best) allocations for 4,000 forwarded packets; asking alone makes \(idle)")
        }
    }
}
