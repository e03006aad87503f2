// Control calls between packets: renegotiation, removal, codecs.
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct ControlTests {
    @Test func aRenegotiationKeepsWhatPacketsTaught() {
        let scene = Scene()
        let map = ExtensionMap([.mid: 1])
        let track = scene.audio(mid: "0", ssrc: nil, extensions: map)
        scene.subscribe(track, transport: 1, audio: true)
        var packet = Packet.opus(1, ssrc: 0x31)
        packet.extensions = [(1, Array("0".utf8))]
        #expect(scene.forward(packet).map(\.sequence) == [100])
        scene.router.updateInbound(track, InboundConfiguration(
            transport: 0, kind: .audio, mid: "0", codecs: [PayloadMapping(payloadType: 63, codec: .opus)], extensions: map, encodings: [EncodingDescription()]))
        #expect(scene.receive(.opus(2, ssrc: 0x31)) == .dropped(.unknownPayloadType))
        packet = Packet.opus(3, ssrc: 0x31)
        packet.payloadType = 63
        #expect(scene.forward(packet).map(\.sequence) == [102], "the same stream, without naming itself again")
    }

    @Test func anEncodingIsAddedByRenegotiation() {
        let scene = Scene()
        let track = scene.video(encodings: [EncodingDescription(rid: "l", ssrc: 0xA0)])
        scene.subscribe(track, transport: 1)
        _ = scene.forward(.vp8(1, key: true, ssrc: 0xA0))
        scene.router.updateInbound(track, InboundConfiguration(
            transport: 0, kind: .video, mid: "1", codecs: Scene.videoCodecs, encodings: [EncodingDescription(rid: "l", ssrc: 0xA0), EncodingDescription(rid: "h", ssrc: 0xA1)]))
        #expect(scene.forward(.vp8(2, ssrc: 0xA0)).map(\.sequence) == [101])
        #expect(scene.forward(.vp8(9, key: true, ssrc: 0xA1)).map(\.sequence) == [102])
        #expect(scene.router.statistics(of: track)?.count == 2)
    }

    @Test func aTransportLeavesWithAllItsTracks() {
        let scene = Scene()
        let mine = scene.audio(transport: 1, ssrc: 0x41), other = scene.audio(transport: 2, ssrc: 0x42)
        let toOther = scene.subscribe(mine, transport: 2, audio: true), toMe = scene.subscribe(other, transport: 1, audio: true)
        scene.subscribe(other, transport: 3, audio: true)
        scene.receive(.opus(1, ssrc: 0x41), from: 1)   // waits for a flush that it will not see
        scene.router.removeTransport(1)
        #expect(scene.flush().isEmpty)
        #expect(scene.router.statistics(of: toOther) == nil && scene.router.statistics(of: toMe) == nil)
        scene.receive(.opus(1, ssrc: 0x42), from: 2)
        #expect(scene.media().map(\.transport) == [3])
        scene.router.removeTransport(1)
    }

    @Test func streamNumbersAreUsedAgainWithAnotherSSRC() {
        let scene = Scene()
        let track = scene.audio()
        let first = scene.subscribe(track, transport: 1, audio: true, ssrc: 501)
        scene.subscribe(track, transport: 1, audio: true, ssrc: 502)
        #expect(scene.forward(.opus(1)).map(\.stream) == [0, 2])
        scene.router.removeOutbound(first)
        scene.subscribe(track, transport: 1, audio: true, ssrc: 503)
        let out = scene.forward(.opus(2))
        #expect(out.map(\.stream) == [2, 0] && out.map(\.ssrc) == [502, 503])
    }

    /// The first packet of a key frame and one of another frame, of every codec that is passed through.
    static let pictures: [(codec: Codec, key: [UInt8], delta: [UInt8])] = [
        (.vp8, [0x10, 0x10, 0, 0], [0x10, 0x11, 0, 0]),
        (.vp9, [0x8C, 0x01, 0x82, 0x49], [0xCC, 0x02, 0x86, 0x00]),
        (.h264, [0x67, 0x42, 0xE0, 0x1F], [0x41, 0x9A, 0x00]),
        (.av1, [0x18, 0x0A, 0x0B, 0x00], [0x10, 0x30, 0x00]),
    ]
    @Test(arguments: pictures.indices)
    func everyVideoCodecBeginsWithItsKeyFrame(index: Int) {
        let (codec, key, delta) = Self.pictures[index]
        let scene = Scene()
        let track = scene.router.addInbound(InboundConfiguration(
            transport: 0, kind: .video, codecs: [PayloadMapping(payloadType: 96, codec: codec)], encodings: [EncodingDescription(ssrc: Scene.publisherSSRC)]))
        _ = scene.router.addOutbound(of: track, OutboundConfiguration(transport: 1, sink: .peer(PeerSink(ssrc: 7, codec: codec, payloadType: 50))))
        #expect(scene.forward(Packet(sequence: 1, payload: delta)).isEmpty)
        #expect(scene.forward(Packet(sequence: 2, payload: key)).map(\.payload) == [key])
        #expect(scene.forward(Packet(sequence: 3, payload: delta)).map(\.payload) == [delta])
    }

    @Test func eventsNobodyTakesAreBoundedAndCounted() {
        let scene = Scene()
        _ = scene.video()
        for sequence in 0..<400 { scene.receive(.vp8(UInt16(sequence), key: true)); _ = scene.flush() }
        var count = 0
        while scene.router.takeEvent() != nil { count += 1 }
        #expect(count == RouterEvent.Limits.queued)
        #expect(scene.router.counters.eventsLost == UInt64(401 - count))
    }

    /// Tracks, subscribers and packets at random: no call order breaks the router, and who is subscribed is served.
    @Test(arguments: 0..<8)
    func anyOrderOfControlCallsIsSafe(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let scene = Scene(batch: 3)
        var tracks: [(handle: InboundTrack, ssrc: UInt32, from: Int32)] = [], readers: [(handle: OutboundTrack, track: InboundTrack)] = []
        var nextSSRC: UInt32 = 10_000, sequence: UInt16 = 0
        for _ in 0..<3_000 {
            nextSSRC += 1
            sequence &+= 1
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where tracks.count < 12:
                let from = Int32.random(in: 0..<4, using: &random)
                tracks.append((scene.audio(transport: from, mid: "\(nextSSRC)", ssrc: nextSSRC), nextSSRC, from))
            case 1 where !tracks.isEmpty && Bool.random(using: &random):
                let gone = tracks.remove(at: Int.random(in: 0..<tracks.count, using: &random))
                scene.router.removeInbound(gone.handle)
                readers.removeAll { $0.track == gone.handle }
            case 2, 3:
                guard let track = tracks.randomElement(using: &random), readers.count < 60 else { continue }
                readers.append((scene.subscribe(track.handle, transport: Int32.random(in: 0..<8, using: &random), audio: true, ssrc: nextSSRC), track.handle))
            case 4 where !readers.isEmpty:
                scene.router.removeOutbound(readers.remove(at: Int.random(in: 0..<readers.count, using: &random)).handle)
            case 5: _ = scene.router.flush(into: scene.batch, now: scene.now); scene.batch.removeAll()   // half a flush
            case 6:
                scene.advance(.milliseconds(30))
                scene.router.handleTimeout(now: scene.now)
            default:
                guard let track = tracks.randomElement(using: &random) else { continue }
                _ = scene.flush()
                let sent = scene.receive(.opus(sequence, ssrc: track.ssrc), from: track.from) == .accepted ? scene.media() : []
                #expect(sent.count == readers.count { $0.track == track.handle })
            }
        }
    }
}
