// Files below one folder, named by keys that cannot leave it.
internal import Glibc
package import Primitives

/// An open regular file; closed when the last holder lets go.
package final class OpenFile: Sendable {
    let descriptor: Int32
    package let size: Int64
    package let modifiedNanoseconds: Int64
    package var tag: EntityTag { EntityTag(size: size, modifiedNanoseconds: modifiedNanoseconds) }
    package var modified: WallTime { WallTime(microseconds: modifiedNanoseconds / 1000) }

    init?(path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        size = Int64(status.st_size)
        modifiedNanoseconds = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }
    deinit { close(descriptor) }

    /// At most `count` bytes from `offset`; fewer only where the file ends. nil on a read error.
    func read(at offset: Int64, count: Int) -> [UInt8]? {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let n = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
                if n > 0 { filled += n; continue }
                if n < 0, errno == EINTR { continue }
                failed = n < 0
                return
            }
        }
        return failed ? nil : bytes
    }
}

/// The files of one folder. Every call touches the disk: make it on a `DiskThread`.
struct StoredFiles: Sendable {
    enum Limits {
        static let keyBytes = 512
        static let listed = 4096          // entries of one listing
    }
    let root: String

    /// A key is one or more segments of plain characters; none begins with a dot, so none is hidden or leads upwards.
    static func isSafe(key: String) -> Bool {
        guard (1...Limits.keyBytes).contains(key.utf8.count) else { return false }
        return key.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { segment in
            guard let first = segment.utf8.first, first != UInt8(ascii: ".") else { return false }
            return segment.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "\\") }
        }
    }
    func open(_ key: String) -> OpenFile? {
        guard Self.isSafe(key: key) else { return nil }
        return OpenFile(path: root + "/" + key)
    }
    /// Names and sizes of the regular files directly in folder `key`, sorted; empty where there is no such folder.
    func list(_ key: String) -> [(name: String, size: Int64)] {
        entries(key).compactMap { name in
            var status = stat()
            guard lstat(root + "/" + key + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            return (name, Int64(status.st_size))
        }
    }
    /// Names of the folders directly in folder `key`, sorted.
    func folders(_ key: String) -> [String] {
        entries(key).filter { name in
            var status = stat()
            return lstat(root + "/" + key + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }
    private func entries(_ key: String) -> [String] {
        guard Self.isSafe(key: key), let folder = opendir(root + "/" + key) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while names.count < Limits.listed, let entry = readdir(folder) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if Self.isSafe(key: name) { names.append(name) }
        }
        return names.sorted()
    }
    static func isReadableFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && access(path, R_OK | X_OK) == 0
    }
}
