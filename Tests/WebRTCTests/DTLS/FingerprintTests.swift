import Primitives
import Testing
@testable import WebRTC

@Suite struct FingerprintTests {
    static let digest = "19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2"

    @Test func readsEitherCase() throws {
        let fingerprint = try #require(Fingerprint(algorithm: "SHA-256", value: Self.digest.lowercased()))
        #expect(fingerprint == Fingerprint(algorithm: "sha-256", value: Self.digest))
        #expect(fingerprint.value == Self.digest && fingerprint.digest.first == 0x19 && fingerprint.digest.count == 32)
    }
    @Test(arguments: [
        ("sha-256", ""), ("sha-256", "19"), ("sha-256", digest + ":00"), ("sha-256", String(digest.dropLast())), ("sha-256", digest.replacing(":", with: "-")),
        ("sha-256", "G" + digest.dropFirst()), ("sha-256", digest.replacing("E2", with: "+2")), ("sha-1", digest), ("md5", "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"), ("", digest),
    ])
    func refuses(_ algorithm: String, _ value: String) { #expect(Fingerprint(algorithm: algorithm, value: value) == nil) }

    @Test func certificatesAreFresh() throws {
        let one = try DTLSCertificate.selfSigned(now: WallTime(seconds: 1_700_000_000)), two = try DTLSCertificate.selfSigned(now: WallTime(seconds: 1_700_000_000))
        #expect(one.fingerprint != two.fingerprint)
        #expect(Fingerprint(algorithm: "sha-256", value: one.fingerprint) != nil)
    }
}
