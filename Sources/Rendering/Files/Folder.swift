// The recording's folder: what stands in it, and how results get there whole or not at all.
import Glibc

struct Folder {
    enum Limits {
        static let entries = 100_000    // of one folder
    }
    let path: String
    init(_ path: String) { self.path = path }

    /// Names in the folder `name` below this one, sorted; empty when it does not exist. Dot files are left out.
    func entries(_ name: String = "") throws(WorkerError) -> [String] {
        let full = name.isEmpty ? path : "\(path)/\(name)"
        guard let handle = opendir(full) else {
            if errno == ENOENT { return [] }
            throw WorkerError(code: errno, "list \(full)")
        }
        defer { closedir(handle) }
        var found: [String] = []
        while found.count < Limits.entries, let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { found.append(name) }
        }
        return found.sorted()
    }
    func makeFolders(_ name: String) throws(WorkerError) {
        var at = path
        for part in name.split(separator: "/") {
            at += "/\(part)"
            guard mkdir(at, 0o700) == 0 || errno == EEXIST else { throw WorkerError(code: errno, "create \(at)") }
        }
    }
    /// Makes a finished file durable and gives it its name.
    /// - Parameter isDurable: false where `sync(_:)` follows, or where the file can be made again.
    func publish(_ temporary: String, as name: String, isDurable: Bool = true) throws(WorkerError) {
        let from = "\(path)/\(temporary)", to = "\(path)/\(name)"
        if isDurable { try sync(from) }
        guard rename(from, to) == 0 else { throw WorkerError(code: errno, "rename \(from)") }
        if isDurable, let slash = to.utf8.lastIndex(of: UInt8(ascii: "/")) { try sync(String(to[..<slash])) }
    }
    /// Writes a file of this very folder whole: who reads `name` sees all of it, or what stood there before.
    func write(_ bytes: [UInt8], as name: String, isDurable: Bool = true) throws(WorkerError) {
        let temporary = "\(path)/.\(name).new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw WorkerError(code: errno, "create \(temporary)") }
        var written = 0, failed: Int32 = 0
        while written < bytes.count {
            let n = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, bytes.count - written) }
            if n < 0, errno == EINTR { continue }
            if n <= 0 { failed = n < 0 ? errno : EIO; break }
            written += n
        }
        close(file)
        guard failed == 0 else { unlink(temporary); throw WorkerError(code: failed, "write \(temporary)") }
        try publish(".\(name).new", as: name, isDurable: isDurable)
    }
    /// Makes files that were published before, and their names, durable.
    func sync(_ names: [String]) throws(WorkerError) {
        for name in names { try sync("\(path)/\(name)") }
        try sync(path)
    }
    func remove(_ name: String) { unlink("\(path)/\(name)") }
    func size(_ name: String) -> Int64 {
        var info = stat()
        return stat("\(path)/\(name)", &info) == 0 ? Int64(info.st_size) : 0
    }
    private func sync(_ full: String) throws(WorkerError) {
        let file = open(full, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw WorkerError(code: errno, "open \(full)") }
        defer { close(file) }
        guard fsync(file) == 0 || errno == EINVAL else { throw WorkerError(code: errno, "sync \(full)") }
    }
}

/// Held while a job is at a recording's files; a second job of the same kind is refused.
final class FolderLock {
    private let file: Int32
    /// - Parameter job: "finalise", "preview", …
    convenience init(_ folder: Folder, job: String = "finalise") throws(WorkerError) {
        try self.init(folder, file: ".\(job).lock", doing: "at this recording's \(job)")
    }
    /// - Parameters:
    ///   - name: of the file below `folder` that is locked; made where it does not exist.
    ///   - doing: completes "another process is …".
    init(_ folder: Folder, file name: String, doing: String) throws(WorkerError) {
        let path = "\(folder.path)/\(name)"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw WorkerError(code: errno, "create \(path)") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw WorkerError(.busy, "another process is \(doing); wait for it")
        }
    }
    deinit { close(file) }
}
