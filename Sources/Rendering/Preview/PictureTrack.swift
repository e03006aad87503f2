// A video track on the preview's grid: which picture is to be seen when.
import Capture
import RTP

/// Decodes a source as far as it is asked to, and keeps the newest picture.
final class PictureTrack {
    enum Limits {
        /// A camera's last picture stands this long (µs) when nothing follows; then it is black. A shared screen stands until its end.
        static let hold: Int64 = 3_000_000
    }
    let source: any FrameSource
    /// The newest picture's time, µs; nil while there is none to show.
    private(set) var shownSince: Int64?
    private let packet: MediaPacket
    private let decoded: MediaFrame
    private let newest: MediaFrame
    private var rotation = 0
    private var rotations: [(time: Int64, degrees: Int)] = []
    private var decoder: Decoder?
    private var parameters: StreamParameters?
    /// The first packet that is not due yet is in `packet`.
    private var isHolding = false
    private var isDrained = false
    private var lastTime: Int64 = 0
    /// Changes with every picture; tells whether one was already drawn.
    private(set) var generation = 0

    init(_ source: any FrameSource) throws(WorkerError) {
        self.source = source
        packet = try MediaPacket()
        decoded = try MediaFrame()
        newest = try MediaFrame()
    }
    /// Nothing will be shown any more.
    var isOver: Bool { isDrained && shownSince == nil }

    /// Takes every frame from before `time` (µs).
    func advance(to time: Int64) throws(WorkerError) {
        guard !isDrained else { return expire(time) }
        while true {
            if !isHolding {
                guard try source.next(into: packet) else { break }
                isHolding = true
            }
            guard packet.time < time else { break }
            isHolding = false
            try decode()
        }
        if source.isAtEnd, !isHolding {
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
        if !isHolding { isHolding = try source.next(into: packet) }
        return !isHolding || packet.time >= time
    }
    /// Draws the newest picture into `target`, its shape kept, on black.
    func draw(with scaler: Scaler, into target: MediaFrame) throws(WorkerError) {
        try target.blacken()
        try scaler.fit(newest, rotation: rotation, into: target)
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

    private func decode() throws(WorkerError) {
        lastTime = packet.time
        if parameters !== source.parameters {
            try decoder?.send(nil)
            try takePictures()
            parameters = source.parameters
            decoder = try parameters.map { parameters throws(WorkerError) in try Decoder(parameters, timeBase: Libav.microseconds) }
        }
        if (rotations.last?.degrees ?? rotation) != source.rotation { rotations.append((packet.time, source.rotation)) }
        try decoder?.send(packet)
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
