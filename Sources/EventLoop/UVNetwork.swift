// TCP on a libuv loop: listeners, connections with a time limit, names.
import CLibuv
import Glibc
import Primitives

package final class UVNetwork: Network {
    private let loop: UVLoop
    package init(loop: UVLoop) { self.loop = loop }

    package func listen(
        _ address: SocketAddress, backlog: Int, bufferBound: Int, onConnection: @escaping @Sendable (any Stream) -> Void
    ) throws(NetworkError) -> any Listener {
        loop.requireLoop()
        return try UVListener(loop, address, backlog: backlog, bufferBound: bufferBound, onConnection: onConnection)
    }

    package func connect(
        _ address: SocketAddress, timeout: Duration, bufferBound: Int, completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void
    ) {
        loop.requireLoop()
        ConnectRequest(address, completion).start(loop, timeout: timeout, bufferBound: bufferBound)
    }

    package func resolve(_ host: String) async throws -> [SocketAddress] {
        if let numeric = SocketAddress(host: host, port: 0) { return [numeric] }
        let loop = loop
        return try await withCheckedThrowingContinuation { continuation in
            loop.run { ResolveRequest(host, continuation).start(loop) }
        }
    }
}

private final class UVListener: UVHandle, Listener, @unchecked Sendable {
    let bufferBound: Int
    let onConnection: @Sendable (any Stream) -> Void
    private(set) var address: SocketAddress

    init(_ loop: UVLoop, _ address: SocketAddress, backlog: Int, bufferBound: Int, onConnection: @escaping @Sendable (any Stream) -> Void) throws(NetworkError) {
        self.bufferBound = bufferBound
        self.onConnection = onConnection
        self.address = address
        try super.init(loop, UV_TCP, "make a TCP socket") { uv_tcp_init(loop.uv, $0.assumingMemoryBound(to: uv_tcp_t.self)) }
        let tcp = raw.assumingMemoryBound(to: uv_tcp_t.self)
        var status = address.withSystemAddress { system, _ in uv_tcp_bind(tcp, system, 0) }
        if status == 0 {
            // libuv tells of a taken port only here.
            status = uv_listen(raw.assumingMemoryBound(to: uv_stream_t.self), Int32(clamping: backlog)) { server, status in
                if status == 0 { UVListener.of(UnsafeMutableRawPointer(server!)).accept() }
            }
        }
        guard status == 0 else {
            closeHandle()
            throw NetworkError(status: status, operation: "listen on \(address)", address: address)
        }
        self.address = SocketAddress.reading { uv_tcp_getsockname(tcp, $0, $1) } ?? address
    }
    private func accept() {
        guard let stream = try? UVStream(loop, bufferBound: bufferBound) else { return }
        guard uv_accept(raw.assumingMemoryBound(to: uv_stream_t.self), stream.raw.assumingMemoryBound(to: uv_stream_t.self)) == 0 else { return stream.abort() }
        stream.established()
        onConnection(stream)
    }
    func close() { closeHandle() }
}

/// One connection attempt: libuv's request, a timer, and one answer. Confined to its loop.
private final class ConnectRequest: @unchecked Sendable {
    private let address: SocketAddress
    private var completion: (@Sendable (Result<any Stream, NetworkError>) -> Void)?
    private let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
    private var stream: UVStream?
    private var timer: TimerToken?

    init(_ address: SocketAddress, _ completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void) {
        self.address = address
        self.completion = completion
    }
    deinit { request.deallocate() }

    func start(_ loop: UVLoop, timeout: Duration, bufferBound: Int) {
        do { stream = try UVStream(loop, bufferBound: bufferBound) } catch { return loop.post { self.answer(.failure(error)) } }
        timer = loop.schedule(after: timeout) { self.answer(.failure(.timedOut(self.address))) }
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        let status = address.withSystemAddress { system, _ in
            uv_tcp_connect(request, stream!.tcp, system) { request, status in
                Unmanaged<ConnectRequest>.fromOpaque(request!.pointee.data).takeRetainedValue().finished(status)
            }
        }
        if status != 0 {
            retained.release()
            loop.post { self.finished(status) }
        }
    }
    private func finished(_ status: Int32) {
        guard let stream, completion != nil else { return }
        if status != 0 { return answer(.failure(NetworkError(status: status, operation: "connect to \(address)", address: address))) }
        stream.established()
        answer(.success(stream))
    }
    private func answer(_ result: Result<any Stream, NetworkError>) {
        timer?.cancel()
        timer = nil
        if case .failure = result { stream?.abort() }
        stream = nil
        completion.take()?(result)
    }
}

private final class ResolveRequest: @unchecked Sendable {
    private let host: String
    private let continuation: CheckedContinuation<[SocketAddress], any Error>
    private let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
    init(_ host: String, _ continuation: CheckedContinuation<[SocketAddress], any Error>) {
        self.host = host
        self.continuation = continuation
    }
    deinit { request.deallocate() }

    func start(_ loop: UVLoop) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        let status = uv_getaddrinfo(loop.uv, request, { request, status, list in
            Unmanaged<ResolveRequest>.fromOpaque(request!.pointee.data).takeRetainedValue().finished(status, list)
        }, host, nil, &hints)
        if status != 0 {
            retained.release()
            finished(status, nil)
        }
    }
    private func finished(_ status: Int32, _ list: UnsafeMutablePointer<addrinfo>?) {
        defer { uv_freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = status == 0 ? list : nil
        while let current = entry {
            if let system = current.pointee.ai_addr, let address = SocketAddress(system), !addresses.contains(address) { addresses.append(address) }
            entry = current.pointee.ai_next
        }
        if addresses.isEmpty { continuation.resume(throwing: NetworkError.nameNotFound(host)) } else { continuation.resume(returning: addresses) }
    }
}
