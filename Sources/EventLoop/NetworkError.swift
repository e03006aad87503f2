// What can go wrong with sockets, each with a text that says what to do.
import CLibuv
import Primitives

package enum NetworkError: Error, Equatable, Sendable, CustomStringConvertible {
    case addressInUse(SocketAddress)
    case addressNotAvailable(SocketAddress)
    case permissionDenied(SocketAddress)
    case refused(SocketAddress)
    case unreachable(SocketAddress)
    case timedOut(SocketAddress)
    case nameNotFound(String)
    case reset
    case tooManyOpenFiles
    case closed
    /// Anything else: the operation, the errno and the system's words for it.
    case system(operation: String, code: Int32, text: String)

    package var description: String {
        switch self {
        case .addressInUse(let a): "\(a) is in use by another process; stop it (`ss -lntup` shows which) or choose another port"
        case .addressNotAvailable(let a): "\(a.host) is not an address of this machine; bind one that `ip addr` lists"
        case .permissionDenied(let a): "no permission to use \(a); ports below 1024 need CAP_NET_BIND_SERVICE, others may be blocked by a firewall"
        case .refused(let a): "\(a) refused the connection; nothing listens there yet"
        case .unreachable(let a): "no route to \(a); check the address and the network"
        case .timedOut(let a): "\(a) did not answer in time"
        case .nameNotFound(let name): "the name \(name) does not resolve to an address; check its spelling and the resolver"
        case .reset: "the other side reset the connection"
        case .tooManyOpenFiles: "too many open files; raise the limit (`ulimit -n`)"
        case .closed: "the connection is closed"
        case .system(let operation, let code, let text): "cannot \(operation): \(text) (\(code))"
        }
    }

    /// From a libuv status (a negative errno).
    package init(status: Int32, operation: String, address: SocketAddress? = nil) {
        if let address, let known = Self.known(status, address) { self = known; return }
        switch status {
        case Int32(UV_ECONNRESET.rawValue), Int32(UV_EPIPE.rawValue): self = .reset
        case Int32(UV_EMFILE.rawValue), Int32(UV_ENFILE.rawValue): self = .tooManyOpenFiles
        case Int32(UV_ECANCELED.rawValue): self = .closed
        default: self = .system(operation: operation, code: status, text: String(cString: uv_strerror(status)))
        }
    }
    private static func known(_ status: Int32, _ address: SocketAddress) -> NetworkError? {
        switch status {
        case Int32(UV_EADDRINUSE.rawValue): .addressInUse(address)
        case Int32(UV_EADDRNOTAVAIL.rawValue): .addressNotAvailable(address)
        case Int32(UV_EACCES.rawValue), Int32(UV_EPERM.rawValue): .permissionDenied(address)
        case Int32(UV_ECONNREFUSED.rawValue): .refused(address)
        case Int32(UV_EHOSTUNREACH.rawValue), Int32(UV_ENETUNREACH.rawValue): .unreachable(address)
        case Int32(UV_ETIMEDOUT.rawValue): .timedOut(address)
        default: nil
        }
    }
}
