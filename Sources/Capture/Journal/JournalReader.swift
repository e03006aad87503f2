// Reading a journal whose writer may have died in the middle of a word, and whose bytes nobody vouches for.

import Primitives
import RTP

/// Walks one segment's records in file order.
///
/// A record whose checksum is wrong is passed over, and the next good one behind it is searched; both are counted in `damage`.
/// It borrows the bytes. The search behind damage looks at no more than `Limits.searchFactor` times the segment's size in
/// total, so that a crafted file cannot make it slow.
package struct JournalReader {
    package enum Limits {
        package static let searchFactor = 16      // bytes checksummed while searching, per byte of the segment
        package static let searchFloor = 1 << 20  // bytes, for small segments
    }
    package struct Record {
        package let type: Journal.RecordType
        /// Wall time in microseconds at the ingress node.
        package let receivedAt: Int64
        /// The packet reached its ingress node by RTX; false too where its writer, or a node on the way, does not tell.
        package let isRecovered: Bool
        package let bytes: UnsafeRawBufferPointer
        /// Where `bytes` begins in the segment.
        package let offset: Int
    }
    package struct Damage: Equatable, Sendable {
        /// Stretches of bad bytes passed over in the middle.
        package var stretches = 0
        package var bytes = 0
        /// Bytes of an incomplete last record: what a killed writer leaves.
        package var tornBytes = 0
        /// Good records of a type this release does not know.
        package var unknownRecords = 0
        package init() {}
    }

    package let header: JournalHeader
    package private(set) var damage = Damage()
    /// The segment was ended by its writer.
    package private(set) var isClosed = false
    /// Where the last good record ends: a segment that is still written goes on there.
    package private(set) var intactEnd: Int
    private let bytes: UnsafeRawBufferPointer
    private var offset: Int
    private var searchBudget: Int

    /// - Parameter start: an earlier `intactEnd` of the same segment, to read what was added since; 0 for all of it.
    package init(_ bytes: UnsafeRawBufferPointer, from start: Int = 0) throws(Journal.HeaderError) {
        (header, offset) = try JournalHeader.parse(bytes)
        offset = max(offset, start)
        intactEnd = offset
        self.bytes = bytes
        let (product, overflow) = bytes.count.multipliedReportingOverflow(by: Limits.searchFactor)
        searchBudget = max(Limits.searchFloor, overflow ? .max : product)
    }

    /// The next good record, or nil at the end.
    package mutating func next() -> Record? {
        while offset < bytes.count {
            guard let length = plausibleLength(at: offset), isIntact(at: offset, length: length) else {
                guard findNext() else { return nil }
                continue
            }
            let start = offset + Journal.recordHead
            offset = start + length
            intactEnd = offset
            guard let type = Journal.RecordType(rawValue: bytes[start - Journal.recordHead + 2]) else { damage.unknownRecords += 1; continue }
            let record = Record(
                type: type, receivedAt: Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: start - 12, as: Int64.self)),
                isRecovered: bytes[start - Journal.recordHead + 3] & Journal.Marks.recovered != 0,
                bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<offset]), offset: start)
            if type == .event, JournalEvent(record) == .closed { isClosed = true }
            return record
        }
        return nil
    }

    /// Length of the record's bytes when a head with the mark stands there and all of it is in the file.
    private func plausibleLength(at offset: Int) -> Int? {
        guard bytes.count - offset >= Journal.recordHead,
            UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)) == Journal.recordMark
        else { return nil }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)))
        guard length <= Journal.Limits.recordBytes, length <= bytes.count - offset - Journal.recordHead else { return nil }
        return length
    }
    private func isIntact(at offset: Int, length: Int) -> Bool {
        var crc = CRC32C()
        crc.update(UnsafeRawBufferPointer(rebasing: bytes[(offset + 2)..<(offset + 16)]))
        crc.update(UnsafeRawBufferPointer(rebasing: bytes[(offset + Journal.recordHead)..<(offset + Journal.recordHead + length)]))
        return crc.value == UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 16, as: UInt32.self))
    }

    /// Moves to the next good record behind `offset`. What is passed over is damage, or the torn tail when nothing good follows.
    private mutating func findNext() -> Bool {
        let from = offset
        var at = offset + 1
        while at < bytes.count, searchBudget > 0 {
            if let length = plausibleLength(at: at) {
                searchBudget -= length + Journal.recordHead
                if isIntact(at: at, length: length) {
                    damage.stretches += 1
                    damage.bytes += at - from
                    offset = at
                    return true
                }
            }
            at += 1
        }
        offset = bytes.count
        damage.tornBytes += bytes.count - from
        return false
    }
}

extension JournalEvent {
    /// - Returns: nil for a record of another type, or an event this release does not know.
    package init?(_ record: JournalReader.Record) {
        guard record.type == .event else { return nil }
        var reader = ByteReader(record.bytes)
        guard let code = reader.u8() else { return nil }
        if code == 0 { self = .closed; return }
        guard let cause = JournalLossCause(rawValue: code), let packets = reader.u64(), let from = reader.u64(), let to = reader.u64() else { return nil }
        self = .lost(cause, packets: packets, from: Int64(bitPattern: from), to: Int64(bitPattern: to))
    }
}

extension JournalHeader {
    /// - Returns: the header, and where the records begin.
    static func parse(_ bytes: UnsafeRawBufferPointer) throws(Journal.HeaderError) -> (JournalHeader, Int) {
        var reader = ByteReader(bytes)
        guard let magic = reader.u32() else { throw .truncated }
        guard magic == Journal.magic else { throw .notAJournal }
        guard let version = reader.u16(), reader.u16() != nil, let length = reader.u32() else { throw .truncated }
        guard version == Journal.version else { throw .unknownVersion(version) }
        guard length <= Journal.Limits.headerBytes else { throw .badChecksum }
        guard let body = reader.take(Int(length)) else { throw .truncated }
        let covered = UnsafeRawBufferPointer(rebasing: bytes[..<reader.offset])
        guard let checksum = reader.u32() else { throw .truncated }
        guard CRC32C.of(covered) == checksum else { throw .badChecksum }
        return (try JournalHeader(fields: body), reader.offset)
    }

    private init(fields body: UnsafeRawBufferPointer) throws(Journal.HeaderError) {
        var found: [UInt8: UnsafeRawBufferPointer] = [:]
        var reader = ByteReader(body)
        while let id = reader.u8() {
            guard let length = reader.u16(), let value = reader.take(Int(length)) else { throw .badField(id) }
            found[id] = value
        }
        func value(_ field: HeaderField) throws(Journal.HeaderError) -> UnsafeRawBufferPointer {
            guard let value = found[field.rawValue] else { throw .missingField(field.rawValue) }
            return value
        }
        func text(_ field: HeaderField) throws(Journal.HeaderError) -> String {
            guard let text = String(validating: try value(field), as: UTF8.self), text.utf8.count <= Journal.Limits.nameBytes else { throw .badField(field.rawValue) }
            return text
        }
        func number<T: FixedWidthInteger>(_ field: HeaderField, _: T.Type) throws(Journal.HeaderError) -> T {
            let bytes = try value(field)
            guard bytes.count == MemoryLayout<T>.size else { throw .badField(field.rawValue) }
            return T(bigEndian: bytes.loadUnaligned(as: T.self))
        }
        recording = RecordingID(try text(.recording))
        room = RoomID(try text(.room))
        track = TrackID(try text(.track))
        participant = ParticipantID(try text(.participant))
        source = try text(.source)
        writer = NodeName(try text(.writer))
        ingress = found[HeaderField.ingress.rawValue] == nil ? nil : NodeName(try text(.ingress))
        guard let kind = Codec.Kind(rawValue: try text(.kind)) else { throw .badField(HeaderField.kind.rawValue) }
        guard let codec = Codec(rawValue: try text(.codec)) else { throw .badField(HeaderField.codec.rawValue) }
        self.kind = kind
        self.codec = codec
        clockRate = try number(.clockRate, UInt32.self)
        epoch = Epoch(try number(.epoch, UInt64.self))
        segment = try number(.segment, UInt32.self)
        wallStart = WallTime(microseconds: try number(.wallStart, Int64.self))
        payloadTypes = Self.named(try value(.payloadTypes)).compactMap { entry in Codec(rawValue: entry.name).map { PayloadType(entry.number, $0) } }
        extensions = ExtensionMap()
        for entry in Self.named(try value(.extensions)) where entry.number != 0 {
            if let uri = ExtensionURI(uri: entry.name) { extensions.set(uri, id: entry.number) }
        }
        guard isValid else { throw .badField(0) }
    }

    /// Pairs of a number and a counted string; ends quietly at a truncated one.
    private static func named(_ bytes: UnsafeRawBufferPointer) -> [(number: UInt8, name: String)] {
        var reader = ByteReader(bytes), out: [(UInt8, String)] = []
        while out.count < Journal.Limits.payloadTypes, let number = reader.u8(), let length = reader.u8(), let name = reader.take(Int(length)) {
            out.append((number, String(decoding: name, as: UTF8.self)))
        }
        return out
    }
}
