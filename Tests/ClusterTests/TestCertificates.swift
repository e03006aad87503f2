// Certificates for tests, made by the openssl command once per run.
import Cluster
import Glibc
import Primitives
import Synchronization

/// A certificate authority in a folder of its own.
final class TestAuthority: Sendable {
    static let shared = TestAuthority()
    private let folder: String
    private let identities = Mutex<[String: TLSIdentity]>([:])

    init() {
        var template = Array("/tmp/troupe-cluster-tests-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=test-ca -days 30 -addext basicConstraints=critical,CA:TRUE")
    }
    deinit { run("rm -rf \(folder)") }

    /// A certificate of this authority with `name` as its alternative name.
    /// - Parameters:
    ///   - days: it is good for; −1: it ended yesterday.
    ///   - serial: another number makes another certificate of the same name.
    func identity(_ name: NodeName, days: Int = 30, serial: Int = 0) -> TLSIdentity {
        let file = name.rawValue.replacing(":", with: "-") + "_\(days)_\(serial)"
        return identities.withLock { known in
            if let identity = known[file] { return identity }
            run("""
                printf 'subjectAltName=DNS:\(name),DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' > \(file).ext
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \(file).key -out \(file).csr -subj /CN=\(name)
                openssl x509 -req -in \(file).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days \(days) -extfile \(file).ext -out \(file).pem
                """)
            let made = TLSIdentity(certificate: read("\(file).pem"), key: read("\(file).key"), authority: authority)
            known[file] = made
            return made
        }
    }
    var authority: String { read("ca.pem") }
    private func run(_ script: String) {
        let pipe = popen("cd \(folder) && { \(script)\n} >/dev/null 2>&1", "r")
        precondition(pipe != nil, "no shell")
        pclose(pipe!)
    }
    private func read(_ file: String) -> String {
        guard let handle = fopen("\(folder)/\(file)", "r") else { preconditionFailure("openssl made no \(file)") }
        defer { fclose(handle) }
        var bytes: [UInt8] = [], chunk = [UInt8](repeating: 0, count: 4096)
        while case let n = fread(&chunk, 1, chunk.count, handle), n > 0 { bytes += chunk[..<n] }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Ports of loopback that were free a moment ago, below those the kernel gives to outgoing connections.
func freePorts(_ count: Int) -> [UInt16] {
    var open: [Int32] = [], ports: [UInt16] = []
    while ports.count < count {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0), port = UInt16.random(in: 12_000..<32_000)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isFree = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, length) == 0 }
        }
        open.append(fd)
        if isFree, !ports.contains(port) { ports.append(port) }
    }
    for fd in open { close(fd) }
    return ports
}
