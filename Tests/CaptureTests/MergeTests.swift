import Primitives
import RTP
import Testing
@testable import Capture

@Suite struct SequenceMerging {
    /// Order and numbers hold at every seam of the 16-bit circle.
    @Test(arguments: [0, 1, 32_767, 32_768, 65_534, 65_535] as [UInt16])
    func numbersNeverWrap(first: UInt16) {
        let pinned = Pinned()
        let items: [(Int64, [UInt8])] = (0..<10).map { (Int64($0) * 1000, rtp(first &+ UInt16($0), UInt32($0) * 3000, VP8Sample.inter)) }
        let shuffled = [0, 2, 1, 3, 5, 4, 9, 7, 8, 6].map { items[$0] }
        let got = evidence(pinned, shuffled)
        #expect(got.streams.count == 1)
        let start = 1 << 16 | UInt64(first)
        let sequences: [UInt64] = (0..<10).map { start + UInt64($0) }
        let timestamps: [UInt64] = (0..<10).map { (UInt64(1) << 32) + UInt64($0) * 3000 }
        #expect(got.packets[0].map(\.sequence) == sequences)
        #expect(got.packets[0].map(\.timestamp) == timestamps)
    }

    @Test func duplicatesOfTwoWritersAreDropped() {
        let pinned = Pinned()
        let items: [(Int64, [UInt8])] = (0..<6 as Range<UInt16>).map { (Int64($0) * 1000, rtp($0, UInt32($0), VP8Sample.inter)) }
        let got = evidence(pinned, items + items.dropFirst(2))
        #expect(got.packets[0].count == 6 && got.counts.duplicates == 4)
        #expect(LossLedger.holes(got.evidence, until: nil).isEmpty)
    }

    /// 40,000 packets went by while no writer lived: by number that looks like 25,536 back, by timestamp it is forward.
    @Test func aLongOutageDoesNotTurnTimeBack() {
        let pinned = Pinned()
        let got = evidence(pinned, [(0, rtp(10, 0, VP8Sample.inter)), (200_000_000, rtp(40_010, 18_000_000, VP8Sample.inter))])
        #expect(got.packets[0].map(\.sequence) == [65_546, 105_546])
    }
    /// A late retransmission is not taken for a wrap.
    @Test func aLateRetransmissionStaysWhereItBelongs() {
        let pinned = Pinned()
        let got = evidence(pinned, [(0, rtp(10, 0, [1])), (1_000, rtp(12, 6000, [1])), (3_500_000, rtp(11, 3000, [1])), (3_501_000, rtp(13, 9000, [1]))])
        #expect(got.packets[0].map(\.sequence) == [65_546, 65_547, 65_548, 65_549])
    }

    @Test func foreignPacketsAreCounted() {
        let pinned = Pinned()
        let got = evidence(pinned, [(0, rtp(1, 0, [1])), (1, rtp(1, 0, payloadType: 50, [1])), (2, [0x80, 96, 0]), (3, [0x80, 200, 0, 9])])
        #expect(got.counts.packets == 1 && got.counts.unknownPayloadType == 1 && got.counts.malformed == 2)
    }

    @Test func segmentsOfAnotherTrackAreRefused() {
        let pinned = Pinned()
        #expect(Merged([pinned.pin(journal(records: [(.rtp, 0, rtp(1, 0, [1]))]))], track: "other") == nil)
    }

    @Test func aNodesClockIsCorrected() {
        let pinned = Pinned()
        #expect(Merged([pinned.pin(journal(records: [(.rtp, 1_000, rtp(1, 0, [1]))]))], offsets: ["b": 500])?.packets[0][0].receivedAt == 1_500)
    }
}

@Suite struct LossCauses {
    private func stream(_ pinned: Pinned, without lost: Range<Int>, events: [(Int64, JournalEvent)]) -> TrackEvidence {
        CaptureTests.evidence(pinned, (0..<100).filter { !lost.contains($0) }.map { (Int64($0) * 20_000, rtp(UInt16($0), UInt32($0) * 1800, VP8Sample.inter)) }, events: events).evidence
    }
    @Test func aGapIsTheNetworksUnlessAWriterSaysOtherwise() {
        let pinned = Pinned()
        let holes = LossLedger.holes(stream(pinned, without: 10..<13, events: [(0, .closed)]), until: nil)
        #expect(holes == [Hole(cause: .network, from: 180_000, to: 260_000, packets: 3)])
    }
    @Test(arguments: zip(JournalLossCause.allCases, [HoleCause.recorderOverload, .diskFull, .readOnly, .ioError]))
    func aWritersWordIsTaken(said: JournalLossCause, expected: HoleCause) {
        let pinned = Pinned()
        let holes = LossLedger.holes(stream(pinned, without: 10..<13, events: [(0, .lost(said, packets: 3, from: 200_000, to: 240_000)), (0, .closed)]), until: nil)
        #expect(holes.map(\.cause) == [expected])
    }
    /// A browser goes on numbering while it is muted; what it sends then is dropped at its node.
    @Test func aMuteIsNoLoss() {
        let pinned = Pinned(), gap = stream(pinned, without: 10..<60, events: [(0, .closed)])
        func told(_ changes: [(Int64, Bool)], of track: TrackID = "cam1") -> [RecordedEvent] {
            changes.map { at, isMuted in
                var event = RecordedEvent(.muted, at: WallTime(microseconds: at), track: track)
                event.muted = isMuted
                return event
            }
        }
        func holes(_ events: [RecordedEvent]) -> [Hole] { LossLedger.holes(gap, until: nil, quiet: LossLedger.quiet("cam1", of: "ada", in: events)) }
        #expect(holes(told([(190_000, true), (1_180_000, false)])) == [Hole(cause: .muted, from: 180_000, to: 1_200_000, packets: 0)])
        #expect(holes(told([(190_000, true)])).map(\.cause) == [.muted], "until the end")
        let lost = [Hole(cause: .network, from: 180_000, to: 1_200_000, packets: 50)]
        #expect(holes([]) == lost)
        #expect(holes(told([(190_000, true), (1_180_000, false)], of: "mic1")) == lost, "another track was muted")
        #expect(holes(told([(3_000_000, true), (4_000_000, false)])) == lost, "muted at another time")
        #expect(holes(told([(-4_000_000, true), (150_000, false)])) == lost, "unmuted before the packets end again")
    }
    @Test func aWriterThatDiedLeavesTheRest() {
        let pinned = Pinned()
        let open = stream(pinned, without: 0..<0, events: [])
        #expect(LossLedger.holes(open, until: 9_000_000) == [Hole(cause: .recorderDown, from: 1_980_000, to: 9_000_000, packets: 0)])
        #expect(LossLedger.holes(stream(pinned, without: 0..<0, events: [(0, .closed)]), until: 9_000_000).isEmpty)
    }
    /// The publisher's node recorded it and died: what comes next is another writer's, of another SSRC.
    @Test func aHoleBetweenTwoStreamsIsOneToo() {
        let pinned = Pinned()
        func records(_ ssrc: UInt32, from: Int64, count: Int) -> [(Journal.RecordType, Int64, [UInt8])] {
            (0..<count).map { (.rtp, from + Int64($0) * 20_000, rtp(UInt16($0), UInt32($0) * 1800, ssrc: ssrc, VP8Sample.inter)) }
        }
        let evidence = Merged([journal(records: records(1, from: 0, count: 100)), journal(records: records(2, from: 6_000_000, count: 100))].map(pinned.pin))!.evidence
        #expect(LossLedger.holes(evidence, until: nil) == [Hole(cause: .recorderDown, from: 1_980_000, to: 6_000_000, packets: 0)])
    }
    @Test func manyHolesBecomeFew() {
        let many = (0..<50_000).map { Hole(cause: .network, from: Int64($0) * 1_000_000, to: Int64($0) * 1_000_000 + 1, packets: 1) }
        let joined = LossLedger.join(many)
        #expect(joined.count <= LossLedger.Limits.holes)
        #expect(joined.reduce(0) { $0 + $1.packets } == 50_000)
    }
}
