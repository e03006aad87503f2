// H.264 frames of a publisher's encoder in a preview's segment: docs/decisions/0030-previews.md.
import CFFmpeg
import Capture

/// What a preview may show as it came. Frames of two encoders stand in one track, so that each key frame brings its parameter sets.
enum CopiedFrames {
    private enum Limits {
        /// Of what the playlist promises: Main, and Baseline below it; level 3.1.
        static let profile: UInt8 = 77
        static let level: UInt8 = 31
    }
    private static let startCode: [UInt8] = [0, 0, 0, 1]

    /// H.264 that previews' players take, with lengths of four bytes before its units (ISO/IEC 14496-15 §5.3.3.1).
    static func can(_ parameters: StreamParameters) -> Bool {
        let header = parameters.header
        return parameters.isH264 && header.count > 6 && header[0] == 1 && header[1] <= Limits.profile && header[3] <= Limits.level && header[4] & 3 == 3 && sets(parameters) != nil
    }
    /// The parameter sets of `avcC`, each behind a start code.
    static func sets(_ parameters: StreamParameters) -> [UInt8]? {
        let header = parameters.header
        var out: [UInt8] = [], at = 5
        for mask: UInt8 in [0x1F, 0xFF] {
            guard at < header.count else { return nil }
            let count = header[at] & mask
            at += 1
            for _ in 0..<count {
                guard at + 2 <= header.count else { return nil }
                let size = Int(header[at]) << 8 | Int(header[at + 1])
                guard at + 2 + size <= header.count else { return nil }
                out += startCode + header[(at + 2)..<(at + 2 + size)]
                at += 2 + size
            }
        }
        return out.isEmpty ? nil : out
    }
    /// Units behind start codes instead of lengths, as our encoder gives its own.
    /// - Returns: nil where lengths and bytes do not agree.
    static func annexB(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        var out: [UInt8] = [], at = 0
        out.reserveCapacity(bytes.count)
        while at < bytes.count {
            guard at + 4 <= bytes.count else { return nil }
            let size = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            guard size > 0, at + 4 + size <= bytes.count else { return nil }
            out += startCode
            out += bytes[(at + 4)..<(at + 4 + size)]
            at += 4 + size
        }
        return out.isEmpty ? nil : out
    }
}
