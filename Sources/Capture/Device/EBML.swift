// Heads of EBML elements (RFC 8794 §4): an id of one to four bytes, a size of one to eight.
import Primitives

/// The ids WebM is made of, with their marker bits (RFC 9559 §5).
enum EBMLID {
    static let ebml: UInt32 = 0x1A45_DFA3
    static let segment: UInt32 = 0x1853_8067
    static let info: UInt32 = 0x1549_A966
    static let timestampScale: UInt32 = 0x2A_D7B1
    static let tracks: UInt32 = 0x1654_AE6B
    static let cluster: UInt32 = 0x1F43_B675
    static let timestamp: UInt32 = 0xE7
    static let simpleBlock: UInt32 = 0xA3
    static let blockGroup: UInt32 = 0xA0
    static let crc: UInt32 = 0xBF
    /// Elements a joined file is better off without: places and sums in them are of the file they were written for.
    /// SeekHead, Cues, Tags, Chapters, Attachments, Void, CRC-32, Position, PrevSize, SilentTracks, EncryptedBlock.
    static let left: Set<UInt32> = [0x114D_9B74, 0x1C53_BB6B, 0x1254_C367, 0x1043_A770, 0x1941_A469, 0xEC, crc, 0xA7, 0xAB, 0x5854, 0xAF]
}

struct EBMLHead: Equatable {
    enum Parsed: Equatable {
        case head(EBMLHead)
        /// The bytes end within it.
        case incomplete
        /// No element begins so.
        case invalid
    }
    /// Of the longest.
    static let longest = 12
    var id: UInt32
    /// Of the body, bytes; nil for "unknown", which live files have.
    var size: UInt64?
    /// Of the head itself, bytes.
    var length: Int

    static func parse(_ bytes: some RandomAccessCollection<UInt8>) -> Parsed {
        var reader = bytes.makeIterator()
        guard let first = reader.next() else { return .incomplete }
        let idLength = first.leadingZeroBitCount + 1
        guard idLength <= 4 else { return .invalid }
        var id = UInt32(first)
        for _ in 1..<idLength {
            guard let byte = reader.next() else { return .incomplete }
            id = id << 8 | UInt32(byte)
        }
        guard let sizeFirst = reader.next() else { return .incomplete }
        let sizeLength = sizeFirst.leadingZeroBitCount + 1
        guard sizeLength <= 8 else { return .invalid }
        var size = UInt64(sizeFirst) & (0xFF >> UInt64(sizeLength))
        for _ in 1..<sizeLength {
            guard let byte = reader.next() else { return .incomplete }
            size = size << 8 | UInt64(byte)
        }
        let unknown: UInt64 = (1 << (7 * UInt64(sizeLength))) - 1
        return .head(EBMLHead(id: id, size: size == unknown ? nil : size, length: idLength + sizeLength))
    }
    /// An element of this id whose size is unknown: it ends where something begins that cannot stand in it.
    static func unknownSize(_ id: UInt32) -> [UInt8] {
        var writer = ByteWriter(capacity: longest)
        writer.u32(id)
        writer.append([0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
        return writer.bytes
    }
}
