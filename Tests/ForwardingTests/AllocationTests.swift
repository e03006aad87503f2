// The packet path asks for no memory: every kind of packet, reader and report, counted.
import CAllocationCounter
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct AllocationTests {
    /// A packet in a buffer of its own, used again and again: arrays would be counted.
    private struct Raw {
        let base: UnsafeMutableRawPointer
        let length: Int
        init(_ bytes: [UInt8]) {
            base = .allocate(byteCount: 2_048, alignment: 8)
            base.copyMemory(from: bytes, byteCount: bytes.count)
            length = bytes.count
        }
        func set(sequence: UInt16, timestamp: UInt32) {
            base.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
            base.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        }
    }
    private func compound(_ write: (inout RTCPWriter) -> Void) -> Raw {
        var buffer = [UInt8](repeating: 0, count: 1_400)
        let length = buffer.withUnsafeMutableBytes { raw in
            var writer = RTCPWriter(raw)
            write(&writer)
            return writer.count
        }
        return Raw(Array(buffer[..<length]))
    }

    /// Unoptimised code boxes optionals and ranges of its own accord.
    private static var isOptimised: Bool {
        #if DEBUG
        false
        #else
        true
        #endif
    }

    @Test(.enabled(if: allocation_counting_works() != 0 && isOptimised))
    func nothingIsAllocatedPerPacket() {
        let scene = Scene(), router = scene.router, batch = scene.batch
        let map = ExtensionMap([.mid: 1, .audioLevel: 2])
        let audio = scene.audio(transport: 5, ssrc: nil, extensions: map), video = scene.video()
        let copy = scene.video(transport: 6, origin: .pipe(streamID: 9), encodings: [])
        for transport in 1...4 {
            scene.subscribe(audio, transport: Int32(transport), audio: true, extensions: map, mid: "a")
            let reader = scene.subscribe(video, transport: Int32(transport), ssrc: 3_000 + UInt32(transport))
            scene.subscribe(copy, transport: Int32(transport), ssrc: 4_000 + UInt32(transport))
            if transport == 2 { router.setPreferredLayer(reader, LayerPreference(temporal: 0)) }
        }
        _ = router.addOutbound(of: video, OutboundConfiguration(transport: 7, sink: .pipe(streamID: 1)))
        _ = router.addOutbound(of: audio, OutboundConfiguration(transport: 8, sink: .tap(tag: 2)))

        var opus = Packet.opus(0, ssrc: 0x99)
        opus.extensions = [(1, [0x30]), (2, [0x80])]
        let audioPacket = Raw(opus.bytes)
        let key = Raw(Packet.vp8(0, key: true).bytes), delta = Raw(Packet.vp8(0, tid: 1, sync: true).bytes)
        let report = compound { _ = $0.senderReport(SenderInfo(ssrc: Scene.publisherSSRC, ntp: NTPTime(rawValue: 1 << 40), rtpTimestamp: 0, packetCount: 0, octetCount: 0)) }
        let nack = compound { _ = $0.nack(sender: 1, media: 3_001, sequences: [200, 201, 205, 1_000, 1_020]) }
        let block = compound { _ = $0.receiverReport(ssrc: 1, blocks: [ForwardingTests.block(3_001)]) }
        let pli = compound { _ = $0.pli(sender: 1, media: 3_001) }

        var now = scene.now, sent = 0
        func round(_ step: Int) {
            let sequence = UInt16(truncatingIfNeeded: step), picture = step % 100 == 0 ? key : delta
            audioPacket.set(sequence: sequence, timestamp: UInt32(truncatingIfNeeded: step * 960))
            _ = router.receiveRTP(audioPacket.base, length: audioPacket.length, from: 5, receivedAt: 0, now: now)
            if step % 23 != 7 {   // the rest is lost, and asked for
                picture.set(sequence: sequence, timestamp: UInt32(truncatingIfNeeded: step * 3_000))
                _ = router.receiveRTP(picture.base, length: picture.length, from: 0, receivedAt: 0, now: now)
                _ = router.receiveRTP(picture.base, length: picture.length, from: 6, pipeStream: 9, receivedAt: 0, now: now)
            }
            if step % 50 == 3 {
                router.receiveRTCP(report.base, length: report.length, from: 0, receivedAt: 0, now: now)
                router.receiveRTCP(nack.base, length: nack.length, from: 1, receivedAt: 0, now: now)
                router.receiveRTCP(block.base, length: block.length, from: 1, receivedAt: 0, now: now)
                router.receiveRTCP(pli.base, length: pli.length, from: 1, receivedAt: 0, now: now)
            }
            now = now + .milliseconds(10)
            router.handleTimeout(now: now)
            while !router.flush(into: batch, now: now) { sent += batch.count; batch.removeAll() }
            sent += batch.count
            batch.removeAll()
            while router.takeEvent() != nil {}
        }
        for step in 0..<300 { round(step) }
        let before = allocation_count(), sentBefore = sent
        for step in 300..<3_000 { round(step) }
        let allocated = allocation_count() - before
        #expect(allocated == 0)
        #expect(sent - sentBefore > 20_000)
        let counters = router.counters
        #expect(counters.resent > 0 && counters.nacksOut > 0 && counters.keyFrameRequestsOut > 0 && counters.rtcpOut > 50 && counters.drops(.temporalLayer) > 0)
    }
}
