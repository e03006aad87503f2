// Uploads in parts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
internal import Primitives

/// Sends one object in parts, one after the other. Nothing is visible before the last step; what fails before is taken back.
struct S3Upload {
    let client: S3Client
    let name: String

    func send(_ parts: [Range<Int64>], _ content: (Range<Int64>) throws(ObjectStorageError) -> [UInt8]) throws(ObjectStorageError) {
        let begun = try client.send(.init(method: "POST", name: name, query: [("uploads", "")], headers: [("content-type", S3Bucket.type)]), body: [])
        guard let id = XMLElement.parse(begun.body)?["UploadId"], !id.isEmpty else { throw .away("the server began an upload without a name") }
        do throws(ObjectStorageError) {
            var tags: [String] = []
            for (index, range) in parts.enumerated() {
                let answer = try client.send(.init(method: "PUT", name: name, query: [("partNumber", String(index + 1)), ("uploadId", id)]), body: try content(range))
                guard let tag = answer.headers["etag"] else { throw .away("the server took part \(index + 1) of \(name) without an ETag") }
                tags.append(tag)
            }
            try complete(id, tags, size: parts.last?.upperBound ?? 0)
        } catch {
            abort(id)
            throw error == .notFound ? .away("\(name): the server has lost the upload") : error
        }
    }

    private func complete(_ id: String, _ tags: [String], size: Int64) throws(ObjectStorageError) {
        let list = tags.enumerated().map { "<Part><PartNumber>\($0 + 1)</PartNumber><ETag>\(XMLElement.escaped($1))</ETag></Part>" }.joined()
        // 404: an earlier attempt, whose answer was lost, has completed it. Whether it has is seen below.
        _ = try client.send(
            .init(method: "POST", name: name, query: [("uploadId", id)], headers: [("content-type", "application/xml")], understood: [404]),
            body: Array("<CompleteMultipartUpload>\(list)</CompleteMultipartUpload>".utf8))
        let answer = try client.send(.init(method: "HEAD", name: name))
        guard answer.headers["content-length"].flatMap({ Int64($0) }) == size else { throw .away("\(name) is not as large as what was sent") }
    }

    /// Lets the server forget the parts. Where that fails too, `deleteAll` or the bucket's own rules remove them.
    private func abort(_ id: String) {
        client.count { $0.abortedUploads += 1 }
        _ = try? client.send(.init(method: "DELETE", name: name, query: [("uploadId", id)], understood: [404]))
    }

    /// Takes back every upload below `folder` that was never completed: their writers are gone.
    static func abortAll(_ client: S3Client, under folder: String) throws(ObjectStorageError) {
        for _ in 0..<S3Limits.deletedPages {
            // 501: a server that does not list them keeps none for long, or sweeps them itself.
            let answer = try client.send(.init(method: "GET", query: [("uploads", ""), ("prefix", folder)], understood: [400, 404, 405, 501]))
            guard answer.status == 200, let root = XMLElement.parse(answer.body), root.name == "ListMultipartUploadsResult" else { return }
            let open = root.children.filter { $0.name == "Upload" }.compactMap { entry in
                entry["Key"].flatMap { name in entry["UploadId"].map { (name: name, id: $0) } }
            }.filter { $0.name.hasPrefix(folder) }
            if open.isEmpty { return }
            for upload in open { S3Upload(client: client, name: upload.name).abort(upload.id) }
            guard root["IsTruncated"] == "true" else { return }
        }
    }
}
