import Conference
import Contracts
import Hashing
import Primitives
import Testing

@testable import Gateway

@Suite struct ResumeSealTests {
    static let now = WallTime(seconds: 1_800_000_000)
    static let seal = ResumeSeal(keys: AccessTokenTests.ring)
    static let session = SessionFacts(
        roomID: "R_1", mode: .sfu, participantID: "P_1", name: "Grâce \"G\"", role: .host, joinedAt: WallTime(microseconds: 1_799_999_999_123_456), metadata: #"{"a":1}"#,
        autoSubscribe: false, attachment: 1 << 60, epoch: Epoch(9), sequence: .max)

    /// RFC 5869 appendix A.3: SHA-256, no salt, no info; the first block.
    @Test func vectorOfRFC5869() {
        #expect(Digests.hex(Digests.hkdfSHA256(secret: [UInt8](repeating: 0x0B, count: 22), info: [])) == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
    }
    @Test func whatWasSealedOpens() {
        let token = Self.seal.seal(Self.session, now: Self.now)
        #expect(Self.seal.open(token, now: Self.now + .seconds(60)) == Self.session)
        #expect(token.utf8.count < 512 && !token.contains("P_1"))
        var bare = Self.session
        bare.metadata = nil
        bare.role = .guest
        #expect(Self.seal.open(Self.seal.seal(bare, now: Self.now), now: Self.now) == bare)
    }
    @Test func itExpires() {
        let token = Self.seal.seal(Self.session, now: Self.now)
        #expect(Self.seal.open(token, now: Self.now + ResumeSeal.Limits.lifetime) == nil)
    }
    @Test func keysMayChange() throws {
        let old = ResumeSeal(keys: try APIKeyring([APIKey(id: "old", secret: "old secret")])), other = ResumeSeal(keys: try APIKeyring([APIKey(id: "x", secret: "another")]))
        #expect(Self.seal.open(old.seal(Self.session, now: Self.now), now: Self.now) == Self.session)
        #expect(Self.seal.open(other.seal(Self.session, now: Self.now), now: Self.now) == nil)
    }
    @Test func nothingElseOpens() {
        let token = Self.seal.seal(Self.session, now: Self.now)
        for i in token.utf8.indices {
            var bytes = Array(token.utf8)
            let at = token.utf8.distance(from: token.utf8.startIndex, to: i)
            bytes[at] = bytes[at] == 0x41 ? 0x42 : 0x41
            #expect(Self.seal.open(String(decoding: bytes, as: UTF8.self), now: Self.now) == nil, "byte \(at)")
        }
        for text in ["", ".", "a.b", token + ".", String(token.dropLast(3)), String(repeating: "a", count: 5000), AccessTokenTests.sign("{}", secret: "new secret")] {
            #expect(Self.seal.open(text, now: Self.now) == nil)
        }
    }
}
