// The first screen: a packet from a publisher reaches its subscribers, rewritten.
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct ForwardingTests {
    @Test func aSubscriberSeesItsOwnSSRCNumbersAndPayloadType() {
        let scene = Scene()
        let track = scene.audio()
        scene.subscribe(track, transport: 1, audio: true)
        scene.subscribe(track, transport: 2, audio: true)
        let out = scene.forward(.opus(5_000, timestamp: 77, body: [1, 2, 3, 4]))
        #expect(out.count == 2)
        #expect(out.map(\.transport) == [1, 2])
        #expect(out.map(\.ssrc) == [1_001, 1_002])
        #expect(out.map(\.sequence) == [100, 100])
        #expect(out.map(\.payloadType) == [109, 109])
        #expect(out.map(\.timestamp) == [77, 77])
        #expect(out.allSatisfy { $0.payload == [1, 2, 3, 4] && $0.kind == .rtp && $0.receivedAt == scene.wall })
    }

    @Test(arguments: [0, 1, 32_767, 32_768, 65_534, 65_535] as [UInt16])
    func numbersStayInStepWhereverThePublisherBegins(first: UInt16) {
        let scene = Scene()
        scene.subscribe(scene.audio(), transport: 1, audio: true)
        var out: [UInt16] = []
        for step in [0, 1, 2, 4, 3, 7] as [UInt16] { out += scene.forward(.opus(first &+ step)).map(\.sequence) }
        #expect(out == [100, 101, 102, 104, 103, 107])
        #expect(scene.receive(.opus(first &+ 4)) == .dropped(.duplicate))
    }

    @Test func aBatchIsOrderedPerSubscriber() {
        let scene = Scene()
        let track = scene.audio()
        for transport in 1...3 { scene.subscribe(track, transport: Int32(transport), audio: true) }
        for sequence in 0..<5 { scene.receive(.opus(UInt16(sequence))) }
        let out = scene.media()
        #expect(out.map(\.transport) == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3])
        #expect(out.map(\.sequence) == [100, 101, 102, 103, 104, 100, 101, 102, 103, 104, 100, 101, 102, 103, 104])
    }

    @Test(arguments: [1, 2, 7, 64])
    func aFullBatchIsGoneOnWith(capacity: Int) {
        let scene = Scene(batch: capacity)
        let track = scene.audio(), other = scene.audio(transport: 9, ssrc: 0x2222)
        for transport in 1...5 {
            scene.subscribe(track, transport: Int32(transport), audio: true)
            scene.subscribe(other, transport: Int32(transport), audio: true, ssrc: 3_000 + UInt32(transport))
        }
        for sequence in 0..<6 {
            scene.receive(.opus(UInt16(sequence)))
            scene.receive(.opus(UInt16(sequence), ssrc: 0x2222), from: 9)
        }
        let out = scene.media()
        #expect(out.count == 60)
        for transport in 1...5 {
            let mine = out.filter { $0.transport == Int32(transport) }
            #expect(mine.filter { $0.ssrc < 3_000 }.map(\.sequence) == Array(100..<106))
            #expect(mine.filter { $0.ssrc >= 3_000 }.map(\.sequence) == Array(100..<106))
        }
        #expect(Set(out.map { "\($0.transport)/\($0.stream)" }).count == 10, "each stream of a transport has its own number")
        #expect(scene.flush().isEmpty)
    }

    @Test func videoBeginsWithAKeyFrameThatIsAskedForOnce() {
        let scene = Scene()
        let track = scene.video()
        scene.subscribe(track, transport: 1)
        #expect(scene.forward(.vp8(10, picture: 5)).isEmpty)
        #expect(scene.router.counters.drops(.awaitingKeyFrame) == 1)
        #expect(scene.router.counters.keyFrameRequestsOut == 1)
        #expect(scene.forward(.vp8(11, key: true, picture: 6)).map(\.sequence) == [100])
        #expect(scene.forward(.vp8(12, picture: 7)).map(\.sequence) == [101])
        #expect(scene.forward(.vp8(10, picture: 5)).isEmpty, "from before the stream began")
    }

    @Test func extensionsGetTheSubscribersIdsAndMIDUntilItReports() {
        let scene = Scene()
        let track = scene.audio(extensions: ExtensionMap([.mid: 4, .audioLevel: 1, .absSendTime: 3]))
        scene.subscribe(track, transport: 1, audio: true, extensions: ExtensionMap([.mid: 9, .audioLevel: 2]), mid: "m1")
        var packet = Packet.opus(1)
        packet.extensions = [(4, Array("0".utf8)), (3, [1, 2, 3]), (1, [0x85])]
        let first = scene.forward(packet)[0]
        #expect(first.extensionValue(2) == [0x85])
        #expect(first.extensionValue(9) == Array("m1".utf8))
        #expect(first.extensionValue(3) == nil && first.extensionValue(4) == nil)
        #expect(first.payload == [7, 7, 7])
        scene.receiveRTCP(from: 1) { _ = $0.receiverReport(ssrc: 5, blocks: [Self.block(1_001)]) }
        packet.sequence = 2
        let second = scene.forward(packet)[0]
        #expect(second.extensionValue(2) == [0x85])
        #expect(second.extensionValue(9) == nil)
    }

    @Test func aTwoByteIdUsesTheTwoByteForm() {
        let scene = Scene()
        let track = scene.audio(extensions: ExtensionMap([.audioLevel: 1]))
        scene.subscribe(track, transport: 1, audio: true, extensions: ExtensionMap([.audioLevel: 20]))
        var packet = Packet.opus(1)
        packet.extensions = [(1, [0x07])]
        let out = scene.forward(packet)[0]
        #expect(out.extensionValue(20) == [0x07])
        #expect(out.header { $0.extensionProfile } == RTPHeader.twoByteProfile)
    }

    @Test func pipesAndTapsGetTheOriginal() {
        let scene = Scene()
        let track = scene.video()
        _ = scene.router.addOutbound(of: track, OutboundConfiguration(transport: 7, sink: .pipe(streamID: 70)))
        _ = scene.router.addOutbound(of: track, OutboundConfiguration(transport: 8, sink: .tap(tag: 80)))
        let packet = Packet.vp8(40, timestamp: 9, picture: 3)
        let out = scene.forward(packet)
        #expect(out.map(\.kind) == [.pipeRTP, .tapRTP])
        #expect(out.map(\.streamID) == [70, 80])
        #expect(out.allSatisfy { $0.bytes == packet.bytes && $0.receivedAt == scene.wall })
    }

    @Test func aRemovedSubscriberGetsNothingAndItsHandleIsDead() {
        let scene = Scene()
        let track = scene.audio()
        let first = scene.subscribe(track, transport: 1, audio: true)
        scene.subscribe(track, transport: 2, audio: true)
        scene.router.removeOutbound(first)
        #expect(scene.forward(.opus(1)).map(\.transport) == [2])
        let again = scene.subscribe(track, transport: 3, audio: true)
        #expect(again != first)
        scene.router.removeOutbound(first)
        #expect(scene.forward(.opus(2)).map(\.transport) == [2, 3])
        scene.router.removeInbound(track)
        #expect(scene.receive(.opus(3)) == .dropped(.unknownStream))
        #expect(scene.router.statistics(of: again) == nil)
        #expect(scene.router.addOutbound(of: track, OutboundConfiguration(transport: 1, sink: .tap(tag: 1))) == nil)
    }

    static func block(_ ssrc: UInt32, lost: Int32 = 0, fraction: UInt8 = 0, lsr: UInt32 = 0, dlsr: UInt32 = 0) -> ReportBlock {
        ReportBlock(ssrc: ssrc, fractionLost: fraction, cumulativeLost: lost, highestSequence: 0, jitter: 0, lastSenderReport: lsr, delaySinceLastSenderReport: dlsr)
    }
}
