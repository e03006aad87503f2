// RFC 3711 appendix B and RFC 7714 §16, §17.
import Testing
@testable import WebRTC

@Suite struct SRTPVectorTests {
    /// RFC 3711 B.3: labels 0, 2 and 1.
    @Test func derivesSessionKeys() throws {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139"), salt = hex("0EC675AD498AFEEBB6960B3AABE6")
        let keys = try SRTPSessionKeys(profile: .aes128CMSHA1_80, keyAndSalt: key + salt)
        #expect(keys.rtpKey == hex("C61E7A93744F39EE10734AFE3FF7A087"))
        #expect(keys.rtpSalt == hex("30CBBC08863D8C85D49DB34A9AE1"))
        #expect(keys.rtpAuthentication == hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"))
        #expect(try SRTPSessionKeys.derive(label: 1, length: 94, key: key, salt: salt) == hex("""
            CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098
            6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2
            """))
        #expect(throws: SRTPError.wrongKeyLength(expected: 30, actual: 28)) { try SRTPSessionKeys(profile: .aes128CMSHA1_80, keyAndSalt: Array(repeating: 0, count: 28)) }
    }

    /// RFC 3711 B.2: the keystream of SSRC 0, ROC 0, SEQ 0 is what zeros encrypt to.
    @Test func counterModeKeystream() throws {
        let keys = SRTPSessionKeys(key: hex("2B7E151628AED2A6ABF7158809CF4F3C"), salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"), authentication: Array(repeating: 0, count: 20))
        let sender = try SRTPSender(profile: .aes128CMSHA1_80, sessionKeys: keys)
        let stream = sender.register(ssrc: 0)
        let zeros = [UInt8](repeating: 0, count: 48)
        var wire = hex("800f0000decafbad00000000") + [UInt8](repeating: 0, count: 64)
        let length = sender.protect(stream: stream, wire: &wire, headerLength: 12, prefixLength: 0, payload: zeros, payloadLength: 48, capacity: wire.count)
        #expect(length == 12 + 48 + 10)
        #expect(Array(wire[12..<60]) == hex("E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"))
    }

    static let galliaKeys = SRTPSessionKeys(key: hex("000102030405060708090a0b0c0d0e0f"), salt: hex("517569642070726f2071756f"), authentication: [])

    /// RFC 7714 §16.1.1, whole, with a payload prefix in place, and all in place.
    @Test(arguments: [0, 3, 16, 38])
    func encryptsRTP(prefix: Int) throws {
        let sender = try SRTPSender(profile: .aeadAES128GCM, sessionKeys: Self.galliaKeys)
        let stream = sender.register(ssrc: 0x5501_A0B2)
        let text = Array("Gallia est omnis divisa in partes tres".utf8)
        var wire = hex("8040f17b8041f8d35501a0b2") + text.prefix(prefix) + [UInt8](repeating: 0, count: 64)
        let length = Array(text.dropFirst(prefix)).withBytes { rest in
            wire.withUnsafeMutableBytes { sender.protect(stream: stream, wire: $0.baseAddress!, headerLength: 12, prefixLength: prefix, payload: rest.baseAddress, payloadLength: rest.count, capacity: $0.count) }
        }
        #expect(length == 12 + 38 + 16)
        #expect(hexText(wire.prefix(length)) == "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce")
    }

    /// RFC 7714 §17.1.
    @Test func encryptsRTCP() throws {
        let sender = try SRTPSender(profile: .aeadAES128GCM, sessionKeys: Self.galliaKeys, firstRTCPIndex: 0x5D4)
        let packet = hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef")
        let (length, wire) = sender.sealedRTCP(packet)
        #expect(length == packet.count + 20)
        #expect(hexText(wire) == "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4")
    }

    /// RFC 7714 §16.1.1 and §16.1.2 as the cluster's pipes use the cipher.
    @Test func sealsAndOpens() throws {
        let key = hex("000102030405060708090a0b0c0d0e0f"), nonce = hex("51753c6580c2726f20718414"), header = hex("8040f17b8041f8d35501a0b2")
        let text = Array("Gallia est omnis divisa in partes tres".utf8)
        var data = [UInt8](repeating: 0, count: text.count + 16)
        let sealed = try GCMSealer(key: key).seal(nonce: nonce, associated: header, associatedLength: 12, out: &data, prefixLength: 0, payload: text, payloadLength: text.count)
        #expect(sealed && hexText(data.suffix(16)) == "899d7f27beb16a9152cf765ee4390cce")
        var changed = data
        changed[5] ^= 1
        let opener = try GCMOpener(key: key)
        let forged = opener.open(nonce: nonce, associated: header, associatedLength: 12, data: &changed, length: text.count)
        let opened = opener.open(nonce: nonce, associated: header, associatedLength: 12, data: &data, length: text.count)
        #expect(!forged && opened && Array(data.prefix(text.count)) == text)
        #expect(throws: SRTPError.wrongKeyLength(expected: 16, actual: 3)) { try GCMSealer(key: [1, 2, 3]) }
    }
}
