// Encoded media from the ffmpeg command, taken out of the simple containers it writes.
import RTP

/// One encoded frame with its time from the beginning (µs).
struct EncodedFrame: Sendable { var time: Int64; var data: [UInt8] }

enum Synthesis {
    /// Behind "color": luma 40 in the first second, 10 more in each one after it, so that a picture tells its second.
    static let counter = ":c=black,geq=lum=40+10*floor(T+0.001):cb=128:cr=128"
    static func second(ofLuma luma: Double) -> Int { Int(((luma - 40) / 10).rounded()) }

    static func video(_ codec: Codec, seconds: Double, size: String = "320x240", rate: Int = 30, keyEvery: Int = 30, picture: String = "testsrc2", into folder: String) -> (frames: [EncodedFrame], path: String) {
        let path = "\(folder)/source.\(codec == .h264 ? "h264" : "ivf")"
        let encoder = switch codec {
        case .vp8: "-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0 -f ivf"
        case .vp9: "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -lag-in-frames 0 -auto-alt-ref 0 -f ivf"
        case .av1: "-c:v libaom-av1 -usage realtime -cpu-used 8 -lag-in-frames 0 -f ivf"
        default: "-c:v libx264 -profile:v baseline -preset ultrafast -tune zerolatency -x264-params repeat-headers=1:sliced-threads=0:slices=1 -f h264"
        }
        let made = run("ffmpeg -v error -y -f lavfi -i '\(picture)\(picture.contains("=") ? ":" : "=")size=\(size):rate=\(rate)\(picture == "color" ? counter : "")' -t \(seconds) -pix_fmt yuv420p -b:v 800k -g \(keyEvery) -keyint_min \(keyEvery) -threads 1 \(encoder) '\(path)' </dev/null")
        precondition(made.status == 0, "\(made.errors)")
        let frames = codec == .h264 ? accessUnits(readFile(path)) : ivf(readFile(path))
        return (frames.enumerated().map { EncodedFrame(time: Int64($0.offset) * 1_000_000 / Int64(rate), data: $0.element) }, path)
    }
    /// - Parameter input: of the ffmpeg command, instead of a tone.
    static func opus(seconds: Double, frequency: Int = 440, input: String? = nil, into folder: String) -> [EncodedFrame] {
        let path = "\(folder)/source.ogg"
        let made = run("ffmpeg -v error -y \(input ?? "-f lavfi -i sine=frequency=\(frequency):sample_rate=48000") -t \(seconds) -ac 1 -c:a libopus -b:a 32k -frame_duration 20 -f ogg '\(path)' </dev/null")
        precondition(made.status == 0, made.errors)
        return ogg(readFile(path)).dropFirst(2).enumerated().map { EncodedFrame(time: Int64($0.offset) * 20_000, data: $0.element) }
    }

    private static func ivf(_ bytes: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], at = 32
        while at + 12 <= bytes.count {
            let size = bytes.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: at, as: UInt32.self))) }
            out.append(Array(bytes[(at + 12)..<(at + 12 + size)]))
            at += 12 + size
        }
        return out
    }
    private static func ogg(_ bytes: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], at = 0, packet: [UInt8] = []
        while at + 27 <= bytes.count {
            let count = Int(bytes[at + 26])
            var body = at + 27 + count
            for i in 0..<count {
                let size = Int(bytes[at + 27 + i])
                packet += bytes[body..<(body + size)]
                body += size
                if size < 255 { out.append(packet); packet = [] }
            }
            at = body
        }
        return out
    }
    /// Annex B, split where a picture begins.
    private static func accessUnits(_ bytes: [UInt8]) -> [[UInt8]] {
        var out: [[UInt8]] = [], hasPicture = true
        for unit in nalUnits(bytes) {
            let type = unit[0] & 0x1F
            if hasPicture { out.append([]); hasPicture = false }
            out[out.count - 1] += [0, 0, 0, 1] + unit
            if type == 1 || type == 5 { hasPicture = true }
        }
        return out
    }
    static func nalUnits(_ bytes: [UInt8]) -> [[UInt8]] {
        var starts: [(at: Int, body: Int)] = [], i = 0
        while i + 3 <= bytes.count {
            if bytes[i] == 0, bytes[i + 1] == 0, bytes[i + 2] == 1 { starts.append((i, i + 3)); i += 3 } else { i += 1 }
        }
        return starts.enumerated().map { index, start in
            var end = index + 1 < starts.count ? starts[index + 1].at : bytes.count
            while end > start.body, bytes[end - 1] == 0 { end -= 1 }
            return Array(bytes[start.body..<end])
        }
    }
}
