// Reading one STUN message (RFC 8489 §5, §14) without allocation.
internal import COpenSSL
package import Primitives

extension STUN {
    /// A parsed message over borrowed bytes: valid only while they are.
    ///
    /// Of an attribute that comes twice the first counts; what stands behind MESSAGE-INTEGRITY is ignored but for FINGERPRINT,
    /// and what stands behind FINGERPRINT is ignored (RFC 8489 §14.5, §14.7).
    package struct Message {
        package let bytes: UnsafeRawBufferPointer
        package let messageClass: Class
        package let method: UInt16
        package let transaction: TransactionID
        package private(set) var username: UnsafeRawBufferPointer?
        package private(set) var priority: UInt32?
        package private(set) var useCandidate = false
        /// Tie-breakers of the sender's role (RFC 8445 §7.1.3).
        package private(set) var controlling: UInt64?
        package private(set) var controlled: UInt64?
        package private(set) var mappedAddress: SocketAddress?
        /// 300…699 (RFC 8489 §14.8).
        package private(set) var errorCode: UInt16?
        package private(set) var hasFingerprint = false
        /// Attribute types that had to be understood and were not (RFC 8489 §14), at most `Limits.unknownListed`.
        package private(set) var unknownRequired: [UInt16] = []
        private var integrityOffset: Int?

        package var hasIntegrity: Bool { integrityOffset != nil }

        /// Parses a whole datagram.
        package static func parse(_ bytes: UnsafeRawBufferPointer) throws(STUNError) -> Message {
            guard isSTUN(bytes) else { throw .notSTUN }
            guard bytes.count <= Limits.messageLength else { throw .tooLong }
            var reader = ByteReader(bytes)
            guard let type = reader.u16(), let length = reader.u16(), reader.skip(4), let high = reader.u32(), let low = reader.u64() else { throw .notSTUN }
            guard length & 3 == 0, Int(length) == bytes.count - headerLength else { throw .wrongLength }
            // Class bits C1 and C0 stand at bits 8 and 4 between the method's bits (RFC 8489 §5).
            let classBits = UInt8(truncatingIfNeeded: (type >> 7 & 2) | (type >> 4 & 1))
            guard let messageClass = Class(rawValue: classBits) else { throw .notSTUN }
            let method = (type & 0x000F) | (type >> 1 & 0x0070) | (type >> 2 & 0x0F80)
            var message = Message(bytes: bytes, messageClass: messageClass, method: method, transaction: TransactionID(high: high, low: low))
            try message.readAttributes(&reader)
            return message
        }
        private init(bytes: UnsafeRawBufferPointer, messageClass: Class, method: UInt16, transaction: TransactionID) {
            self.bytes = bytes; self.messageClass = messageClass; self.method = method; self.transaction = transaction
        }

        private mutating func readAttributes(_ reader: inout ByteReader) throws(STUNError) {
            var seen = 0
            while reader.remaining > 0 {
                seen += 1
                guard seen <= Limits.attributes else { throw .tooManyAttributes }
                let start = reader.offset
                guard let type = reader.u16(), let length = reader.u16(), let value = reader.take(Int(length)), reader.skip(padding(Int(length))) else { throw .truncatedAttribute }
                if type == Attribute.fingerprint {
                    try checkFingerprint(value, start: start)
                    return
                }
                if integrityOffset == nil { try read(type, value, start: start) }
            }
        }

        private mutating func read(_ type: UInt16, _ value: UnsafeRawBufferPointer, start: Int) throws(STUNError) {
            switch type {
            case Attribute.messageIntegrity:
                guard value.count == HMACSHA1.length else { throw .malformedAttribute(type) }
                integrityOffset = start
            case Attribute.username:
                guard value.count <= Limits.username else { throw .malformedAttribute(type) }
                username = username ?? value
            case Attribute.priority: if priority == nil { priority = try Self.number(type, value) }
            case Attribute.iceControlling: if controlling == nil { controlling = try Self.number(type, value) }
            case Attribute.iceControlled: if controlled == nil { controlled = try Self.number(type, value) }
            case Attribute.useCandidate:
                guard value.isEmpty else { throw .malformedAttribute(type) }
                useCandidate = true
            case Attribute.xorMappedAddress: if mappedAddress == nil { mappedAddress = try address(value) }
            case Attribute.errorCode:
                guard value.count >= 4, (3...6).contains(value[2] & 7), value[3] < 100 else { throw .malformedAttribute(type) }
                errorCode = UInt16(value[2] & 7) * 100 + UInt16(value[3])
            case Attribute.mappedAddress, Attribute.unknownAttributes, Attribute.messageIntegritySHA256: break
            default:
                if Attribute.mustBeUnderstood(type), unknownRequired.count < Limits.unknownListed { unknownRequired.append(type) }
            }
        }

        private static func number<T: FixedWidthInteger>(_ type: UInt16, _ value: UnsafeRawBufferPointer) throws(STUNError) -> T {
            guard value.count == MemoryLayout<T>.size else { throw .malformedAttribute(type) }
            return T(bigEndian: value.loadUnaligned(as: T.self))
        }

        /// XOR-MAPPED-ADDRESS: the port XOR the cookie's upper half, the address XOR cookie and transaction id (RFC 8489 §14.2).
        private func address(_ value: UnsafeRawBufferPointer) throws(STUNError) -> SocketAddress {
            var reader = ByteReader(value)
            guard reader.skip(1), let family = reader.u8(), let xport = reader.u16() else { throw .malformedAttribute(Attribute.xorMappedAddress) }
            let port = xport ^ UInt16(magicCookie >> 16)
            switch (family, value.count) {
            case (1, 8):
                guard let v4 = reader.u32() else { break }
                return SocketAddress(ipv4: v4 ^ magicCookie, port: port)
            case (2, 20):
                guard let high = reader.u64(), let low = reader.u64() else { break }
                return SocketAddress(high: high ^ (UInt64(magicCookie) << 32 | UInt64(transaction.high)), low: low ^ transaction.low, port: port)
            default: break
            }
            throw .malformedAttribute(Attribute.xorMappedAddress)
        }

        /// CRC-32 of everything before the attribute; the header's length already counts it (RFC 8489 §14.7).
        private mutating func checkFingerprint(_ value: UnsafeRawBufferPointer, start: Int) throws(STUNError) {
            let claimed: UInt32 = try Self.number(Attribute.fingerprint, value)
            guard start + 8 == bytes.count else { throw .wrongFingerprint }
            guard CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<start])) ^ fingerprintMask == claimed else { throw .wrongFingerprint }
            hasFingerprint = true
        }

        /// Whether MESSAGE-INTEGRITY is present and was made with `key` (RFC 8489 §14.5): HMAC-SHA1 of everything before it,
        /// the header's length reading as if the message ended with it. Compared in constant time.
        package func isAuthentic(_ key: HMACSHA1) -> Bool {
            guard let offset = integrityOffset else { return false }
            return withUnsafeTemporaryAllocation(byteCount: headerLength + HMACSHA1.length, alignment: 8) { scratch in
                let header = UnsafeMutableRawBufferPointer(rebasing: scratch[..<headerLength])
                header.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<headerLength]))
                header.storeBytes(of: UInt16(offset - headerLength + 24).bigEndian, toByteOffset: 2, as: UInt16.self)
                let code = (scratch.baseAddress! + headerLength).assumingMemoryBound(to: UInt8.self)
                key.authenticate(UnsafeRawBufferPointer(header), UnsafeRawBufferPointer(rebasing: bytes[headerLength..<offset]), into: code)
                return CRYPTO_memcmp(code, bytes.baseAddress! + offset + 4, HMACSHA1.length) == 0
            }
        }
    }
}

/// CRC-32 with the polynomial of ITU V.42, as FINGERPRINT uses it.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { n in
        var c = UInt32(n)
        for _ in 0..<8 { c = c & 1 == 1 ? 0xEDB8_8320 ^ (c >> 1) : c >> 1 }
        return c
    }
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        var c: UInt32 = 0xFFFF_FFFF
        table.withUnsafeBufferPointer { table in
            for byte in bytes { c = table[Int((c ^ UInt32(byte)) & 0xFF)] ^ (c >> 8) }
        }
        return ~c
    }
}
