// Loss repair on both sides of the router (RFC 4585 §6.2.1, RFC 4588).
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct RetransmissionTests {
    private func nack(_ scene: Scene, from: TransportIndex = 1, pipeStream: UInt32? = nil, media: UInt32, _ sequences: [UInt16]) {
        scene.receiveRTCP(from: from, pipeStream: pipeStream) { _ = $0.nack(sender: 5, media: media, sequences: sequences) }
    }

    @Test func aSubscriberGetsWhatItMissesByRTX() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        _ = scene.forward(.vp8(10, timestamp: 90, key: true, picture: 1))
        let original = scene.forward(.vp8(11, timestamp: 180, picture: 2, tl0: 1, body: [9, 8, 7]))[0]
        _ = scene.forward(.vp8(12, timestamp: 270, picture: 3))
        nack(scene, media: 1_001, [101])
        let resent = scene.media()
        #expect(resent.count == 1)
        #expect(resent[0].ssrc == 2_001 && resent[0].payloadType == 121 && resent[0].stream == original.stream + 1)
        #expect(resent[0].payload == [0, 101] + original.payload, "the original sequence number, then the original payload")
        #expect(resent[0].timestamp == 180 && resent[0].marker == original.marker)
        scene.advance(.milliseconds(100))
        nack(scene, media: 1_001, [101, 102])
        #expect(scene.media().map(\.sequence) == [resent[0].sequence &+ 1, resent[0].sequence &+ 2], "RTX has numbers of its own")
    }

    @Test func withoutRTXItIsRepeatedByteForByte() {
        let scene = Scene()
        let track = scene.audio(extensions: ExtensionMap([.audioLevel: 1]))
        scene.subscribe(track, transport: 1, audio: true, extensions: ExtensionMap([.mid: 3, .audioLevel: 2]), mid: "a")
        var packet = Packet.opus(20, timestamp: 960)
        packet.extensions = [(1, [0x91])]
        let original = scene.forward(packet)[0]
        // The receiver's report makes later packets shorter; the repeated one must not change: its keystream is the same.
        scene.receiveRTCP(from: 1) { _ = $0.receiverReport(ssrc: 5, blocks: [ForwardingTests.block(1_001)]) }
        nack(scene, media: 1_001, [100])
        #expect(scene.media().map(\.bytes) == [original.bytes])
    }

    @Test func nobodyGetsThePacketTwiceWithinARoundTripNorForEver() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        _ = scene.forward(.vp8(10, key: true))
        nack(scene, media: 1_001, [100])
        nack(scene, media: 1_001, [100])
        #expect(scene.media().count == 1)
        #expect(scene.router.counters.drops(.resendTooSoon) == 1)
        var total = 1
        for _ in 0..<30 {
            scene.advance(.milliseconds(50))
            nack(scene, media: 1_001, [100])
            total += scene.media().count
        }
        #expect(total == 10)
        nack(scene, media: 1_001, [4_000])
        #expect(scene.media().isEmpty)
        #expect(scene.router.counters.drops(.resendUnknown) == 1)
        nack(scene, media: 77, [100])
        #expect(scene.router.counters.drops(.unknownFeedbackTarget) == 1)
    }

    @Test(arguments: [65_534, 32_767, 0] as [UInt16])
    func thePublisherIsAskedAndAnswersByRTX(first: UInt16) {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        _ = scene.forward(.vp8(first, key: true, picture: 1))
        _ = scene.flush()
        #expect(scene.forward(.vp8(first &+ 2, picture: 3)).map(\.sequence) == [102])
        #expect(Feedback(scene.flush()).nacked == [])
        scene.advance(.milliseconds(5))
        #expect(scene.router.deadline! <= scene.now)
        let asked = scene.flush()
        #expect(asked.map(\.transport) == [0] && asked.map(\.kind) == [.rtcp])
        #expect(Feedback(asked).nacked == [first &+ 1])
        #expect(Feedback(asked).cnames == ["router"])
        scene.advance(.milliseconds(10))
        let repeated = Packet.vp8(first &+ 1, timestamp: 5, picture: 2).wrapped(ssrc: Scene.publisherRTX, sequence: 1)
        let out = scene.forward(repeated)
        #expect(out.map(\.sequence) == [101] && out[0].payload == Packet.vp8(first &+ 1, picture: 2).payload)
        #expect(scene.router.counters.recovered == 1)
        #expect(scene.receive(repeated) == .dropped(.duplicate))
        scene.advance(.seconds(1))
        #expect(Feedback(scene.flush()).nacked == [])
    }

    /// What a recording reports as repaired: said where the packet goes on as it came, to pipes and taps, and again by the node behind the pipe.
    @Test func whatCameByRTXSaysSo() {
        let scene = Scene(), far = Scene()
        let track = scene.video()
        for (transport, sink) in [(1, .pipe(streamID: 7)), (2, .tap(tag: 9))] as [(TransportIndex, OutboundConfiguration.Sink)] {
            #expect(scene.router.addOutbound(of: track, OutboundConfiguration(transport: transport, sink: sink)) != nil)
        }
        _ = far.router.addOutbound(of: far.video(transport: 3, origin: .pipe(streamID: 7)), OutboundConfiguration(transport: 2, sink: .tap(tag: 5)))
        let packets = [Packet.vp8(10, key: true), .vp8(12, picture: 2), Packet.vp8(11, picture: 1).wrapped(ssrc: Scene.publisherRTX, sequence: 1), .vp8(11, picture: 1), .vp8(13, picture: 3)]
        var tapped: [UInt16: [Bool]] = [:], journalled: [UInt16: [Bool]] = [:]
        for packet in packets {
            for sent in scene.forward(packet) {
                if sent.kind == .tapRTP { tapped[sent.sequence, default: []].append(sent.isRecovered); continue }
                let crossed = Packet(marker: sent.marker, sequence: sent.sequence, timestamp: sent.timestamp, payload: sent.payload)
                #expect(far.receive(crossed, from: 3, pipeStream: 7, isRecovered: sent.isRecovered) == .accepted)
            }
        }
        for sent in far.media() { journalled[sent.sequence, default: []].append(sent.isRecovered) }
        #expect(tapped == [10: [false], 12: [false], 11: [true], 13: [false]], "the original that comes after its repetition is dropped")
        #expect(journalled == tapped)
    }
    /// A pipe's own repair is no retransmission of the publisher's; and the mark, not the way, is what the far node's reports count by.
    @Test func aPacketSentAgainOverAPipeKeepsItsMark() {
        let scene = Scene()
        _ = scene.router.addOutbound(of: scene.video(), OutboundConfiguration(transport: 1, sink: .pipe(streamID: 7)))
        for packet in [Packet.vp8(10, key: true), .vp8(12), Packet.vp8(11).wrapped(ssrc: Scene.publisherRTX, sequence: 1)] { _ = scene.forward(packet) }
        nack(scene, pipeStream: 7, media: Scene.publisherSSRC, [11, 12])
        #expect(Dictionary(uniqueKeysWithValues: scene.media().map { ($0.sequence, $0.isRecovered) }) == [11: true, 12: false])
    }

    @Test func probesByRTXChangeNothing() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        #expect(scene.receive(Packet.vp8(9).wrapped(ssrc: Scene.publisherRTX, sequence: 1)) == .dropped(.orphanRetransmission))
        _ = scene.forward(.vp8(10, key: true))
        #expect(scene.receive(Packet(payloadType: 97, sequence: 2, ssrc: Scene.publisherRTX, padding: 200)) == .dropped(.emptyRetransmission))
        #expect(scene.receive(Packet.vp8(11).wrapped(ssrc: Scene.publisherRTX, sequence: 3)) == .dropped(.tooOld), "never ahead of the stream")
        #expect(scene.receive(Packet.vp8(10).wrapped(ssrc: Scene.publisherRTX, payloadType: 99, sequence: 4)) == .dropped(.unknownPayloadType))
    }

    @Test func aKeyFrameWhoseFirstPacketIsRepairedIsSentWhole() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        #expect(scene.forward(.vp8(10, picture: 1)).isEmpty)
        // 11 begins the key frame and is lost; 12 to 14 are its rest and the next frame.
        for (sequence, picture) in [(12, 2), (13, 2), (14, 3)] as [(UInt16, UInt16)] {
            #expect(scene.forward(.vp8(sequence, starts: sequence == 14, picture: picture, body: [UInt8(sequence)])).isEmpty)
        }
        let late = scene.forward(Packet.vp8(11, key: true, picture: 2).wrapped(ssrc: Scene.publisherRTX, sequence: 1))
        #expect(late.map(\.sequence) == [100, 101, 102, 103])
        #expect(late.map(\.payload.last) == [3, 12, 13, 14])
        #expect(scene.forward(.vp8(15, picture: 4)).map(\.sequence) == [104])
    }

    @Test func emptyPacketsOfThePublisherLeaveNoHole() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        let pipe = scene.router.addOutbound(of: InboundTrack(slot: 0, generation: 0), OutboundConfiguration(transport: 2, sink: .pipe(streamID: 1)))
        #expect(pipe != nil)
        _ = scene.forward(.vp8(10, key: true))
        let padding = Packet(sequence: 11, ssrc: Scene.publisherSSRC, padding: 100)
        #expect(scene.forward(padding).map(\.kind) == [.pipeRTP], "the other node must not miss a number")
        #expect(scene.forward(.vp8(12)).filter { $0.kind == .rtp }.map(\.sequence) == [101])
        // A late one whose place was kept open is filled, or the subscriber would ask for it in vain.
        _ = scene.forward(.vp8(14))
        let filler = scene.forward(Packet(sequence: 13, ssrc: Scene.publisherSSRC, padding: 50)).filter { $0.kind == .rtp }
        #expect(filler.map(\.sequence) == [102])
        #expect(filler[0].payload.isEmpty && filler[0].header { $0.paddingLength } == 4)
    }

    @Test func aPipeRepairsItselfFromTheSameCache() {
        let near = Scene(), far = Scene()
        let track = near.video()
        _ = near.router.addOutbound(of: track, OutboundConfiguration(transport: 7, sink: .pipe(streamID: 70)))
        let copy = far.video(transport: 3, origin: .pipe(streamID: 70), encodings: [])
        far.subscribe(copy, transport: 1)
        func carry(_ sent: [Sent]) { for packet in sent where packet.kind == .pipeRTP { _ = far.receiveRaw(packet.bytes, from: 3, pipeStream: packet.streamID) } }

        carry(near.forward(.vp8(65_534, key: true, picture: 1)))
        #expect(far.media().map(\.sequence) == [100])
        _ = near.forward(.vp8(65_535, picture: 2, body: [42]))   // lost on the pipe
        carry(near.forward(.vp8(0, picture: 3)))
        #expect(far.media().map(\.sequence) == [102])
        far.advance(.milliseconds(6))
        let asked = far.flush().filter { $0.kind == .pipeRTCP }
        #expect(asked.map(\.transport) == [3] && asked.map(\.streamID) == [70])
        #expect(Feedback(asked).nacked == [65_535])
        asked[0].bytes.withUnsafeBytes {
            near.router.receiveRTCP($0.baseAddress!, length: $0.count, from: 7, pipeStream: 70, receivedAt: near.wall, now: near.now)
        }
        let again = near.media()
        #expect(again.map(\.kind) == [.pipeRTP] && again[0].bytes == Packet.vp8(65_535, picture: 2, body: [42]).bytes)
        carry(again)
        #expect(far.media().map(\.sequence) == [101])
        #expect(far.router.counters.recovered == 1 && near.router.counters.resent == 1)
    }
}
