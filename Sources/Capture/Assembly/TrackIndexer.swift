// All segments of one track, of all writers and epochs, merged into packets in the order they were sent.
import Primitives
import RTP

/// One RTP packet of a stream; borrows the segment's bytes.
package struct CapturedPacket {
    /// Extended sequence number (packets; never wraps).
    package var sequence: UInt64
    /// Extended RTP timestamp.
    package var timestamp: UInt64
    /// Wall time (µs) at the ingress node, on the recorder's clock.
    package var receivedAt: Int64
    fileprivate let start: UnsafeRawPointer
    private let count: UInt16
    /// One bit for each writer that has it; the eighth stands for all further ones.
    package internal(set) var writers: UInt8
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: Int(count)) }

    /// - Parameter bytes: of one datagram, at least an RTP header.
    package init(sequence: UInt64, timestamp: UInt64, receivedAt: Int64, bytes: UnsafeRawBufferPointer, writers: UInt8 = 1) {
        self.sequence = sequence; self.timestamp = timestamp; self.receivedAt = receivedAt; self.writers = writers
        start = bytes.baseAddress!
        count = UInt16(clamping: bytes.count)
    }
}

/// A publisher's sender report, as far as clocks need it.
package struct ReportSample: Equatable, Sendable {
    /// Wall time (µs) at the ingress node.
    package var receivedAt: Int64
    /// Wall time (µs) on the sender's clock.
    package var sentAt: Int64
    /// Extended RTP timestamp at that moment.
    package var timestamp: UInt64
    package init(receivedAt: Int64, sentAt: Int64, timestamp: UInt64) { self.receivedAt = receivedAt; self.sentAt = sentAt; self.timestamp = timestamp }
}

/// One SSRC of a track.
package struct CapturedStream {
    package let ssrc: UInt32
    /// In sequence order, each once.
    package var packets: [CapturedPacket]
    /// In the order they arrived.
    package var reports: [ReportSample]
    /// Stretches (µs of receive time) in which packets came without a pause of more than `TrackIndexer.Limits.pause`.
    package var runs: [ClosedRange<Int64>]
    package var duplicates = 0
    /// Packets that came after one with a higher number: sent again, or overtaken on the way.
    package var late = 0
}

/// What a writer said it lost, or a time in which no writer was alive.
package struct CaptureGap: Equatable, Sendable {
    package var cause: HoleCause
    /// Receive times (µs).
    package var from: Int64
    package var to: Int64
    package var packets: UInt64
}

/// What one track's journals hold.
package struct TrackEvidence {
    package var header: JournalHeader
    /// In the order in which they first appeared.
    package var streams: [CapturedStream]
    package var gaps: [CaptureGap]
    package var counts: Counts
    package var writers: Set<NodeName> = []
    package var epochs: Set<UInt64> = []
    /// The last writer ended its last segment as it should.
    package var isClosed: Bool
    /// Ids of every segment's header joined: a publisher's later re-offer may have added some.
    package var payloadTypes: [UInt8: Codec]

    package struct Counts: Equatable, Sendable {
        package var segments = 0
        package var packets = 0
        package var duplicates = 0
        /// Packets the writer with the most of them lacks.
        package var byStandby = 0
        /// Packets that came after later ones: by a retransmission, or overtaken.
        package var late = 0
        /// Not RTP or RTCP, or of a payload type nobody negotiated.
        package var malformed = 0
        package var unknownPayloadType = 0
        /// Beyond `TrackIndexer.Limits`.
        package var beyondLimits = 0
        package var damage = JournalReader.Damage()
        /// Segments whose header does not read, or that belong to another recording or track.
        package var unreadableSegments = 0
        package init() {}
    }
    package var firstReceived: Int64? { streams.compactMap { $0.runs.first?.lowerBound }.min() }
    package var lastReceived: Int64? { streams.compactMap { $0.runs.last?.upperBound }.max() }
}

/// Takes segments in any order; `finish` merges them.
package struct TrackIndexer {
    package enum Limits {
        package static let packets = 20_000_000        // of one track: about 20 h of 2.5 Mbit/s
        package static let streams = 1_024             // SSRCs of one track
        package static let reports = 200_000           // sender reports of one stream
        package static let gaps = 10_000
        static let pause: Int64 = 1_000_000            // µs without packets that end a run
        /// µs without packets after which a sequence number that seems to go back may have wrapped meanwhile.
        static let wrapPause: Int64 = 2_000_000
        /// µs between the end of one segment and the begin of the next that are no outage.
        static let handover: Int64 = 1_000_000
    }
    private struct Report { var receivedAt: Int64; var ntp: NTPTime; var timestamp: UInt32 }
    /// Packets in the order of their files, with sequence numbers and timestamps as they were sent: a track's index is in memory once.
    private struct Stream { var arrivals: [CapturedPacket] = []; var reports: [Report] = [] }
    private struct Span { var from: Int64; var to: Int64; var isClosed: Bool }

    private var header: JournalHeader?
    private var streams: [UInt32: Stream] = [:]
    private var total = 0
    private var spans: [Span] = []
    private var gaps: [CaptureGap] = []
    private var counts = TrackEvidence.Counts()
    private var payloadTypes: [UInt8: Codec] = [:]
    private var writers: [NodeName] = []
    private var epochs: Set<UInt64> = []
    private let recording: RecordingID
    private let track: TrackID
    private let offsets: [String: Int64]

    /// - Parameter offsets: µs to add to a node's clock to get the recorder's.
    package init(recording: RecordingID, track: TrackID, offsets: [String: Int64] = [:]) {
        self.recording = recording; self.track = track; self.offsets = offsets
    }

    /// Reads one segment; `bytes` must outlive the evidence. A segment that cannot be used is counted, never an error.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard var reader = try? JournalReader(bytes), reader.header.recording == recording, reader.header.track == track,
            header == nil || reader.header.kind == header?.kind
        else { counts.unreadableSegments += 1; return }
        if header.map({ reader.header.wallStart < $0.wallStart }) ?? true { header = reader.header }
        for type in reader.header.payloadTypes { payloadTypes[type.number] = type.codec }
        let writer = writerBit(reader.header.writer)
        epochs.insert(reader.header.epoch.rawValue)
        counts.segments += 1
        let offset = offsets[(reader.header.ingress ?? reader.header.writer).rawValue] ?? 0
        var span: (Int64, Int64)?
        while let record = reader.next() {
            let at = record.receivedAt &+ offset
            guard Self.isPlausible(at) else { counts.malformed += 1; continue }
            switch record.type {
            case .rtp: take(rtp: record.bytes, at, writer)
            case .rtcp: take(rtcp: record.bytes, at)
            case .event: take(JournalEvent(record), offset)
            }
            if record.type != .event { span = (min(span?.0 ?? at, at), max(span?.1 ?? at, at)) }
        }
        counts.damage.add(reader.damage)
        if let span { spans.append(Span(from: span.0, to: span.1, isClosed: reader.isClosed)) }
    }

    /// - Returns: nil when no segment could be read.
    package consuming func finish() -> TrackEvidence? {
        guard let header else { return nil }
        addOutages()
        var merged: [CapturedStream] = []
        for ssrc in streams.keys.sorted() {
            guard let stream = streams.removeValue(forKey: ssrc) else { continue }
            let captured = Self.merge(ssrc, stream)
            counts.duplicates += captured.duplicates
            counts.late += captured.late
            counts.packets += captured.packets.count
            if !captured.packets.isEmpty { merged.append(captured) }
        }
        counts.byStandby = Self.byStandby(merged, writers: writers.count)
        merged.sort { ($0.runs.first?.lowerBound ?? 0, $0.ssrc) < ($1.runs.first?.lowerBound ?? 0, $1.ssrc) }
        return TrackEvidence(
            header: header, streams: merged, gaps: gaps.sorted { $0.from < $1.from }, counts: counts, writers: Set(writers), epochs: epochs,
            isClosed: spans.max { $0.to < $1.to }?.isClosed ?? true, payloadTypes: payloadTypes)
    }

    /// Years 1970 to 2200: keeps later arithmetic far from overflow.
    static func isPlausible(_ at: Int64) -> Bool { at >= 0 && at < 7_258_118_400_000_000 }

    private mutating func writerBit(_ name: NodeName) -> UInt8 {
        let index = writers.firstIndex(of: name) ?? writers.count
        if index == writers.count { writers.append(name) }
        return 1 << UInt8(min(index, 7))
    }
    private static func byStandby(_ streams: [CapturedStream], writers: Int) -> Int {
        guard writers > 1 else { return 0 }
        var all = 0, had = [Int](repeating: 0, count: 8)
        for stream in streams {
            all += stream.packets.count
            for packet in stream.packets { for bit in 0..<8 where packet.writers & (1 << UInt8(bit)) != 0 { had[bit] += 1 } }
        }
        return all - had.max()!
    }

    private mutating func take(rtp bytes: UnsafeRawBufferPointer, _ at: Int64, _ writer: UInt8) {
        guard let rtp = try? RTPHeader(bytes) else { counts.malformed += 1; return }
        guard payloadTypes[rtp.payloadType] != nil else { counts.unknownPayloadType += 1; return }
        guard total < Limits.packets, streams[rtp.ssrc] != nil || streams.count < Limits.streams else { counts.beyondLimits += 1; return }
        total += 1
        streams[rtp.ssrc, default: Stream()].arrivals.append(
            CapturedPacket(sequence: UInt64(rtp.sequence), timestamp: UInt64(rtp.timestamp), receivedAt: at, bytes: bytes, writers: writer))
    }
    private mutating func take(rtcp bytes: UnsafeRawBufferPointer, _ at: Int64) {
        var reader = RTCPReader(bytes)
        do {
            while let packet = try reader.next() {
                guard case .senderReport(let report) = packet, report.info.ntp.rawValue != 0 else { continue }
                let ssrc = report.info.ssrc
                guard streams[ssrc] != nil || streams.count < Limits.streams, (streams[ssrc]?.reports.count ?? 0) < Limits.reports else { counts.beyondLimits += 1; continue }
                streams[ssrc, default: Stream()].reports.append(Report(receivedAt: at, ntp: report.info.ntp, timestamp: report.info.rtpTimestamp))
            }
        } catch { counts.malformed += 1 }
    }
    private mutating func take(_ event: JournalEvent?, _ offset: Int64) {
        guard case .lost(let cause, let packets, let from, let to)? = event, gaps.count < Limits.gaps else { return }
        let (start, end) = (from &+ offset, to &+ offset)
        guard start <= end, Self.isPlausible(start), Self.isPlausible(end) else { return }
        gaps.append(CaptureGap(cause: HoleCause(cause), from: start, to: end, packets: packets))
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

    // MARK: - Merging one SSRC

    private static func merge(_ ssrc: UInt32, _ stream: consuming Stream) -> CapturedStream {
        let reports = stream.reports.sorted { $0.receivedAt < $1.receivedAt }
        var captured = CapturedStream(ssrc: ssrc, packets: stream.arrivals, reports: [], runs: [])
        stream = Stream()
        captured.sortByArrival()
        var numbers = NumberExtender(), report = 0
        for index in captured.packets.indices {
            let packet = captured.packets[index]
            while report < reports.count, reports[report].receivedAt < packet.receivedAt {
                captured.take(reports[report].ntp, reports[report].timestamp, reports[report].receivedAt, numbers)
                report += 1
            }
            let sent = (UInt16(truncatingIfNeeded: packet.sequence), UInt32(truncatingIfNeeded: packet.timestamp))
            (captured.packets[index].sequence, captured.packets[index].timestamp) = numbers.extend(sent.0, sent.1, receivedAt: packet.receivedAt)
            captured.extendRuns(packet.receivedAt)
        }
        while report < reports.count {
            captured.take(reports[report].ntp, reports[report].timestamp, reports[report].receivedAt, numbers)
            report += 1
        }
        captured.sortAndDeduplicate()
        return captured
    }

    /// Extends sequence numbers and timestamps together, in arrival order.
    struct NumberExtender {
        var timestamps = TimestampExtender()
        private var highest: (sequence: UInt64, timestamp: UInt64, receivedAt: Int64)?

        mutating func extend(_ sequence: UInt16, _ timestamp: UInt32, receivedAt: Int64) -> (UInt64, UInt64) {
            let time = timestamps.extend(timestamp)
            guard let highest else {
                let first = 1 << 16 | UInt64(sequence)
                self.highest = (first, time, receivedAt)
                return (first, time)
            }
            let delta = Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest.sequence))
            var value = highest.sequence &+ UInt64(bitPattern: Int64(delta))
            // After a long outage half the circle may have passed: what is later by timestamp is later by sequence.
            if delta <= 0, time > highest.timestamp, receivedAt - highest.receivedAt > Limits.wrapPause { value &+= 1 << 16 }
            if value > highest.sequence { self.highest = (value, time, receivedAt) }
            return (value, time)
        }
    }
}

extension CapturedStream {
    /// A packet came.
    mutating func extendRuns(_ at: Int64) {
        if let last = runs.last, at - last.upperBound <= TrackIndexer.Limits.pause {
            runs[runs.count - 1] = last.lowerBound...max(at, last.upperBound)
        } else {
            runs.append(at...at)
        }
    }
    fileprivate mutating func take(_ ntp: NTPTime, _ timestamp: UInt32, _ receivedAt: Int64, _ numbers: TrackIndexer.NumberExtender) {
        guard numbers.timestamps.highest != nil else { return }
        reports.append(ReportSample(receivedAt: receivedAt, sentAt: ntp.wall.microseconds, timestamp: numbers.timestamps.peek(timestamp)))
    }
    /// Packets, in order of arrival, that came after one with a higher number. A second writer's copy arrived when the first one's did, by the ingress node's word.
    private func countLate() -> Int {
        var highest: (sequence: UInt64, at: Int64) = (0, .min), before: UInt64 = 0, found = 0
        for packet in packets {
            if packet.sequence > highest.sequence { highest = (packet.sequence, packet.receivedAt) } else if packet.sequence != before, packet.receivedAt > highest.at { found += 1 }
            before = packet.sequence
        }
        return found
    }
    /// Writers are merged by the ingress receive time, which is the same in all of them; the place in the file breaks ties.
    fileprivate mutating func sortByArrival() {
        guard zip(packets, packets.dropFirst()).contains(where: { $0.receivedAt > $1.receivedAt }) else { return }
        packets.sort { ($0.receivedAt, $0.start) < ($1.receivedAt, $1.start) }
    }
    fileprivate mutating func sortAndDeduplicate() {
        if zip(packets, packets.dropFirst()).contains(where: { $0.sequence >= $1.sequence }) {
            late = countLate()
            packets.sort { ($0.sequence, $0.receivedAt) < ($1.sequence, $1.receivedAt) }
            var kept = 0
            for packet in packets {
                if kept > 0, packets[kept - 1].sequence == packet.sequence {
                    duplicates += 1
                    packets[kept - 1].writers |= packet.writers
                    continue
                }
                packets[kept] = packet
                kept += 1
            }
            packets.removeLast(packets.count - kept)
        }
    }
}

extension JournalReader.Damage {
    mutating func add(_ other: JournalReader.Damage) {
        stretches += other.stretches
        bytes += other.bytes
        tornBytes += other.tornBytes
        unknownRecords += other.unknownRecords
    }
}
