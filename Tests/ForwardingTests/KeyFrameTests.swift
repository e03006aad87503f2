// Who gets which encoding, and when a key frame is asked for.
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct KeyFrameTests {
    @Test func requestsOfManySubscribersAreMerged() {
        let scene = Scene()
        let track = scene.video()
        for transport in 1...20 { scene.subscribe(track, transport: Int32(transport)) }
        scene.receive(.vp8(1, key: true))
        _ = scene.flush()
        scene.advance(.seconds(1))
        for transport in 1...20 { scene.receiveRTCP(from: Int32(transport)) { _ = $0.pli(sender: 1, media: 1_000 + UInt32(transport)) } }
        scene.receiveRTCP(from: 1) { _ = $0.fir(sender: 1, media: 1_001, command: 1) }
        #expect(Feedback(scene.flush()).plis == 1)
        #expect(scene.router.counters.keyFrameRequestsIn == 21)
        scene.advance(.milliseconds(100))
        scene.receive(.vp8(2, key: true))
        scene.receiveRTCP(from: 1) { _ = $0.pli(sender: 1, media: 1_001) }
        #expect(Feedback(scene.flush()).plis == 0, "too soon after the last one")
        scene.advance(.milliseconds(150))
        #expect(Feedback(scene.flush()).plis == 1)
    }

    @Test func pausingAndMutingCloseTheNumbersUpAndResumeAtAKeyFrame() {
        let scene = Scene()
        let track = scene.video(), reader = scene.subscribe(track, transport: 1)
        _ = scene.forward(.vp8(1, timestamp: 0, key: true, picture: 10, tl0: 1))
        scene.router.setPaused(reader, true)
        #expect(scene.forward(.vp8(2, timestamp: 3_000, picture: 11, tl0: 2)).isEmpty)
        scene.router.setPaused(reader, false)
        #expect(scene.forward(.vp8(3, timestamp: 6_000, picture: 12, tl0: 3)).isEmpty)
        let resumed = scene.forward(.vp8(4, timestamp: 9_000, key: true, picture: 13, tl0: 4))
        #expect(resumed.map(\.sequence) == [101] && resumed.map(\.timestamp) == [9_000])
        #expect(Array(resumed[0].payload[2...4]) == [0x80, 11, 2], "picture id and TL0PICIDX go on")
        scene.router.setMuted(track, true)
        #expect(scene.receive(.vp8(5, picture: 14)) == .dropped(.muted))
        #expect(scene.media().isEmpty)
        scene.router.setMuted(track, false)
        #expect(scene.forward(.vp8(6, key: true, picture: 15)).map(\.sequence) == [102])
    }

    @Test func audioGoesOnAtOnceAfterAMute() {
        let scene = Scene()
        let track = scene.audio()
        scene.subscribe(track, transport: 1, audio: true)
        _ = scene.forward(.opus(65_535))
        scene.router.setMuted(track, true)
        for sequence in 0..<500 { scene.receive(.opus(UInt16(sequence))) }
        scene.router.setMuted(track, false)
        #expect(scene.forward(.opus(500)).map(\.sequence) == [101])
    }

    private static let layers = [EncodingDescription(rid: "l", ssrc: 0xA0), EncodingDescription(rid: "m", ssrc: 0xA1), EncodingDescription(rid: "h", ssrc: 0xA2)]

    @Test func simulcastChangesOverAtTheKeyFrameOfTheEncodingWanted() {
        let scene = Scene()
        let track = scene.video(encodings: Self.layers), reader = scene.subscribe(track, transport: 1)
        // All three encodings, with SRs that tie their clocks together: one instant is 1000, 50_000 and 900_000.
        var begun: [Sent] = []
        for (i, base) in [1_000, 50_000, 900_000].enumerated() as EnumeratedSequence<[UInt32]> {
            begun += scene.forward(.vp8(10, timestamp: base, key: i == 0, picture: UInt16(100 * i), tl0: UInt8(i), ssrc: 0xA0 + UInt32(i)))
            scene.receiveRTCP(from: 0) { _ = $0.senderReport(SenderInfo(
                ssrc: 0xA0 + UInt32(i), ntp: NTPTime(WallTime(microseconds: scene.wall)), rtpTimestamp: base, packetCount: 0, octetCount: 0)) }
        }
        #expect(begun.map(\.sequence) == [100] && begun.map(\.timestamp) == [1_000], "the only key frame there was")
        #expect(scene.router.statistics(of: reader)?.encoding == 0)
        _ = scene.flush()

        scene.advance(.milliseconds(100))
        scene.receive(.vp8(11, timestamp: 10_000, picture: 1, tl0: 1, ssrc: 0xA0))
        scene.receive(.vp8(11, timestamp: 909_000, key: true, picture: 201, tl0: 7, ssrc: 0xA2, body: [9]))
        let changed = scene.media()
        #expect(changed.map(\.sequence) == [101, 102])
        #expect(changed.map(\.timestamp) == [10_000, 10_900], "the same instant, a step on")
        #expect(Array(changed[1].payload[2...4]) == [0x80, 2, 2])
        #expect(scene.router.statistics(of: reader)?.encoding == 2)

        scene.router.setPreferredLayer(reader, LayerPreference(spatial: 1))
        scene.advance(.milliseconds(300))   // it was asked for while it was the best there was
        #expect(Feedback(scene.flush()).plis == 1)
        scene.receive(.vp8(12, timestamp: 918_000, picture: 202, ssrc: 0xA2))
        scene.receive(.vp8(12, timestamp: 68_000, key: true, picture: 102, ssrc: 0xA1))
        scene.receive(.vp8(13, timestamp: 927_000, picture: 203, ssrc: 0xA2))
        #expect(scene.media().map(\.timestamp) == [19_900, 19_900 + 900])
    }

    @Test func anEncodingThatFallsSilentIsReplaced() {
        let scene = Scene()
        let track = scene.video(encodings: Self.layers), reader = scene.subscribe(track, transport: 1)
        scene.receive(.vp8(1, key: true, ssrc: 0xA2))
        scene.receive(.vp8(1, key: true, ssrc: 0xA0))
        _ = scene.flush()
        #expect(scene.router.statistics(of: reader)?.encoding == 2)
        for step in 1...12 {
            scene.advance(.milliseconds(100))
            scene.receive(.vp8(UInt16(1 + step), ssrc: 0xA0))
            scene.router.handleTimeout(now: scene.now)
            _ = scene.flush()
        }
        var events: [RouterEvent] = []
        while let event = scene.router.takeEvent() { events.append(event) }
        #expect(events.contains(.silent(track, encoding: 2)))
        #expect(scene.forward(.vp8(14, key: true, ssrc: 0xA0)).count == 1)
        #expect(scene.router.statistics(of: reader)?.encoding == 0)
    }

    @Test func temporalLayersAreLeftOutWithoutHoles() {
        let scene = Scene()
        let track = scene.video(), reader = scene.subscribe(track, transport: 1)
        // Layers 0 2 1 2, two packets a picture.
        let pattern: [(tid: UInt8, sync: Bool)] = [(0, false), (2, true), (1, true), (2, false)]
        var sequence: UInt16 = 65_530, picture: UInt16 = 32_765
        func pictures(_ count: Int) -> [Sent] {
            var out: [Sent] = []
            for _ in 0..<count {
                let layer = pattern[Int(picture &- 32_765) % 4]
                for part in 0..<2 {
                    out += scene.forward(.vp8(
                        sequence, timestamp: UInt32(picture) * 3_000, key: picture == 32_765 && part == 0, starts: part == 0, picture: picture & 0x7FFF, tl0: 5,
                        tid: layer.tid, sync: layer.sync && part == 0, marker: part == 1))
                    sequence &+= 1
                }
                picture &+= 1
            }
            return out
        }
        #expect(pictures(4).count == 8)
        scene.router.setPreferredLayer(reader, LayerPreference(temporal: 0))
        let base = pictures(8)
        #expect(base.count == 4, "every fourth picture")
        #expect(base.map(\.sequence) == [108, 109, 110, 111])
        let ids = base.map { UInt16($0.payload[2] & 0x7F) << 8 | UInt16($0.payload[3]) }
        #expect(ids == [1, 1, 2, 2], "15 bits wrapped, and no picture is missed")
        scene.router.setPreferredLayer(reader, .highest)
        let up = pictures(4)
        #expect(up.map(\.sequence) == Array(112..<120), "up again at the layer sync")
    }
}
