// Signatures against AWS's published examples, answers and their meaning, parts, pauses, times, XML.
@testable import ObjectStorage
import Primitives
import Testing

/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and sigv4-query-string-auth.html
@Suite struct S3Signatures {
    static let at = WallTime(seconds: 1_369_353_600)   // 2013-05-24T00:00:00Z
    static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    let signature = S3Signature(credentials: S3Credentials(accessKey: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), region: "us-east-1")

    struct Example: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var request: S3Request
        var signature: String
        init(_ name: String, _ method: String, _ path: String, query: [(name: String, value: String)] = [], headers: [(name: String, value: String)] = [], payload: String = S3Signatures.empty, _ signature: String) {
            testDescription = name
            request = S3Request(method: method, path: path, query: query, headers: [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", payload), ("x-amz-date", "20130524T000000Z")] + headers, payload: payload)
            self.signature = signature
        }
    }
    static let examples = [
        Example("GET object", "GET", "/test.txt", headers: [("range", "bytes=0-9")], "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Example(
            "PUT object", "PUT", "/test$file.text", headers: [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            payload: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Example("GET bucket lifecycle", "GET", "/", query: [("lifecycle", "")], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Example("list objects", "GET", "/", query: [("prefix", "J"), ("max-keys", "2")], "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]
    @Test(arguments: examples) func headersAreSignedAsPublished(example: Example) {
        let header = signature.authorization(example.request, at: Self.at)
        #expect(header.hasSuffix(",Signature=\(example.signature)"))
        #expect(header.hasPrefix("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="))
    }

    @Test func aURLIsSignedAsPublished() throws {
        let address = try S3Address(endpoint: "https://s3.amazonaws.com/", bucket: "examplebucket", region: "us-east-1")
        let request = S3Request(method: "GET", path: address.path("test.txt"), headers: [("host", address.host)], payload: S3Request.unsigned)
        let url = address.url(signature.presigned(request, at: Self.at, life: .seconds(86_400)))
        #expect(url == "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404&X-Amz-SignedHeaders=host")
    }

    /// `get-vanilla` and `get-vanilla-query-order-key` of AWS's Signature Version 4 test suite.
    @Test(arguments: [
        ([], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ([("Param2", "value2"), ("Param1", "value1")], "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ] as [([(name: String, value: String)], String)])
    func theTestSuitesRequestsAreSigned(query: [(name: String, value: String)], expected: String) {
        let signature = S3Signature(credentials: S3Credentials(accessKey: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), region: "us-east-1", service: "service")
        let request = S3Request(method: "GET", path: "/", query: query, headers: [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")], payload: Self.empty)
        #expect(signature.authorization(request, at: WallTime(seconds: 1_440_938_160)).hasSuffix("Signature=\(expected)"))
    }

    @Test func theSecretIsNotPrinted() {
        let credentials = S3Credentials(accessKey: "AKIDEXAMPLE", secret: "very-secret")
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), dumped] { #expect(!text.contains("secret") && !text.contains("118")) }
    }
}

@Suite struct S3Addresses {
    @Test func bothStylesNameTheSameObject() throws {
        let inPath = try S3Address(endpoint: "http://127.0.0.1:9000", bucket: "recordings", region: "us-east-1", prefix: "troupe/a", isPathStyle: true)
        let key = try ObjectKey("rooms/x=1")
        #expect(inPath.host == "127.0.0.1:9000" && inPath.path(nil) == "/recordings")
        #expect(inPath.path(inPath.name(key)) == "/recordings/troupe/a/rooms/x=1")
        let inHost = try S3Address(endpoint: "https://s3.example.org:443", bucket: "recordings", region: "eu-1")
        #expect(inHost.host == "recordings.s3.example.org" && inHost.path("rooms/x") == "/rooms/x" && inHost.path(nil) == "/")
        #expect(inPath.key("troupe/a/rooms/x")?.rawValue == "rooms/x")
        #expect(inPath.key("troupe/ab/x") == nil)
        #expect(inPath.key("troupe/a/../x") == nil)
    }
    @Test(arguments: [
        ("ftp://x", "recordings", "r", nil), ("https://", "recordings", "r", nil), ("https://x/y", "recordings", "r", nil), ("https://u@x", "recordings", "r", nil), ("https://x", "Re", "r", nil),
        ("https://x", "re_c", "r", nil), ("https://x", "-recs", "r", nil), ("https://x", "recordings", "", nil), ("https://x", "recordings", "a b", nil), ("https://x", "recordings", "r", "../x"), ("https://x", "recordings", "r", "/x"),
    ] as [(String, String, String, String?)])
    func othersAreRefused(endpoint: String, bucket: String, region: String, prefix: String?) {
        #expect(throws: ObjectStorageError.self) { try S3Address(endpoint: endpoint, bucket: bucket, region: region, prefix: prefix) }
    }
}

@Suite struct S3Answers {
    private func verdict(_ status: Int, _ code: String? = nil, understood: Set<Int> = []) -> String {
        switch S3Verdict.of(status: status, code: code, what: "GET x", understood: understood) {
        case .done: "done"
        case .again: "again"
        case .failed(.notFound): "not found"
        case .failed(.away): "away"
        case .failed: "refused"
        }
    }
    @Test func statusesAndCodesMeanSomething() {
        for status in [200, 204, 206] { #expect(verdict(status) == "done") }
        #expect(verdict(200, "InternalError") == "again", "a completion may fail after its answer began")
        for status in [408, 429, 500, 502, 503, 504] { #expect(verdict(status) == "again") }
        #expect(verdict(503, "SlowDown") == "again" && verdict(400, "RequestTimeout") == "again" && verdict(400, "BadDigest") == "again")
        #expect(verdict(404) == "not found" && verdict(404, "NoSuchKey") == "not found" && verdict(404, "NoSuchBucket") == "refused")
        #expect(verdict(404, "NoSuchUpload", understood: [404]) == "done" && verdict(404, "NoSuchBucket", understood: [404]) == "refused")
        for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "RequestTimeTooSkewed"] { #expect(verdict(403, code) == "refused") }
        #expect(verdict(301) == "refused" && verdict(501) == "refused" && verdict(413) == "refused" && verdict(507) == "away" && verdict(100) == "refused")
    }

    @Test func pausesGrowAreSpreadAndEnd() {
        for attempt in 1...12 {
            let bound = min(S3Limits.firstPause * (1 << min(attempt - 1, 10)), S3Limits.longestPause)
            for random in [0, 12_345_678_901, UInt64.max] {
                let pause = S3Retry.pause(afterAttempt: attempt, random: random, asked: nil)
                #expect(pause >= bound / 2 && pause <= bound)
            }
        }
        #expect(S3Retry.pause(afterAttempt: 1, random: 0, asked: 2) == .seconds(2) && S3Retry.pause(afterAttempt: 1, random: 0, asked: .max) == S3Limits.longestPause)
    }

    @Test(arguments: [0, 1, S3Limits.partBytes, S3Limits.partBytes + 1, 100_000_001, S3Limits.partBytes * S3Limits.parts + 1, S3Limits.largestPartBytes * S3Limits.parts])
    func partsCoverTheObject(size: Int64) throws {
        let parts = try #require(S3Parts.of(size))
        #expect(parts.count <= 10_000 && parts.first?.lowerBound == 0 && parts.last?.upperBound == size)
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        #expect(parts.dropLast().allSatisfy { $0.count >= 5 << 20 } && parts.allSatisfy { $0.count <= S3Limits.largestPartBytes })
    }
    @Test func whatIsTooLargeHasNoParts() { #expect(S3Parts.of(S3Limits.largestPartBytes * S3Limits.parts + 1) == nil && S3Parts.of(.max) == nil) }

    @Test func timesAreReadAndWritten() {
        #expect(S3Time.basic(S3Signatures.at) == "20130524T000000Z")
        #expect(S3Time.header("Sun, 06 Nov 1994 08:49:37 GMT") == WallTime(seconds: 784_111_777))
        #expect(S3Time.listed("2009-10-12T17:50:30.250Z") == WallTime(microseconds: 1_255_369_830_250_000))
        for seconds in stride(from: Int64(0), to: 4_102_444_800, by: 86_399 * 97) {
            #expect(S3Time.listed(WallTime(seconds: seconds).rfc3339) == WallTime(seconds: seconds))
        }
        for text in ["", "x", "2009-13-12T17:50:30Z", "2009-10-12", "Sun, 06 Foo 1994 08:49:37 GMT", "99999-01-01T00:00:00Z"] { #expect(S3Time.listed(text) == nil && S3Time.header(text) == nil) }
    }
}

@Suite struct XMLDocuments {
    @Test func anAnswerIsRead() {
        let text = #"<?xml version="1.0"?><!-- > --><s3:List a="x>y"><Key>a&amp;&lt;b&#x20;&#99;</Key><Empty/><Key2 b='1'/></s3:List>"#
        let root = XMLElement.parse(Array(text.utf8))
        #expect(root?.name == "List" && root?["Key"] == "a&<b c" && root?["Empty"] == "" && root?.children.count == 3)
        #expect(XMLElement.escaped("a&<b>\"") == "a&amp;&lt;b&gt;\"")
    }
    @Test(arguments: ["", "x", "<a>", "<a></b>", "</a>", "<a", "<a b='", "<!DOCTYPE a><a/>", "<a>&x;</a>", "<a>&amp</a>", "<a>&#x110000;</a>", "<>x</>", "<a><b></a></b>", String(repeating: "<a>", count: 20) + String(repeating: "</a>", count: 20)])
    func whatIsNotWellFormedIsRefused(text: String) { #expect(XMLElement.parse(Array(text.utf8)) == nil) }

    @Test func damageNeverTraps() {
        let whole = Array("<?xml version=\"1.0\"?><List><Contents><Key>a&amp;b</Key><Size>12</Size></Contents><x/></List>".utf8)
        var random = SplitMix64(seed: 7), read = 0
        for _ in 0..<5_000 {
            var bytes = whole
            for _ in 0...(random.next() % 4) {
                guard !bytes.isEmpty else { break }
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int(random.next() % 9)))
                default: bytes.insert(contentsOf: bytes[place...].prefix(7), at: place)
                }
            }
            if XMLElement.parse(bytes) != nil { read += 1 }
        }
        #expect(read > 0 && read < 5_000)
    }
}
