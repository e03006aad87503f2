// One peer's camera and microphone, or its shared screen, on the preview's grid.
import CFFmpeg
import Capture
import Primitives
import RTP

/// Makes one segment after the other: what was captured, and black and silence where nothing was. Memory does not grow with length.
final class PreviewLane {
    let peer: ParticipantID
    let isScreen: Bool
    /// Segments made so far.
    private(set) var segments = 0
    private let settings: PreviewSettings
    private let grid: PreviewGrid
    private let size: VideoSize
    private var pictures: [PictureTrack] = []
    private var sounds: [SoundTrack] = []
    private let scaler = Scaler(isFast: true)
    private let canvas: MediaFrame
    /// What the canvas shows: a track's picture, or black.
    private var drawn: (track: TrackID?, generation: Int) = (nil, 0)
    private let video: Encoder
    private let audio: Encoder
    private let packet: MediaPacket
    private let copy: MediaPacket
    private let folder: Folder
    /// Made with the first segment, when it is known whether frames may be copied.
    private var writers: (both: FragmentWriter, soundOnly: FragmentWriter?)?
    private var hasCopies = false
    /// Segments of black cost nothing: this one's frames are written again.
    private var black: [(data: [UInt8], isKey: Bool)] = []
    private var quality = PreviewEncoding.Quality.speaking
    private var speech = SpeakingDetector()
    /// Samples of the mix that wait for a whole AAC frame; the first is sample `mixed − mix.count`.
    private var mix: [Float] = []
    private var mixed: Int64 = 0
    private var audioSent: Int64 = 0

    /// - Parameter folder: of this lane, existing.
    init(_ folder: Folder, peer: ParticipantID, isScreen: Bool, _ settings: PreviewSettings) throws(WorkerError) {
        self.peer = peer; self.isScreen = isScreen; self.settings = settings
        grid = settings.grid
        size = settings.size
        canvas = try MediaFrame(picture: size)
        video = try Encoder(PreviewEncoding.video(settings, size: size))
        audio = try Encoder(PreviewEncoding.audio())
        packet = try MediaPacket()
        copy = try MediaPacket()
        precondition(audio.frameSamples == PreviewGrid.audioFrame && audio.delay == PreviewGrid.audioFrame)
        self.folder = folder
    }
    private func makeWriters() throws(WorkerError) -> (both: FragmentWriter, soundOnly: FragmentWriter?) {
        if let writers { return writers }
        for track in pictures { if let parameters = try track.comingParameters(), parameters.size == size, CopiedFrames.can(parameters) { hasCopies = true } }
        let made = (
            both: try FragmentWriter(folder, name: isScreen ? "video" : "av", head: "init.mp4", segmentSeconds: settings.segmentSeconds, video: video, hasCopies: hasCopies, audio: audio),
            soundOnly: isScreen ? nil : try FragmentWriter(folder, name: "audio", head: "audio_init.mp4", segmentSeconds: settings.segmentSeconds, video: nil, audio: audio))
        writers = made
        return made
    }
    func add(_ source: any FrameSource) throws(WorkerError) {
        if source.track.kind == .audio { sounds.append(try SoundTrack(source)) } else { pictures.append(try PictureTrack(source)) }
    }
    var bytes: Int64 { (writers?.both.bytes ?? 0) + (writers?.soundOnly?.bytes ?? 0) }

    /// Makes the next segment; every source has given what belongs to it.
    /// - Parameter total: pictures of the whole recording; `Int.max` while it runs.
    func makeSegment(total: Int) throws(WorkerError) {
        let frames = grid.frames(of: segments, total: total)
        let sound = grid.audioFrames(frames)
        let (both, soundOnly) = try makeWriters()
        try addSound(sound)
        if try !copyPictures(frames, both) { try writePictures(frames, both) }
        try writeSound(sound, both, soundOnly)
        try both.endSegment(duration: Double(frames.count) / Double(grid.frameRate))
        try soundOnly?.endSegment(duration: Double(sound.count * PreviewGrid.audioFrame) / Double(PreviewGrid.sampleRate))
        segments += 1
        pictures.removeAll { $0.isOver }
        sounds.removeAll { $0.isOver }
    }
    func publish(count: Int, isEnded: Bool) throws(WorkerError) {
        try writers?.both.publish(count: count, isEnded: isEnded)
        try writers?.soundOnly?.publish(count: count, isEnded: isEnded)
    }
    func makeDurable() throws(WorkerError) {
        try writers?.both.makeDurable()
        try writers?.soundOnly?.makeDurable()
    }
    /// - Returns: nil before the first segment.
    func entry(name: String) -> PreviewIndex.Peer? {
        guard let (both, soundOnly) = writers else { return nil }
        let folder = RecordingLayout.Names.previews(of: peer, isScreen: isScreen)
        return PreviewIndex.Peer(
            peerID: peer, name: name, width: size.width, height: size.height,
            av: PreviewIndex.Variant(folder: folder, name: both.playlist.name, head: both.playlist.head, codecs: both.codecs),
            audio: soundOnly.map { PreviewIndex.Variant(folder: folder, name: $0.playlist.name, head: $0.playlist.head, codecs: $0.codecs) },
            speaking: speech.stretches.map { PreviewIndex.Stretch(from: seconds($0.lowerBound), to: seconds($0.upperBound)) })
    }

    // MARK: - Pictures

    /// A segment of frames as they came, where one track shows something and it can be shown so.
    private func copyPictures(_ frames: Range<Int>, _ both: FragmentWriter) throws(WorkerError) -> Bool {
        let next = grid.cutoff(frames.upperBound - 1), end = grid.time(frames.upperBound)
        guard hasCopies else { return false }
        var shown: [PictureTrack] = []
        for track in pictures where try !track.isBlack(until: next) { shown.append(track) }
        guard shown.count == 1, let parameters = try shown[0].comingParameters(), CopiedFrames.can(parameters), let sets = CopiedFrames.sets(parameters) else { return false }
        let bits = PreviewEncoding.bitRate(wantedQuality(frames), size) * Int64(frames.count + grid.frameRate) / Int64(grid.frameRate)
        let slot = grid.cutoff(frames.lowerBound - 1)..<grid.cutoff(frames.lowerBound)
        guard let copies = try shown[0].take(keyIn: slot, next: next, end: end - PreviewEncoding.leastStep, size: size, bytes: Int(bits / 8)) else { return false }
        var times: [Int64] = []
        for copy in copies { times.append(times.last.map { max($0 + PreviewEncoding.leastStep, copy.packet.time) } ?? grid.time(frames.lowerBound)) }
        for (number, copy) in copies.enumerated() {
            guard let frame = CopiedFrames.annexB(copy.packet.bytes) else { continue }
            let until = number + 1 < times.count ? times[number + 1] : end
            try packet.fill(copy.packet.isKey ? sets + frame : frame, time: times[number], duration: until - times[number], isKey: copy.packet.isKey)
            try both.writeVideo(packet, timeBase: Libav.microseconds)
        }
        return true
    }
    private func writePictures(_ frames: Range<Int>, _ both: FragmentWriter) throws(WorkerError) {
        var sent = 0
        for frame in frames {
            let shown = try picture(at: frame)
            if sent == 0, shown == nil, try isBlack(until: grid.cutoff(frames.upperBound)) { return try writeBlack(frames, both) }
            if sent == 0 { try choose(quality: wantedQuality(frames)) }
            try draw(shown)
            try encode(frame, isKey: sent == 0)
            packet.duration = 1
            try both.writeVideo(packet)
            sent += 1
        }
    }
    /// The track whose picture is the newest at picture `frame`.
    private func picture(at frame: Int) throws(WorkerError) -> PictureTrack? {
        let cutoff = grid.cutoff(frame)
        var best: (track: PictureTrack, since: Int64)?
        for track in pictures {
            try track.advance(to: cutoff)
            if let since = track.shownSince, track.source.isShown(at: grid.time(frame)), since >= best?.since ?? .min { best = (track, since) }
        }
        return best?.track
    }
    private func isBlack(until time: Int64) throws(WorkerError) -> Bool {
        for track in pictures where try !track.isBlack(until: time) { return false }
        return true
    }
    private func draw(_ track: PictureTrack?) throws(WorkerError) {
        let wanted = (track: track?.source.track.id, generation: track?.generation ?? 0)
        guard wanted.track != drawn.track || wanted.generation != drawn.generation else { return }
        if let track { try track.draw(with: scaler, into: canvas) } else { try canvas.blacken() }
        drawn = wanted
    }
    /// The canvas as picture `frame`, encoded into `packet`: one comes out for each that goes in, or segments would not hold theirs.
    private func encode(_ frame: Int, isKey: Bool) throws(WorkerError) {
        canvas.time = Int64(frame)
        try video.send(canvas, isKey: isKey)
        guard try video.receive(packet), packet.time == Int64(frame), packet.isKey == isKey else {
            throw WorkerError(.internalError, "the encoder of this FFmpeg holds pictures back; previews need libx264 as Debian builds it")
        }
        if hasCopies, isKey { try packet.fill(video.parameters.header + Array(packet.bytes), time: Int64(frame), duration: 1, isKey: true) }
    }
    private func wantedQuality(_ frames: Range<Int>) -> PreviewEncoding.Quality {
        isScreen || speech.hasSpoken(since: grid.time(frames.lowerBound) - grid.segmentMicroseconds) ? .speaking : .listening
    }
    private func choose(quality wanted: PreviewEncoding.Quality) throws(WorkerError) {
        guard wanted != quality else { return }
        quality = wanted
        let bitRate = PreviewEncoding.bitRate(wanted, size)
        try video.change("crf", to: "\(wanted.rateFactor)")
        video.change(maximumBitRate: bitRate, bufferBits: Int32(clamping: bitRate))
    }
    /// A whole segment without a picture: encoded once.
    private func writeBlack(_ frames: Range<Int>, _ both: FragmentWriter) throws(WorkerError) {
        try draw(nil)
        if black.isEmpty {
            for number in 0..<grid.framesPerSegment {
                try encode(frames.lowerBound + number, isKey: number == 0)
                black.append((Array(packet.bytes), packet.isKey))
            }
        }
        for (number, frame) in frames.enumerated() {
            try packet.fill(black[number].data, time: Int64(frame), duration: 1, isKey: black[number].isKey)
            try both.writeVideo(packet)
        }
    }

    // MARK: - Sound

    /// Mixes the samples of these AAC frames and of the two behind them: the encoder looks that far ahead.
    private func addSound(_ frames: Range<Int64>) throws(WorkerError) {
        let wanted = (frames.upperBound + 2) * Int64(PreviewGrid.audioFrame)
        guard wanted > mixed else { return }
        var part = [Float](repeating: 0, count: Int(wanted - mixed))
        for track in sounds { try track.add(mixed..<wanted, to: &part) }
        listen(part, from: mixed)
        mix += part
        mixed = wanted
    }
    /// Tells the detector how loud each 20 ms were.
    private func listen(_ samples: [Float], from start: Int64) {
        let step = 960
        for block in stride(from: 0, to: samples.count, by: step) {
            let part = samples[block..<min(samples.count, block + step)]
            let power = part.reduce(0) { $0 + $1 * $1 } / Float(part.count)
            let level = AudioLevel(level: UInt8(max(0, min(127, -decibels(ofPower: power)))), isVoice: false)
            speech.add(level, at: (start + Int64(block)) * 1_000 / 48)
        }
    }
    private func writeSound(_ frames: Range<Int64>, _ both: FragmentWriter, _ soundOnly: FragmentWriter?) throws(WorkerError) {
        let length = PreviewGrid.audioFrame
        var used = 0
        // Frame n comes out when n + 2 was sent; the first out is the priming (time −1,024), which players need not see.
        while audioSent < frames.upperBound + 2, mix.count - used >= length {
            try audio.send([mix], from: used, count: length, time: audioSent * Int64(length))
            audioSent += 1
            used += length
            while try audio.receive(packet) {
                guard packet.time >= 0 else { packet.clear(); continue }
                packet.duration = Int64(length)
                if let soundOnly {
                    try copy.reference(packet)
                    try soundOnly.writeAudio(copy)
                }
                try both.writeAudio(packet)
            }
        }
        mix.removeFirst(used)
    }
}
