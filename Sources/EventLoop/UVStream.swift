// A TCP connection on a libuv loop: a turn's writes leave in one system call, what the kernel does not take waits, bounded.
import CLibuv
import Glibc
import Primitives

final class UVStream: UVHandle, Stream, @unchecked Sendable {
    enum Limits {
        static let lingerAtClose = Duration.seconds(2)   // to send what was written before `close`
    }
    private(set) var localAddress = SocketAddress(ipv4: 0, port: 0)
    private(set) var remoteAddress = SocketAddress(ipv4: 0, port: 0)
    private let bufferBound: Int
    private var pending: [UInt8] = []
    private var inFlight: WriteRequest?
    private var isDirty = false
    private var overBound = false
    private var isReading = false
    private var ending = false
    private var end: StreamEnd?
    private var linger: TimerToken?

    var onBytes: (@Sendable (UnsafeRawBufferPointer) -> Void)? { didSet { updateReading() } }
    var onClose: (@Sendable (StreamEnd) -> Void)?
    var onDrain: (@Sendable () -> Void)?
    var isReadingPaused = false { didSet { updateReading() } }

    init(_ loop: UVLoop, bufferBound: Int) throws(NetworkError) {
        self.bufferBound = bufferBound
        try super.init(loop, UV_TCP, "make a TCP socket") { uv_tcp_init(loop.uv, $0.assumingMemoryBound(to: uv_tcp_t.self)) }
    }
    var tcp: UnsafeMutablePointer<uv_tcp_t> { raw.assumingMemoryBound(to: uv_tcp_t.self) }
    private var stream: UnsafeMutablePointer<uv_stream_t> { raw.assumingMemoryBound(to: uv_stream_t.self) }

    /// Once connected: addresses, and no waiting for more bytes before sending (signalling is many small writes). What is not
    /// on its way yet stays here and not in the kernel, whose buffer nothing can go past.
    func established() {
        localAddress = SocketAddress.reading { uv_tcp_getsockname(tcp, $0, $1) } ?? localAddress
        remoteAddress = SocketAddress.reading { uv_tcp_getpeername(tcp, $0, $1) } ?? remoteAddress
        uv_tcp_nodelay(tcp, 1)
        var descriptor: uv_os_fd_t = -1
        guard uv_fileno(raw.assumingMemoryBound(to: uv_handle_t.self), &descriptor) == 0 else { return }
        // Without it only large messages are slower than they might be.
        var unsent = CInt(clamping: bufferBound)
        _ = setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &unsent, socklen_t(MemoryLayout<CInt>.size))
    }

    // MARK: Writing

    var bufferedBytes: Int { pending.count + (inFlight?.bytes.count ?? 0) }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        guard !ending, end == nil else { return false }
        if pending.isEmpty { pending = bytes } else { pending.append(contentsOf: bytes) }
        if !isDirty, inFlight == nil {
            isDirty = true
            loop.flushBeforePoll(self)
        }
        if bufferedBytes > bufferBound { overBound = true }
        return !overBound
    }
    /// Offers what waits to the kernel at once, and queues the rest as one request.
    func flush() {
        isDirty = false
        guard end == nil, inFlight == nil else { return }
        if !pending.isEmpty {
            let count = pending.count
            let sent = pending.withUnsafeBytes { bytes -> Int32 in
                var buffer = uv_buf_init(UnsafeMutablePointer(mutating: bytes.baseAddress!.assumingMemoryBound(to: CChar.self)), UInt32(clamping: count))
                return uv_try_write(stream, &buffer, 1)
            }
            if sent < 0, sent != Int32(UV_EAGAIN.rawValue) { return finish(.failed(NetworkError(status: sent, operation: "write"))) }
            if Int(sent) == count { pending.removeAll(keepingCapacity: count <= UVLoop.Limits.readBufferBytes) } else { queue(dropping: max(0, Int(sent))) }
        }
        drained()
    }
    private func queue(dropping sent: Int) {
        let request = WriteRequest(self, Array(pending[sent...]))
        pending = []
        inFlight = request
        let status = request.start(stream)
        if status != 0 {
            inFlight = nil
            finish(.failed(NetworkError(status: status, operation: "write")))
        }
    }
    fileprivate func written(_ status: Int32) {
        inFlight = nil
        guard end == nil else { return }
        if status != 0 { return finish(.failed(NetworkError(status: status, operation: "write"))) }
        flush()
    }
    private func drained() {
        guard end == nil else { return }
        if ending, bufferedBytes == 0 { return finish(.local) }
        if overBound, bufferedBytes <= bufferBound / 2 {
            overBound = false
            onDrain?()
        }
    }

    // MARK: Reading

    private func updateReading() {
        let wanted = onBytes != nil && !isReadingPaused && !ending && end == nil
        guard wanted != isReading, !isClosing else { return }
        isReading = wanted
        if !wanted { uv_read_stop(stream); return }
        let status = uv_read_start(stream, { handle, _, buffer in
            let memory = UVHandle.of(UnsafeMutableRawPointer(handle!)).loop.readBuffer
            buffer!.pointee = uv_buf_init(memory.baseAddress!.assumingMemoryBound(to: CChar.self), UInt32(memory.count))
        }, { stream, count, _ in
            UVStream.of(UnsafeMutableRawPointer(stream!)).received(count)
        })
        if status != 0 { finish(.failed(NetworkError(status: status, operation: "read"))) }
    }
    private func received(_ count: Int) {
        if count > 0 { onBytes?(UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])) } else if count == Int(UV_EOF.rawValue) { finish(.remote) } else if count < 0 {
            finish(.failed(NetworkError(status: Int32(truncatingIfNeeded: count), operation: "read")))
        }
    }

    // MARK: Ending

    func close() {
        guard !ending, end == nil else { return }
        ending = true
        updateReading()
        if bufferedBytes == 0 { return finish(.local) }
        linger = loop.schedule(after: Limits.lingerAtClose) { [weak self] in self?.finish(.local) }
    }
    func abort() { finish(.local) }
    override func shutDown() { finish(.local) }

    private func finish(_ reason: StreamEnd) {
        guard end == nil else { return }
        end = reason
        linger?.cancel()
        isReading = false
        closeHandle()
    }
    override func didClose() {
        let tell = onClose
        onBytes = nil
        onClose = nil
        onDrain = nil
        tell?(end ?? .local)
    }
}

/// Bytes libuv is sending; alive until its callback.
private final class WriteRequest {
    let bytes: [UInt8]
    private let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    private let stream: UVStream
    init(_ stream: UVStream, _ bytes: [UInt8]) { self.stream = stream; self.bytes = bytes }
    deinit { request.deallocate() }

    func start(_ handle: UnsafeMutablePointer<uv_stream_t>) -> Int32 {
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        // The array's storage neither moves nor goes while `bytes` is a constant of a living object.
        let status = bytes.withUnsafeBytes { bytes -> Int32 in
            var buffer = uv_buf_init(UnsafeMutablePointer(mutating: bytes.baseAddress!.assumingMemoryBound(to: CChar.self)), UInt32(clamping: bytes.count))
            return uv_write(request, handle, &buffer, 1) { request, status in
                let owner = Unmanaged<WriteRequest>.fromOpaque(request!.pointee.data).takeRetainedValue()
                owner.stream.written(status)
            }
        }
        if status != 0 { retained.release() }
        return status
    }
}
