import Conference
import Hashing
import Primitives
import Testing

@testable import Gateway

@Suite struct Base64URLTests {
    /// RFC 4648 section 10, without padding.
    @Test(arguments: [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy")])
    func vectors(_ plain: String, _ coded: String) {
        #expect(Base64URL.encode(Array(plain.utf8)) == coded)
        #expect(Base64URL.decode(coded) == Array(plain.utf8))
    }
    @Test(arguments: ["Z", "Zg==", "Zh", "Zm9=", "Zm 9", "+/+/", "Zm9vY"]) func refuses(_ text: String) { #expect(Base64URL.decode(text) == nil) }
}

@Suite struct AccessTokenTests {
    static let ring = try! APIKeyring([APIKey(id: "new", secret: "new secret"), APIKey(id: "old", secret: "old secret")])
    static let now = WallTime(seconds: 1_800_000_000)

    /// RFC 7515 appendix A.1, byte for byte.
    @Test func vectorOfRFC7515() throws {
        let secret = try #require(Base64URL.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let ring = try APIKeyring([APIKey(id: "joe", secretBytes: secret)])
        let verified = try AccessToken.verify(token, keys: ring, now: WallTime(seconds: 1_300_819_379))
        #expect(verified.issuer == "joe")
        #expect(verified.expires == WallTime(seconds: 1_300_819_380))
        #expect(throws: TokenError.expired) { try AccessToken.verify(token, keys: ring, now: WallTime(seconds: 1_300_819_380 + 30)) }
    }
    /// The claims a LiveKit access token library writes.
    @Test func tokensOfTheFieldsLibrariesWork() throws {
        let claims = #"{"exp":1800000600,"iss":"old","nbf":1799999990,"sub":"alice@example.com","name":"Alice","metadata":"{\"seat\":4}","video":{"room":"stand-up","roomJoin":true,"canPublish":true,"canSubscribe":false,"canPublishData":true,"canPublishSources":["camera"],"roomAdmin":true,"hidden":false}}"#
        let caller = try Authenticator(keys: Self.ring, anonymous: .visitor).caller(token: Self.sign(claims, secret: "old secret"), now: Self.now)
        #expect(caller.identity == "alice@example.com" && caller.room == "stand-up" && caller.name == "Alice" && caller.metadata == #"{"seat":4}"#)
        #expect(caller.canJoin && caller.canAdmin && caller.canPublish && !caller.canSubscribe && !caller.canRecord && !caller.canCreate)
        let id = Authenticator.participant(identity: "alice@example.com")
        #expect(id.isSafe && id == Authenticator.participant(identity: "alice@example.com") && id != Authenticator.participant(identity: "alice@example.org"))
        #expect(Authenticator.participant(identity: "p_7") == "p_7")
    }
    @Test func whatIsSignedIsVerified() throws {
        var token = AccessToken(expires: Self.now + .seconds(60))
        token.identity = "p_é\"\\"
        token.room = "room-1"
        token.roomJoin = true
        token.roomRecord = true
        token.canPublish = false
        let back = try AccessToken.verify(token.signed(by: Self.ring), keys: Self.ring, now: Self.now)
        token.issuer = "new"
        #expect(back == token)
    }
    @Test(arguments: [
        (#"{"alg":"none"}"#, #"{"iss":"new","exp":1800000600}"#, TokenError.unsupportedAlgorithm), (#"{"alg":"HS512"}"#, #"{"iss":"new","exp":1800000600}"#, .unsupportedAlgorithm),
        (#"{"alg":"HS256","crit":["b64"]}"#, #"{"iss":"new","exp":1800000600}"#, .unsupportedAlgorithm), (#"{"alg":"HS256"}"#, #"{"iss":"gone","exp":1800000600}"#, .unknownKey),
        (#"{"alg":"HS256"}"#, #"{"exp":1800000600}"#, .unknownKey), (#"{"alg":"HS256"}"#, #"{"iss":"old","exp":1800000600}"#, .badSignature), (#"{"alg":"HS256"}"#, #"{"iss":"new"}"#, .noExpiry),
        (#"{"alg":"HS256"}"#, #"{"iss":"new","exp":1799999969}"#, .expired), (#"{"alg":"HS256"}"#, #"{"iss":"new","exp":"soon"}"#, .malformed), (#"{"alg":"HS256"}"#, #"{"iss":"new","exp":1800000600,"nbf":1800000031}"#, .notYetValid),
        (#"["HS256"]"#, #"{"iss":"new","exp":1800000600}"#, .malformed), (#"{"alg":"HS256"}"#, #"{"iss":"new","exp":1e400}"#, .malformed),
    ]) func refusals(_ header: String, _ claims: String, _ error: TokenError) {
        #expect(throws: error) { try AccessToken.verify(Self.sign(claims, header: header, secret: "new secret"), keys: Self.ring, now: Self.now) }
    }
    @Test(arguments: ["", "a", "a.b", "a.b.c.d", "...", "e30.e30.", String(repeating: "a", count: 9000)]) func noTokens(_ text: String) {
        #expect(throws: TokenError.self) { try AccessToken.verify(text, keys: Self.ring, now: Self.now) }
    }
    @Test func everyFlippedBitIsNoticed() throws {
        var token = AccessToken(expires: Self.now + .seconds(60))
        token.room = "room-1"
        let text = Array(token.signed(by: Self.ring).utf8)
        for i in text.indices {
            var bytes = text
            bytes[i] ^= 1
            #expect(throws: TokenError.self) { try AccessToken.verify(String(decoding: bytes, as: UTF8.self), keys: Self.ring, now: Self.now) }
        }
    }
    @Test func clockSkewAndHugeTimes() throws {
        let late = Self.sign(#"{"iss":"new","exp":1799999971}"#, secret: "new secret")
        #expect(try AccessToken.verify(late, keys: Self.ring, now: Self.now).expires == WallTime(seconds: 1_799_999_971))
        let huge = Self.sign(#"{"iss":"new","exp":9223372036854775807,"nbf":-5}"#, secret: "new secret")
        #expect(try AccessToken.verify(huge, keys: Self.ring, now: Self.now).expires > Self.now)
    }
    @Test func keysAreChecked() {
        #expect(throws: GatewayError.noKeys) { try APIKeyring([]) }
        #expect(throws: GatewayError.emptyKey("a")) { try APIKeyring([APIKey(id: "a", secret: "")]) }
        #expect(throws: GatewayError.duplicateKey("a")) { try APIKeyring([APIKey(id: "a", secret: "x"), APIKey(id: "a", secret: "y")]) }
    }
    @Test func headerOfARequest() throws {
        let authenticator = Authenticator(keys: Self.ring, anonymous: .visitor)
        #expect(try authenticator.caller(authorization: nil, now: Self.now) == .visitor)
        let token = authenticator.mint(participant: "p_1", name: "Ada", room: "r", isHost: true, now: Self.now)
        let caller = try authenticator.caller(authorization: "bearer " + token, now: Self.now)
        #expect(caller.canAdmin && caller.canRecord && caller.canJoin && caller.canCreate && caller.room == "r" && caller.identity == "p_1")
        #expect(throws: TokenError.malformed) { try authenticator.caller(authorization: "Basic abc", now: Self.now) }
    }
    static func sign(_ claims: String, header: String = #"{"alg":"HS256","typ":"JWT"}"#, secret: String) -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        return input + "." + Base64URL.encode(Digests.hmacSHA256(key: Array(secret.utf8), Array(input.utf8)))
    }
}

@Suite struct MediaSignatureTests {
    @Test func signsForAWhileAndForOneFile() throws {
        let now = WallTime(seconds: 1_800_000_000)
        let signature = MediaSignature(keys: AccessTokenTests.ring)
        let key = "rooms/r/rec/tracks/p/täck {1}.webm"
        let path = signature.path(for: key, now: now)
        let parts = path.split(separator: "?")
        #expect(parts[0] == "/media/rooms/r/rec/tracks/p/t%C3%A4ck%20%7B1%7D.webm")
        let query = Dictionary(uniqueKeysWithValues: parts[1].split(separator: "&").map { HTTPRequest.queryItem(String($0)) }.map { ($0.name, $0.value) })
        func verdict(_ key: String, _ exp: String?, _ sig: String?, _ now: WallTime) -> MediaSignature.Verdict { signature.verify(key: key, expires: exp, signature: sig, now: now) }
        #expect(verdict(key, query["exp"], query["sig"], now) == .valid)
        #expect(verdict(key, query["exp"], query["sig"], now + .seconds(899)) == .valid)
        #expect(verdict(key, query["exp"], query["sig"], now + .seconds(900)) == .expired)
        #expect(verdict(key + "x", query["exp"], query["sig"], now) == .invalid)
        #expect(verdict(key, "1900000000", query["sig"], now) == .invalid)
        #expect(verdict(key, "-1", query["sig"], now) == .invalid)
        #expect(verdict(key, nil, query["sig"], now) == .invalid && verdict(key, query["exp"], "", now) == .invalid)
    }
    @Test func anOldKeyStillVerifies() throws {
        let now = WallTime(seconds: 1_800_000_000)
        let old = MediaSignature(keys: try APIKeyring([APIKey(id: "old", secret: "old secret")])).path(for: "a/b", now: now)
        let query = old.split(separator: "?")[1].split(separator: "&").map { HTTPRequest.queryItem(String($0)).value }
        #expect(MediaSignature(keys: AccessTokenTests.ring).verify(key: "a/b", expires: query[0], signature: query[1], now: now) == .valid)
    }
}
