// A client with two connections: what it sends by both, and what it makes of what both bring.
import Primitives
import RTP
import Testing
import WebRTC
@testable import LoadClient

@Suite struct HandoverTests {
    private let second = Instant(nanoseconds: 1_000_000_000)
    private let wall = WallTime(seconds: 1_790_000_000)
    private func media(_ outlet: Outlet) -> OutboundMedia {
        OutboundMedia(id: "v", mid: "c", payloadType: 96, rtxPayloadType: 97, extensions: ExtensionMap(), ssrc: outlet.ssrc, rtxSSRC: outlet.rtxSSRC, accepted: true)
    }

    @Test func bothConnectionsCarryTheSameFramesUnderNumbersOfTheirOwn() throws {
        var stream = SendStream(trackID: "v", source: SyntheticVideo(VideoShape(framesPerSecond: 25, packetsPerFrame: 2, size: 200)), random: SeededRandom(seed: 3))
        stream.negotiated(media(stream.outlets[0]))
        stream.begin(now: second)
        #expect(stream.takeDue(now: second, wall: wall).map(\.outlet) == [0, 0])
        stream.addOutlet(4, random: SeededRandom(seed: 9))
        #expect(stream.takeDue(now: second + .milliseconds(40), wall: wall).map(\.outlet) == [0, 0], "the new one is not agreed on yet")
        stream.negotiated(media(stream.outlets[1]), outlet: 4)
        let both = stream.takeDue(now: second + .milliseconds(80), wall: wall)
        #expect(both.map(\.outlet) == [0, 0, 4, 4])
        let numbers = both.map { packet in packet.bytes.withUnsafeBytes { Stamp(endOf: $0)?.number } }
        #expect(numbers == [4, 5, 4, 5])
        let ssrcs = Set(both.map { packet in packet.bytes[8..<12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } })
        #expect(ssrcs == Set(stream.outlets.map(\.ssrc)) && ssrcs.count == 2)
        let sequence = UInt16(both[2].bytes[2]) << 8 | UInt16(both[2].bytes[3])
        #expect(stream.repair(sequence, outlet: 4)?.outlet == 4)
        stream.removeOutlet(0)
        #expect(stream.takeDue(now: second + .milliseconds(120), wall: wall).map(\.outlet) == [4, 4])
        stream.removeOutlet(4)
        #expect(stream.outlets.count == 1, "a track has one at least")
    }

    @Test func aFrameCountsOnceAndAPauseIsTheLongestBeyondTheUsual() {
        var track = TrackContinuity(kind: .video)
        func frame(_ n: UInt32, _ track: inout TrackContinuity, at: Int64) {
            for part in 0..<2 as Range<UInt32> { track.note(Stamp(number: 2 * n + part, sentAt: 0), endsFrame: part == 1, at: at) }
        }
        for n in 0..<10 as Range<UInt32> { frame(n, &track, at: Int64(n) * 40_000) }
        frame(9, &track, at: 365_000)   // by the other connection too
        for n in 10..<20 as Range<UInt32> { frame(n, &track, at: Int64(n) * 40_000 + 90_000) }
        #expect(track.frames == 20 && track.repeated == 1 && track.missing == 0)
        let gap = track.gap(until: 20 * 40_000 + 90_000) ?? 0
        #expect(abs(gap - 90) < 5)
        frame(22, &track, at: 22 * 40_000 + 90_000)
        #expect(track.missing == 4)
        #expect((track.gap(until: 10_000_000) ?? 0) > 8_900, "frames that stopped coming are a pause up to the end")
    }
}
