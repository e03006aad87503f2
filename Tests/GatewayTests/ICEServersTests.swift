import Contracts
import Hashing
import Primitives
import Testing

@testable import Gateway

@Suite struct ICEServersTests {
    /// RFC 2202 §3, test case 2.
    @Test func macOfAVector() {
        #expect(Digests.hex(Digests.hmacSHA1(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    }
    @Test func credentialsEndByThemselvesAndStunHasNone() {
        let servers = ICEServers(services: [
            TURNService(urls: ["turn:turn.example.org:3478", "turns:turn.example.org:5349"], secret: Array("north".utf8)), TURNService(urls: ["stun:stun.example.org"], secret: Array("x".utf8)),
        ])
        let json = servers.json(for: "P_1", now: WallTime(seconds: 1_000_000))
        let user = "1043200:P_1"
        #expect(json.array?.count == 2 && json.array?[1] == ["urls": ["stun:stun.example.org"]])
        #expect(json.array?[0]["username"]?.string == user)
        #expect(json.array?[0]["credential"]?.string == Digests.base64(Digests.hmacSHA1(key: Array("north".utf8), Array(user.utf8))))
    }
}
