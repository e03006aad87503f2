// A publication from another source: transcripts of what one receiver sees when its publisher comes back, or moves, elsewhere.
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct SourceSwitchTests {
    /// The old source on transport 0, the new one on transport 5 with SSRC 0x2222, one subscriber on transport 1.
    final class Handover {
        let scene = Scene()
        let old: InboundTrack
        let new: InboundTrack
        let reader: OutboundTrack
        let frame = Duration.milliseconds(40)
        static let ticks: UInt32 = 3600
        static let newSSRC: UInt32 = 0x2222

        init() {
            old = scene.video()
            new = scene.video(transport: 5, encodings: [EncodingDescription(ssrc: Self.newSSRC)])
            reader = scene.subscribe(old, transport: 1)
        }
        func oldFrame(_ n: UInt16, key: Bool = false) -> Packet { .vp8(n, timestamp: 50_000 + UInt32(n) * Self.ticks, key: key, picture: n) }
        /// The same capture instants on another timestamp base and other sequence numbers.
        func newFrame(_ n: UInt16, key: Bool = false) -> Packet { .vp8(7_000 + n, timestamp: 900_000 + UInt32(n) * Self.ticks, key: key, picture: 300 + n, ssrc: Self.newSSRC) }
        func sent(_ packet: Packet, from: TransportIndex = 0) -> [Sent] {
            scene.receive(packet, from: from)
            return scene.media()
        }
        /// Frames 1…n of the old source, one every 40 ms.
        func run(_ n: UInt16) -> [Sent] {
            (1...n).flatMap { i in
                if i > 1 { scene.advance(frame) }
                return sent(oldFrame(i, key: i == 1))
            }
        }
        /// Both sources report that frame 0 was captured at the same instant.
        func reportClocks() {
            for (transport, ssrc, base) in [(0, Scene.publisherSSRC, 50_000), (5, Self.newSSRC, 900_000)] as [(TransportIndex, UInt32, UInt32)] {
                scene.receiveRTCP(from: transport) { writer in
                    _ = writer.senderReport(
                        SenderInfo(ssrc: ssrc, ntp: NTPTime(WallTime(seconds: 1_700_000_000)), rtpTimestamp: base, packetCount: 1, octetCount: 1),
                        blocks: UnsafeBufferPointer(start: nil, count: 0))
                }
            }
        }
    }

    @Test func oneStreamGoesOnAcrossTheSwitch() {
        let h = Handover()
        var out = h.run(3)
        #expect(h.scene.router.switchSource(h.reader, to: h.new))
        h.scene.advance(h.frame)
        #expect(h.sent(h.newFrame(3), from: 5).isEmpty, "no picture can begin here")
        out += h.sent(h.oldFrame(4))
        #expect(h.scene.router.isSwitching(h.reader))
        h.scene.advance(h.frame)
        out += h.sent(h.newFrame(5, key: true), from: 5)
        #expect(!h.scene.router.isSwitching(h.reader))
        #expect(h.sent(h.oldFrame(5)).isEmpty, "the old source is not looked at any more")
        h.scene.advance(h.frame)
        out += h.sent(h.newFrame(6), from: 5)
        #expect(out.map(\.sequence) == Array(100...105))
        #expect(Set(out.map(\.ssrc)) == [1_001])
        #expect(out.map { $0.timestamp &- out[0].timestamp } == (0...5).map { UInt32($0) * Handover.ticks })
        let pictures = out.map { UInt16($0.payload[2] & 0x7F) << 8 | UInt16($0.payload[3]) }
        #expect(pictures == Array(1...6))
        let counters = h.scene.router.counters
        #expect(counters.sourceSwitches == 1 && counters.framesLostAtSwitch == 0 && counters.switchesAfterSilence == 0)
    }

    @Test func theNewSourceIsAskedForAKeyFrame() {
        let h = Handover()
        _ = h.run(2)
        _ = h.sent(h.newFrame(1), from: 5)
        _ = h.scene.flush()
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.advance(.seconds(1))
        h.scene.router.handleTimeout(now: h.scene.now)
        let asked = h.scene.flush()
        #expect(Feedback(asked.filter { $0.transport == 5 }).plis == 1)
    }

    @Test func aKeyFrameThatIsEarlyWaitsForFramesCapturedBeforeIt() {
        let h = Handover()
        var out = h.run(3)
        h.reportClocks()
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.advance(.milliseconds(90))
        // The new way is faster: frame 6 is here before frames 4 and 5 came the old way.
        out += h.sent(h.newFrame(6, key: true), from: 5)
        #expect(out.count == 3)
        out += h.sent(h.oldFrame(4))
        out += h.sent(h.newFrame(7), from: 5)
        #expect(out.count == 4)
        out += h.sent(h.oldFrame(5))
        #expect(out.count == 7, "5, then what waited: 6 and 7")
        #expect(out.map(\.sequence) == Array(100...106))
        #expect(out.map { $0.timestamp &- out[0].timestamp } == (0...6).map { UInt32($0) * Handover.ticks })
        #expect(h.scene.router.counters.framesLostAtSwitch == 0)
    }

    @Test func framesThatNeverComeAreCountedWhenTheWaitEnds() {
        let h = Handover()
        var out = h.run(3)
        h.reportClocks()
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.advance(.milliseconds(20))
        out += h.sent(h.newFrame(6, key: true), from: 5)
        #expect(out.count == 3)
        for n in 0..<6 as Range<UInt16> {
            h.scene.advance(h.frame)
            // The old source still sends, but what was captured in between stays away.
            h.scene.receive(h.oldFrame(3))
            out += h.sent(h.newFrame(7 + n), from: 5)
        }
        #expect(out.count > 3)
        #expect(h.scene.router.counters.sourceSwitches == 1)
        #expect(h.scene.router.counters.framesLostAtSwitch == 2 || h.scene.router.counters.switchesAfterSilence == 1)
    }

    @Test func afterADeathTheNewSourceIsTakenAtOnce() {
        let h = Handover()
        let before = h.run(3)
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.advance(.milliseconds(900))
        let out = h.sent(h.newFrame(26, key: true), from: 5)
        #expect(out.map(\.sequence) == [103])
        #expect(out[0].timestamp &- before[2].timestamp == 900 * 90, "by arrival: nobody told how the clocks relate")
        let counters = h.scene.router.counters
        #expect(counters.switchesAfterSilence == 1 && counters.framesLostAtSwitch == 0)
    }

    @Test func theOldSourceAnswersForWhatItSent() {
        let h = Handover()
        let out = h.run(3)
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.advance(h.frame)
        let after = h.sent(h.newFrame(4, key: true), from: 5)
        func ask(_ sequence: UInt16) -> [Sent] {
            h.scene.receiveRTCP(from: 1) { _ = $0.nack(sender: 1, media: 1_001, sequences: [sequence]) }
            return h.scene.media()
        }
        #expect(ask(102).map { Array($0.payload.dropFirst(2)) } == [out[2].payload])
        #expect(ask(103).map { Array($0.payload.dropFirst(2)) } == [after[0].payload])
        h.scene.router.removeInbound(h.old)
        #expect(ask(101).isEmpty, "its cache is gone; a packet of the other source is no answer")
        #expect(h.scene.router.counters.drops(.resendUnknown) == 1)
        h.scene.advance(h.frame)
        #expect(h.sent(h.newFrame(5), from: 5).map(\.sequence) == [104])
    }

    @Test func aReaderWhoseSourceGoesGoesOnWithTheNext() {
        let h = Handover()
        _ = h.run(3)
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.router.removeTransport(0)
        #expect(!h.scene.router.isSwitching(h.reader))
        h.scene.advance(h.frame)
        #expect(h.sent(h.newFrame(4), from: 5).isEmpty)
        #expect(h.sent(h.newFrame(5, key: true), from: 5).map(\.sequence) == [103])
    }

    @Test func aNewSourceThatGoesAwayIsForgotten() {
        let h = Handover()
        _ = h.run(3)
        h.scene.router.switchSource(h.reader, to: h.new)
        h.scene.receive(h.newFrame(4, key: true), from: 5)   // waits for a flush
        h.scene.router.removeInbound(h.new)
        h.scene.advance(h.frame)
        #expect(h.sent(h.oldFrame(4)).map(\.sequence) == [103])
        #expect(!h.scene.router.switchSource(h.reader, to: h.new))
    }

    @Test func soundGoesOverWithTheNextPacket() {
        let scene = Scene()
        let old = scene.audio(), new = scene.audio(transport: 5, mid: "9", ssrc: 0x2222)
        let reader = scene.subscribe(old, transport: 1, audio: true)
        var out = scene.forward(.opus(1, timestamp: 960))
        scene.advance(.milliseconds(20))
        out += scene.forward(.opus(2, timestamp: 1_920))
        scene.router.switchSource(reader, to: new)
        scene.advance(.milliseconds(20))
        scene.receive(.opus(900, timestamp: 77_000, ssrc: 0x2222), from: 5)
        out += scene.media()
        #expect(out.map(\.sequence) == [100, 101, 102] && out.map { $0.timestamp &- out[0].timestamp } == [0, 960, 1_920])
    }

    @Test func aTapGetsTheNewSourcesPacketsAsTheyAre() {
        let h = Handover()
        let tap = h.scene.router.addOutbound(of: h.old, OutboundConfiguration(transport: 3, sink: .tap(tag: 8)))!
        h.scene.router.removeOutbound(h.reader)
        _ = h.run(2)
        h.scene.router.switchSource(tap, to: h.new)
        #expect(h.sent(h.newFrame(3), from: 5).isEmpty)
        // What came before the picture could begin is kept all the same, and comes after it.
        let out = h.sent(h.newFrame(4, key: true), from: 5)
        #expect(out.map(\.streamID) == [8, 8] && out.map(\.bytes) == [h.newFrame(4, key: true).bytes, h.newFrame(3).bytes])
        #expect(h.sent(h.newFrame(5), from: 5).map(\.bytes) == [h.newFrame(5).bytes])
    }
    @Test func aTapGetsNothingThatCameWhileTheNewSourceWasMuted() {
        let h = Handover()
        let tap = h.scene.router.addOutbound(of: h.old, OutboundConfiguration(transport: 3, sink: .tap(tag: 8)))!
        h.scene.router.removeOutbound(h.reader)
        _ = h.run(2)
        h.scene.router.switchSource(tap, to: h.new)
        _ = h.sent(h.newFrame(3), from: 5)
        h.scene.router.setMuted(h.new, true)
        _ = h.sent(h.newFrame(4), from: 5)
        h.scene.router.setMuted(h.new, false)
        #expect(h.sent(h.newFrame(5), from: 5).isEmpty)
        #expect(h.sent(h.newFrame(6, key: true), from: 5).map(\.bytes) == [h.newFrame(6, key: true).bytes, h.newFrame(5).bytes])
    }

    @Test func aFlushThatIsCutInTwoSwitchesOnce() {
        let scene = Scene(batch: 1)
        let old = scene.audio(), new = scene.audio(transport: 5, mid: "9", ssrc: 0x2222)
        let readers = (1...3).map { scene.subscribe(old, transport: TransportIndex($0 + 10), audio: true) }
        _ = scene.forward(.opus(1, timestamp: 960))
        for reader in readers { scene.router.switchSource(reader, to: new) }
        scene.receive(.opus(2, timestamp: 1_920))
        scene.receive(.opus(900, timestamp: 77_000, ssrc: 0x2222), from: 5)
        scene.receive(.opus(901, timestamp: 77_960, ssrc: 0x2222), from: 5)
        let out = scene.media()
        #expect(out.map(\.sequence) == [101, 102, 103, 101, 102, 103, 101, 102, 103])
    }
}
