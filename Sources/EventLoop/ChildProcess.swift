// A child process on a loop: what it prints arrives line by line, its end as an exit status.
import CLibuv
import Glibc
import Primitives

/// One child, started without a shell. Confined to its loop. libuv reaps it; dropping the last reference does not end it.
package final class ChildProcess: @unchecked Sendable {
    package enum Limits {
        /// A longer line is cut there and the rest skipped.
        package static let lineBytes = 64 * 1024
    }
    package struct Exit: Sendable, Equatable {
        package var status: Int64
        /// The signal that ended it, or 0.
        package var signal: Int32
        package init(status: Int64, signal: Int32) { self.status = status; self.signal = signal }
        package var isSuccess: Bool { status == 0 && signal == 0 }
    }

    private let handle: UVProcess
    package var pid: Int32 { handle.pid }

    /// - Parameters:
    ///   - onLine: each line of its standard output, without the end of line.
    ///   - onExit: once, after its output was read to the end.
    /// Standard input is empty; standard error is this process's own.
    package init(_ loop: UVLoop, path: String, arguments: [String], onLine: @escaping @Sendable (String) -> Void, onExit: @escaping @Sendable (Exit) -> Void) throws(NetworkError) {
        loop.requireLoop()
        let output = try UVProcessOutput(loop, onLine)
        do { handle = try UVProcess(loop, path: path, arguments: arguments, output: output, onExit) } catch {
            output.closeHandle()
            throw error
        }
        output.start { [handle] in handle.outputEnded() }
    }
    package func signal(_ number: Int32) { handle.signal(number) }
}

/// The read end of the child's standard output.
private final class UVProcessOutput: UVHandle, @unchecked Sendable {
    private let onLine: @Sendable (String) -> Void
    private var onEnd: (() -> Void)?
    private var line: [UInt8] = []
    private var skipping = false

    init(_ loop: UVLoop, _ onLine: @escaping @Sendable (String) -> Void) throws(NetworkError) {
        self.onLine = onLine
        try super.init(loop, UV_NAMED_PIPE, "make a pipe") { uv_pipe_init(loop.uv, $0.assumingMemoryBound(to: uv_pipe_t.self), 0) }
    }
    var stream: UnsafeMutablePointer<uv_stream_t> { raw.assumingMemoryBound(to: uv_stream_t.self) }

    func start(onEnd: @escaping () -> Void) {
        self.onEnd = onEnd
        uv_read_start(stream, { handle, _, buffer in
            let loop = UVHandle.of(UnsafeMutableRawPointer(handle!)).loop
            buffer!.pointee = uv_buf_init(loop.readBuffer.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(loop.readBuffer.count))
        }, { stream, count, buffer in
            let owner = UVProcessOutput.of(UnsafeMutableRawPointer(stream!))
            if count > 0 { owner.take(UnsafeRawBufferPointer(start: buffer!.pointee.base, count: count)) }
            if count < 0 { owner.closeHandle() }
        })
    }
    private func take(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            if byte == 0x0A {
                if !skipping { onLine(String(decoding: line, as: UTF8.self)) }
                line.removeAll(keepingCapacity: true)
                skipping = false
            } else if line.count < ChildProcess.Limits.lineBytes {
                line.append(byte)
            } else if !skipping {
                skipping = true
                onLine(String(decoding: line, as: UTF8.self))
            }
        }
    }
    override func didClose() {
        if !line.isEmpty, !skipping { onLine(String(decoding: line, as: UTF8.self)) }
        onEnd?()
        onEnd = nil
    }
}

private final class UVProcess: UVHandle, @unchecked Sendable {
    private let onExit: @Sendable (ChildProcess.Exit) -> Void
    private var exit: ChildProcess.Exit?
    private var outputOpen = true
    private(set) var pid: Int32 = 0

    init(_ loop: UVLoop, path: String, arguments: [String], output: UVProcessOutput, _ onExit: @escaping @Sendable (ChildProcess.Exit) -> Void) throws(NetworkError) {
        self.onExit = onExit
        // A handle whose spawn failed is known to libuv all the same and has to be closed like any other.
        var status: Int32 = 0
        try super.init(loop, UV_PROCESS, "start \(path)") { status = Self.spawn(loop, $0, path, arguments, output); return 0 }
        if status != 0 {
            closeHandle()
            throw NetworkError(status: status, operation: "start \(path)")
        }
        pid = raw.assumingMemoryBound(to: uv_process_t.self).pointee.pid
    }

    private static func spawn(_ loop: UVLoop, _ raw: UnsafeMutableRawPointer, _ path: String, _ arguments: [String], _ output: UVProcessOutput) -> Int32 {
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var stdio = [uv_stdio_container_t(), uv_stdio_container_t(), uv_stdio_container_t()]
        stdio[0].flags = UV_IGNORE
        stdio[1].flags = uv_stdio_flags(rawValue: UV_CREATE_PIPE.rawValue | UV_WRITABLE_PIPE.rawValue)
        stdio[1].data.stream = output.stream
        stdio[2].flags = UV_INHERIT_FD
        stdio[2].data.fd = 2
        return words.withUnsafeMutableBufferPointer { words in
            stdio.withUnsafeMutableBufferPointer { stdio in
                var options = uv_process_options_t()
                options.file = UnsafePointer(words[0])
                options.args = words.baseAddress
                options.stdio = stdio.baseAddress
                options.stdio_count = 3
                options.exit_cb = { process, status, signal in
                    UVProcess.of(UnsafeMutableRawPointer(process!)).ended(ChildProcess.Exit(status: status, signal: signal))
                }
                return uv_spawn(loop.uv, raw.assumingMemoryBound(to: uv_process_t.self), &options)
            }
        }
    }
    func signal(_ number: Int32) {
        guard exit == nil, !isClosing else { return }
        uv_process_kill(raw.assumingMemoryBound(to: uv_process_t.self), number)
    }
    private func ended(_ exit: ChildProcess.Exit) {
        self.exit = exit
        closeHandle()
        settle()
    }
    func outputEnded() {
        outputOpen = false
        settle()
    }
    private func settle() {
        guard let exit, !outputOpen else { return }
        onExit(exit)
    }
}
