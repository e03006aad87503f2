// AWS Signature Version 4 for S3: headers, and URLs that are signed in advance.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
internal import Hashing
internal import Primitives

/// Who signs. Not printable: the secret stands in no log and no error.
package struct S3Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    let accessKey: String
    let secret: [UInt8]
    package init(accessKey: String, secret: String) { self.accessKey = accessKey; self.secret = Array(secret.utf8) }
    package var description: String { "S3 credentials" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// One request as it is signed.
struct S3Request: Sendable, Equatable {
    var method: String
    /// Not percent-encoded; begins with a slash.
    var path: String
    /// Names and values, not encoded, in any order.
    var query: [(name: String, value: String)] = []
    /// Lower-case names; `host` is among them.
    var headers: [(name: String, value: String)]
    /// SHA-256 of the body in hex, or `unsigned`.
    var payload: String

    static let unsigned = "UNSIGNED-PAYLOAD"
    static func == (a: Self, b: Self) -> Bool {
        a.method == b.method && a.path == b.path && a.payload == b.payload && a.query.elementsEqual(b.query, by: ==) && a.headers.elementsEqual(b.headers, by: ==)
    }
    /// The path as it is sent and signed.
    var encodedPath: String { S3Signature.encode(path, keepingSlashes: true) }
    /// In the order in which it is signed; sent in the same.
    var encodedQuery: String {
        query.map { (S3Signature.encode($0.name), S3Signature.encode($0.value)) }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }
}

struct S3Signature: Sendable {
    let credentials: S3Credentials
    let region: String
    var service = "s3"

    /// - Returns: the value of `Authorization` for a request whose headers hold `x-amz-date` of the same time.
    func authorization(_ request: S3Request, at time: WallTime) -> String {
        let names = signedNames(request)
        return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope(time)),SignedHeaders=\(names),Signature=\(signature(request, names, time))"
    }

    /// Adds to the query what proves that the request was signed here.
    /// - Parameter life: whole seconds, 1 s to 7 days.
    func presigned(_ request: S3Request, at time: WallTime, life: Duration) -> S3Request {
        var request = request
        request.query += [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", "\(credentials.accessKey)/\(scope(time))"), ("X-Amz-Date", S3Time.basic(time)),
            ("X-Amz-Expires", String(max(1, min(Int64(life.inSeconds), 604_800)))), ("X-Amz-SignedHeaders", signedNames(request)),
        ]
        request.query.append(("X-Amz-Signature", signature(request, signedNames(request), time)))
        return request
    }

    private func scope(_ time: WallTime) -> String { "\(S3Time.day(time))/\(region)/\(service)/aws4_request" }
    private func signedNames(_ request: S3Request) -> String { request.headers.map(\.name).sorted().joined(separator: ";") }

    private func signature(_ request: S3Request, _ names: String, _ time: WallTime) -> String {
        let headers = request.headers.sorted { $0.name < $1.name }.map { "\($0.name):\(Self.trimmed($0.value))\n" }.joined()
        let canonical = "\(request.method)\n\(request.encodedPath)\n\(request.encodedQuery)\n\(headers)\n\(names)\n\(request.payload)"
        let text = "AWS4-HMAC-SHA256\n\(S3Time.basic(time))\n\(scope(time))\n\(Digests.hex(Digests.sha256(Array(canonical.utf8))))"
        let key = [S3Time.day(time), region, service, "aws4_request"].reduce(Array("AWS4".utf8) + credentials.secret) { Digests.hmacSHA256(key: $0, Array($1.utf8)) }
        return Digests.hex(Digests.hmacSHA256(key: key, Array(text.utf8)))
    }

    /// Without spaces at the ends, runs of them as one.
    private static func trimmed(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }

    /// RFC 3986 §2.3: everything but unreserved characters is percent-encoded, in upper case.
    static func encode(_ text: String, keepingSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                out.append(byte)
            case UInt8(ascii: "/") where keepingSlashes: out.append(byte)
            default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
