// The object store that is a folder.
internal import Glibc
internal import Primitives

/// Objects as files below one folder, a key's parts as folders.
///
/// `put` writes under a temporary name (a dot in front, so no key names it), syncs, renames, and syncs the folder.
/// Symbolic links are never followed: each part is opened relative to its parent, without following.
package struct LocalFolder: ObjectStore {
    package enum Limits {
        /// Bytes one `read` gives back at most; a larger object is read in pieces.
        package static let readBytes: Int64 = 64 << 20
        /// Folders inside folders that `list` goes down.
        package static let depth = 32
    }
    package let path: String

    /// Creates the folder if it is not there, readable by its owner only.
    package init(path: String) throws(ObjectStorageError) {
        self.path = path
        var parent = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            parent += "/" + part
            guard mkdir(parent, 0o700) == 0 || errno == EEXIST else { throw Self.failure("create \(parent)") }
        }
        let folder = try Descriptor(path, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        guard faccessat(folder.number, ".", W_OK, 0) == 0 else { throw .away("\(path) is not writable: \(Self.reason())") }
    }

    /// Where a key's file stands, for programs that write or read files themselves (the media worker, `Range` answers).
    package func file(_ key: ObjectKey) -> String { "\(path)/\(key.rawValue)" }

    package func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStorageError) {
        let (folder, name) = try parent(of: key, creating: true)
        let temporary = ".\(name).\(getpid()).\(UInt64.random(in: .min ... .max))"
        do throws(ObjectStorageError) {
            let file = try Descriptor(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, at: folder.number)
            try file.writeAll(bytes)
            guard fsync(file.number) == 0 else { throw Self.failure("sync \(key)") }
            guard renameat(folder.number, temporary, folder.number, name) == 0 else { throw Self.failure("rename to \(key)") }
            guard fsync(folder.number) == 0 else { throw Self.failure("sync the folder of \(key)") }
        } catch {
            unlinkat(folder.number, temporary, 0)
            throw error
        }
    }

    package func read(_ key: ObjectKey, range: Range<Int64>) throws(ObjectStorageError) -> [UInt8] {
        let (folder, name) = try parent(of: key, creating: false)
        let file = try Descriptor(name, O_RDONLY | O_NOFOLLOW, at: folder.number)
        let size = try file.status(key).size
        let upper = min(range.upperBound, size)
        guard range.lowerBound >= 0, range.lowerBound <= upper, upper - range.lowerBound <= Limits.readBytes else { throw .badRange(size: size) }
        return try file.read(from: range.lowerBound, count: Int(upper - range.lowerBound))
    }

    package func info(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo {
        let (folder, name) = try parent(of: key, creating: false)
        return try Descriptor(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: folder.number).status(key)
    }

    package func list(under prefix: ObjectKey) throws(ObjectStorageError) -> [ObjectInfo] {
        var found: [ObjectInfo] = []
        do throws(ObjectStorageError) {
            let (folder, name) = try parent(of: prefix, creating: false)
            try collect(prefix, name: name, in: folder, depth: 0, into: &found)
        } catch {
            guard error == .notFound else { throw error }
        }
        return found.sorted { $0.key < $1.key }
    }

    package func delete(_ key: ObjectKey) throws(ObjectStorageError) {
        do throws(ObjectStorageError) {
            let (folder, name) = try parent(of: key, creating: false)
            guard unlinkat(folder.number, name, 0) == 0 || errno == ENOENT else { throw Self.failure("delete \(key)") }
        } catch {
            guard error == .notFound else { throw error }
            return
        }
        removeEmptyFolders(above: key)
    }

    package func deleteAll(under prefix: ObjectKey) throws(ObjectStorageError) {
        for object in try list(under: prefix) { try delete(object.key) }
    }

    // MARK: Folders

    /// The open folder that holds a key's file, and the file's name in it.
    private func parent(of key: ObjectKey, creating: Bool) throws(ObjectStorageError) -> (Descriptor, String) {
        var parts = key.rawValue.split(separator: "/").map(String.init)
        let name = parts.removeLast()
        var folder = try Descriptor(path, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        for part in parts {
            if creating, mkdirat(folder.number, part, 0o700) != 0, errno != EEXIST { throw Self.failure("create the folder \(part) of \(key)") }
            folder = try Descriptor(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: folder.number)
        }
        return (folder, name)
    }

    private func collect(_ key: ObjectKey, name: String, in folder: Descriptor, depth: Int, into found: inout [ObjectInfo]) throws(ObjectStorageError) {
        // Files that vanish while they are listed, and names that are no keys (temporary files), are passed over.
        guard depth < Limits.depth, let entry = try? Descriptor(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: folder.number) else { return }
        if let object = try? entry.status(key) { found.append(object); return }
        for child in entry.names() {
            guard let childKey = try? ObjectKey("\(key.rawValue)/\(child)") else { continue }
            try collect(childKey, name: child, in: entry, depth: depth + 1, into: &found)
        }
    }

    private func removeEmptyFolders(above key: ObjectKey) {
        var parts = key.rawValue.split(separator: "/").dropLast()
        while !parts.isEmpty, rmdir("\(path)/\(parts.joined(separator: "/"))") == 0 { parts.removeLast() }
    }

    fileprivate static func reason() -> String { String(cString: strerror(errno)) }
    fileprivate static func failure(_ what: String) -> ObjectStorageError {
        switch errno {
        case ENOENT, ENOTDIR, ELOOP: .notFound
        case let code: .away("cannot \(what): \(String(cString: strerror(code)))")
        }
    }
}

/// Owns one file descriptor.
private final class Descriptor {
    let number: Int32

    init(_ name: String, _ flags: Int32, at folder: Int32) throws(ObjectStorageError) {
        number = openat(folder, name, flags | O_CLOEXEC, 0o600)
        guard number >= 0 else { throw LocalFolder.failure("open \(name)") }
    }
    deinit { close(number) }

    func writeAll(_ bytes: [UInt8]) throws(ObjectStorageError) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { write(number, $0.baseAddress! + offset, bytes.count - offset) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw LocalFolder.failure("write") }
            offset += written
        }
    }
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
        if failed { throw LocalFolder.failure("read") }
        return bytes
    }
    /// The file's size and time; a folder or a device is not an object.
    func status(_ key: ObjectKey) throws(ObjectStorageError) -> ObjectInfo {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw LocalFolder.failure("look at \(key)") }
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
}
