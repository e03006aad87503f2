// Small files that hold secrets: written whole, readable by their owner only.
internal import Glibc

/// A file could not be read or written, and what to do.
package struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

package enum PrivateFile {
    package enum Limits {
        /// Bytes of a certificate, key or keys file.
        package static let bytes = 1 << 20
    }

    /// - Returns: nil when there is no such file.
    package static func read(_ path: String) throws(FileError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw FileError("\(path) cannot be read: \(reason())")
        }
        defer { close(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError("\(path) cannot be read: \(reason())") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= Limits.bytes else { throw FileError("\(path) is larger than \(Limits.bytes) bytes: is it the right file?") }
        }
    }

    /// Puts the whole file in place at once, with exactly these permissions; its folder is made if it is not there.
    package static func write(_ bytes: [UInt8], to path: String, permissions: UInt32 = 0o600) throws(FileError) {
        try makeFolder(of: path)
        let temporary = "\(path).\(getpid()).new"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
        guard file >= 0 else { throw FileError("\(temporary) cannot be written: \(reason())") }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + offset, bytes.count - offset) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw abandon(temporary, "\(path) cannot be written: \(reason())") }
            offset += count
        }
        guard fchmod(file, permissions) == 0, fsync(file) == 0, rename(temporary, path) == 0 else {
            throw abandon(temporary, "\(path) cannot be written: \(reason())")
        }
    }

    /// Refuses a secret others of this machine could read.
    package static func requirePrivate(_ path: String) throws(FileError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError("\(path) cannot be read: \(reason())") }
        guard status.st_mode & 0o077 == 0 else { throw FileError("\(path) can be read by others; run `chmod 600 \(path)`") }
    }

    private static func makeFolder(of path: String) throws(FileError) {
        var folder = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/").dropLast() {
            folder += "/" + part
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw FileError("the folder \(folder) cannot be made: \(reason())") }
        }
    }
    private static func abandon(_ temporary: String, _ text: String) -> FileError {
        unlink(temporary)
        return FileError(text)
    }
    private static func reason() -> String { String(cString: strerror(errno)) }
}
