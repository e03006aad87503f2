// A file's bytes without reading them into memory first.
import Glibc

/// A read-only mapping of a regular file; `bytes` lives as long as this.
///
/// A disk that fails while a page is read ends the process (SIGBUS): that is why this runs in a child.
final class MappedFile {
    let bytes: UnsafeRawBufferPointer

    init(_ path: String) throws(WorkerError) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw WorkerError(code: errno, "open \(path)") }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0 else { throw WorkerError(code: errno, "read \(path)") }
        guard info.st_mode & S_IFMT == S_IFREG else { throw WorkerError(.inputOutput, "\(path) is not a file") }
        guard info.st_size > 0 else { bytes = UnsafeRawBufferPointer(start: nil, count: 0); return }
        guard let base = mmap(nil, info.st_size, PROT_READ, MAP_PRIVATE, file, 0), base != MAP_FAILED else { throw WorkerError(code: errno, "map \(path)") }
        madvise(base, info.st_size, MADV_SEQUENTIAL)
        bytes = UnsafeRawBufferPointer(start: base, count: info.st_size)
    }
    deinit {
        if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
    }
}
