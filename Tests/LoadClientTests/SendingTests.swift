// Frames to packets, retransmission, key frames, reports.
import Primitives
import RTP
import Testing
import WebRTC
@testable import LoadClient

private let second = Instant(nanoseconds: 1_000_000_000)
private let wall = WallTime(seconds: 1_790_000_000)

private func accepted(_ stream: SendStream, rtx: Bool = true) -> OutboundMedia {
    OutboundMedia(
        id: stream.trackID, mid: "c1", payloadType: 96, rtxPayloadType: rtx ? 97 : nil, extensions: ExtensionMap(), ssrc: stream.ssrc, rtxSSRC: rtx ? stream.rtxSSRC : nil, accepted: true)
}
private func header<R>(_ packet: OutgoingPacket, _ body: (RTPHeader) throws -> R) throws -> R {
    try packet.bytes.withUnsafeBytes { try body(RTPHeader.parse($0)) }
}

@Suite struct SendingTests {
    private func video(rtx: Bool = true) -> SendStream {
        var stream = SendStream(trackID: "v", source: SyntheticVideo(VideoShape(framesPerSecond: 25, packetsPerFrame: 3, size: 200)), random: SeededRandom(seed: 1))
        stream.negotiated(accepted(stream, rtx: rtx))
        stream.begin(now: second)
        return stream
    }

    @Test func nothingLeavesBeforeTheNodeAccepts() {
        var stream = SendStream(trackID: "a", source: SyntheticAudio(AudioShape(rate: 50, size: 160)), random: SeededRandom(seed: 1))
        stream.begin(now: second)
        let early = stream.takeDue(now: second, wall: wall)
        #expect(stream.due == nil && early.isEmpty)
        stream.negotiated(accepted(stream))
        #expect(stream.due == second)
    }

    @Test func framesKeepTheirClock() throws {
        var stream = video()
        let first = stream.takeDue(now: second, wall: wall)
        #expect(first.count == 3 && stream.due == second + .milliseconds(40))
        let tooSoon = stream.takeDue(now: second + .milliseconds(39), wall: wall)
        #expect(tooSoon.isEmpty)
        let next = stream.takeDue(now: second + .milliseconds(80), wall: wall)
        #expect(next.count == 6)
        let stamps = try (first + next).map { try header($0) { $0.timestamp } }
        #expect(Set(stamps).count == 3 && stamps[3] &- stamps[0] == 3600 && stamps[6] &- stamps[0] == 7200)
        let markers = try (first + next).map { try header($0) { $0.marker } }
        #expect(markers == [false, false, true, false, false, true, false, false, true])
        let numbers = try (first + next).map { try header($0) { $0.sequence } }
        #expect(numbers == (0..<9).map { numbers[0] &+ UInt16($0) })
    }

    @Test func payloadsCarryDescriptorAndStamp() throws {
        var stream = video()
        let packets = stream.takeDue(now: second, wall: wall) + stream.takeDue(now: second + .milliseconds(40), wall: wall)
        for (index, packet) in packets.enumerated() {
            try header(packet) { header in
                #expect(header.payloadLength == 200)
                let descriptor = try VP8Descriptor.parse(header.payload)
                #expect(descriptor.startsFrame == (index % 3 == 0) && descriptor.isKeyFrame == (index == 0) && descriptor.pictureID == UInt16(index / 3))
                #expect(Stamp(endOf: header.payload) == Stamp(number: UInt32(index), sentAt: wall.microseconds))
            }
        }
    }

    @Test func aRequestBringsAKeyFrameOnce() throws {
        var stream = video()
        _ = stream.takeDue(now: second, wall: wall)
        stream.keyFrameRequested()
        stream.keyFrameRequested()
        _ = stream.takeDue(now: second + .milliseconds(80), wall: wall)
        #expect(stream.counts.keyFrames == 2 && stream.counts.plis == 2)
    }

    @Test func lostPacketsAreSentAgainAsRTX() throws {
        var stream = video()
        let sent = stream.takeDue(now: second, wall: wall)
        let number = try header(sent[1]) { $0.sequence }
        let answer = stream.repair(number)
        let repair = try #require(answer)
        #expect(repair.isRepair)
        let original = Array(sent[1].bytes[12...])
        try header(repair) { header in
            #expect(header.payloadType == 97 && header.ssrc == stream.rtxSSRC && Retransmission.originalSequence(of: header) == number)
            #expect(Array(header.payload[2...]) == original)
        }
        let unknown = stream.repair(number &- 100)
        #expect(unknown == nil)
        #expect(stream.counts.nacks == 2 && stream.counts.nacksMissed == 1 && stream.counts.resent == 1)
    }
    @Test func withoutRTXTheSamePacketGoesAgain() throws {
        var stream = video(rtx: false)
        let sent = stream.takeDue(now: second, wall: wall)
        let answer = try stream.repair(header(sent[2]) { $0.sequence })
        let repair = try #require(answer)
        #expect(!repair.isRepair && repair.bytes == sent[2].bytes)
    }

    @Test func aStalledSourceSkipsAhead() throws {
        var stream = video()
        let first = try header(stream.takeDue(now: second, wall: wall)[0]) { $0.timestamp }
        let late = stream.takeDue(now: second + .seconds(5), wall: wall)
        #expect(late.count <= 3 * 26)
        let last = try header(late.last!) { $0.timestamp }
        #expect(abs(Int(last &- first) - 5 * 90_000) <= 3600)
    }

    @Test func beepAndFlashShareOneClock() throws {
        var beep = SendStream(trackID: "a", source: BeepSource(), random: SeededRandom(seed: 1)), flash = SendStream(trackID: "v", source: FlashSource(), random: SeededRandom(seed: 2))
        beep.negotiated(accepted(beep))
        flash.negotiated(accepted(flash))
        beep.begin(now: second)
        flash.begin(now: second)
        let audio = beep.takeDue(now: second + .milliseconds(990), wall: wall), video = flash.takeDue(now: second + .milliseconds(990), wall: wall)
        #expect(audio.count == 50 && video.count == 25)
        let now = second + .seconds(1)
        let infos = (beep.senderInfo(now: now, wall: wall), flash.senderInfo(now: now, wall: wall))
        let heard = try #require(infos.0), seen = try #require(infos.1)
        // One second after the first frame on both clocks, at one NTP time.
        #expect(try heard.rtpTimestamp &- header(audio[0]) { $0.timestamp } == 48_000)
        #expect(try seen.rtpTimestamp &- header(video[0]) { $0.timestamp } == 90_000)
        #expect(heard.ntp == seen.ntp)
    }

    @Test func framesOfAFileGoRound() throws {
        var frames = try #require(RecordedFrames(codec: .vp8, frames: [
            .init(bytes: [0x10] + [UInt8](repeating: 1, count: 3000), duration: .milliseconds(40)), .init(bytes: [0x11, 2], duration: .milliseconds(40)), .init(bytes: [0x11, 3], duration: .milliseconds(40)),
        ]))
        let first = frames.next(keyFrame: false)
        #expect(first.isKeyFrame && first.payloads.count == 3 && first.payloads.allSatisfy { $0.count <= VP8Payloads.Limits.payloadBytes })
        #expect(first.payloads.flatMap { $0[4...] } == [0x10] + [UInt8](repeating: 1, count: 3000))
        #expect(!frames.next(keyFrame: false).isKeyFrame)
        #expect(frames.next(keyFrame: true).isKeyFrame)
        #expect(frames.nextOffset == .milliseconds(120))
    }

    @Test func filesAreRefusedWithReasons() {
        #expect(throws: FileError.self) { try IVF.frames([], name: "x") }
        #expect(throws: FileError.self) { try IVF.frames(Array("DKIF".utf8) + [UInt8](repeating: 0, count: 40), name: "x") }
        #expect(throws: FileError.self) { try Ogg.frames(Array("OggS".utf8) + [UInt8](repeating: 255, count: 400), name: "x") }
    }
    @Test(arguments: [([0xF8], 20.0), ([0xE0], 2.5), ([0x18], 60), ([0xF9], 40), ([0xFB, 0x03], 60), ([0xFB], nil), ([], nil)] as [([UInt8], Double?)])
    func opusPacketsTellTheirLength(packet: [UInt8], milliseconds: Double?) { #expect(Ogg.duration(packet).map { $0.inSeconds * 1000 } == milliseconds) }
}
