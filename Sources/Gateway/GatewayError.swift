// What keeps a gateway from starting, each with a text that says what to do.
package import Primitives

package enum GatewayError: Error, Equatable, Sendable, CustomStringConvertible {
    case noKeys
    case emptyKey(String)
    case duplicateKey(String)
    case portInUse(SocketAddress)
    case cannotListen(SocketAddress, String)
    /// Plain HTTP is served on loopback only: browsers give no camera to it elsewhere, and tokens would travel in clear.
    case plainHTTPNotOnLoopback(SocketAddress)
    case certificateMissing(path: String, reason: String)
    case certificateUnreadable(path: String)
    case privateKeyMissing(path: String, reason: String)
    case privateKeyUnreadable(path: String)
    case privateKeyDoesNotMatch(certificate: String, key: String)
    case certificateExpired(path: String)
    case directoryMissing(String)
    case libraryFailed(String)
    case alreadyStarted

    package var description: String {
        switch self {
        case .noKeys: "no API key; put at least one into the keys file (`troupe keys` makes one)"
        case .emptyKey(let id): "the API key `\(id)` has an empty id or secret; give it both"
        case .duplicateKey(let id): "the API key id `\(id)` appears twice; ids must differ"
        case .portInUse(let address): "\(address) is in use by another process; stop it (`ss -lntp` shows which) or choose another `http_port`"
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        case .plainHTTPNotOnLoopback(let address): "\(address) is not a loopback address; give `tls` a certificate and key, or bind 127.0.0.1"
        case .certificateMissing(let path, let reason): "cannot read the certificate \(path): \(reason); run `troupe keys` or correct `tls`"
        case .certificateUnreadable(let path): "\(path) is not a PEM certificate; run `troupe keys` or give one in PEM"
        case .privateKeyMissing(let path, let reason): "cannot read the private key \(path): \(reason); run `troupe keys` or correct `tls`"
        case .privateKeyUnreadable(let path): "\(path) is not an unencrypted PEM private key; give one"
        case .privateKeyDoesNotMatch(let certificate, let key): "the private key \(key) does not belong to the certificate \(certificate); give the matching pair"
        case .certificateExpired(let path): "the certificate \(path) has expired; renew it (`troupe keys` makes a new one)"
        case .directoryMissing(let path): "\(path) is not a directory that can be read; create it or correct the configuration"
        case .libraryFailed(let what): "libwebsockets could not start: \(what); is libwebsockets-evlib-uv installed?"
        case .alreadyStarted: "the gateway was started before; make a new one"
        }
    }
}
