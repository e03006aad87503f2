// libwebsockets 4.1.6 closes the descriptor it wakes itself with twice when its context is destroyed on a foreign loop:
// at once, and again when libuv has given up the handle. In between another thread may have been given the number, and
// would lose a file or a connection. So the number is held in between.
internal import EventLoop
internal import Glibc

struct WakeupDescriptor {
    private let number: Int32

    /// The library's, among what the loop polls: an eventfd or a pipe that is not libuv's own.
    /// - Returns: nil where /proc does not tell.
    init?(of loop: UVLoop) {
        let own = loop.ownDescriptors
        let polled = Self.lines(of: "/proc/self/fdinfo/\(loop.pollDescriptor)").compactMap { line in
            line.hasPrefix("tfd:") ? line.dropFirst(4).split(separator: " ").first.flatMap { Int32($0) } : nil
        }
        guard let number = polled.first(where: { !own.contains($0) && Self.wakes($0) }) else { return nil }
        self.number = number
    }
    /// Takes the number if it has just become free; the library's second `close` lets go of it.
    func hold() {
        guard fcntl(number, F_GETFD) < 0 else { return }
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard null >= 0, null != number else { return }
        let held = fcntl(null, F_DUPFD_CLOEXEC, number)
        if held >= 0, held != number { close(held) }
        close(null)
    }

    private static func wakes(_ descriptor: Int32) -> Bool {
        var target = [CChar](repeating: 0, count: 64)
        let length = readlink("/proc/self/fd/\(descriptor)", &target, target.count)
        guard length > 0 else { return false }
        let name = String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name == "anon_inode:[eventfd]" || name.hasPrefix("pipe:")
    }
    private static func lines(of path: String) -> [Substring] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4096)
        while case let n = fread(&chunk, 1, chunk.count, file), n > 0 { bytes += chunk[..<n] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }
}
