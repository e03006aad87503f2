import Primitives
import Testing

@testable import Gateway

@Suite struct HTTPLogicTests {
    @Test(arguments: [
        (nil, ByteRange.whole), ("bytes=0-0", .part(0..<1)), ("bytes=0-", .part(0..<100)), ("bytes=10-19", .part(10..<20)), ("bytes=90-1000", .part(90..<100)), ("bytes=-1", .part(99..<100)),
        ("bytes=-1000", .part(0..<100)), ("bytes=99-99999999999999999999999", .part(99..<100)), ("bytes=100-", .unsatisfiable), ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
        ("bytes=5-4", .whole), ("bytes=", .whole), ("bytes=-", .whole), ("bytes=a-b", .whole), ("bytes=1-2,4-5", .whole), ("items=0-1", .whole), ("bytes=+1-2", .whole), ("Bytes= 1- 2", .part(1..<3)),
    ] as [(String?, ByteRange)]) func ranges(_ header: String?, _ expected: ByteRange) {
        #expect(ByteRange.resolve(header, size: 100) == expected)
    }
    @Test func rangesOfAnEmptyFile() {
        #expect(ByteRange.resolve("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange.resolve("bytes=-5", size: 0) == .unsatisfiable)
        #expect(ByteRange.resolve(nil, size: 0) == .whole)
    }
    @Test func entityTags() {
        let tag = EntityTag(size: 100, modifiedNanoseconds: 0x1234)
        #expect(tag.description == "\"64-1234\"")
        #expect(tag.isNamed(by: "\"64-1234\"") && tag.isNamed(by: "W/\"64-1234\"") && tag.isNamed(by: "\"a\", W/\"64-1234\" ") && tag.isNamed(by: "*"))
        #expect(!tag.isNamed(by: "\"64-1235\"") && !tag.isNamed(by: nil) && !tag.isNamed(by: ""))
        #expect(tag.allowsRange(nil) && tag.allowsRange("\"64-1234\"") && !tag.allowsRange("W/\"64-1234\"") && !tag.allowsRange("Sun, 06 Nov 1994 08:49:37 GMT"))
    }
    /// RFC 9110 section 5.6.7's own date, and the edges of the calendar.
    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"), (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.000Z"), (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59.000Z"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z"), (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT", "2026-12-31T23:59:59.000Z"),
    ] as [(Int64, String, String)]) func dates(_ seconds: Int64, _ http: String, _ iso: String) {
        #expect(HTTPDate.format(WallTime(seconds: seconds)) == http)
        #expect(WallTime(seconds: seconds).rfc3339 == iso)
    }
    @Test func milliseconds() { #expect(WallTime(microseconds: 1_007_999).rfc3339 == "1970-01-01T00:00:01.007Z") }

    @Test func templates() {
        let join = PathTemplate("/api/v1/sessions/{id}/join")
        #expect(join.match("/api/v1/sessions/room-1/join") == ["id": "room-1"])
        #expect(join.match("/api/v1/sessions/room-1/join/") == ["id": "room-1"])
        #expect(join.match("/api/v1/sessions/room-1") == nil && join.match("/api/v1/sessions/a/join/x") == nil && join.match("/") == nil)
        #expect(join.match("/api/v1/sessions/" + String(repeating: "x", count: 129) + "/join") == nil)
        let media = PathTemplate("/media/{path...}")
        #expect(media.match("/media/rooms/a/b.webm") == ["path": "rooms/a/b.webm"])
        #expect(media.match("/media") == nil && media.openAPI == "/media/{path}" && media.parameters == ["path"])
        #expect(PathTemplate("/").match("/") == [:])
    }
    @Test(arguments: [
        ("a", true), ("a/b.c", true), ("rooms/r/rec/tracks/{p}/t é.webm", false), ("rooms/{x}/é.webm", true), ("", false), ("/a", false), ("a/", false), ("a//b", false), ("../a", false), ("a/../b", false), (".hidden", false),
        ("a/.git/b", false), ("a\\b", false), ("a\u{0}b", false), ("a\nb", false), (String(repeating: "a", count: 513), false),
    ]) func keys(_ key: String, _ isSafe: Bool) { #expect(StoredFiles.isSafe(key: key) == isSafe) }

    @Test(arguments: [
        ("/", ["index.html"]), ("/createsession", ["createsession.html", "index.html"]), ("/session/abc", ["session.html", "index.html"]), ("/recordings", ["recordings.html", "index.html"]), ("/recordings/abc/edit", ["editor.html", "index.html"]),
        ("/assets/js/api.js", ["js/api.js"]), ("/assets/../Gateway.swift", []), ("/assets", ["assets", "assets.html"]), ("/about", ["about", "about.html"]), ("/icon.svg", ["icon.svg"]), ("/.env", []),
    ]) func pages(_ path: String, _ files: [String]) { #expect(StudioPages.candidates(path) == files) }

    @Test func headCannotBeSplit() {
        var response = HTTPResponse(status: 200, body: [1, 2, 3])
        response.set("X-A", "a\r\nSet-Cookie: b")
        let head = String(decoding: response.head(date: WallTime(seconds: 0)), as: UTF8.self)
        #expect(head == "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: troupe\r\nX-A: a  Set-Cookie: b\r\nContent-Length: 3\r\n\r\n")
        #expect(!String(decoding: HTTPResponse(status: 304).head(date: WallTime(seconds: 0)), as: UTF8.self).contains("Content-Length"))
    }
    @Test func hosts() {
        for host in ["localhost:8443", "rooms.example", "127.0.0.1:80", "[::1]:443"] { #expect(Dispatcher.isHost(host)) }
        for host in ["", "a/b", "a b", "a\"b", "a@b", "a?b", "ü.example", String(repeating: "a", count: 256)] { #expect(!Dispatcher.isHost(host)) }
    }
    @Test func originsAndTheirHeaders() {
        let policy = OriginPolicy(origins: ["https://App.example/"], publicURL: "https://rooms.example")
        #expect(policy.allows("https://app.example", own: "https://n1") && policy.allows("https://rooms.example", own: "https://n1") && policy.allows("https://N1", own: "https://n1"))
        #expect(!policy.allows("https://evil.example", own: "https://n1") && !policy.allows("http://app.example", own: "https://n1") && !policy.allows("null", own: "https://n1"))
        #expect(OriginPolicy(origins: ["*"], publicURL: nil).allows("https://any", own: ""))
        var page = HTTPResponse(status: 200, headers: [("Content-Type", "text/html; charset=utf-8")])
        policy.decorate(&page, origin: "https://app.example", own: "https://n1")
        #expect(page.header("Access-Control-Allow-Origin") == "https://app.example" && page.header("Vary") == "Origin")
        let csp = page.header("Content-Security-Policy") ?? ""
        #expect(csp.contains("default-src 'self'") && csp.contains("wss://n1") && csp.contains("wss://app.example") && csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"))
        var other = HTTPResponse.json([:])
        policy.decorate(&other, origin: "https://evil.example", own: "https://n1")
        #expect(other.header("Access-Control-Allow-Origin") == nil && other.header("X-Content-Type-Options") == "nosniff" && other.header("Content-Security-Policy") == nil)
    }
    @Test(arguments: [
        (HTTPMethod.get, [:], RequestReader.BodyLength.none), (.post, [:], .unannounced), (.post, ["content-length": "0"], .announced(0)), (.delete, ["content-length": "0"], .none), (.get, ["content-length": "5"], .announced(5)),
        (.post, ["content-length": "-5"], .malformed), (.post, ["content-length": "5,5"], .malformed), (.post, ["content-length": "99999999999999999999"], .malformed), (.post, ["content-length": "5", "transfer-encoding": "chunked"], .chunked),
    ] as [(HTTPMethod, [String: String], RequestReader.BodyLength)]) func bodyLengths(_ method: HTTPMethod, _ headers: [String: String], _ length: RequestReader.BodyLength) {
        #expect(RequestReader.bodyLength(method, headers) == length)
    }
}

@Suite struct RateTests {
    static func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
    /// What one after another says at the given times (milliseconds).
    static func taken(_ bucket: inout TokenBucket, _ times: Int64...) -> [Bool] {
        var out: [Bool] = []
        for time in times { out.append(bucket.take(now: at(time))) }
        return out
    }
    static func verdicts(_ gate: inout MessageGate, _ times: Int64...) -> [MessageGate.Verdict] {
        var out: [MessageGate.Verdict] = []
        for time in times { out.append(gate.message(now: at(time))) }
        return out
    }
    @Test func bucket() {
        var bucket = TokenBucket(rate: 10, burst: 3, now: Self.at(0))
        #expect(Self.taken(&bucket, 0, 0, 0, 0) == [true, true, true, false])
        #expect(Self.taken(&bucket, 99, 100, 100) == [false, true, false])
        #expect(Self.taken(&bucket, 50) == [false], "time that steps back gives nothing")
    }
    @Test func addressesAreApartAndBounded() {
        var rates = AddressRates(rate: 1, burst: 1, now: Self.at(0))
        let a = SocketAddress(ipv4: 1, port: 1), b = SocketAddress(ipv4: 2, port: 1)
        let first = rates.take(a, now: Self.at(0)), samePeer = rates.take(a.with(port: 2), now: Self.at(0)), other = rates.take(b, now: Self.at(0))
        #expect(first && !samePeer && other)
        for i in 0..<UInt32(AddressRates.Limits.addresses + 50) { _ = rates.take(SocketAddress(ipv4: 100 + i, port: 1), now: Self.at(1)) }
        #expect(rates.count == AddressRates.Limits.addresses)
        let late = rates.take(SocketAddress(ipv4: 9, port: 1), now: Self.at(5000))
        #expect(late && rates.count < 10, "idle addresses make room")
    }
    @Test func gateRefusesThenCloses() {
        var limits = GatewayLimits()
        limits.messagesPerSecond = 60
        limits.messageBurst = 5
        limits.refusalsBeforeClose = 3
        var gate = MessageGate(limits: limits, now: Self.at(0))
        #expect(Self.verdicts(&gate, 0, 0, 0, 0, 0, 0, 0, 0, 0) == [.pass, .pass, .pass, .pass, .pass, .refuse, .refuse, .refuse, .closeRateLimited])
        #expect(Self.verdicts(&gate, 20, 20) == [.pass, .closeRateLimited], "a token grew back, but not the patience")
        #expect(Self.verdicts(&gate, 2000, 2000, 2000, 2000, 2000, 2000) == [.pass, .pass, .pass, .pass, .pass, .refuse], "after a pause all is well again")
    }
    @Test func gateLosesPatienceWithGarbage() {
        var limits = GatewayLimits()
        limits.malformedBeforeClose = 2
        var gate = MessageGate(limits: limits, now: Self.at(0))
        var verdicts: [MessageGate.Verdict] = []
        for _ in 0..<3 { verdicts.append(gate.malformedMessage()) }
        #expect(verdicts == [.refuse, .refuse, .closeMalformed])
    }
}
