// A finished recording's folder with tracks whose content tells who and when, and what comes out of its export.
@testable import Capture
import Glibc
import Primitives
import RTP

/// Ten seconds of three people:
/// - ann: grey that is 20 brighter each second (VP8), 440 Hz
/// - bob: green (H.264, in a portrait format), 880 Hz with a pause from 4 s to 5 s
/// - cid: blue (VP9) from 2 s to 7 s, no sound
final class ExportedRoom {
    static let seconds = 10.0
    /// Made once: every room copies it.
    private static let tracks: TemporaryFolder = {
        let folder = TemporaryFolder(), path = folder.path
        _ = system("mkdir -p '\(path)/tracks/ann' '\(path)/tracks/bob' '\(path)/tracks/cid'")
        let made = run("""
            cd '\(path)/tracks' && ffmpeg -v error -y \
            -f lavfi -i "nullsrc=s=160x90:r=30,geq=lum='40+20*floor(T)':cb=128:cr=128" \
            -f lavfi -i "color=0x00A000:s=90x160:r=30" -f lavfi -i "color=0x0000C0:s=160x90:r=30" \
            -f lavfi -i "sine=440:sample_rate=48000" -f lavfi -i "aevalsrc='0.125*sin(2*PI*880*t)*not(between(t,4,5))':s=48000" \
            -map 0 -t 10 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k -g 60 ann/cam.webm \
            -map 1 -t 10 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 60 bob/cam.mkv \
            -map 2 -t 5 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 100k -output_ts_offset 2 cid/cam.webm \
            -map 3 -t 10 -c:a libopus -b:a 48k ann/mic.webm -map 4 -t 10 -c:a libopus -b:a 48k bob/mic.webm </dev/null
            """)
        precondition(made.status == 0, made.errors)
        return folder
    }()

    let storage = TemporaryFolder()
    var folder: String { storage.path }
    var manifest: Manifest
    var events: [Timeline.Entry] = []

    init() {
        manifest = Manifest(
            recordingID: "rec", roomID: "room", title: "A meeting", timeZero: "", timeZeroMicroseconds: 0, startedAt: "", stoppedAt: nil, duration: Self.seconds, size: 1, complete: true,
            participants: [.init(peerID: "ann", name: "Ann", role: nil, joinedAt: 0, leftAt: nil), .init(peerID: "bob", name: "Bob: 'x' %{n}", role: nil, joinedAt: 0, leftAt: nil),
                .init(peerID: "cid", name: "Cid", role: nil, joinedAt: 2, leftAt: nil)],
            tracks: [], warnings: [])
        manifest.tracks = [
            Self.track("ann", "cam", .vp8, "webm", 0, 10), Self.track("ann", "mic", .opus, "webm", 0, 10), Self.track("bob", "cam", .h264, "mkv", 0, 10),
            Self.track("bob", "mic", .opus, "webm", 0, 10), Self.track("cid", "cam", .vp9, "webm", 2, 5),
        ]
        _ = system("cp -r '\(Self.tracks.path)/tracks' '\(folder)/'")
    }
    static func track(_ peer: ParticipantID, _ name: String, _ codec: Codec, _ container: String, _ start: Double, _ duration: Double) -> Manifest.Track {
        Manifest.Track(
            trackID: TrackID("\(peer)-\(name)"), peerID: peer, kind: codec.kind, source: codec.kind == .audio ? "microphone" : "camera", codec: codec, start: start, duration: duration,
            keyFrameWait: 0,
            files: [.init(path: "tracks/\(peer)/\(name).\(container)", codec: codec, container: container, start: start, duration: duration, size: 1, width: nil, height: nil, frames: 1, keyFrames: 1)],
            clocks: [], holes: [],
            integrity: .init(
                complete: true, packets: 1, lost: 0, duplicates: 0, malformed: 0, unknownPayloadType: 0, incompleteFrames: 0, skippedFrames: 0, fillerFrames: 0, damagedStretches: 0,
                damagedBytes: 0, tornBytes: 0, segments: 1, unreadableSegments: 0),
            writers: ["a"], epochs: [1])
    }

    /// Runs `troupe-media export` on it.
    /// - Parameter composition: JSON; `'` stands for `"`.
    func export(_ composition: String? = nil, _ options: String = "--format mp4") throws -> (verdict: WorkerVerdict, status: Int32, lines: [String]) {
        writeFile("\(folder)/metadata.json", try CaptureJSON.encode(manifest))
        writeFile("\(folder)/timeline.json", try CaptureJSON.encode(Timeline(recording: "rec", zero: WallTime(microseconds: 0), duration: 10_000, events: events)))
        var words = "export --dir '\(folder)' \(options)"
        if let composition {
            writeFile("\(folder)/composition.json", Array(composition.replacing("'", with: "\"").utf8))
            words += " --composition '\(folder)/composition.json'"
        }
        let result = run("'\(mediaWorker)' \(words)")
        let lines = result.output.split(separator: "\n").map(String.init)
        guard case .verdict(let verdict)? = lines.last.flatMap(WorkerMessage.init(line:)) else { throw NoVerdict(result: result) }
        return (verdict, result.status, lines)
    }
    struct NoVerdict: Error { var result: CommandResult }
    func file(_ name: String) -> String { "\(folder)/\(name)" }
}

/// What an exported file shows and plays.
struct ExportedFile {
    let path: String

    /// Mean colours (Y, Cb, Cr) of 4×4 pixels around a point, in every frame.
    func colours(at points: [(x: Int, y: Int)]) -> [[(y: Int, u: Int, v: Int)]] {
        let taps = points.enumerated().map { index, point in "[\(index)]crop=4:4:\((point.x - 2) & ~1):\((point.y - 2) & ~1),scale=2:2[c\(index)]" }
        let split = "split=\(points.count)" + points.indices.map { "[\($0)]" }.joined()
        let joined = points.count == 1 ? "[c0]copy" : points.indices.map { "[c\($0)]" }.joined() + "hstack=\(points.count)"
        let raw = "\(path).yuv"
        defer { unlink(raw) }
        let done = run("ffmpeg -v error -y -i '\(path)' -filter_complex \"[0:v]\(split);\(taps.joined(separator: ";"));\(joined)\" -fps_mode passthrough -pix_fmt yuv444p -f rawvideo '\(raw)' </dev/null")
        precondition(done.status == 0, done.errors)
        let bytes = readFile(raw), width = 2 * points.count, plane = width * 2
        return stride(from: 0, to: bytes.count, by: plane * 3).map { frame in
            points.indices.map { point in (Int(bytes[frame + point * 2]), Int(bytes[frame + plane + point * 2]), Int(bytes[frame + plane * 2 + point * 2])) }
        }
    }
    /// Mono samples at 48 kHz.
    func samples() -> [Float] {
        let raw = "\(path).f32"
        defer { unlink(raw) }
        let done = run("ffmpeg -v error -y -i '\(path)' -ac 1 -ar 48000 -f f32le '\(raw)' </dev/null")
        precondition(done.status == 0, done.errors)
        return readFile(raw).withUnsafeBytes { bytes in (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) } }
    }
    /// LUFS, by libavfilter's own meter.
    func loudness() -> Double? {
        let text = run("ffmpeg -hide_banner -nostats -i '\(path)' -af ebur128 -f null - </dev/null").errors
        let line = text.split(separator: "\n").last { $0.contains("I:") && $0.contains("LUFS") }
        return line.flatMap { Double($0.split(separator: ":").last!.trimmingPrefix(" ").split(separator: " ").first.map { String($0) } ?? "") }
    }
    /// The order of MP4's outermost boxes.
    func boxes() -> [String] {
        let bytes = readFile(path)
        var at = 0, found: [String] = []
        while at + 8 <= bytes.count {
            var size = bytes[at..<(at + 4)].reduce(0) { $0 << 8 | Int($1) }
            found.append(String(decoding: bytes[(at + 4)..<(at + 8)], as: UTF8.self))
            if size == 1 { size = bytes[(at + 8)..<(at + 16)].reduce(0) { $0 << 8 | Int($1) } }
            at += max(8, size)
        }
        return found
    }
}

/// Amplitude of a tone in samples (Goertzel).
func tone(_ hertz: Double, in samples: some Collection<Float>) -> Double {
    let step = 2 * Double.pi * hertz / 48_000
    var real = 0.0, imaginary = 0.0
    for (index, sample) in samples.enumerated() {
        real += Double(sample) * cos(step * Double(index))
        imaginary += Double(sample) * sin(step * Double(index))
    }
    return 2 * (real * real + imaginary * imaginary).squareRoot() / Double(max(1, samples.count))
}
