// One SSRC of a track: packets come in order of arrival and leave in order of their numbers, each once.
import RTP

/// Part of a `TrackMerge`.
struct StreamMerge {
    private struct Waiting: Comparable {
        var packet: CapturedPacket
        /// It came after one with a higher number.
        let isLate: Bool
        let rank: UInt64
        static func < (a: Waiting, b: Waiting) -> Bool { (a.packet.sequence, a.packet.receivedAt, a.rank) < (b.packet.sequence, b.packet.receivedAt, b.rank) }
        static func == (a: Waiting, b: Waiting) -> Bool { a.rank == b.rank }
    }
    private let ssrc: UInt32
    private let clockRate: UInt32
    private var numbers = NumberExtender()
    private var runs = CaptureRuns()
    private var waiting = MinHeap<Waiting>()
    private var rank: UInt64 = 0
    private var last: (sequence: UInt64, at: Int64)?
    private var timing: StreamTiming?
    private var reports: [ReportSample] = []
    /// One of so many reports is kept.
    private var stride = 1
    private var reportsSeen = 0
    private var gaps: [SequenceGap] = []
    /// The highest number so far, and when it came.
    private var highest: (sequence: UInt64, at: Int64) = (0, .min)
    private(set) var packets = 0
    private(set) var duplicates = 0
    /// Packets that reached the ingress node by RTX, and not before in another way.
    private(set) var recovered = 0
    /// The others that came after one with a higher number: overtaken on the way, or sent again in a way that does not show.
    private(set) var reordered = 0
    /// Packets of each writer, by its bit.
    private(set) var had = [Int](repeating: 0, count: 8)

    init(ssrc: UInt32, clockRate: UInt32) { self.ssrc = ssrc; self.clockRate = clockRate }

    /// - Returns: its extended sequence number.
    mutating func take(_ rtp: RTPHeader, _ at: Int64, _ bytes: UnsafeRawBufferPointer, writer: UInt8, isRecovered: Bool) -> UInt64 {
        let (sequence, timestamp) = numbers.extend(rtp.sequence, rtp.timestamp, receivedAt: at)
        runs.extend(at)
        // A second writer's copy arrived when the first one's did, by the ingress node's word.
        let isLate = sequence < highest.sequence && at > highest.at
        if sequence > highest.sequence { highest = (sequence, at) }
        rank += 1
        let packet = CapturedPacket(sequence: sequence, timestamp: timestamp, receivedAt: at, bytes: bytes, writers: writer, isRecovered: isRecovered)
        waiting.push(Waiting(packet: packet, isLate: isLate, rank: rank))
        return sequence
    }
    mutating func take(_ info: SenderInfo, _ at: Int64) {
        guard numbers.timestamps.highest != nil else { return }
        reportsSeen += 1
        guard reportsSeen % stride == 0 else { return }
        if reports.count == TrackMerge.Limits.reports {
            reports = reports.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
            stride *= 2
        }
        reports.append(ReportSample(receivedAt: at, sentAt: info.ntp.wall.microseconds, timestamp: numbers.timestamps.peek(info.rtpTimestamp)))
    }

    /// The next packet with a number up to `sequence`, copies put together.
    mutating func release(through sequence: UInt64) -> CapturedPacket? {
        while let first = waiting.first, first.packet.sequence <= sequence {
            guard var packet = waiting.pop()?.packet else { return nil }
            while let copy = waiting.first?.packet, copy.sequence == packet.sequence {
                packet.writers |= copy.writers
                // What came first counts; of that one arrival any writer's word, since a node of an earlier release on the way passes none on.
                if copy.receivedAt == packet.receivedAt { packet.isRecovered = packet.isRecovered || copy.isRecovered }
                duplicates += 1
                _ = waiting.pop()
            }
            // Its place was passed already.
            if let last, packet.sequence <= last.sequence { duplicates += 1; continue }
            if packet.isRecovered { recovered += 1 } else if first.isLate { reordered += 1 }
            note(packet)
            return packet
        }
        return nil
    }
    private mutating func note(_ packet: CapturedPacket) {
        packets += 1
        for bit in 0..<8 where packet.writers & (1 << UInt8(bit)) != 0 { had[bit] += 1 }
        if let last, packet.sequence > last.sequence + 1 {
            let gap = SequenceGap(from: min(last.at, packet.receivedAt), to: max(last.at, packet.receivedAt), packets: packet.sequence - last.sequence - 1)
            if gaps.count < TrackMerge.Limits.sequenceGaps { gaps.append(gap) } else {
                gaps[gaps.count - 1].to = max(gaps[gaps.count - 1].to, gap.to)
                gaps[gaps.count - 1].packets += gap.packets
            }
        }
        last = (packet.sequence, packet.receivedAt)
        if timing == nil { timing = StreamTiming(clockRate: clockRate, reports: [], arrivals: LowerEnvelope(), origin: (packet.timestamp, packet.receivedAt)) }
        let x = timing!.microseconds(packet.timestamp)
        timing!.arrivals.add(x: x, delay: packet.receivedAt &- x)
    }

    /// nil where no packet was taken.
    var captured: CapturedStream? {
        guard var timing else { return nil }
        timing.reports = reports
        return CapturedStream(ssrc: ssrc, timing: timing, runs: runs, gaps: gaps)
    }
}
