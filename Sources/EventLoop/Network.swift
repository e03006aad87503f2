// Connections as a loop offers them: what production does with libuv and a simulator does in memory.
import Primitives

/// Why a stream ended.
package enum StreamEnd: Equatable, Sendable {
    /// `close` or `abort` was called here.
    case local
    /// The other side ended it in order.
    case remote
    case failed(NetworkError)
}

/// A reliable byte stream. Confined to its loop: handlers are called there, everything is called from there.
package protocol Stream: AnyObject, Sendable {
    var localAddress: SocketAddress { get }
    var remoteAddress: SocketAddress { get }
    /// Bytes as they arrive; the buffer is valid during the call only. Reading begins when this is first set.
    var onBytes: (@Sendable (UnsafeRawBufferPointer) -> Void)? { get set }
    /// Called once, last. The stream then drops its handlers.
    var onClose: (@Sendable (StreamEnd) -> Void)? { get set }
    /// Called when `bufferedBytes` has fallen to half the bound after a `write` that returned false.
    var onDrain: (@Sendable () -> Void)? { get set }
    /// Takes all of `bytes`; they leave together with the turn's other writes.
    /// - Returns: false when more than the bound now waits (or the stream is closed): stop until `onDrain`.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool
    /// What was written and has not been taken by the kernel yet.
    var bufferedBytes: Int { get }
    /// While true nothing is read: back-pressure towards the sender.
    var isReadingPaused: Bool { get set }
    /// Ends the stream after what was written has left, within a bounded time.
    func close()
    /// Ends the stream now.
    func abort()
}

/// Accepts connections until closed. Confined to its loop.
package protocol Listener: AnyObject, Sendable {
    /// Where it listens; carries the port the system chose where 0 was asked for.
    var address: SocketAddress { get }
    func close()
}

/// Makes listeners and connections on one loop. Call it on that loop.
package protocol Network: Sendable {
    /// - Parameters:
    ///   - backlog: connections the kernel keeps until they are accepted.
    ///   - bufferBound: bytes that may wait in an accepted stream before `write` says stop.
    func listen(
        _ address: SocketAddress, backlog: Int, bufferBound: Int, onConnection: @escaping @Sendable (any Stream) -> Void
    ) throws(NetworkError) -> any Listener
    /// Calls `completion` once, on the loop, at the latest after `timeout`.
    func connect(
        _ address: SocketAddress, timeout: Duration, bufferBound: Int, completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void
    )
    /// The addresses of a host name, without port. Numeric addresses answer themselves.
    func resolve(_ host: String) async throws -> [SocketAddress]
}

package enum NetworkDefaults {
    package static let backlog = 512                 // connections
    package static let bufferBound = 1 << 20         // bytes
}

extension Network {
    package func listen(_ address: SocketAddress, onConnection: @escaping @Sendable (any Stream) -> Void) throws(NetworkError) -> any Listener {
        try listen(address, backlog: NetworkDefaults.backlog, bufferBound: NetworkDefaults.bufferBound, onConnection: onConnection)
    }
    package func connect(_ address: SocketAddress, timeout: Duration, completion: @escaping @Sendable (Result<any Stream, NetworkError>) -> Void) {
        connect(address, timeout: timeout, bufferBound: NetworkDefaults.bufferBound, completion: completion)
    }
    /// Connects from a task that runs on the loop.
    package func connect(_ address: SocketAddress, timeout: Duration) async throws -> any Stream {
        try await withCheckedThrowingContinuation { continuation in
            connect(address, timeout: timeout) { continuation.resume(with: $0) }
        }
    }
}
