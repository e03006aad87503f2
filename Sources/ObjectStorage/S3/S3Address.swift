// Where a bucket is: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
internal import Primitives

/// A bucket on an S3 server, and the names by which its objects are asked for.
package struct S3Address: Sendable, Equatable {
    /// Without a slash at the end: `https://s3.eu-central-1.amazonaws.com`, `http://127.0.0.1:9000`.
    let endpoint: String
    let bucket: String
    package let region: String
    /// In front of every key; nil: none.
    let prefix: ObjectKey?
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    let isPathStyle: Bool

    /// - Throws: `refused`, saying what to write instead.
    package init(endpoint: String, bucket: String, region: String, prefix: String? = nil, isPathStyle: Bool = false) throws(ObjectStorageError) {
        var endpoint = endpoint
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard let scheme = ["https://", "http://"].first(where: endpoint.hasPrefix), endpoint.utf8.count > scheme.utf8.count, endpoint.utf8.count <= Limits.endpointBytes,
            endpoint.dropFirst(scheme.count).utf8.allSatisfy({ Self.isAlphanumeric($0) || "-.:[]".utf8.contains($0) })
        else { throw .refused("`\(endpoint)` is no address of an S3 server; write scheme, host and port only, for instance https://s3.eu-central-1.amazonaws.com") }
        guard (3...63).contains(bucket.utf8.count), bucket.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }), bucket.lowercased() == bucket,
            let first = bucket.utf8.first, Self.isAlphanumeric(first), let last = bucket.utf8.last, Self.isAlphanumeric(last)
        else { throw .refused("`\(bucket)` is no name of a bucket; it has 3 to 63 small letters, digits, `-` and `.`") }
        guard !region.isEmpty, region.utf8.count <= 64, region.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) else { throw .refused("`\(region)` is no region; write for instance us-east-1") }
        self.endpoint = endpoint
        self.bucket = bucket
        self.region = region
        self.isPathStyle = isPathStyle
        if let prefix {
            do throws(ObjectStorageError) { self.prefix = try ObjectKey(prefix) } catch { throw .refused("`\(prefix)` is no prefix of keys; write for instance troupe/recordings") }
        } else {
            self.prefix = nil
        }
    }
    enum Limits { static let endpointBytes = 300 }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A)
    }

    private var scheme: Substring { endpoint.hasPrefix("https://") ? "https://" : "http://" }
    /// As in the `Host` header: an endpoint's port is part of it unless it is the scheme's own.
    var host: String {
        var host = String(endpoint.dropFirst(scheme.count))
        for ending in scheme == "https://" ? [":443"] : [":80"] where host.hasSuffix(ending) { host.removeLast(ending.count) }
        return isPathStyle ? host : "\(bucket).\(host)"
    }
    /// Path of an object, or of the bucket itself; not encoded.
    func path(_ name: String?) -> String { (isPathStyle ? "/\(bucket)" : "") + (name.map { "/\($0)" } ?? (isPathStyle ? "" : "/")) }
    func url(_ request: S3Request) -> String {
        "\(scheme)\(host)\(request.encodedPath)" + (request.query.isEmpty ? "" : "?\(request.encodedQuery)")
    }

    /// The name in the bucket.
    func name(_ key: ObjectKey) -> String { prefix.map { "\($0)/\(key)" } ?? key.rawValue }
    /// - Returns: nil for an object that is none of ours.
    func key(_ name: String) -> ObjectKey? {
        guard let prefix else { return try? ObjectKey(name) }
        return name.hasPrefix("\(prefix)/") ? try? ObjectKey(String(name.dropFirst(prefix.rawValue.count + 1))) : nil
    }
}
