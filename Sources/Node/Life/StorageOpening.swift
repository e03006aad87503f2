// From the storage a topology names to the stores a node uses.
internal import Configuration
internal import Glibc
internal import ObjectStorage
internal import Primitives

enum StorageOpening {
    enum Limits {
        /// Bytes of a file with an S3 key.
        static let keyBytes = 1_024
    }

    static func folder(_ path: String) throws(FileError) -> LocalFolder {
        do throws(ObjectStorageError) { return try LocalFolder(path: path) } catch {
            if case .away(let text) = error { throw FileError("the storage folder cannot be used: \(text)") }
            throw FileError("the storage folder \(path) cannot be used: a part of it is not a folder")
        }
    }

    /// Refuses key files that cannot be right; whether the server answers is found out by the first call, and again by later ones.
    static func bucket(_ bucket: Topology.Bucket, random: any RandomSource) throws(FileError) -> S3Bucket {
        _ = try credentials(bucket)
        let address: S3Address
        do throws(ObjectStorageError) {
            address = try S3Address(endpoint: bucket.endpoint, bucket: bucket.name, region: bucket.region, prefix: bucket.prefix, isPathStyle: bucket.isPathStyle)
        } catch {
            if case .refused(let text) = error { throw FileError("`s3`: \(text)") }
            throw FileError("`s3` names no bucket that can be used: \(error)")
        }
        return S3Bucket(address, credentials: { () throws(ObjectStorageError) in
            // Read again for each request: changed keys need no restart.
            do throws(FileError) { return try credentials(bucket) } catch { throw .refused(error.description) }
        }, certificates: bucket.caFile, random: random, wall: wallTime)
    }

    /// The system's clock, from any thread.
    private static func wallTime() -> WallTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return WallTime(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
    }

    private static func credentials(_ bucket: Topology.Bucket) throws(FileError) -> S3Credentials {
        S3Credentials(accessKey: try key(bucket.accessKeyFile, "access_key_file"), secret: try key(bucket.secretKeyFile, "secret_key_file"))
    }

    /// The one line of a private file. What is wrong with it is said without repeating it.
    private static func key(_ file: String, _ name: String) throws(FileError) -> String {
        guard let bytes = try PrivateFile.read(file) else {
            throw FileError("\(file), which `\(name)` names, is not there; write the key into it in one line and run `chmod 600 \(file)`")
        }
        try PrivateFile.requirePrivate(file)
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard text.count == 1, let line = text.first, line.utf8.count <= Limits.keyBytes, line.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw FileError("\(file) must hold one key in one line, without spaces")
        }
        return String(line)
    }
}
