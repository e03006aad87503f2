// The few file operations the journal thread needs, behind a protocol so that tests can let a disk fail.
import Glibc
import Primitives

/// Blocking file operations; called on the journal thread only. Every failure is an `errno`.
package protocol JournalDisk: Sendable {
    /// Creates a file that must not exist, and the folders above it, for appending.
    func create(_ path: String) throws(DiskError) -> Int32
    /// May write less than asked.
    func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(DiskError) -> Int
    /// What was written survives a crash of the machine afterwards.
    func sync(_ file: Int32) throws(DiskError)
    func close(_ file: Int32)
    /// Replaces a small file as a whole, atomically and durably.
    func replace(_ path: String, with bytes: [UInt8]) throws(DiskError)
}

extension JournalDisk {
    /// As `write`, of `bytes` from an index on.
    func write(_ file: Int32, _ bytes: [UInt8], from: Int) throws(DiskError) -> Int {
        let result = bytes.withUnsafeBytes { raw -> Result<Int, DiskError> in
            do throws(DiskError) { return .success(try write(file, UnsafeRawBufferPointer(rebasing: raw[from...]))) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

package struct DiskError: Error, Equatable, Sendable {
    package let code: Int32
    package init(code: Int32) { self.code = code }
}

extension JournalError {
    init(_ error: DiskError, path: String) {
        self = switch error.code {
        case ENOSPC, EDQUOT: .diskFull(path)
        case EROFS: .readOnly(path)
        case EACCES, EPERM: .notPermitted(path)
        default: .io(error.code, path)
        }
    }
}

package struct SystemDisk: JournalDisk {
    private enum Limits {
        /// How often folders are made for one file.
        static let folderTries = 64
    }
    package init() {}

    package func create(_ path: String) throws(DiskError) -> Int32 { try open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC) }

    package func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer) throws(DiskError) -> Int {
        while true {
            let n = Glibc.write(file, bytes.baseAddress, bytes.count)
            if n >= 0 { return n }
            guard errno == EINTR else { throw DiskError(code: errno) }
        }
    }
    package func sync(_ file: Int32) throws(DiskError) {
        guard fdatasync(file) == 0 else { throw DiskError(code: errno) }
    }
    package func close(_ file: Int32) { _ = Glibc.close(file) }

    package func replace(_ path: String, with bytes: [UInt8]) throws(DiskError) {
        let temporary = path + ".new"
        let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC)
        do throws(DiskError) {
            defer { close(file) }
            var written = 0
            while written < bytes.count {
                written += try write(file, bytes, from: written)
            }
            try sync(file)
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else { throw DiskError(code: errno) }
        syncFolder(above: path)
    }

    private func open(_ path: String, _ flags: Int32) throws(DiskError) -> Int32 {
        var file = Glibc.open(path, flags, 0o600), tries = 0
        // Whoever takes the last file out of a folder removes it, perhaps in this moment: then it is made anew.
        while file < 0, errno == ENOENT, tries < Limits.folderTries {
            tries += 1
            do throws(DiskError) { try makeFolders(above: path) } catch { guard error.code == ENOENT else { throw error } }
            file = Glibc.open(path, flags, 0o600)
        }
        guard file >= 0 else { throw DiskError(code: errno) }
        if flags & O_CREAT != 0 { syncFolder(above: path) }
        return file
    }
    private func makeFolders(above path: String) throws(DiskError) {
        var at = path.utf8.index(after: path.startIndex)
        while let slash = path[at...].utf8.firstIndex(of: UInt8(ascii: "/")) {
            guard mkdir(String(path[..<slash]), 0o700) == 0 || errno == EEXIST else { throw DiskError(code: errno) }
            at = path.utf8.index(after: slash)
        }
    }
    /// So that the file's name survives as well. Best effort: some file systems refuse it.
    private func syncFolder(above path: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return }
        let folder = Glibc.open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        _ = fsync(folder)
        close(folder)
    }
}
