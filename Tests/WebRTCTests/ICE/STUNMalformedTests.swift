// What is no STUN message is refused by name, and nothing from outside traps.
import Primitives
import Testing
@testable import WebRTC

@Suite struct STUNMalformedTests {
    static func parse(_ bytes: [UInt8]) -> STUNError? {
        bytes.withBytes { (bytes: UnsafeRawBufferPointer) -> STUNError? in
            do throws(STUNError) { _ = try STUN.Message.parse(bytes); return nil } catch { return error }
        }
    }
    /// A header with a right length over `attributes`.
    static func message(_ attributes: String, type: String = "0001") -> [UInt8] {
        let body = hex(attributes)
        return hex(type) + [UInt8(body.count >> 8), UInt8(body.count & 255)] + hex("2112a442") + Array(repeating: 7, count: 12) + body
    }

    @Test func namesWhatIsWrong() {
        #expect(Self.parse([]) == .notSTUN)
        #expect(Self.parse(Array(STUNVectorTests.request.prefix(19))) == .notSTUN)
        #expect(Self.parse([0x80] + STUNVectorTests.request.dropFirst()) == .notSTUN)
        #expect(Self.parse(hex("0001000021 12a443") + Array(repeating: 0, count: 12)) == .notSTUN)
        #expect(Self.parse(Array(STUNVectorTests.request.dropLast(4))) == .wrongLength)
        #expect(Self.parse(STUNVectorTests.request + [0, 0, 0, 0]) == .wrongLength)
        #expect(Self.parse(Self.message("00240005 6e0001ff")) == .truncatedAttribute)
        #expect(Self.parse(Self.message("0024ffff 6e0001ff")) == .truncatedAttribute)
        #expect(Self.parse(Self.message("00240003 6e0001ff")) == .malformedAttribute(0x0024))
        #expect(Self.parse(Self.message("802a0004 6e0001ff")) == .malformedAttribute(0x802A))
        #expect(Self.parse(Self.message("00250004 00000000")) == .malformedAttribute(0x0025))
        #expect(Self.parse(Self.message("00080010 00000000000000000000000000000000")) == .malformedAttribute(0x0008))
        #expect(Self.parse(Self.message("00200008 0003a147e112a643")) == .malformedAttribute(0x0020))
        #expect(Self.parse(Self.message("0009000400000763")) == .malformedAttribute(0x0009))
        #expect(Self.parse(Self.message("8028000400000000")) == .wrongFingerprint)
        #expect(Self.parse(Self.message(String(repeating: "80220000", count: 33))) == .tooManyAttributes)
        #expect(Self.parse(Self.message(String(repeating: "8022003c" + String(repeating: "00", count: 60), count: 20))) == .tooLong)
        #expect(Self.parse(Self.message(String(repeating: "80220000", count: 32))) == nil)
    }

    @Test func aChangedBitIsSeen() {
        for i in STUNVectorTests.request.indices {
            var bytes = STUNVectorTests.request
            bytes[i] ^= 1
            // Within FINGERPRINT's own type the change hides the attribute; ICE then refuses the message as incomplete.
            let seen = bytes.withBytes { (try? STUN.Message.parse($0).hasFingerprint) != true }
            #expect(seen, "byte \(i)")
        }
    }

    /// RFC 8489 §14.5, §14.7: what stands behind the integrity is not protected by it and must not count.
    @Test func attributesBehindTheIntegrityAreIgnored() throws {
        var writer = STUN.Writer(.request, transaction: STUNVectorTests.transaction)
        writer.username("a:b")
        let signed = writer.finish(key: STUNVectorTests.password)
        let forged = Array(signed.dropLast(8)) + hex("00250000")
        var message = forged
        message[3] = UInt8(message.count - 20)
        try message.withBytes {
            let parsed = try STUN.Message.parse($0)
            #expect(!parsed.useCandidate && !parsed.hasFingerprint && parsed.isAuthentic(STUNVectorTests.password))
        }
    }

    @Test func unknownAttributesAreToldApart() throws {
        try Self.message("7fff0000 8fff0000 00300000").withBytes {
            let unknown = try STUN.Message.parse($0).unknownRequired
            #expect(unknown == [0x7FFF, 0x0030])
        }
    }

    @Test func findsTheFragmentOnlyWhereThereIsOne() {
        func fragment(_ bytes: [UInt8]) -> String? { bytes.withBytes { STUN.localFragment(of: $0).map { String(decoding: $0, as: UTF8.self) } } }
        #expect(fragment(Self.message("00240004 00000000 00060003 613a6200")) == "a")
        #expect(fragment(Self.message("00060001 61000000")) == nil)
        #expect(fragment(Self.message("00060002 3a610000")) == nil)
        #expect(fragment(Self.message("")) == nil)
        #expect(fragment(Self.message("00060009 613a6200")) == nil)
        #expect(fragment(Array(Self.message("00060003 613a6200").prefix(22))) == nil)
    }

    /// Ten thousand messages with a few bytes changed, cut or repeated.
    @Test func survivesMutations() {
        var random = SplitMix64(seed: 1)
        let seeds = [STUNVectorTests.request, STUNVectorTests.responseIPv4, STUNVectorTests.responseIPv6, STUNVectorTests.longTerm]
        var parsed = 0
        for round in 0..<10_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[Int.random(in: 20..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeLast(min(bytes.count - 24, Int.random(in: 0..<8, using: &random)))
                default: bytes += bytes.suffix(Int.random(in: 0..<12, using: &random))
                }
            }
            let length = UInt16(truncatingIfNeeded: bytes.count - 20)
            if round % 2 == 0 { bytes[2] = UInt8(length >> 8); bytes[3] = UInt8(length & 255) }
            bytes.withBytes { bytes in
                _ = STUN.username(of: bytes)
                if let message = try? STUN.Message.parse(bytes) { parsed += 1; _ = message.isAuthentic(STUNVectorTests.password) }
            }
        }
        #expect(parsed > 50, "the mutations must not all be refused at the door")
    }
}
