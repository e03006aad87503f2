// One track's frames on the recording's time, ready for a file: encodings and SSRCs joined, waits for key frames
// observed, silence where an audio file would otherwise slip.
import Primitives
import RTP

/// A frame with its place in the recording.
package struct PresentedFrame {
    /// µs from the recording's time zero; never goes back within a track.
    package var time: Int64
    /// µs.
    package var duration: Int64
    package var data: [UInt8]
    package var isKey: Bool
    package var codec: Codec
    /// Present on the first frame of each codec and wherever it changes.
    package var configuration: CodecConfiguration?
    /// Silence put into a hole; not captured.
    package var isFiller = false
    /// Clockwise, in degrees, to show the picture upright; 0 for audio.
    package var rotation = 0
    /// SSRC it came from; a filler's is that of the frame before it.
    package var stream: UInt32 = 0
}

/// What came out beside the frames.
package struct PresentationSummary: Equatable, Sendable {
    package var frames = 0
    package var keyFrames = 0
    package var fillers = 0
    /// Complete frames left out: they could not be decoded, or another encoding had taken over.
    package var skipped = 0
    package var incomplete = 0
    package var malformed = 0
    /// µs from zero.
    package var start: Int64?
    package var end: Int64?
    /// From the first packet to the first frame, µs; video.
    package var keyFrameWait: Int64 = 0
    /// Times (µs from zero) without a decodable picture although packets came.
    package var frozen: [ClosedRange<Int64>] = []
    /// (µs from zero, size) at each change; the first is the beginning.
    package var sizes: [(time: Int64, size: VideoSize)] = []
    /// How often another stream of the track took over: a layer, a camera, a publisher that came back.
    package var switches = 0
    package var rotations: [(time: Int64, degrees: Int)] = []
    package var speaking: [ClosedRange<Int64>] = []

    package static func == (a: Self, b: Self) -> Bool {
        a.frames == b.frames && a.keyFrames == b.keyFrames && a.fillers == b.fillers && a.skipped == b.skipped && a.start == b.start && a.end == b.end
    }
}

/// Pulls frames out of a track's evidence. Pure: the caller writes what `next` gives.
package struct TrackPresenter {
    package enum Limits {
        /// A frame is not of a time farther (µs) from what was received: timestamps may lie, arrivals do not.
        static let slack: Int64 = 10_000_000
        /// Going back farther than this (µs) is another encoding that was superseded, not jitter of the clock fit.
        static let overlap: Int64 = 1_000_000
        /// A current encoding that ends this soon (µs) after another one's key frame gives way to it.
        static let handover: Int64 = 500_000
        /// A last frame's duration, and the longest one taken from its predecessor (µs).
        static let lastDuration: Int64 = 33_333
        static let longestDuration: Int64 = 1_000_000
        static let changes = 10_000
        /// Packets of one stream that wait for frames of other streams: a minute of 5 Mbit/s.
        static let waiting = 1 << 15
    }
    let header: JournalHeader
    let zero: Int64
    var streams: [(ssrc: UInt32, runs: CaptureRuns)]
    var clocks: [StreamClock]
    private var kind: Codec.Kind { header.kind }
    /// More packets will be appended: nothing to present is not the end.
    var isGrowing = false
    var hasReceived = false
    /// Times (µs from zero) a frame of this track can have: bounds the file, and the silence in it.
    var plausible: ClosedRange<Int64>
    var fillerLeft: Int64
    var sources: [Source]
    private var current: Int?
    private var needsKey = true
    var held: PresentedFrame?
    var queue: [PresentedFrame] = []
    private var queueHead = 0
    private var isDone = false
    private var lastTime: Int64 = .min
    private var audioEnd: (stream: Int, timestamp: UInt64, time: Int64)?
    private var lastConfiguration: CodecConfiguration?
    private var firstPacketTime: Int64?
    private var frozenSince: Int64?
    private var rotation = 0
    private var speech = SpeakingDetector()
    package private(set) var summary = PresentationSummary()

    struct Source {
        var assembler: FrameAssembler
        /// Appended and not yet forgotten, in sequence order.
        var packets: [CapturedPacket] = []
        var nextPacket = 0
        var frame: CapturedFrame?
    }

    /// Packets are appended to it, and `endGrowing` says that there are no more.
    /// - Parameters:
    ///   - clocks: one for each stream of the evidence, in its order.
    ///   - zero: the recording's time zero, wall µs.
    package init(_ evidence: TrackEvidence, clocks: [StreamClock], zero: Int64) {
        precondition(clocks.count == evidence.streams.count)
        streams = evidence.streams.map { ($0.ssrc, $0.runs) }
        isGrowing = true
        self.clocks = clocks
        self.zero = zero
        header = evidence.header
        let first = (evidence.firstReceived ?? zero) &- zero, last = (evidence.lastReceived ?? zero) &- zero
        plausible = (first - Limits.slack)...(max(first, last) + Limits.slack)
        fillerLeft = max(0, last - first) + Limits.slack
        sources = evidence.streams.map { _ in
            Source(assembler: FrameAssembler(codec: evidence.header.codec, payloadTypes: evidence.payloadTypes, extensions: evidence.header.extensions))
        }
        firstPacketTime = zip(evidence.streams, clocks).map { stream, clock in clock.wall(stream.timing.origin.timestamp) &- zero }.min()
    }

    /// A track that is still captured, without streams yet.
    package init(growing header: JournalHeader, zero: Int64) {
        (self.header, self.zero) = (header, zero)
        (streams, clocks, sources) = ([], [], [])
        plausible = 0...Limits.slack
        fillerLeft = Limits.slack
        isGrowing = true
    }

    /// The next frame, or nil at the end (`summary` is complete then) or until more is appended.
    /// - Parameter before: µs from zero; a frame of a later time waits, since another stream may still have an earlier one, unless
    ///   `Limits.waiting` packets wait behind it.
    package mutating func next(before: Int64 = .max) -> PresentedFrame? {
        while queueHead == queue.count, !isDone { guard step(before) else { return nil } }
        guard queueHead < queue.count else { return nil }
        defer {
            queueHead += 1
            if queueHead == queue.count { queue.removeAll(keepingCapacity: true); queueHead = 0 }
        }
        return queue[queueHead]
    }

    // MARK: - Choosing the next frame

    /// - Returns: false when there is nothing to present until more is appended.
    private mutating func step(_ limit: Int64) -> Bool {
        for index in sources.indices where sources[index].frame == nil { fill(index) }
        var best: (index: Int, time: Int64)?
        for index in sources.indices {
            guard let frame = sources[index].frame else { continue }
            let time = clocks[index].wall(frame.timestamp) &- zero
            if best.map({ time < $0.time }) ?? true { best = (index, time) }
        }
        if let best, best.time >= limit, isGrowing, sources.allSatisfy({ $0.packets.count - $0.nextPacket < Limits.waiting }) { return false }
        guard let best, let frame = sources[best.index].frame.take() else {
            if !isGrowing { end() }
            return !isGrowing
        }
        take(frame, from: best.index, at: best.time)
        return true
    }
    /// Feeds packets until the stream has a frame or ends.
    private mutating func fill(_ index: Int) {
        while true {
            if let frame = sources[index].assembler.takeFrame() { sources[index].frame = frame; return }
            guard sources[index].nextPacket < sources[index].packets.count else { return }
            sources[index].assembler.add(sources[index].packets[sources[index].nextPacket])
            sources[index].nextPacket += 1
            if sources[index].nextPacket == sources[index].packets.count, !isGrowing { sources[index].assembler.finish() }
        }
    }
    private mutating func take(_ frame: CapturedFrame, from index: Int, at time: Int64) {
        guard plausible.contains(time), time > lastTime &- Limits.overlap || lastTime == .min else { summary.skipped += 1; return }
        kind == .audio ? takeAudio(frame, index, time) : takeVideo(frame, index, time)
    }

    // MARK: - Video

    private mutating func takeVideo(_ frame: CapturedFrame, _ index: Int, _ time: Int64) {
        if index != current {
            guard frame.isKey, mayLeaveCurrent(at: frame.receivedAt) else { summary.skipped += 1; return }
            if current != nil { summary.switches += 1 }
            current = index
        } else if frame.followsLoss || lastConfiguration.map({ $0.codec != frame.codec }) ?? false {
            needsKey = true
        }
        guard frame.isKey || !needsKey else {
            if frozenSince == nil, summary.frames > 0 { frozenSince = lastTime }
            summary.skipped += 1
            return
        }
        // The first frame of a codec must say what a container needs.
        guard frame.configuration != nil || lastConfiguration?.codec == frame.codec else { summary.skipped += 1; return }
        let placed = max(time, lastTime == .min ? 0 : lastTime + 1, 0)
        if let since = frozenSince, summary.frozen.count < Limits.changes { summary.frozen.append(since...max(since, placed)) }
        frozenSince = nil
        needsKey = false
        noteStart(placed)
        note(frame, at: placed)
        emit(PresentedFrame(time: placed, duration: 0, data: frame.data, isKey: frame.isKey, codec: frame.codec, configuration: changed(frame.configuration), rotation: rotation,
            stream: streams[index].ssrc))
    }
    /// True when no encoding is current, or the current one ends about now.
    private func mayLeaveCurrent(at receivedAt: Int64) -> Bool {
        guard let current, !needsKey else { return true }
        guard let run = streams[current].runs.ranges.first(where: { $0.upperBound >= receivedAt }) else { return true }
        return run.lowerBound > receivedAt || run.upperBound < receivedAt + Limits.handover
    }
    private mutating func note(_ frame: CapturedFrame, at time: Int64) {
        if let size = frame.configuration?.size, summary.sizes.last?.size != size, summary.sizes.count < Limits.changes { summary.sizes.append((time, size)) }
        guard let degrees = frame.rotation, degrees != rotation else { return }
        rotation = degrees
        if summary.rotations.count < Limits.changes { summary.rotations.append((time, degrees)) }
    }

    // MARK: - Audio

    private mutating func takeAudio(_ frame: CapturedFrame, _ index: Int, _ time: Int64) {
        let duration = UInt64(frame.duration ?? 960)
        if let end = audioEnd {
            if index == end.stream {
                // Within a stream samples are counted; the clock only places them.
                guard frame.timestamp >= end.timestamp else { summary.skipped += 1; return }
                fillSilence(from: end.timestamp, samples: frame.timestamp - end.timestamp, in: index)
            } else {
                guard time >= end.time - 20_000 else { summary.skipped += 1; return }
                summary.switches += 1
                if time > end.time { fillSilence(after: end, until: time) }
            }
        }
        let placed = max(time, lastTime == .min ? 0 : lastTime, 0)
        noteStart(placed)
        if let level = frame.audioLevel { speech.add(level, at: placed) }
        emit(PresentedFrame(
            time: placed, duration: microseconds(duration), data: frame.data, isKey: true, codec: frame.codec, configuration: changed(frame.configuration),
            stream: streams[index].ssrc))
        audioEnd = (index, frame.timestamp + duration, time + microseconds(duration))
    }
    private func microseconds(_ samples: UInt64) -> Int64 { Int64(samples) * 125 / 6 }   // 48 kHz

    private mutating func fillSilence(from timestamp: UInt64, samples: UInt64, in index: Int) {
        guard takeFiller(samples > UInt64(Int64.max / 125) ? .max : microseconds(samples)) else { return }
        var done: UInt64 = 0
        while let silence = OpusDepacketiser.silence(atMost: samples - done) {
            emitSilence(silence, at: clocks[index].wall(timestamp + done) &- zero)
            done += UInt64(silence.duration)
        }
    }
    private mutating func fillSilence(after end: (stream: Int, timestamp: UInt64, time: Int64), until time: Int64) {
        guard takeFiller(time - end.time) else { return }
        var at = end.time
        while let silence = OpusDepacketiser.silence(atMost: UInt64(max(0, time - at) * 6 / 125)) {
            emitSilence(silence, at: at)
            at += microseconds(UInt64(silence.duration))
        }
    }
    /// All silence together is at most as long as the track.
    private mutating func takeFiller(_ duration: Int64) -> Bool {
        guard duration > 0, duration <= fillerLeft else { return false }
        fillerLeft -= duration
        return true
    }
    private mutating func emitSilence(_ silence: (data: [UInt8], duration: UInt32), at time: Int64) {
        emit(PresentedFrame(
            time: max(time, lastTime), duration: microseconds(UInt64(silence.duration)), data: silence.data, isKey: true, codec: .opus, configuration: nil, isFiller: true,
            stream: held?.stream ?? 0))
    }

    // MARK: - Output

    /// Each frame waits for the next one, which tells how long it lasted.
    private mutating func emit(_ frame: PresentedFrame) {
        if var before = held {
            if before.duration == 0 { before.duration = min(Limits.longestDuration, frame.time - before.time) }
            queue.append(before)
        }
        held = frame
        lastTime = frame.time
        if frame.isFiller { summary.fillers += 1 } else { summary.frames += 1 }
        if frame.isKey, !frame.isFiller { summary.keyFrames += 1 }
        summary.end = frame.time + frame.duration
    }
    private mutating func end() {
        isDone = true
        if var last = held {
            if last.duration == 0 { last.duration = Limits.lastDuration }
            queue.append(last)
            summary.end = last.time + last.duration
        }
        held = nil
        if let since = frozenSince { summary.frozen.append(since...max(since, lastTime)) }
        summary.incomplete = sources.reduce(0) { $0 + $1.assembler.incomplete }
        summary.malformed = sources.reduce(0) { $0 + $1.assembler.malformed }
        summary.speaking = speech.finish()
    }
    private mutating func noteStart(_ time: Int64) {
        guard summary.start == nil else { return }
        summary.start = time
        if kind == .video, let first = firstPacketTime { summary.keyFrameWait = max(0, time - max(0, first)) }
    }
    private mutating func changed(_ configuration: CodecConfiguration?) -> CodecConfiguration? {
        guard let configuration, configuration != lastConfiguration else { return nil }
        lastConfiguration = configuration
        return configuration
    }
}
