// One upload's chunks on the disk, checked and joined into one stream.
import CFFmpeg
import Capture
import Glibc
import Primitives

/// What an upload's chunks hold, without holding it: which bytes of which file follow one another.
final class JoinedUpload {
    enum Limits {
        /// Numbers of chunks named in metadata.json.
        static let named = 100
    }
    /// A chunk's file and where its bytes stand in the whole.
    struct Chunk {
        let path: String
        let range: Range<Int64>
    }
    let joined: JoinedWebM
    let chunks: Manifest.DeviceTrack.Chunks
    fileprivate let files: [Chunk]

    /// Reads every chunk once. A chunk whose bytes are not those that were told is left out; a shorter one is used as far as it goes.
    init(_ folder: Folder, _ peer: ParticipantID, _ upload: UploadIndex.Upload) throws(WorkerError) {
        var counts = Manifest.DeviceTrack.Chunks(told: upload.chunks.count), files: [Chunk] = [], missing: [ClosedRange<Int>] = upload.missing
        var joiner = WebMJoiner(), expected = upload.firstSequence, position: Int64 = 0
        for chunk in upload.chunks {
            if chunk.sequence != expected { joiner.gap() }
            expected = chunk.sequence + 1
            let path = "\(folder.path)/\(RecordingLayout.Names.chunks)/\(peer)/\(RecordingLayout.Names.chunk(upload.kind, chunk.sequence))"
            guard let bytes = try Self.read(path, most: chunk.bytes) else {
                missing.append(chunk.sequence...chunk.sequence)
                joiner.gap()
                continue
            }
            let isCutOff = bytes.count < chunk.bytes
            let sum = try Self.sha256(bytes)
            guard isCutOff || sum == chunk.sha256 else {
                if counts.damaged.count < Limits.named { counts.damaged.append(chunk.sequence) }
                joiner.gap()
                continue
            }
            bytes.withUnsafeBytes { joiner.add($0) }
            files.append(Chunk(path: path, range: position..<(position + Int64(bytes.count))))
            position += Int64(bytes.count)
            counts.bytes += Int64(bytes.count)
            if isCutOff {
                if counts.cutOff.count < Limits.named { counts.cutOff.append(chunk.sequence) }
                joiner.gap()
            }
        }
        joined = joiner.finish()
        counts.missing = Self.joined(missing).prefix(Limits.named).map { [$0.lowerBound, $0.upperBound] }
        counts.leftOut = joined.input - joined.kept
        self.chunks = counts
        self.files = files
    }
    func makeStream() -> JoinedStream { JoinedStream(self) }

    private static func joined(_ ranges: [ClosedRange<Int>]) -> [ClosedRange<Int>] {
        ranges.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { out, range in
            if let last = out.last, range.lowerBound <= last.upperBound + 1 { out[out.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound) } else { out.append(range) }
        }
    }
    /// - Returns: at most `most + 1` bytes, so that a longer file shows; nil where there is no such file.
    private static func read(_ path: String, most: Int64) throws(WorkerError) -> [UInt8]? {
        guard (0...UploadIndex.Limits.chunkBytes).contains(most), let file = try openRegular(path) else { return nil }
        defer { close(file) }
        let wanted = Int(most) + 1
        var failed: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: wanted) { memory, count in
            while count < wanted {
                let n = Glibc.read(file, memory.baseAddress! + count, wanted - count)
                if n < 0, errno == EINTR { continue }
                if n < 0 { failed = errno }
                guard n > 0 else { return }
                count += n
            }
        }
        if failed != 0 { throw WorkerError(code: failed, "read \(path)") }
        return bytes
    }
    /// - Returns: nil for what is missing or no file.
    fileprivate static func openRegular(_ path: String) throws(WorkerError) -> Int32? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            if [ENOENT, ELOOP, ENOTDIR, ENXIO].contains(errno) { return nil }
            throw WorkerError(code: errno, "open \(path)")
        }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { close(file); return nil }
        return file
    }
    /// Hexadecimal digits.
    static func sha256(_ bytes: [UInt8]) throws(WorkerError) -> String {
        guard let context = av_sha_alloc() else { throw Libav.noMemory("a checksum") }
        defer { av_free(UnsafeMutableRawPointer(context)) }
        try Libav.check(av_sha_init(context, 256), "begin a checksum")
        bytes.withUnsafeBufferPointer { av_sha_update(context, $0.baseAddress, $0.count) }
        var digest = [UInt8](repeating: 0, count: 32)
        av_sha_final(context, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// The joined file's bytes from its beginning to its end, once.
final class JoinedStream {
    private let upload: JoinedUpload
    private var part = 0
    /// Into the part.
    private var offset: Int64 = 0
    private var chunk = 0
    private var file: Int32 = -1
    private var opened = -1

    fileprivate init(_ upload: JoinedUpload) { self.upload = upload }
    deinit { if file >= 0 { close(file) } }

    /// - Returns: bytes read, 0 at the end; what cannot be read any more is the end.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        while part < upload.joined.parts.count {
            switch upload.joined.parts[part] {
            case .head(let bytes):
                let count = min(target.count, bytes.count - Int(offset))
                if count > 0 {
                    target.copyBytes(from: bytes[Int(offset)..<(Int(offset) + count)])
                    offset += Int64(count)
                    return count
                }
            case .bytes(let range):
                let at = range.lowerBound + offset
                if at < range.upperBound {
                    let count = read(at, Int(min(Int64(target.count), range.upperBound - at)), target)
                    guard count > 0 else { part = upload.joined.parts.count; return 0 }
                    offset += Int64(count)
                    return count
                }
            }
            part += 1
            offset = 0
        }
        return 0
    }
    private func read(_ at: Int64, _ wanted: Int, _ target: UnsafeMutableRawBufferPointer) -> Int {
        while chunk < upload.files.count, upload.files[chunk].range.upperBound <= at { chunk += 1 }
        guard chunk < upload.files.count else { return 0 }
        let holder = upload.files[chunk]
        if opened != chunk {
            if file >= 0 { close(file) }
            file = (try? JoinedUpload.openRegular(holder.path)) ?? -1
            opened = chunk
        }
        guard file >= 0 else { return 0 }
        return max(0, pread(file, target.baseAddress, min(wanted, Int(holder.range.upperBound - at)), Int(at - holder.range.lowerBound)))
    }
}
