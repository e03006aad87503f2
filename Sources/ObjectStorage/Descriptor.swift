// Files by their descriptors, for stores that keep or carry them.
internal import Glibc
internal import Primitives

/// Owns one file descriptor.
final class Descriptor {
    let number: Int32

    init(_ name: String, _ flags: Int32, at folder: Int32 = AT_FDCWD) throws(ObjectStorageError) {
        number = openat(folder, name, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw Self.failure("open \(name)") }
    }
    /// A file whose content is to be stored: that it is missing is no missing object.
    convenience init(source path: String) throws(ObjectStorageError) {
        do throws(ObjectStorageError) { try self.init(path, O_RDONLY) } catch { throw error == .notFound ? .refused("\(path) is not there") : error }
    }
    deinit { close(number) }

    func writeAll(_ bytes: [UInt8]) throws(ObjectStorageError) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { Glibc.write(number, $0.baseAddress! + offset, bytes.count - offset) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw Self.failure("write") }
            offset += written
        }
    }
    /// - Returns: errno of a failure.
    func write(_ bytes: UnsafeRawBufferPointer, at start: Int64) -> Int32? {
        var offset = 0
        while offset < bytes.count {
            let written = pwrite(number, bytes.baseAddress! + offset, bytes.count - offset, off_t(start) + off_t(offset))
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return written < 0 ? errno : EIO }
            offset += written
        }
        return nil
    }
    /// - Returns: fewer bytes than asked for only at the file's end.
    func read(from start: Int64, count: Int) throws(ObjectStorageError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(number, buffer.baseAddress! + filled, count - filled, off_t(start) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failed = true }
                guard got > 0 else { return }
                filled += got
            }
        }
        if failed { throw Self.failure("read") }
        return bytes
    }
    /// The file's size and time; a folder or a device is not an object.
    func status(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw Self.failure("look at \(key)") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notFound }
        let micros = Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1_000
        return ObjectInfo(key: key, size: Int64(status.st_size), modifiedAt: WallTime(microseconds: micros))
    }
    /// Names in this folder; none when it is not one.
    func names() -> [String] {
        let copy = dup(number)
        guard copy >= 0, let folder = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            return []
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(withUnsafeBytes(of: entry.pointee.d_name) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names
    }

    static func reason(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
    static func failure(_ what: String) -> ObjectStorageError {
        switch errno {
        case ENOENT, ENOTDIR, ELOOP: .notFound
        case let code: .away("cannot \(what): \(reason(code))")
        }
    }
}

/// A file that appears whole or not at all.
enum NewFile {
    /// Writes under a temporary name beside `path`, then renames; replaces what was there.
    static func make(_ path: String, _ fill: (Descriptor) throws(ObjectStorageError) -> Void) throws(ObjectStorageError) {
        let temporary = "\(path).\(getpid()).\(UInt64.random(in: .min ... .max)).part"
        do throws(ObjectStorageError) {
            let file = try Descriptor(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW)
            try fill(file)
            guard fsync(file.number) == 0 else { throw Descriptor.failure("sync \(path)") }
            guard rename(temporary, path) == 0 else { throw Descriptor.failure("rename to \(path)") }
        } catch {
            unlink(temporary)
            // What is missing is the folder, not the object.
            throw error == .notFound ? .away("cannot write \(path): its folder is not there") : error
        }
    }
}
