// Journal headers and records as bytes: the layout stands in JournalFormat.swift.

import Primitives
import RTP

/// Appends journal bytes to a caller's buffer. A pure value without state: a namespace of writers.
package enum JournalEncoder {
    package static func header(_ header: JournalHeader) -> [UInt8] {
        var body = ByteWriter(capacity: 256)
        func field(_ id: HeaderField, _ write: (inout ByteWriter) -> Void) {
            var value = ByteWriter()
            write(&value)
            body.u8(id.rawValue)
            body.u16(UInt16(truncatingIfNeeded: value.count))
            body.append(value.bytes)
        }
        field(.recording) { $0.append(header.recording.rawValue.utf8) }
        field(.room) { $0.append(header.room.rawValue.utf8) }
        field(.track) { $0.append(header.track.rawValue.utf8) }
        field(.participant) { $0.append(header.participant.rawValue.utf8) }
        field(.kind) { $0.append(header.kind.rawValue.utf8) }
        field(.source) { $0.append(header.source.utf8) }
        field(.codec) { $0.append(header.codec.rawValue.utf8) }
        field(.clockRate) { $0.u32(header.clockRate) }
        field(.payloadTypes) { value in
            for type in header.payloadTypes.prefix(Journal.Limits.payloadTypes) {
                value.u8(type.number)
                string(type.codec.rawValue, &value)
            }
        }
        field(.extensions) { value in
            for entry in header.extensions.entries {
                value.u8(entry.id)
                string(entry.uri.uri, &value)
            }
        }
        field(.writer) { $0.append(header.writer.rawValue.utf8) }
        field(.epoch) { $0.u64(header.epoch.rawValue) }
        field(.segment) { $0.u32(header.segment) }
        field(.wallStart) { $0.u64(UInt64(bitPattern: header.wallStart.microseconds)) }
        if let ingress = header.ingress { field(.ingress) { $0.append(ingress.rawValue.utf8) } }
        var out = ByteWriter(capacity: body.count + 16)
        out.u32(Journal.magic)
        out.u16(Journal.version)
        out.u16(0)
        out.u32(UInt32(body.count))
        out.append(body.bytes)
        out.u32(CRC32C.of(out.bytes))
        return out.bytes
    }

    /// - Parameters:
    ///   - receivedAt: wall time in microseconds at the ingress node.
    ///   - isRecovered: the packet came there by RTX.
    /// - Returns: false for more bytes than a record holds; nothing was appended.
    @discardableResult
    package static func record(
        _ type: Journal.RecordType, receivedAt: Int64, isRecovered: Bool = false, _ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
    ) -> Bool {
        guard bytes.count <= Journal.Limits.recordBytes else { return false }
        withUnsafeTemporaryAllocation(byteCount: Journal.recordHead, alignment: 8) { head in
            head.storeBytes(of: Journal.recordMark.bigEndian, as: UInt16.self)
            head[2] = type.rawValue
            head[3] = isRecovered ? Journal.Marks.recovered : 0
            head.storeBytes(of: UInt32(bytes.count).bigEndian, toByteOffset: 4, as: UInt32.self)
            head.storeBytes(of: receivedAt.bigEndian, toByteOffset: 8, as: Int64.self)
            var crc = CRC32C()
            crc.update(UnsafeRawBufferPointer(rebasing: head[2..<16]))
            crc.update(bytes)
            head.storeBytes(of: crc.value.bigEndian, toByteOffset: 16, as: UInt32.self)
            out.append(contentsOf: head)
        }
        out.append(contentsOf: bytes)
        return true
    }

    /// Bytes of the whole record that begins at `offset` of what `record` has appended.
    package static func length(ofRecordAt offset: Int, in bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { Journal.recordHead + Int(UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))) }
    }

    package static func event(_ event: JournalEvent, at receivedAt: Int64, into out: inout [UInt8]) {
        var body = ByteWriter(capacity: 32)
        switch event {
        case .closed: body.u8(0)
        case .lost(let cause, let packets, let from, let to):
            body.u8(cause.rawValue)
            body.u64(packets)
            body.u64(UInt64(bitPattern: from))
            body.u64(UInt64(bitPattern: to))
        }
        _ = body.bytes.withUnsafeBytes { record(.event, receivedAt: receivedAt, $0, into: &out) }
    }

    private static func string(_ text: String, _ out: inout ByteWriter) {
        let bytes = Array(text.utf8.prefix(255))
        out.u8(UInt8(bytes.count))
        out.append(bytes)
    }
}
