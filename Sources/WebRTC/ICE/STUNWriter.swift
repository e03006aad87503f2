// Building one STUN message (RFC 8489 §5, §14).
package import Primitives

extension STUN {
    /// Appends attributes in the order of the calls; `finish` closes with MESSAGE-INTEGRITY and FINGERPRINT.
    package struct Writer {
        private var out = ByteWriter(capacity: 128)
        private let transaction: TransactionID
        private let paddingByte: UInt8

        /// - Parameter paddingByte: fills values up to 32 bits; any value is legal (RFC 5769's vectors use spaces).
        package init(_ messageClass: Class, transaction: TransactionID, paddingByte: UInt8 = 0) {
            self.transaction = transaction
            self.paddingByte = paddingByte
            let c = UInt16(messageClass.rawValue)
            out.u16(bindingMethod | (c & 1) << 4 | (c & 2) << 7)
            out.u16(0)
            out.u32(magicCookie)
            out.u32(transaction.high)
            out.u64(transaction.low)
        }

        package mutating func attribute(_ type: UInt16, _ value: some Collection<UInt8>) {
            out.u16(type)
            out.u16(UInt16(truncatingIfNeeded: value.count))
            out.append(value)
            for _ in 0..<padding(value.count) { out.u8(paddingByte) }
        }
        private mutating func attribute(_ type: UInt16, _ write: (inout ByteWriter) -> Void) {
            var value = ByteWriter(capacity: 24)
            write(&value)
            attribute(type, value.bytes)
        }
        package mutating func username(_ text: String) { attribute(Attribute.username, text.utf8) }
        package mutating func priority(_ value: UInt32) { attribute(Attribute.priority) { $0.u32(value) } }
        package mutating func useCandidate() { attribute(Attribute.useCandidate, []) }
        package mutating func controlling(_ tieBreaker: UInt64) { attribute(Attribute.iceControlling) { $0.u64(tieBreaker) } }
        package mutating func controlled(_ tieBreaker: UInt64) { attribute(Attribute.iceControlled) { $0.u64(tieBreaker) } }
        package mutating func unknownAttributes(_ types: [UInt16]) { attribute(Attribute.unknownAttributes) { for type in types { $0.u16(type) } } }
        package mutating func errorCode(_ code: UInt16, _ reason: String) {
            attribute(Attribute.errorCode) {
                $0.u16(0); $0.u8(UInt8(code / 100)); $0.u8(UInt8(code % 100))
                $0.append(reason.utf8)
            }
        }
        package mutating func xorMappedAddress(_ address: SocketAddress) {
            let transaction = transaction
            attribute(Attribute.xorMappedAddress) {
                $0.u8(0)
                $0.u8(address.isIPv4 ? 1 : 2)
                $0.u16(address.port ^ UInt16(magicCookie >> 16))
                if address.isIPv4 { $0.u32(address.ipv4 ^ magicCookie); return }
                $0.u64(address.high ^ (UInt64(magicCookie) << 32 | UInt64(transaction.high)))
                $0.u64(address.low ^ transaction.low)
            }
        }

        /// The whole message. Without a key it carries no MESSAGE-INTEGRITY: error responses to whom we cannot authenticate.
        package consuming func finish(key: HMACSHA1?) -> [UInt8] {
            if let key {
                out.patchU16(UInt16(out.count - headerLength + 24), at: 2)
                var code = [UInt8](repeating: 0, count: HMACSHA1.length)
                out.bytes.withUnsafeBytes { key.authenticate($0, UnsafeRawBufferPointer(start: nil, count: 0), into: &code) }
                attribute(Attribute.messageIntegrity, code)
            }
            out.patchU16(UInt16(out.count - headerLength + 8), at: 2)
            let checksum = out.bytes.withUnsafeBytes { CRC32.checksum($0) } ^ fingerprintMask
            attribute(Attribute.fingerprint) { $0.u32(checksum) }
            return out.bytes
        }
    }
}
