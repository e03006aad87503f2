// All segments of one track, of all writers and epochs, merged into packets in the order they were sent.
//
// Segments are read side by side by receive time, which is the ingress node's and the same in all writers. Packets pass two bounded
// queues: one puts them in order of arrival, in which their numbers are extended, the other in order of these numbers, where copies meet.
// Memory does not grow with the length of a recording but for its runs, gaps and reports, which have bounds of their own.
import Primitives
import RTP

/// The caller opens the segment that is `wanted`, takes packets by `next`, and lets segments go that are `isDone`.
/// Doing it again over the same segments gives the same packets in the same order.
package struct TrackMerge {
    package enum Limits {
        package static let packets = 20_000_000        // of one track: about 20 h of 2.5 Mbit/s
        package static let streams = 1_024             // SSRCs of one track
        /// Sender reports kept of one stream; beyond them every second one is, and so on.
        package static let reports = 4_096
        package static let gaps = 10_000               // a writer's words of losses
        package static let sequenceGaps = 100_000      // of one stream
        package static let runs = 100_000              // of one stream
        /// Packets in each of the two queues: 50 bytes each.
        package static let window = 1 << 16
        /// µs by which records of one segment may stand out of order: repair on the way between nodes.
        static let disorder: Int64 = 5_000_000
        /// µs a packet waits for those sent before it: retransmissions. One that comes later is taken for a copy.
        static let late: Int64 = 10_000_000
        static let pause: Int64 = 1_000_000            // µs without packets that end a run
        /// µs without packets after which a sequence number that seems to go back may have wrapped meanwhile.
        static let wrapPause: Int64 = 2_000_000
        /// µs between the end of one segment and the begin of the next that are no outage.
        static let handover: Int64 = 1_000_000
    }
    private struct Cursor {
        let segment: TrackSegments.Segment
        var reader: JournalReader
        var head: JournalReader.Record?
        var from = Int64.max
        var to = Int64.min
    }
    private struct Head: Comparable {
        let at: Int64
        let cursor: Int
        static func < (a: Head, b: Head) -> Bool { (a.at, a.cursor) < (b.at, b.cursor) }
    }
    private struct Arrival: Comparable {
        let at: Int64
        /// In the order of reading; reports stand behind packets of the same time.
        let rank: UInt64
        let writer: UInt8
        let isReport: Bool
        let isRecovered: Bool
        let bytes: UnsafeRawBufferPointer
        static func < (a: Arrival, b: Arrival) -> Bool { (a.at, a.rank) < (b.at, b.rank) }
        static func == (a: Arrival, b: Arrival) -> Bool { a.rank == b.rank }
    }
    private struct Span { var from: Int64; var to: Int64; var isClosed: Bool }

    private let header: JournalHeader
    private let segments: TrackSegments
    private var unopened: [TrackSegments.Segment]
    /// Segments under way, in places that are used again.
    private var cursors: [Cursor?] = []
    private var heads = MinHeap<Head>()
    private var arrivals = MinHeap<Arrival>()
    private var rank: UInt64 = 0
    private var streams: [StreamMerge] = []
    private var indices: [UInt32: Int] = [:]
    /// Packets that wait in their streams, in order of arrival.
    private var held = BoundedQueue<(stream: Int, sequence: UInt64, at: Int64)>(capacity: Limits.window + 1, growingFrom: 1_024)
    private var ready: [(stream: Int, packet: CapturedPacket)] = []
    private var readyHead = 0
    private var ended: [Int: Int64] = [:]
    private var total = 0
    private var spans: [Span] = []
    private var gaps: [CaptureGap] = []
    private var counts: TrackEvidence.Counts

    /// - Returns: nil where no segment can be read.
    package init?(_ segments: TrackSegments) {
        guard let header = segments.header else { return nil }
        self.header = header
        self.segments = segments
        unopened = segments.segments.sorted { ($1.start, $1.number) < ($0.start, $0.number) }
        counts = segments.counts
    }

    /// Years 1970 to 2200: keeps later arithmetic far from overflow.
    static func isPlausible(_ at: Int64) -> Bool { at >= 0 && at < 7_258_118_400_000_000 }

    // MARK: Segments

    /// The number of the segment to open before `next` goes on.
    package var wanted: Int? {
        guard let next = unopened.last, heads.first.map({ next.start <= $0.at }) ?? true else { return nil }
        return next.number
    }
    /// - Parameter bytes: of the segment that was wanted, nil where it cannot be had any more. They stay until it `isDone`.
    package mutating func open(_ bytes: UnsafeRawBufferPointer?) {
        guard let segment = unopened.popLast() else { return }
        guard let bytes, let reader = try? JournalReader(bytes) else { counts.unreadableSegments += 1; return }
        let place = cursors.firstIndex { $0 == nil } ?? cursors.count
        if place == cursors.count { cursors.append(nil) }
        cursors[place] = Cursor(segment: segment, reader: reader)
        advance(place)
    }
    /// Nothing of the segment is needed any more.
    /// - Parameter held: receive time (µs) of the oldest packet the caller still has.
    package func isDone(_ number: Int, held: Int64?) -> Bool {
        guard let last = ended[number] else { return false }
        let oldest = min(arrivals.first?.at ?? .max, self.held.first?.at ?? .max, readyHead < ready.count ? .min : .max, held ?? .max)
        return last < oldest
    }

    /// Moves to the next packet or report, and waits in `heads`; or ends.
    private mutating func advance(_ place: Int) {
        let offset = cursors[place]!.segment.offset
        while let record = cursors[place]!.reader.next() {
            let at = record.receivedAt &+ offset
            guard Self.isPlausible(at) else { counts.malformed += 1; continue }
            if record.type == .event { take(JournalEvent(record), offset); continue }
            cursors[place]!.from = min(cursors[place]!.from, at)
            cursors[place]!.to = max(cursors[place]!.to, at)
            cursors[place]!.head = record
            return heads.push(Head(at: at, cursor: place))
        }
        guard let cursor = cursors[place].take() else { return }
        counts.damage.add(cursor.reader.damage)
        if cursor.from <= cursor.to { spans.append(Span(from: cursor.from, to: cursor.to, isClosed: cursor.reader.isClosed)) }
        ended[cursor.segment.number] = cursor.to
    }
    private mutating func take(_ event: JournalEvent?, _ offset: Int64) {
        guard case .lost(let cause, let packets, let from, let to)? = event, gaps.count < Limits.gaps else { return }
        let (start, end) = (from &+ offset, to &+ offset)
        guard start <= end, Self.isPlausible(start), Self.isPlausible(end) else { return }
        gaps.append(CaptureGap(cause: HoleCause(cause), from: start, to: end, packets: packets))
    }

    // MARK: Packets

    /// The next packet, in sequence order within its stream; nil at the end, or where a segment is `wanted` first.
    package mutating func next() -> (stream: Int, packet: CapturedPacket)? {
        while true {
            if readyHead < ready.count {
                defer { readyHead += 1 }
                return ready[readyHead]
            }
            ready.removeAll(keepingCapacity: true)
            readyHead = 0
            if let first = arrivals.first, arrivals.count >= Limits.window || first.at <= horizon - Limits.disorder {
                if let arrival = arrivals.pop() { take(arrival) }
            } else if wanted != nil {
                return nil
            } else if let head = heads.pop() {
                read(head)
            } else if let arrival = arrivals.pop() {
                take(arrival)
            } else if let oldest = held.pop() {
                release(oldest.stream, through: oldest.sequence)
            } else {
                return nil
            }
        }
    }
    /// Packets and reports in memory.
    var waiting: Int { arrivals.count + held.count + ready.count - readyHead }
    /// Nothing that is still to be read is much older.
    private var horizon: Int64 { min(heads.first?.at ?? .max, unopened.last?.start ?? .max) }
    /// The receive time (µs) before which every packet was given by `next`.
    package var released: Int64 { min(held.first?.at ?? .max, arrivals.first?.at ?? .max, horizon) }

    private mutating func read(_ head: Head) {
        guard let record = cursors[head.cursor]?.head, let writer = cursors[head.cursor]?.segment.writer else { return }
        rank += 1
        let isReport = record.type == .rtcp
        arrivals.push(Arrival(at: head.at, rank: rank | (isReport ? 1 << 63 : 0), writer: writer, isReport: isReport, isRecovered: record.isRecovered, bytes: record.bytes))
        advance(head.cursor)
    }
    private mutating func take(_ arrival: Arrival) {
        if arrival.isReport { return take(rtcp: arrival.bytes, arrival.at) }
        guard let rtp = try? RTPHeader(arrival.bytes) else { counts.malformed += 1; return }
        guard segments.payloadTypes[rtp.payloadType] != nil else { counts.unknownPayloadType += 1; return }
        guard total < Limits.packets, let index = index(of: rtp.ssrc) else { counts.beyondLimits += 1; return }
        total += 1
        let sequence = streams[index].take(rtp, arrival.at, arrival.bytes, writer: arrival.writer, isRecovered: arrival.isRecovered)
        _ = held.push((index, sequence, arrival.at))
        while let oldest = held.first, held.isFull || oldest.at < arrival.at - Limits.late {
            _ = held.pop()
            release(oldest.stream, through: oldest.sequence)
        }
    }
    private mutating func index(of ssrc: UInt32) -> Int? {
        if let index = indices[ssrc] { return index }
        guard streams.count < Limits.streams else { return nil }
        indices[ssrc] = streams.count
        streams.append(StreamMerge(ssrc: ssrc, clockRate: header.clockRate))
        return streams.count - 1
    }
    private mutating func take(rtcp bytes: UnsafeRawBufferPointer, _ at: Int64) {
        var reader = RTCPReader(bytes)
        do {
            while let packet = try reader.next() {
                guard case .senderReport(let report) = packet, report.info.ntp.rawValue != 0, let index = indices[report.info.ssrc] else { continue }
                streams[index].take(report.info, at)
            }
        } catch { counts.malformed += 1 }
    }
    private mutating func release(_ index: Int, through sequence: UInt64) {
        while let packet = streams[index].release(through: sequence) { ready.append((index, packet)) }
    }

    // MARK: The end

    /// What the packets show, once `next` has given all of them.
    package consuming func finish() -> TrackEvidence {
        addOutages()
        for stream in streams {
            counts.packets += stream.packets
            counts.duplicates += stream.duplicates
            counts.recovered += stream.recovered
            counts.reordered += stream.reordered
        }
        // Packets the writer with the most of them lacks.
        let had = (0..<8).map { bit in streams.reduce(0) { $0 + $1.had[bit] } }
        if segments.writers.count > 1 { counts.byStandby = counts.packets - had.max()! }
        return TrackEvidence(
            header: header, streams: streams.compactMap(\.captured), gaps: gaps.sorted { $0.from < $1.from }, counts: counts, writers: Set(segments.writers), epochs: segments.epochs,
            isClosed: spans.max { $0.to < $1.to }?.isClosed ?? true, payloadTypes: segments.payloadTypes)
    }
    /// Times after a segment that its writer did not end, until the next one begins.
    private mutating func addOutages() {
        var last: Span?
        for span in spans.sorted(by: { $0.from < $1.from }) {
            if let previous = last, !previous.isClosed, span.from > previous.to + Limits.handover, gaps.count < Limits.gaps {
                gaps.append(CaptureGap(cause: .recorderDown, from: previous.to, to: span.from, packets: 0))
            }
            if last.map({ span.to >= $0.to }) ?? true { last = span }
        }
    }
}

extension JournalReader.Damage {
    fileprivate mutating func add(_ other: JournalReader.Damage) {
        stretches += other.stretches
        bytes += other.bytes
        tornBytes += other.tornBytes
        unknownRecords += other.unknownRecords
    }
}
