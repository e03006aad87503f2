// A video track on the preview's grid: which picture is to be seen when.
import CFFmpeg
import Capture
import RTP

/// Decodes a source as far as it is asked to, and keeps the newest picture; or gives frames away as they are.
final class PictureTrack {
    enum Limits {
        /// A camera's last picture stands this long (µs) when nothing follows; then it is black. A shared screen stands until its end.
        static let hold: Int64 = 3_000_000
        /// Frames of a segment that is given away: 60 a second for 4 s.
        static let frames = 240
    }
    /// An encoded frame, and what a decoder must know of it.
    struct Frame {
        var packet: MediaPacket
        var parameters: StreamParameters?
        var rotation: Int
    }
    let source: any FrameSource
    /// The newest picture's time, µs; nil while there is none to show.
    private(set) var shownSince: Int64?
    private let decoded: MediaFrame
    private let newest: MediaFrame
    private var rotation = 0
    private var rotations: [(time: Int64, degrees: Int)] = []
    private var decoder: Decoder?
    private var parameters: StreamParameters?
    /// Read and neither decoded nor given away.
    private var ahead: [Frame] = []
    /// Of the last segment that was given away, from its key frame on: what a decoder needs to go on behind it.
    private var given: [Frame] = []
    private var spare: [MediaPacket] = []
    private var isDrained = false
    private var lastTime: Int64 = 0
    /// Changes with every picture; tells whether one was already drawn.
    private(set) var generation = 0

    init(_ source: any FrameSource) throws(WorkerError) {
        self.source = source
        decoded = try MediaFrame()
        newest = try MediaFrame()
    }
    /// Nothing will be shown any more.
    var isOver: Bool { isDrained && shownSince == nil }

    /// Takes every frame from before `time` (µs).
    func advance(to time: Int64) throws(WorkerError) {
        guard !isDrained else { return expire(time) }
        try catchUp()
        while let frame = try peek(), frame.packet.time < time {
            ahead.removeFirst()
            try decode(frame)
            recycle([frame])
        }
        if source.isAtEnd, ahead.isEmpty {
            try decoder?.send(nil)
            try takePictures()
            decoder = nil
            isDrained = true
        }
        expire(time)
    }
    /// No picture, and none to come before `time` (µs).
    func isBlack(until time: Int64) throws(WorkerError) -> Bool {
        guard shownSince == nil else { return false }
        return try peek().map { $0.packet.time >= time } ?? true
    }
    /// Draws the newest picture into `target`, its shape kept, on black.
    func draw(with scaler: Scaler, into target: MediaFrame) throws(WorkerError) {
        try target.blacken()
        try scaler.fit(newest, rotation: rotation, into: target)
    }

    // MARK: - Frames as they are

    /// What the next frame's decoder must know.
    func comingParameters() throws(WorkerError) -> StreamParameters? { try peek()?.parameters }

    /// A segment's frames as they came, where they can stand in it without being decoded: H.264 of the wanted size, upright, in order, from
    /// a key frame on, none missing for so long that black would follow, no more than `bytes`. Times are µs.
    /// - Parameters:
    ///   - slot: of the segment's first picture on the grid: the key frame must stand in it.
    ///   - next: where the slot of the next segment's begins; what comes there before its key frame belongs to this one still.
    ///   - end: no frame stands behind it.
    /// - Returns: nil where they cannot; nothing was taken then. Valid until the next call.
    func take(keyIn slot: Range<Int64>, next: Int64, end: Int64, size: VideoSize, bytes: Int) throws(WorkerError) -> [Frame]? {
        guard let wanted = try peek()?.parameters, wanted.isH264, wanted.size == size, source.shown == nil else { return nil }
        while ahead.last.map({ $0.packet.time < end }) ?? true, ahead.count <= Limits.frames, try readAhead() {}
        let all = ahead.prefix { $0.packet.time < next || ($0.packet.time < end && !$0.packet.isKey) }
        // What comes before the key frame would be seen for less than a step of the grid.
        guard let key = all.firstIndex(where: { $0.packet.isKey }), slot.contains(all[key].packet.time) else { return nil }
        var last = Int64.min, total = 0
        for frame in all[key...] {
            guard frame.packet.time > last, frame.parameters === wanted, frame.rotation % 360 == 0 else { return nil }
            last = frame.packet.time
            total += frame.packet.bytes.count
        }
        guard all.count <= Limits.frames, total <= bytes, last + Limits.hold >= end else { return nil }
        recycle(given + all[..<key])
        given = Array(all[key...])
        ahead.removeFirst(all.count)
        shownSince = last
        generation += 1
        return given
    }
    /// Decodes what was given away, as far as what follows needs it.
    private func catchUp() throws(WorkerError) {
        guard !given.isEmpty else { return }
        decoder = nil
        parameters = nil
        for frame in given { try decode(frame) }
        recycle(given)
        given = []
    }

    // MARK: - Reading and decoding

    private func peek() throws(WorkerError) -> Frame? {
        if ahead.isEmpty { _ = try readAhead() }
        return ahead.first
    }
    private func readAhead() throws(WorkerError) -> Bool {
        let packet: MediaPacket = if let kept = spare.popLast() { kept } else { try MediaPacket() }
        guard try source.next(into: packet) else {
            spare.append(packet)
            return false
        }
        ahead.append(Frame(packet: packet, parameters: source.parameters, rotation: source.rotation))
        return true
    }
    private func recycle(_ frames: [Frame]) {
        for frame in frames {
            frame.packet.clear()
            spare.append(frame.packet)
        }
    }
    private func expire(_ time: Int64) {
        guard let since = shownSince else { return }
        let isStale = track.isScreen ? isDrained && since + Limits.hold <= time : since + Limits.hold <= time
        guard isStale else { return }
        shownSince = nil
        newest.clear()
        generation += 1
    }
    private var track: SourceTrack { source.track }

    private func decode(_ frame: Frame) throws(WorkerError) {
        lastTime = frame.packet.time
        if parameters !== frame.parameters {
            try decoder?.send(nil)
            try takePictures()
            parameters = frame.parameters
            decoder = try parameters.map { parameters throws(WorkerError) in try Decoder(parameters, timeBase: Libav.microseconds) }
        }
        if (rotations.last?.degrees ?? rotation) != frame.rotation { rotations.append((frame.packet.time, frame.rotation)) }
        try decoder?.send(frame.packet)
        try takePictures()
    }
    private func takePictures() throws(WorkerError) {
        while let decoder, try decoder.receive(decoded) {
            let time = decoded.time == Libav.noTime ? lastTime : decoded.time
            try newest.reference(decoded)
            decoded.clear()
            shownSince = time
            while let change = rotations.first, change.time <= time { rotation = change.degrees; rotations.removeFirst() }
            generation += 1
        }
    }
}

extension StreamParameters {
    var isH264: Bool { raw.pointee.codec_id == AV_CODEC_ID_H264 }
}
