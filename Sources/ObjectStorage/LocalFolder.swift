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
        /// Bytes copied at a time.
        static let copiedBytes = 1 << 20
        /// Folders inside folders that `list` goes down.
        package static let depth = 32
        /// How often folders are made for one file.
        static let folderTries = 64
    }
    package let path: String

    /// Creates the folder if it is not there, readable by its owner only.
    package init(path: String) throws(ObjectStorageError) {
        self.path = path
        var parent = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            parent += "/" + part
            guard mkdir(parent, 0o700) == 0 || errno == EEXIST else { throw Descriptor.failure("create \(parent)") }
        }
        let folder = try Descriptor(path, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        guard faccessat(folder.number, ".", W_OK, 0) == 0 else { throw .away("\(path) is not writable: \(Descriptor.reason())") }
    }

    /// Share of its disk that this user may still fill, 0...1; 1 where the system does not say.
    package var freeShare: Double {
        var status = statvfs()
        guard statvfs(path, &status) == 0, status.f_blocks > 0 else { return 1 }
        return Double(status.f_bavail) / Double(status.f_blocks)
    }

    /// Where a key's file stands, for programs that write or read files themselves (the media worker, `Range` answers).
    package func file(_ key: ObjectKey) -> String { "\(path)/\(key.rawValue)" }

    package func put(_ key: ObjectKey, bytes: [UInt8]) throws(ObjectStorageError) {
        try put(key) { (file) throws(ObjectStorageError) in try file.writeAll(bytes) }
    }

    package func put(_ key: ObjectKey, file path: String) throws(ObjectStorageError) {
        let source = try Descriptor(source: path)
        try put(key) { (file) throws(ObjectStorageError) in
            var offset: Int64 = 0
            while true {
                let chunk = try source.read(from: offset, count: Limits.copiedBytes)
                if chunk.isEmpty { return }
                try file.writeAll(chunk)
                offset += Int64(chunk.count)
            }
        }
    }

    private func put(_ key: ObjectKey, _ fill: (Descriptor) throws(ObjectStorageError) -> Void) throws(ObjectStorageError) {
        let suffix = "\(getpid()).\(UInt64.random(in: .min ... .max))"
        let (folder, name, temporary, file) = try withFolders(of: key) { (folder, name) throws(ObjectStorageError) in
            let temporary = ".\(name).\(suffix)"
            return (folder, name, temporary, try Descriptor(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, at: folder.number))
        }
        do throws(ObjectStorageError) {
            try fill(file)
            guard fsync(file.number) == 0 else { throw Descriptor.failure("sync \(key)") }
            guard renameat(folder.number, temporary, folder.number, name) == 0 else { throw Descriptor.failure("rename to \(key)") }
            guard fsync(folder.number) == 0 else { throw Descriptor.failure("sync the folder of \(key)") }
        } catch {
            unlinkat(folder.number, temporary, 0)
            throw error
        }
    }

    /// Gives an object another key, in place of what stands there: who reads that sees the one or the other, whole.
    package func move(_ key: ObjectKey, to target: ObjectKey) throws(ObjectStorageError) {
        let (from, name) = try parent(of: key, creating: false)
        try withFolders(of: target) { (folder, targetName) throws(ObjectStorageError) in
            guard renameat(from.number, name, folder.number, targetName) == 0 else { throw Descriptor.failure("rename \(key) to \(target)") }
            guard fsync(folder.number) == 0 else { throw Descriptor.failure("sync the folder of \(target)") }
        }
    }

    package func get(_ key: ObjectKey, to path: String) throws(ObjectStorageError) -> ObjectInfo {
        let (folder, name) = try parent(of: key, creating: false)
        let source = try Descriptor(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, at: folder.number)
        let info = try source.status(key)
        try NewFile.make(path) { (file) throws(ObjectStorageError) in
            var offset: Int64 = 0
            while offset < info.size {
                let chunk = try source.read(from: offset, count: Limits.copiedBytes)
                guard !chunk.isEmpty else { throw .away("\(key) became shorter while it was read") }
                try file.writeAll(chunk)
                offset += Int64(chunk.count)
            }
        }
        return info
    }

    /// Puts what another store has under the same key.
    package func fetch(_ key: ObjectKey, from store: any ObjectStore) throws(ObjectStorageError) {
        _ = try store.info(key)
        try withFolders(of: key) { (_, _) throws(ObjectStorageError) in _ = try store.get(key, to: file(key)) }
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
            guard unlinkat(folder.number, name, 0) == 0 || errno == ENOENT else { throw Descriptor.failure("delete \(key)") }
        } catch {
            guard error == .notFound else { throw error }
            return
        }
        removeEmptyFolders(above: key)
    }

    package func deleteAll(under prefix: ObjectKey) throws(ObjectStorageError) {
        do throws(ObjectStorageError) {
            let (folder, name) = try parent(of: prefix, creating: false)
            try removeTree(name, in: folder, depth: 0)
        } catch {
            guard error == .notFound else { throw error }
            return
        }
        removeEmptyFolders(above: prefix)
    }
    /// Also what is no object: a program that was killed leaves temporary files, which no key names.
    private func removeTree(_ name: String, in folder: Descriptor, depth: Int) throws(ObjectStorageError) {
        if unlinkat(folder.number, name, 0) == 0 || errno == ENOENT { return }
        guard errno == EISDIR, depth < Limits.depth else { throw Descriptor.failure("delete \(name)") }
        // Another thread or process may write there until it hears that it is gone.
        for _ in 0..<Limits.folderTries {
            let inner: Descriptor
            do throws(ObjectStorageError) { inner = try Descriptor(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: folder.number) } catch {
                guard error == .notFound else { throw error }
                return
            }
            for child in inner.names() where child != "." && child != ".." { try removeTree(child, in: inner, depth: depth + 1) }
            if unlinkat(folder.number, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return }
            guard errno == ENOTEMPTY else { break }
        }
        throw Descriptor.failure("delete the folder \(name)")
    }

    // MARK: Folders

    /// The open folder that holds a key's file, and the file's name in it.
    func parent(of key: ObjectKey, creating: Bool) throws(ObjectStorageError) -> (Descriptor, String) {
        var parts = key.rawValue.split(separator: "/").map(String.init)
        let name = parts.removeLast()
        var folder = try Descriptor(path, O_RDONLY | O_DIRECTORY, at: AT_FDCWD)
        for part in parts {
            if creating, mkdirat(folder.number, part, 0o700) != 0, errno != EEXIST { throw Descriptor.failure("create the folder \(part) of \(key)") }
            folder = try Descriptor(part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, at: folder.number)
        }
        return (folder, name)
    }

    /// Makes the folders of a key and something in them. Whoever deletes the last file of a folder removes it, here or at another node:
    /// then they are made anew.
    private func withFolders<Made>(of key: ObjectKey, _ make: (Descriptor, String) throws(ObjectStorageError) -> Made) throws(ObjectStorageError) -> Made {
        for _ in 1..<Limits.folderTries {
            do throws(ObjectStorageError) {
                let (folder, name) = try parent(of: key, creating: true)
                return try make(folder, name)
            } catch {
                guard error == .notFound else { throw error }
            }
        }
        let (folder, name) = try parent(of: key, creating: true)
        return try make(folder, name)
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
}
