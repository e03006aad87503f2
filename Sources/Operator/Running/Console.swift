// Standard output and error as this program uses them.
internal import Glibc

enum Console {
    /// A reader that went away ended the program's purpose.
    static func out(_ text: String) { if !write(text, to: STDOUT_FILENO) { exit(ExitCode.done.rawValue) } }
    static func error(_ text: String) { _ = write(text, to: STDERR_FILENO) }

    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Columns of the terminal; nil where the output is not one.
    static var columns: Int? {
        guard isTerminal else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, -1)
                    continue
                }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }
}
