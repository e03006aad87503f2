// Frames from IVF (VP8) and Ogg (Opus, RFC 7845) files.
internal import Glibc
internal import Primitives
internal import RTP

struct FileError: Error, Equatable, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What `--ivf` and `--ogg` name, read whole.
struct EncodedFiles: Sendable {
    enum Limits { static let fileBytes = 256 << 20 }
    var audio: RecordedFrames?
    var video: RecordedFrames?

    static func load(_ material: Material) throws(FileError) -> EncodedFiles {
        var files = EncodedFiles()
        guard case .files(let ivf, let ogg) = material else { return files }
        if let ivf { files.video = try IVF.frames(try read(ivf), name: ivf) }
        if let ogg { files.audio = try Ogg.frames(try read(ogg), name: ogg) }
        return files
    }
    private static func read(_ path: String) throws(FileError) -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw FileError("\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes: [UInt8] = [], piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&piece, 1, piece.count, file)
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= Limits.fileBytes else { throw FileError("\(path) is larger than \(Limits.fileBytes >> 20) MiB") }
        }
    }
}

/// Little-endian numbers of a file, none read beyond its end.
private struct LittleEndian {
    let bytes: [UInt8]
    func number(_ at: Int, _ count: Int) -> UInt64? {
        guard at >= 0, at <= bytes.count - count else { return nil }
        return (0..<count).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
    }
}

/// | "DKIF" | version 16 | header length 16 | fourcc | width 16 | height 16 | rate 32 | scale 32 | frames 32 | 0 32 |, then | size 32 | pts 64 | frame |
enum IVF {
    static func frames(_ bytes: [UInt8], name: String) throws(FileError) -> RecordedFrames {
        let file = LittleEndian(bytes: bytes)
        guard bytes.starts(with: Array("DKIF".utf8)), let header = file.number(6, 2), bytes.count >= 32, let rate = file.number(16, 4), let scale = file.number(20, 4), rate > 0, scale > 0
        else { throw FileError("\(name) is no IVF file") }
        guard Array(bytes[8..<12]) == Array("VP80".utf8) else { throw FileError("\(name) holds no VP8; encode it with -c:v libvpx") }
        var frames: [RecordedFrames.Frame] = [], at = Int(header)
        let duration = Duration.nanoseconds(Int64(scale &* 1_000_000_000 / rate))
        while let size = file.number(at, 4), size > 0, at + 12 + Int(size) <= bytes.count {
            frames.append(.init(bytes: Array(bytes[(at + 12)..<(at + 12 + Int(size))]), duration: duration))
            at += 12 + Int(size)
        }
        guard let source = RecordedFrames(codec: .vp8, frames: frames) else { throw FileError("\(name) has no frames") }
        return source
    }
}

enum Ogg {
    private static let pageHead = 27
    static func frames(_ bytes: [UInt8], name: String) throws(FileError) -> RecordedFrames {
        guard let packets = packets(bytes), packets.count > 2, packets[0].starts(with: Array("OpusHead".utf8)) else { throw FileError("\(name) is no Ogg file with Opus") }
        let frames = packets.dropFirst(2).compactMap { packet in duration(packet).map { RecordedFrames.Frame(bytes: packet, duration: $0) } }
        guard let source = RecordedFrames(codec: .opus, frames: frames) else { throw FileError("\(name) has no packets") }
        return source
    }
    /// RFC 3533 §6: pages of segments; a segment of 255 bytes goes on in the next.
    private static func packets(_ bytes: [UInt8]) -> [[UInt8]]? {
        var packets: [[UInt8]] = [], packet: [UInt8] = [], at = 0
        while at + pageHead <= bytes.count {
            guard bytes[at...].starts(with: Array("OggS".utf8)) else { return nil }
            let segments = Int(bytes[at + 26])
            var body = at + pageHead + segments
            guard body <= bytes.count else { return packets }
            for i in 0..<segments {
                let length = Int(bytes[at + pageHead + i])
                guard body + length <= bytes.count else { return packets }
                packet += bytes[body..<(body + length)]
                body += length
                if length < 255 { packets.append(packet); packet = [] }
            }
            at = body
        }
        return packets
    }
    /// RFC 6716 §3.1: what the TOC byte says; nil for a packet that lasts no time.
    static func duration(_ packet: [UInt8]) -> Duration? {
        guard let toc = packet.first else { return nil }
        let configuration = Int(toc >> 3)
        let microseconds = configuration < 12 ? [10_000, 20_000, 40_000, 60_000][configuration % 4] : configuration < 16 ? [10_000, 20_000][configuration % 2] : [2500, 5000, 10_000, 20_000][configuration % 4]
        let count = toc & 3 == 0 ? 1 : toc & 3 < 3 ? 2 : packet.count > 1 ? Int(packet[1] & 0x3F) : 0
        return count > 0 ? .microseconds(microseconds * count) : nil
    }
}
