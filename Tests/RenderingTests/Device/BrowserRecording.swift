// What a browser would have recorded beside a `RecordedRoom`: live WebM, cut into chunks in the middle of its clusters.
import Capture
import Glibc
import Primitives
import RTP
@testable import Rendering

enum BrowserRecording {
    /// Bursts of noise as a person's words: 48 kHz, mono.
    static func speech(seconds: Double, seed: UInt64 = 4) -> [Float] {
        var random = SplitMix64(seed: seed)
        func share() -> Double { Double(random.next() >> 11) / Double(1 << 53) }
        let noise = (0..<16_381).map { _ in Float(share()) * 2 - 1 }, count = Int(seconds * 48_000)
        var out = [Float](repeating: 0, count: count), at = 0
        while at < count {
            let length = Int((0.06 + share() * 0.4) * 48_000), loudness = Float(0.08 + share() * 0.3)
            for index in at..<min(count, at + length) { out[index] = noise[index % noise.count] * loudness }
            at += length + Int((0.03 + share() * 0.4) * 48_000)
        }
        return out
    }
    static func write(_ samples: [Float], to path: String) { writeFile(path, samples.withUnsafeBytes { Array($0) }) }

    /// Picture: the recording's second as luma (`Synthesis.second`), in another colour than the server's. Sound: `speech` from `start` on.
    /// - Parameter drift: by how much a second of the browser's is longer than the recording's.
    static func webm(start: Double, seconds: Double, speech: [Float], drift: Double = 0, hasPicture: Bool = true, into folder: String) -> [UInt8] {
        let raw = "\(folder)/device.f32", path = "\(folder)/device.webm"
        let heard = (0..<Int(seconds * 48_000)).map { index -> Float in
            let at = (start + Double(index) / 48_000 * (1 + drift)) * 48_000, left = Int(at)
            guard left + 1 < speech.count else { return 0 }
            return speech[left] + (speech[left + 1] - speech[left]) * Float(at - Double(left))
        }
        write(heard, to: raw)
        let picture = "-f lavfi -i \"nullsrc=s=160x120:r=30,geq=lum='40+10*floor(T+\(start)+0.001)':cb=200:cr=128\""
        let made = run("""
            ffmpeg -v error -y \(hasPicture ? picture : "") -f f32le -ar 48000 -ac 1 -i '\(raw)' -t \(seconds) -pix_fmt yuv420p -c:v libvpx -deadline realtime -cpu-used 8 -g 30 -b:v 200k \
            -c:a libopus -b:a 48k -f webm -live 1 -cluster_time_limit 1000 '\(path)' </dev/null
            """)
        precondition(made.status == 0, made.errors)
        return readFile(path)
    }
    /// Cut in the middle of each cluster: a chunk begins with blocks whose cluster's head is in the one before.
    static func chunks(_ bytes: [UInt8]) -> [[UInt8]] {
        var cuts = [0]
        for at in bytes.indices.dropLast(60) where bytes[at] == 0x1F && bytes[at + 1] == 0x43 && bytes[at + 2] == 0xB6 && bytes[at + 3] == 0x75 { cuts.append(at + 57) }
        return zip(cuts, cuts.dropFirst() + [bytes.count]).map { Array(bytes[$0..<$1]) }
    }
}

extension RecordedRoom {
    /// Puts chunks into the recording's folder as the server does; `keeping` says which of them have arrived.
    func upload(_ index: inout UploadIndex, _ name: String, _ kind: UploadKind, startedAt: Double, uncertainty: Int64 = 200_000, _ chunks: [[UInt8]], keeping: (Int) -> Bool = { _ in true }) throws {
        _ = system("mkdir -p '\(folder)/chunks/ann'")
        let first = index.nextSequence(kind)
        let upload = UploadIndex.Upload(
            kind: kind, upload: name, firstSequence: first, mediaType: "video/webm;codecs=vp8,opus", startedAt: Self.zero + Int64(startedAt * 1e6), offsetUncertainty: uncertainty)
        for (number, bytes) in chunks.enumerated() where keeping(number) {
            index.add(.init(sequence: first + number, bytes: Int64(bytes.count), sha256: try JoinedUpload.sha256(bytes), at: Int64(number) * 1_000_000), of: upload)
            writeFile(chunk(kind, first + number), bytes)
        }
        _ = try index.end(name, kind, at: first + chunks.count - 1)
        try write(index)
    }
    func write(_ index: UploadIndex) throws { writeFile(file("chunks/ann/uploads.json"), try CaptureJSON.encode(index)) }
    func chunk(_ kind: UploadKind, _ sequence: Int) -> String { file("chunks/ann/\(RecordingLayout.Names.chunk(kind, sequence))") }

    /// ann's microphone, as the server has it: without what `lost` (seconds) says.
    func microphone(_ speech: [Float], seconds: Double, lost: [ClosedRange<Double>]) {
        let raw = "\(storage.path)/speech.f32"
        BrowserRecording.write(speech, to: raw)
        let frames = Synthesis.opus(seconds: seconds, input: "-f f32le -ar 48000 -ac 1 -i '\(raw)'", into: storage.path)
        var packetiser = Packetiser(.opus, ssrc: 2)
        write(header("mic", "ann", .opus), without(lost, items(frames, &packetiser)))
    }
    func without(_ lost: [ClosedRange<Double>], _ items: [Item]) -> [Item] {
        items.filter { item in !lost.contains { $0.contains(Double(item.at - Self.zero) / 1e6) } }
    }
}
