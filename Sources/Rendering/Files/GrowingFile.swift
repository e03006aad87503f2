// A file another process appends to, mapped once: what was read stays where it is.
import Capture
import Glibc

/// A read-only shared mapping with room for growth. Pages behind the file's end are never touched; address space costs nothing.
final class GrowingFile {
    private let base: UnsafeMutableRawPointer
    private let reserve: Int
    private let file: Int32
    /// Bytes in the file when it was last looked at.
    private(set) var count = 0

    /// - Parameter reserve: bytes the file may grow to; what is beyond is not seen.
    init(_ path: String, reserve: Int) throws(WorkerError) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw WorkerError(code: errno, "open \(path)") }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { close(file); throw WorkerError(.inputOutput, "\(path) is not a file") }
        guard let base = mmap(nil, reserve, PROT_READ, MAP_SHARED | MAP_NORESERVE, file, 0), base != MAP_FAILED else {
            let code = errno
            close(file)
            throw WorkerError(code: code, "map \(path)")
        }
        (self.file, self.base, self.reserve) = (file, base, reserve)
    }
    deinit {
        munmap(base, reserve)
        close(file)
    }
    /// Everything that is in the file now; a file that shrank was not appended to and keeps what it had, unread.
    func refresh() -> UnsafeRawBufferPointer {
        var info = stat()
        if fstat(file, &info) == 0 { count = min(reserve, Int(info.st_size)) }
        return UnsafeRawBufferPointer(start: base, count: count)
    }
}
