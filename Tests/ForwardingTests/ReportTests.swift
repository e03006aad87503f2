// Sender and receiver reports (RFC 3550 §6.4).
import Primitives
import RTP
import Testing
@testable import Forwarding

@Suite struct ReportTests {
    /// A sender report of the publisher: its clock shows `ntp` when its timestamps show `timestamp`.
    private func report(_ scene: Scene, ssrc: UInt32 = Scene.publisherSSRC, ntp: Int64, timestamp: UInt32, from: TransportIndex = 0, pipeStream: UInt32? = nil) {
        scene.receiveRTCP(from: from, pipeStream: pipeStream) { _ = $0.senderReport(SenderInfo(
            ssrc: ssrc, ntp: NTPTime(WallTime(seconds: ntp)), rtpTimestamp: timestamp, packetCount: 1, octetCount: 1)) }
    }
    /// Runs the timers for a while; what was sent, with its time in milliseconds.
    private func run(_ scene: Scene, milliseconds: Int, _ step: (Int) -> Void = { _ in }) -> [(at: Int, sent: Sent)] {
        var out: [(Int, Sent)] = []
        for millisecond in 0..<milliseconds {
            step(millisecond)
            if let deadline = scene.router.deadline, deadline <= scene.now { scene.router.handleTimeout(now: scene.now) }
            out += scene.flush().map { (millisecond, $0) }
            scene.advance(.milliseconds(1))
        }
        return out
    }

    @Test func aSubscriberLearnsThePublishersClockOnItsOwnTimestamps() {
        let scene = Scene()
        scene.subscribe(scene.audio(), transport: 1, audio: true)
        _ = scene.forward(.opus(1, timestamp: 48_000))
        #expect(Feedback(run(scene, milliseconds: 500).map(\.sent)).senderReports.isEmpty, "no clock, no report")
        report(scene, ntp: 3_000, timestamp: 48_000)
        let sent = run(scene, milliseconds: 12_000) { if $0 == 250 { scene.receive(.opus(2, timestamp: 60_000)) } }
        let reports = sent.filter { $0.sent.transport == 1 && $0.sent.kind == .rtcp }
        #expect(reports.map(\.at) == [0, 1_000, 6_000, 11_000])
        let infos = Feedback(reports.map(\.sent)).senderReports
        #expect(infos.allSatisfy { $0.ssrc == 1_001 })
        #expect(infos.map { ($0.ntp.wall - WallTime(seconds: 3_000)).inMilliseconds } == [0, 1_000, 6_000, 11_000])
        #expect(infos.map(\.rtpTimestamp) == [48_000, 96_000, 336_000, 576_000])
        #expect(infos.map(\.packetCount) == [1, 2, 2, 2] && infos.map(\.octetCount) == [3, 6, 6, 6])
        #expect(Feedback(reports.map(\.sent)).cnames.allSatisfy { $0 == "alice" })
    }

    @Test func reportsOfOneTransportShareAPacket() {
        let scene = Scene()
        let audio = scene.audio(ssrc: 0x3333), video = scene.video()
        scene.subscribe(audio, transport: 1, audio: true)
        scene.subscribe(video, transport: 1, ssrc: 4_001)
        scene.receive(.opus(1, ssrc: 0x3333))
        scene.receive(.vp8(1, key: true))
        report(scene, ssrc: 0x3333, ntp: 10, timestamp: 5)
        report(scene, ntp: 10, timestamp: 7)
        let packets = scene.flush().filter { $0.kind == .rtcp && $0.transport == 1 }
        #expect(packets.count == 1)
        #expect(Feedback(packets).senderReports.map(\.ssrc).sorted() == [1_001, 4_001])
    }

    @Test func thePublisherIsToldOfLossOnceASecond() {
        let scene = Scene()
        scene.subscribe(scene.video(), transport: 1)
        let sent = run(scene, milliseconds: 3_001) { millisecond in
            // 100 packets a second, every tenth lost and never repeated.
            if millisecond % 10 == 0, millisecond / 10 % 10 != 5 { scene.receive(.vp8(UInt16(millisecond / 10), timestamp: UInt32(millisecond * 90), key: true)) }
        }
        let blocks = sent.filter { $0.sent.transport == 0 }.flatMap { packet in Feedback([packet.sent]).blocks.map { (packet.at, $0) } }
        #expect(blocks.map(\.0) == [1_000, 2_000, 3_000])
        #expect(blocks.allSatisfy { $0.1.ssrc == Scene.publisherSSRC && (24...27).contains($0.1.fractionLost) })
        #expect(blocks.map(\.1.cumulativeLost) == [10, 20, 30])
        #expect(blocks.last?.1.jitter == 0)
    }

    @Test func theRoundTripComesFromTheReceiversAnswers() {
        let scene = Scene()
        let reader = scene.subscribe(scene.audio(), transport: 1, audio: true)
        scene.receive(.opus(1))
        report(scene, ntp: 3_000, timestamp: 0)
        let info = Feedback(scene.flush()).senderReports[0]
        scene.advance(.milliseconds(130))
        scene.receiveRTCP(from: 1) { _ = $0.receiverReport(ssrc: 9, blocks: [ForwardingTests.block(
            1_001, lost: 3, fraction: 25, lsr: info.ntp.middle, dlsr: Duration.milliseconds(100).inCompactNTP)]) }
        let statistics = scene.router.statistics(of: reader)!
        #expect(statistics.fractionLost == 25 && statistics.cumulativeLost == 3)
        #expect(abs(statistics.roundTrip!.inMilliseconds - 30) <= 1)
        // A report on something never sent is no measurement.
        scene.receiveRTCP(from: 1) { _ = $0.receiverReport(ssrc: 9, blocks: [ForwardingTests.block(1_001, lsr: 12_345, dlsr: 0)]) }
        #expect(scene.router.statistics(of: reader)?.roundTrip == statistics.roundTrip)
    }

    @Test func pipesAndTapsGetThePublishersReportAsItIs() {
        let scene = Scene()
        let track = scene.video()
        _ = scene.router.addOutbound(of: track, OutboundConfiguration(transport: 7, sink: .pipe(streamID: 70)))
        _ = scene.router.addOutbound(of: track, OutboundConfiguration(transport: 8, sink: .tap(tag: 80)))
        scene.receive(.vp8(1, key: true))
        _ = scene.flush()
        report(scene, ntp: 4_444, timestamp: 99)
        let at = scene.wall
        scene.advance(.milliseconds(20))
        let passed = scene.flush().filter { $0.kind == .pipeRTCP || $0.kind == .tapRTCP }
        #expect(passed.map(\.kind) == [.pipeRTCP, .tapRTCP] && passed.map(\.streamID) == [70, 80])
        #expect(passed.allSatisfy { $0.receivedAt == at })
        let infos = Feedback(passed).senderReports
        #expect(infos.count == 2 && infos.allSatisfy { $0.ssrc == Scene.publisherSSRC && $0.ntp.wall == WallTime(seconds: 4_444) && $0.rtpTimestamp == 99 })
        #expect(scene.flush().isEmpty, "each once")
    }

    @Test func aPipesFarEndReportsPerStream() {
        let scene = Scene()
        for (id, ssrc) in [(70, 0x7000), (71, 0x7001)] as [(UInt32, UInt32)] {
            let track = scene.video(transport: 3, origin: .pipe(streamID: id), encodings: [])
            scene.subscribe(track, transport: 1, ssrc: ssrc + 1)
            scene.receive(.vp8(1, key: true, ssrc: ssrc), from: 3, pipeStream: id)
        }
        report(scene, ssrc: 0x7001, ntp: 5, timestamp: 6, from: 3, pipeStream: 71)
        let sent = run(scene, milliseconds: 1_100) { millisecond in
            guard millisecond == 500 else { return }
            for (id, ssrc) in [(70, 0x7000), (71, 0x7001)] as [(UInt32, UInt32)] { scene.receive(.vp8(2, ssrc: ssrc), from: 3, pipeStream: id) }
        }.map(\.sent).filter { $0.kind == .pipeRTCP && !Feedback([$0]).blocks.isEmpty }
        #expect(sent.map(\.streamID).sorted() == [70, 71])
        for packet in sent {
            let block = Feedback([packet]).blocks[0]
            #expect(block.ssrc == (packet.streamID == 70 ? 0x7000 : 0x7001))
            #expect((block.lastSenderReport != 0) == (packet.streamID == 71))
        }
    }
}
