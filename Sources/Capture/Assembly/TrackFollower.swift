// One track's journals while they are written: bytes as they come, frames as soon as nothing before them can come late.
import Primitives
import RTP

/// Keeps of a track what waits to be presented, and its clocks' evidence; what was presented is forgotten.
package struct TrackFollower {
    package enum Limits {
        /// µs a packet waits for those sent before it: retransmissions, and the other writer's copy.
        package static let holdback: Int64 = 1_000_000
        /// µs after which a picture without a successor is presented.
        static let still: Int64 = 500_000
        /// Packets of a stream that wait: all there are where following begins late.
        static let waiting = 1 << 20       // an hour of 2.5 Mbit/s
    }
    fileprivate struct Stream {
        let ssrc: UInt32
        var numbers = NumberExtender()
        var timing: StreamTiming
        /// In sequence order, each once.
        var waiting: [CapturedPacket] = []
        /// Everything up to this sequence number was presented or given up.
        var released: UInt64 = 0
        var isPresented = false
    }
    package let recording: RecordingID
    package let track: TrackID
    package private(set) var header: JournalHeader?
    /// µs of receive time.
    package private(set) var firstReceived: Int64?
    package private(set) var lastReceived: Int64?
    /// Packets that were left out: too late, or more than may wait.
    package private(set) var leftOut = 0
    private var streams: [Stream] = []
    private var payloadTypes: [UInt8: Codec] = [:]
    private var presenter: TrackPresenter?

    package init(recording: RecordingID, track: TrackID) { self.recording = recording; self.track = track }

    /// The clocks' evidence of each stream, in the order in which they appeared.
    package var timings: [StreamTiming] { streams.map(\.timing) }

    /// Reads what was added to a segment.
    /// - Parameters:
    ///   - bytes: the whole segment as it is now; it must stay where it is until its frames were presented.
    ///   - start: what the last call for this segment returned; 0 at first.
    ///   - offset: µs to add to the ingress node's clock.
    /// - Returns: where to go on, and whether its writer ended the segment; nil where it cannot be read (yet).
    package mutating func read(_ bytes: UnsafeRawBufferPointer, from start: Int, offset: (JournalHeader) -> Int64) -> (next: Int, isClosed: Bool)? {
        guard var reader = try? JournalReader(bytes, from: start), reader.header.recording == recording, reader.header.track == track,
            header == nil || reader.header.kind == header?.kind
        else { return nil }
        if header == nil { header = reader.header }
        learn(reader.header.payloadTypes)
        let offset = offset(reader.header)
        while let record = reader.next() {
            let at = record.receivedAt &+ offset
            guard TrackMerge.isPlausible(at) else { continue }
            switch record.type {
            case .rtp: take(rtp: record.bytes, at)
            case .rtcp: take(rtcp: record.bytes, at)
            case .event: break
            }
        }
        return (reader.intactEnd, reader.isClosed)
    }
    private mutating func learn(_ types: [JournalHeader.PayloadType]) {
        let before = payloadTypes.count
        for type in types { payloadTypes[type.number] = type.codec }
        if payloadTypes.count > before { presenter?.set(payloadTypes) }
    }
    private mutating func take(rtp bytes: UnsafeRawBufferPointer, _ at: Int64) {
        guard let rtp = try? RTPHeader(bytes), payloadTypes[rtp.payloadType] != nil, let header else { return }
        guard let index = streams.firstIndex(where: { $0.ssrc == rtp.ssrc }) ?? add(rtp, at, header) else { leftOut += 1; return }
        firstReceived = min(firstReceived ?? at, at)
        lastReceived = max(lastReceived ?? at, at)
        let isNew = streams[index].take(rtp, at, bytes)
        if !isNew { leftOut += 1 }
        if isNew, streams[index].isPresented { presenter?.note(receivedAt: at, of: index) }
    }
    private mutating func add(_ rtp: RTPHeader, _ at: Int64, _ header: JournalHeader) -> Int? {
        guard streams.count < TrackMerge.Limits.streams else { return nil }
        var numbers = NumberExtender()
        let timestamp = numbers.extend(rtp.sequence, rtp.timestamp, receivedAt: at).1
        streams.append(Stream(
            ssrc: rtp.ssrc, timing: StreamTiming(clockRate: header.clockRate, reports: [], arrivals: LowerEnvelope(), origin: (timestamp, at))))
        return streams.count - 1
    }
    private mutating func take(rtcp bytes: UnsafeRawBufferPointer, _ at: Int64) {
        var reader = RTCPReader(bytes)
        while let packet = try? reader.next() {
            guard case .senderReport(let report) = packet, report.info.ntp.rawValue != 0, let index = streams.firstIndex(where: { $0.ssrc == report.info.ssrc }) else { continue }
            streams[index].take(report.info, at)
        }
    }

    // MARK: - Presenting

    /// - Parameter clocks: one for each of `timings`; new ones where more was learnt.
    package mutating func set(_ clocks: [StreamClock], zero: Int64) {
        guard let header, clocks.count == streams.count else { return }
        if presenter == nil { presenter = TrackPresenter(growing: header, zero: zero) }
        for (index, clock) in clocks.enumerated() {
            if streams[index].isPresented { presenter?.set(clock, of: index); continue }
            guard presenter?.addStream(ssrc: streams[index].ssrc, clock: clock, payloadTypes: payloadTypes) == index else { preconditionFailure("streams are added in order") }
            streams[index].isPresented = true
            for at in streams[index].waiting.map(\.receivedAt).sorted() { presenter?.note(receivedAt: at, of: index) }
        }
    }
    /// Lets go of everything that was received so long before `now` (µs of receive time) that nothing before it can still come.
    package mutating func advance(to now: Int64, zero: Int64) {
        for index in streams.indices where streams[index].isPresented {
            presenter?.append(streams[index].release(before: now - Limits.holdback), to: index)
        }
        presenter?.release(before: now - zero - Limits.holdback - Limits.still)
    }
    /// Nothing will be added.
    package mutating func end() {
        for index in streams.indices where streams[index].isPresented { presenter?.append(streams[index].release(before: .max), to: index) }
        presenter?.endGrowing()
    }
    package mutating func next() -> PresentedFrame? { presenter?.next() }
}

extension TrackFollower.Stream {
    /// - Returns: false for a packet that is there already, or too late.
    fileprivate mutating func take(_ rtp: RTPHeader, _ at: Int64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let (sequence, timestamp) = numbers.extend(rtp.sequence, rtp.timestamp, receivedAt: at)
        let x = timing.microseconds(timestamp)
        timing.arrivals.add(x: x, delay: at &- x)
        guard sequence > released, waiting.count < TrackFollower.Limits.waiting else { return false }
        var place = waiting.count
        while place > 0, waiting[place - 1].sequence > sequence { place -= 1 }
        guard place == 0 || waiting[place - 1].sequence != sequence else { return false }
        waiting.insert(CapturedPacket(sequence: sequence, timestamp: timestamp, receivedAt: at, bytes: bytes), at: place)
        return true
    }
    fileprivate mutating func take(_ info: SenderInfo, _ at: Int64) {
        guard numbers.timestamps.highest != nil, timing.reports.count < TrackMerge.Limits.reports else { return }
        timing.reports.append(ReportSample(receivedAt: at, sentAt: info.ntp.wall.microseconds, timestamp: numbers.timestamps.peek(info.rtpTimestamp)))
    }
    /// The packets up to the last one received before `time`, with those among them that came later.
    fileprivate mutating func release(before time: Int64) -> [CapturedPacket] {
        guard let last = waiting.lastIndex(where: { $0.receivedAt < time }) else { return [] }
        let out = Array(waiting[...last])
        waiting.removeFirst(out.count)
        released = out[out.count - 1].sequence
        return out
    }
}
