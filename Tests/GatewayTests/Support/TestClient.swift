// Clients that see bytes: a socket, HTTP/1.1 over it, WebSocket over it; plain or TLS.
import Primitives
import COpenSSL
import Glibc

@testable import Gateway

struct ClientFailure: Error, CustomStringConvertible { let description: String; init(_ text: String) { description = text } }

/// A blocking TCP connection to a port of this machine with a time limit on every read.
final class TestClient {
    private var descriptor: Int32
    private var ssl: OpaquePointer?
    private var sslContext: OpaquePointer?
    private var buffered: [UInt8] = []
    private(set) var wasReset = false

    init(port: UInt16, tls: Bool = false, alpn: String? = nil, timeoutSeconds: Int = 5) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard status == 0 else { throw ClientFailure("connect: \(String(cString: strerror(errno)))") }
        if tls { try startTLS(alpn) }
    }
    deinit { close() }
    private func startTLS(_ alpn: String?) throws {
        sslContext = SSL_CTX_new(TLS_client_method())
        ssl = SSL_new(sslContext)
        SSL_set_fd(ssl, descriptor)
        if let alpn {
            let wire = alpn.split(separator: ",").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            SSL_set_alpn_protos(ssl, wire, UInt32(wire.count))
        }
        guard SSL_connect(ssl) == 1 else { throw ClientFailure("TLS handshake failed") }
    }
    var negotiatedALPN: String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &name, &length)
        return name.map { String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self) }
    }
    func close() {
        if let ssl { SSL_free(ssl); self.ssl = nil }
        if let sslContext { SSL_CTX_free(sslContext); self.sslContext = nil }
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) throws {
        var offset = 0
        while offset < bytes.count {
            let n = bytes.withUnsafeBytes { raw -> Int in
                let base = raw.baseAddress! + offset
                return ssl.map { Int(SSL_write($0, base, Int32(raw.count - offset))) } ?? Glibc.send(descriptor, base, raw.count - offset, Int32(MSG_NOSIGNAL))
            }
            guard n > 0 else { throw ClientFailure("send: \(String(cString: strerror(errno)))") }
            offset += n
        }
    }
    /// More bytes into the buffer; false at the end of the stream.
    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let n = ssl.map { Int(SSL_read($0, &chunk, 65536)) } ?? recv(descriptor, &chunk, 65536, 0)
        let code = errno
        if n > 0 { buffered += chunk[..<n]; return true }
        if n < 0, ssl == nil, code == EINTR { return try fill() }
        if n < 0, ssl == nil, code == EAGAIN { throw ClientFailure("nothing came in time") }
        wasReset = n < 0 && code == ECONNRESET
        return false
    }
    func read(_ count: Int) throws -> [UInt8] {
        while buffered.count < count { guard try fill() else { throw ClientFailure("the connection ended after \(buffered.count) of \(count) bytes") } }
        defer { buffered.removeFirst(count) }
        return Array(buffered[..<count])
    }
    func readLine() throws -> String {
        while true {
            if let end = buffered.firstIndex(of: 0x0A) {
                let line = buffered[..<end]
                buffered.removeFirst(line.count + 1)
                return String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
            }
            guard try fill() else { throw ClientFailure("the connection \(wasReset ? "was reset" : "ended")") }
        }
    }
    /// Whether the other side has ended the connection, within the time limit.
    func isClosedByPeer() -> Bool {
        while true { do { guard try fill() else { return true } } catch { return false } }
    }

    // MARK: HTTP

    struct Response {
        var status = 0
        var headers: [String: String] = [:]
        var body: [UInt8] = []
        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSON { (try? JSONParser.parse(body)) ?? .null }
    }
    func request(_ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil) throws -> Response {
        do {
            try send(Self.head(method, path, headers: headers, length: body?.utf8.count) + (body ?? ""))
            return try response(isHead: method == "HEAD")
        } catch let failure as ClientFailure { throw ClientFailure("\(method) \(path): \(failure)") }
    }
    static func head(_ method: String, _ path: String, headers: [String: String] = [:], length: Int? = nil) -> String {
        var text = "\(method) \(path) HTTP/1.1\r\n"
        if headers["Host"] == nil { text += "Host: rooms.test\r\n" }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        if let length { text += "Content-Length: \(length)\r\n" }
        return text + "\r\n"
    }
    func response(isHead: Bool = false) throws -> Response {
        var response = Response()
        let line = try readLine()
        let parts = line.split(separator: " ")
        guard parts.count >= 2, let status = Int(parts[1]) else { throw ClientFailure("no status line: \(line)") }
        response.status = status
        while true {
            let line = try readLine()
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: ":") else { throw ClientFailure("no header: \(line)") }
            response.headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
        }
        if !isHead, status != 101, let length = Int(response.headers["content-length"] ?? "0") { response.body = try read(length) }
        return response
    }

    // MARK: WebSocket

    func upgrade(_ path: String, headers: [String: String] = [:]) throws -> Response {
        var all = headers
        all["Upgrade"] = "websocket"
        all["Connection"] = "Upgrade"
        all["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        all["Sec-WebSocket-Version"] = "13"
        try send(Self.head("GET", path, headers: all))
        return try response()
    }
    /// A masked client frame (RFC 6455 section 5.2).
    static func frame(_ payload: [UInt8], opcode: UInt8 = 1, isFinal: Bool = true) -> [UInt8] {
        var out: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        switch payload.count {
        case ..<126: out.append(0x80 | UInt8(payload.count))
        case ..<65536: out += [0x80 | 126, UInt8(payload.count >> 8), UInt8(truncatingIfNeeded: payload.count)]
        default: out += [0x80 | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        return out + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }
    func sendText(_ text: String) throws { try send(Self.frame(Array(text.utf8))) }
    enum Incoming: Equatable { case text(String), close(UInt16, String) }
    /// The next text or close frame; pings are answered and passed over.
    func receive() throws -> Incoming {
        var message: [UInt8] = []
        while true {
            let head = try read(2)
            var length = Int(head[1] & 0x7F)
            if length == 126 { length = try read(2).reduce(0) { $0 << 8 | Int($1) } } else if length == 127 { length = try read(8).reduce(0) { $0 << 8 | Int($1) } }
            let payload = try read(length)
            switch head[0] & 0x0F {
            case 8:
                guard payload.count >= 2 else { return .close(1005, "") }
                return .close(UInt16(payload[0]) << 8 | UInt16(payload[1]), String(decoding: payload[2...], as: UTF8.self))
            case 9: try send(Self.frame(payload, opcode: 10))
            case 10: break
            default:
                message += payload
                if head[0] & 0x80 != 0 { return .text(String(decoding: message, as: UTF8.self)) }
            }
        }
    }
    func receiveJSON() throws -> JSON {
        let incoming = try receive()
        guard case .text(let text) = incoming else { throw ClientFailure("expected text, got \(incoming)") }
        return try JSONParser.parse(text)
    }
}
