// The object store that is an S3 bucket. Decision: docs/decisions/0033-object-storage.md
internal import Glibc
package import Primitives

/// Objects under keys in a bucket, or below a prefix in it. Calls block in bounded time: `S3Limits` per request, times its attempts.
package final class S3Bucket: ObjectStore {
    let client: S3Client

    /// - Parameters:
    ///   - credentials: asked for again with every request, so that keys can be changed while the node runs.
    ///   - certificates: PEM file of the authorities to trust for HTTPS; nil: the system's.
    ///   - stall: how long nothing may come or go before a request is given up.
    package init(
        _ address: S3Address, credentials: @escaping @Sendable () throws(ObjectStorageError) -> S3Credentials, certificates: String? = nil,
        stall: Duration = S3Limits.stall, random: any RandomSource, wall: @escaping @Sendable () -> WallTime
    ) {
        client = S3Client(address, credentials: credentials, certificates: certificates, stall: stall, random: random, wall: wall)
    }

    package var counts: S3Counts { client.counts }

    /// Throws unless the bucket is there and the keys are good for it.
    package func check() throws(ObjectStorageError) {
        _ = try page(under: "", after: nil, keys: 1)
    }

    // MARK: Putting

    package func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStorageError) {
        try put(key, size: Int64(bytes.count)) { (range) throws(ObjectStorageError) in
            range.count == bytes.count ? bytes : Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        }
    }
    package func put(_ key: ObjectKey, file path: String) throws(ObjectStorageError) {
        let file = try Descriptor(source: path)
        try put(key, size: try file.status(key).size) { (range) throws(ObjectStorageError) in
            let bytes = try file.read(from: range.lowerBound, count: range.count)
            guard bytes.count == range.count else { throw .away("\(path) became shorter while it was sent") }
            return bytes
        }
    }

    private func put(_ key: ObjectKey, size: Int64, _ content: (Range<Int64>) throws(ObjectStorageError) -> [UInt8]) throws(ObjectStorageError) {
        let name = try name(key)
        guard let parts = S3Parts.of(size) else { throw .refused("\(key) has \(size) bytes; an object has at most \(S3Limits.parts * S3Limits.largestPartBytes)") }
        if parts.count == 1 {
            _ = try client.send(.init(method: "PUT", name: name, headers: [("content-type", Self.type)]), body: try content(parts[0]))
        } else {
            try S3Upload(client: client, name: name).send(parts, content)
        }
    }
    static let type = "application/octet-stream"

    // MARK: Reading

    package func info(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo { try head(key).info }

    func head(_ key: ObjectKey) throws(ObjectStorageError) -> (info: ObjectInfo, tag: String?) {
        let answer = try client.send(.init(method: "HEAD", name: try name(key)))
        guard let size = answer.headers["content-length"].flatMap({ Int64($0) }) else { throw .away("HEAD \(key): the server does not say how large it is") }
        let modified = answer.headers["last-modified"].flatMap(S3Time.header) ?? WallTime(seconds: 0)
        return (ObjectInfo(key: key, size: size, modifiedAt: modified), answer.headers["etag"])
    }

    package func read(_ key: ObjectKey, range: Range<Int64>) throws(ObjectStorageError) -> [UInt8] {
        var upper = range.upperBound
        if range.lowerBound < 0 || range.isEmpty || range.count > S3Limits.readBytes {
            let size = try head(key).info.size
            upper = min(upper, size)
            guard range.lowerBound >= 0, range.lowerBound <= upper, upper - range.lowerBound <= S3Limits.readBytes else { throw .badRange(size: size) }
            if range.lowerBound == upper { return [] }
        }
        let count = upper - range.lowerBound
        let answer = try client.send(.init(
            method: "GET", name: try name(key), headers: [("range", "bytes=\(range.lowerBound)-\(upper - 1)")], sink: .memory(Int(count)), understood: [416]))
        if Self.isPart(answer) { return answer.body }
        // The range begins at the end or behind it; or the server knows no ranges.
        let size = answer.status == 200 ? Int64(answer.body.count) : try head(key).info.size
        guard range.lowerBound <= size else { throw .badRange(size: size) }
        return answer.status == 200 ? Array(answer.body[Int(range.lowerBound)..<Int(min(upper, size))]) : []
    }

    package func get(_ key: ObjectKey, to path: String) throws(ObjectStorageError) -> ObjectInfo {
        let (info, tag) = try head(key)
        let name = try name(key)
        try NewFile.make(path) { (file) throws(ObjectStorageError) in
            var offset: Int64 = 0
            while offset < info.size {
                let count = min(S3Limits.pieceBytes, info.size - offset)
                // Pieces of one object, not of two that had the same key.
                let headers = [("range", "bytes=\(offset)-\(offset + count - 1)")] + (tag.map { [("if-match", $0)] } ?? [])
                let answer = try client.send(.init(
                    method: "GET", name: name, headers: headers.map { (name: $0.0, value: $0.1) }, sink: .file(file, offset: offset, count: count), understood: [404, 412]))
                guard Self.isPart(answer) || (answer.status == 200 && count == info.size) else { throw .away("\(key) changed while it was read") }
                offset += count
            }
            guard try file.status(key).size == info.size else { throw .away("\(key): the server broke off") }
        }
        client.count { $0.bytesReceived += UInt64(info.size) }
        return info
    }

    /// Some servers say 200 instead of 206, and yet which part it is (RFC 9110 §14.4).
    private static func isPart(_ answer: HTTPAnswer) -> Bool {
        answer.status == 206 || (answer.status == 200 && answer.headers["content-range"] != nil)
    }

    // MARK: Listing and deleting

    package func list(under prefix: ObjectKey) throws(ObjectStorageError) -> [ObjectInfo] {
        var found: [ObjectInfo] = []
        do throws(ObjectStorageError) { found.append(try info(prefix)) } catch { guard error == .notFound else { throw error } }
        let folder = try name(prefix) + "/"
        var next: String?
        repeat {
            let page = try page(under: folder, after: next, keys: S3Limits.pageKeys)
            found += page.objects
            guard found.count <= S3Limits.listed else { throw .refused("more than \(S3Limits.listed) objects under \(prefix); list a longer prefix") }
            next = page.next
        } while next != nil
        return found.sorted { $0.key < $1.key }
    }

    package func delete(_ key: ObjectKey) throws(ObjectStorageError) {
        _ = try client.send(.init(method: "DELETE", name: try name(key), understood: [404]))
    }

    /// Uploads in parts that were never completed go as well.
    package func deleteAll(under prefix: ObjectKey) throws(ObjectStorageError) {
        let folder = try name(prefix) + "/"
        for _ in 0..<S3Limits.deletedPages {
            // What was deleted is listed no more, so each look begins at the front.
            let objects = try page(under: folder, after: nil, keys: S3Limits.pageKeys).names
            if objects.isEmpty {
                do throws(ObjectStorageError) { try delete(try info(prefix).key) } catch { guard error == .notFound else { throw error } }
                return try S3Upload.abortAll(client, under: folder)
            }
            try delete(objects)
        }
        throw .away("objects under \(prefix) come as fast as they are deleted")
    }

    private func delete(_ names: [String]) throws(ObjectStorageError) {
        let list = names.map { "<Object><Key>\(XMLElement.escaped($0))</Key></Object>" }.joined()
        let answer = try client.send(.init(method: "POST", query: [("delete", "")], headers: [("content-type", "application/xml")]), body: Array("<Delete><Quiet>true</Quiet>\(list)</Delete>".utf8))
        guard let root = XMLElement.parse(answer.body) else { throw .away("the server's answer to a deletion cannot be read") }
        if let error = root.first("Error") { throw .away("\(error["Key"] ?? "an object") cannot be deleted: \(error["Code"] ?? "the server does not say why")") }
    }

    /// One page of what the bucket holds, by ListObjectsV2.
    /// - Parameter folder: beginning of the names, as in the bucket.
    private func page(under folder: String, after: String?, keys: Int) throws(ObjectStorageError) -> (objects: [ObjectInfo], names: [String], next: String?) {
        var query = [("list-type", "2"), ("max-keys", String(keys)), ("prefix", folder)]
        if let after { query.append(("continuation-token", after)) }
        let answer = try client.send(.init(method: "GET", query: query.map { (name: $0.0, value: $0.1) }))
        guard let root = XMLElement.parse(answer.body), root.name == "ListBucketResult" else { throw .away("the server's list cannot be read; is it an S3 server?") }
        var objects: [ObjectInfo] = [], names: [String] = []
        for entry in root.children where entry.name == "Contents" {
            guard let name = entry["Key"], let size = entry["Size"].flatMap({ Int64($0) }) else { throw .away("the server's list cannot be read: an entry has no key or size") }
            names.append(name)
            // Names others have put there that are no keys of ours are passed over.
            guard let key = client.address.key(name) else { continue }
            objects.append(ObjectInfo(key: key, size: size, modifiedAt: entry["LastModified"].flatMap(S3Time.listed) ?? WallTime(seconds: 0)))
        }
        guard root["IsTruncated"] == "true" else { return (objects, names, nil) }
        guard let next = root["NextContinuationToken"], !next.isEmpty, next != after else { throw .away("the server's list does not go on") }
        return (objects, names, next)
    }

    // MARK: URLs signed in advance

    package enum Access: String, Sendable { case get = "GET", put = "PUT" }
    /// A URL that lets whoever has it read or write this one object, until `life` (1 s to 7 days) is over.
    package func presigned(_ access: Access, _ key: ObjectKey, life: Duration) throws(ObjectStorageError) -> String {
        try client.presigned(access.rawValue, try name(key), life: life)
    }

    private func name(_ key: ObjectKey) throws(ObjectStorageError) -> String {
        let name = client.address.name(key)
        guard name.utf8.count <= ObjectKey.Limits.keyBytes else { throw .refused("\(key) with its prefix is longer than \(ObjectKey.Limits.keyBytes) bytes") }
        return name
    }
}
