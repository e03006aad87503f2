// What the merged journals of one track show.
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
    private let start: UnsafeRawPointer
    private let count: UInt16
    /// One bit for each writer that has it; the eighth stands for all further ones.
    package internal(set) var writers: UInt8
    /// A writer had word that it reached the ingress node by RTX.
    package internal(set) var isRecovered: Bool
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: Int(count)) }

    /// - Parameter bytes: of one datagram, at least an RTP header.
    package init(sequence: UInt64, timestamp: UInt64, receivedAt: Int64, bytes: UnsafeRawBufferPointer, writers: UInt8 = 1, isRecovered: Bool = false) {
        self.sequence = sequence; self.timestamp = timestamp; self.receivedAt = receivedAt; self.writers = writers; self.isRecovered = isRecovered
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

/// Packets that are missing between two others, by their numbers.
package struct SequenceGap: Equatable, Sendable {
    /// Receive times (µs) of its neighbours, the earlier first.
    package var from: Int64
    package var to: Int64
    package var packets: UInt64
}

/// Stretches (µs of receive time) in which packets came without a pause of more than `TrackMerge.Limits.pause`.
package struct CaptureRuns: Sendable {
    package private(set) var ranges: [ClosedRange<Int64>] = []
    package init() {}
    /// A packet came. Beyond `TrackMerge.Limits.runs` the last one goes on.
    mutating func extend(_ at: Int64) {
        guard let last = ranges.last else { return ranges.append(at...at) }
        if at - last.upperBound <= TrackMerge.Limits.pause || ranges.count == TrackMerge.Limits.runs {
            ranges[ranges.count - 1] = last.lowerBound...max(at, last.upperBound)
        } else {
            ranges.append(at...at)
        }
    }
}

/// One SSRC of a track.
package struct CapturedStream: Sendable {
    package let ssrc: UInt32
    /// Its clock's evidence; the origin is the first packet by number.
    package var timing: StreamTiming
    package var runs = CaptureRuns()
    /// In sequence order; beyond `TrackMerge.Limits.gaps` the last one grows.
    package var gaps: [SequenceGap] = []
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
package struct TrackEvidence: Sendable {
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
        /// Packets that reached the ingress node by RTX.
        package var recovered = 0
        /// Packets that came after later ones, and not by RTX: overtaken, or sent again in a way that does not show.
        package var reordered = 0
        /// Not RTP or RTCP, or of a payload type nobody negotiated.
        package var malformed = 0
        package var unknownPayloadType = 0
        /// Beyond `TrackMerge.Limits`.
        package var beyondLimits = 0
        package var damage = JournalReader.Damage()
        /// Segments whose header does not read, or that belong to another recording or track.
        package var unreadableSegments = 0
        package init() {}
    }
    package var firstReceived: Int64? { streams.compactMap { $0.runs.ranges.first?.lowerBound }.min() }
    package var lastReceived: Int64? { streams.compactMap { $0.runs.ranges.last?.upperBound }.max() }
}
