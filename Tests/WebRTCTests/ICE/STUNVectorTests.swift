// RFC 5769: test vectors for STUN.
import COpenSSL
import Primitives
import Testing
@testable import WebRTC

@Suite struct STUNVectorTests {
    static let password = HMACSHA1(key: Array("VOkJxbRl1RmTxUk/WvJxBt".utf8))
    static let transaction = STUN.TransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)
    static let request = hex("""
        000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a683676592020200008001
        49aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf
        """)
    static let responseIPv4 = hex("""
        0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200008
        0001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96
        """)
    static let responseIPv6 = hex("""
        010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200014
        0002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275
        bfe3ed4180280004c8fb0b4c
        """)
    static let longTerm = hex("""
        000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe3
        82b900000015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b
        6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666
        """)

    @Test func readsTheRequest() throws {
        try Self.request.withBytes { bytes in
            let message = try STUN.Message.parse(bytes)
            #expect(message.messageClass == .request && message.method == 1)
            #expect(message.transaction == Self.transaction)
            #expect(message.username.map { String(decoding: $0, as: UTF8.self) } == "evtj:h6vY")
            #expect(message.priority == 0x6E00_01FF)
            #expect(message.controlled == 0x932F_F9B1_5126_3B36)
            #expect(message.controlling == nil && !message.useCandidate)
            #expect(message.hasFingerprint && message.isAuthentic(Self.password))
            #expect(!message.isAuthentic(HMACSHA1(key: Array("VOkJxbRl1RmTxUk/WvJxBu".utf8))))
            #expect(STUN.localFragment(of: bytes).map { String(decoding: $0, as: UTF8.self) } == "evtj")
        }
    }
    @Test func writesTheRequest() {
        var writer = STUN.Writer(.request, transaction: Self.transaction, paddingByte: 0x20)
        writer.attribute(0x8022, "STUN test client".utf8)
        writer.priority(0x6E00_01FF)
        writer.controlled(0x932F_F9B1_5126_3B36)
        writer.username("evtj:h6vY")
        #expect(hexText(writer.finish(key: Self.password)) == hexText(Self.request))
    }

    @Test(arguments: [(responseIPv4, SocketAddress(host: "192.0.2.1", port: 32853)!), (responseIPv6, SocketAddress(host: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853)!)])
    func readsAndWritesResponses(_ bytes: [UInt8], _ address: SocketAddress) throws {
        try bytes.withBytes {
            let message = try STUN.Message.parse($0)
            #expect(message.messageClass == .success && message.mappedAddress == address)
            #expect(message.hasFingerprint && message.isAuthentic(Self.password))
        }
        var writer = STUN.Writer(.success, transaction: Self.transaction, paddingByte: 0x20)
        writer.attribute(0x8022, "test vector".utf8)
        writer.xorMappedAddress(address)
        #expect(hexText(writer.finish(key: Self.password)) == hexText(bytes))
    }

    /// §2.4: authenticated with a long-term key; NONCE and REALM are no attributes of ICE, and have to be understood.
    @Test func readsTheLongTermRequest() throws {
        var key = [UInt8](repeating: 0, count: 16)
        let secret = Array("マトリックス:example.org:TheMatrIX".utf8)
        #expect(EVP_Digest(secret, secret.count, &key, nil, EVP_md5(), nil) == 1)
        try Self.longTerm.withBytes {
            let message = try STUN.Message.parse($0)
            #expect(message.isAuthentic(HMACSHA1(key: key)) && !message.hasFingerprint)
            #expect(message.unknownRequired == [0x0015, 0x0014])
        }
    }

    /// RFC 2202 §3, the cases with a short, a long and a block-sized key.
    @Test(arguments: [
        (Array(repeating: UInt8(0x0B), count: 20), Array("Hi There".utf8), "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (Array(repeating: UInt8(0xAA), count: 80), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8), "aa4ae5e15272d00e95705637ce8a3b55ed402112"),
    ])
    func authenticates(_ key: [UInt8], _ text: [UInt8], _ code: String) {
        for split in [0, 5, text.count] {
            var out = [UInt8](repeating: 0, count: 20)
            text.withBytes { HMACSHA1(key: key).authenticate(UnsafeRawBufferPointer(rebasing: $0[..<split]), UnsafeRawBufferPointer(rebasing: $0[split...]), into: &out) }
            #expect(hexText(out) == code)
        }
    }
}
