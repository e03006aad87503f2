// SSRCs nobody announced, codecs, and what does not belong (RFC 8843 §9.2, RFC 8852).
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct LearningTests {
    static let map = ExtensionMap([.mid: 1, .rid: 2, .repairedRid: 3])

    private func named(_ packet: Packet, mid: String, rid: String? = nil, repaired: String? = nil) -> Packet {
        var packet = packet
        packet.extensions = [(1, Array(mid.utf8))]
        if let rid { packet.extensions.append((2, Array(rid.utf8))) }
        if let repaired { packet.extensions.append((3, Array(repaired.utf8))) }
        return packet
    }

    @Test func MIDAndRIDNameTheEncodingAndItsRTX() {
        let scene = Scene()
        let track = scene.video(mid: "v", extensions: Self.map, encodings: [EncodingDescription(rid: "lo"), EncodingDescription(rid: "hi")])
        scene.subscribe(track, transport: 1)
        #expect(scene.receive(named(.vp8(1, key: true, ssrc: 0x51), mid: "x", rid: "hi")) == .dropped(.unknownStream))
        #expect(scene.receive(named(.vp8(1, key: true, ssrc: 0x51), mid: "v", rid: "no")) == .dropped(.unknownStream))
        #expect(scene.receive(.vp8(1, key: true, ssrc: 0x51)) == .dropped(.unknownStream), "two encodings, no RID")
        #expect(scene.receive(named(.vp8(1, key: true, ssrc: 0x51), mid: "v", rid: "hi")) == .accepted)
        #expect(scene.receive(.vp8(3, ssrc: 0x51)) == .accepted, "known by its SSRC from now on")
        #expect(scene.receive(named(Packet.vp8(2, ssrc: 0x51).wrapped(ssrc: 0x52, sequence: 9), mid: "v", repaired: "hi")) == .accepted)
        #expect(scene.media().map(\.sequence) == [100, 102, 101])
        #expect(scene.router.statistics(of: track)?.map(\.ssrc) == [nil, 0x51])
        var events: [RouterEvent] = []
        while let event = scene.router.takeEvent() { events.append(event) }
        #expect(events == [.ssrcLearned(track, encoding: 1, ssrc: 0x51), .active(track, encoding: 1), .keyFrame(track, encoding: 1)])
    }

    @Test func withoutMIDThePayloadTypeDecidesIfItCan() {
        let scene = Scene()
        let audio = scene.audio(mid: "a", ssrc: nil)
        _ = scene.video(mid: "v", encodings: [])
        #expect(scene.receive(.opus(1, ssrc: 0x61)) == .accepted)
        #expect(scene.router.statistics(of: audio)?.first?.ssrc == 0x61)
        _ = scene.video(mid: "v2", encodings: [])
        #expect(scene.receive(.vp8(1, ssrc: 0x62)) == .dropped(.unknownStream), "two video tracks take it")
        #expect(scene.receive(Packet(payloadType: 50, ssrc: 0x63)) == .dropped(.unknownStream))
        #expect(scene.receive(Packet(payloadType: 50, ssrc: 0x61, payload: [1])) == .dropped(.unknownPayloadType))
        #expect(scene.receive(.opus(1, ssrc: 0x61), from: 5) == .dropped(.unknownStream), "another peer's SSRC")
    }

    @Test func aNewSSRCGoesOnInTheSubscribersNumbers() {
        let scene = Scene()
        let track = scene.audio(mid: "a", extensions: Self.map)
        scene.subscribe(track, transport: 1, audio: true)
        _ = scene.forward(named(.opus(65_000, timestamp: 1_000), mid: "a"))
        scene.advance(.milliseconds(20))
        let changed = scene.forward(named(.opus(7, timestamp: 900_000, ssrc: 0x71), mid: "a"))
        #expect(changed.map(\.sequence) == [101] && changed.map(\.timestamp) == [1_000 + 960])
        #expect(scene.receive(named(.opus(65_001, timestamp: 1_960), mid: "a")) == .accepted, "audio may go back at once")
        #expect(scene.media().map(\.sequence) == [102])
    }

    @Test func aVideoSSRCThatChangesNeedsAKeyFrameAndIgnoresStragglers() {
        let scene = Scene()
        let track = scene.video(origin: .pipe(streamID: 4), encodings: [])
        scene.subscribe(track, transport: 1)
        scene.receive(.vp8(1, key: true, ssrc: 0x81), pipeStream: 4)
        scene.receive(.vp8(50, ssrc: 0x82), pipeStream: 4)
        #expect(scene.receive(.vp8(2, ssrc: 0x81), pipeStream: 4) == .dropped(.tooOld), "a straggler of the old one")
        #expect(scene.media().map(\.sequence) == [100])
        #expect(scene.router.counters.keyFrameRequestsOut == 1)
        scene.receive(.vp8(51, key: true, ssrc: 0x82), pipeStream: 4)
        scene.receive(.vp8(3, key: true, ssrc: 0x81), pipeStream: 4)
        #expect(scene.media().map(\.sequence) == [101, 102], "a key frame takes it back")
    }

    @Test func aRestartOfTheNumbersGoesOnToo() {
        let scene = Scene()
        scene.subscribe(scene.audio(), transport: 1, audio: true)
        _ = scene.forward(.opus(100))
        #expect(scene.receive(.opus(30_000)) == .dropped(.sequenceJump))
        #expect(scene.forward(.opus(30_001)).map(\.sequence) == [101])
        #expect(scene.forward(.opus(30_002)).map(\.sequence) == [102])
    }

    @Test func anotherCodecIsNotSentUnderTheWrongPayloadType() {
        let scene = Scene()
        let track = scene.router.addInbound(InboundConfiguration(
            transport: 0, kind: .video, codecs: [PayloadMapping(payloadType: 96, codec: .vp8), PayloadMapping(payloadType: 45, codec: .av1)],
            encodings: [EncodingDescription(ssrc: Scene.publisherSSRC)]))
        scene.subscribe(track, transport: 1)
        #expect(scene.forward(.vp8(1, key: true)).count == 1)
        #expect(scene.forward(Packet(payloadType: 45, sequence: 2, payload: [0x18, 0x0A, 1])).isEmpty)
        #expect(scene.router.counters.drops(.codecMismatch) == 1)
    }

    @Test func garbageIsCountedAndHurtsNobody() {
        let scene = Scene()
        let track = scene.video(extensions: Self.map)
        scene.subscribe(track, transport: 1)
        var random = SplitMix64(seed: 7)
        for _ in 0..<20_000 {
            var bytes = Packet.vp8(UInt16.random(in: 0...9, using: &random), key: true).bytes
            for _ in 0..<Int.random(in: 0...6, using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            if Bool.random(using: &random) { _ = scene.receiveRaw(bytes) } else {
                bytes.withUnsafeBytes { raw in
                    guard let base = raw.baseAddress else { return }
                    scene.router.receiveRTCP(base, length: raw.count, from: Int32.random(in: 0...1, using: &random), receivedAt: 0, now: scene.now)
                }
            }
            if Int.random(in: 0..<16, using: &random) == 0 { _ = scene.flush(); scene.advance(.milliseconds(3)) }
        }
        let counters = scene.router.counters
        #expect(counters.drops(.malformed) > 0 && counters.drops(.malformedRTCP) > 0 && counters.drops(.unknownStream) > 0)
    }

    @Test func aFloodBetweenTwoFlushesIsBounded() {
        let scene = Scene()
        scene.subscribe(scene.audio(), transport: 1, audio: true)
        var accepted = 0
        for sequence in 0..<1_000 { if scene.receive(.opus(UInt16(sequence))) == .accepted { accepted += 1 } }
        #expect(accepted == InboundTrackState.Limits.arrivals)
        #expect(scene.media().count == accepted)
        scene.receive(.opus(1_000))
        #expect(scene.media().map(\.sequence) == [1_100])
    }
}
