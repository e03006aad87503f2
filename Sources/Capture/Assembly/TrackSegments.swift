// Which segments a track's journals have, of all writers and epochs, and when each begins.
import Primitives
import RTP

/// Takes a look at each segment, in any order; what is in them is merged by `TrackMerge`. A value of some hundred bytes a segment.
package struct TrackSegments {
    private enum Look { static let records = 16 }    // of a segment, for the time it begins
    struct Segment {
        let number: Int
        /// µs of receive time; nothing in it is much older.
        let start: Int64
        /// As in `CapturedPacket.writers`.
        let writer: UInt8
        /// µs to add to its receive times.
        let offset: Int64
    }
    package let recording: RecordingID
    package let track: TrackID
    /// Of the segment that was begun first; nil while none can be read.
    package private(set) var header: JournalHeader?
    private(set) var segments: [Segment] = []
    private(set) var counts = TrackEvidence.Counts()
    /// Of all headers: a later offer may have added some.
    private(set) var payloadTypes: [UInt8: Codec] = [:]
    private(set) var writers: [NodeName] = []
    private(set) var epochs: Set<UInt64> = []
    private let offsets: [String: Int64]

    /// - Parameter offsets: µs to add to a node's clock to get the recorder's.
    package init(recording: RecordingID, track: TrackID, offsets: [String: Int64] = [:]) {
        self.recording = recording; self.track = track; self.offsets = offsets
    }

    /// Looks at the segment `number`, which the caller finds again by it. One that cannot be used is counted, never an error.
    package mutating func add(_ bytes: UnsafeRawBufferPointer, number: Int) {
        guard var reader = try? JournalReader(bytes), reader.header.recording == recording, reader.header.track == track,
            header == nil || reader.header.kind == header?.kind
        else { counts.unreadableSegments += 1; return }
        let mine = reader.header
        if header.map({ mine.wallStart < $0.wallStart }) ?? true { header = mine }
        for type in mine.payloadTypes { payloadTypes[type.number] = type.codec }
        epochs.insert(mine.epoch.rawValue)
        counts.segments += 1
        let offset = offsets[(mine.ingress ?? mine.writer).rawValue] ?? 0
        var start: Int64?
        for _ in 0..<Look.records {
            guard let record = reader.next() else { break }
            let at = record.receivedAt &+ offset
            if record.type != .event, TrackMerge.isPlausible(at) { start = min(start ?? at, at) }
        }
        segments.append(Segment(number: number, start: start ?? mine.wallStart.microseconds, writer: writerBit(mine.writer), offset: offset))
    }
    private mutating func writerBit(_ name: NodeName) -> UInt8 {
        let index = writers.firstIndex(of: name) ?? writers.count
        if index == writers.count { writers.append(name) }
        return 1 << UInt8(min(index, 7))
    }
}
