// A gateway on a loop of its own and a port the system chose.
import COpenSSL
import Conference
import Contracts
import EventLoop
import Glibc
import Primitives
import Synchronization

@testable import Gateway

/// A folder of its own under /tmp, removed at the end.
final class TemporaryFolder {
    let path: String
    init() {
        var template = Array("/tmp/troupe-gateway-XXXXXX".utf8CString)
        mkdtemp(&template)
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
    func write(_ name: String, _ bytes: [UInt8]) {
        var folder = path
        for part in name.split(separator: "/").dropLast() { folder += "/" + part; mkdir(folder, 0o755) }
        let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        precondition(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }
    func write(_ name: String, _ text: String) { write(name, Array(text.utf8)) }
    deinit { remove(path) }
    private func remove(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: entry.pointee.d_name) { $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) } }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(folder)
            rmdir(path)
        } else { unlink(path) }
    }
}

/// A self-signed certificate for localhost in two PEM files.
enum TestCertificate {
    static func make(in folder: TemporaryFolder, validSeconds: Int = 3600, name: String = "server") -> TLSFiles {
        let key = EVP_PKEY_Q_keygen_P256()
        let certificate = X509_new()
        X509_set_version(certificate, 2)
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1)
        X509_gmtime_adj(X509_getm_notBefore(certificate), -7200)
        X509_gmtime_adj(X509_getm_notAfter(certificate), validSeconds)
        X509_set_pubkey(certificate, key)
        let subject = X509_get_subject_name(certificate)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC_, "localhost", -1, -1, 0)
        X509_set_issuer_name(certificate, subject)
        X509_sign(certificate, key, EVP_sha256())
        folder.write(name + ".crt", pem { PEM_write_bio_X509($0, certificate) })
        folder.write(name + ".key", pem { PEM_write_bio_PrivateKey($0, key, nil, nil, 0, nil, nil) })
        X509_free(certificate)
        EVP_PKEY_free(key)
        return TLSFiles(certificate: folder.path + "/\(name).crt", privateKey: folder.path + "/\(name).key")
    }
    private static let MBSTRING_ASC_: Int32 = 0x1001
    private static func EVP_PKEY_Q_keygen_P256() -> OpaquePointer? {
        let context = EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        EVP_PKEY_CTX_set_group_name(context, "P-256")
        var key: OpaquePointer?
        EVP_PKEY_generate(context, &key)
        return key
    }
    private static func pem(_ write: (OpaquePointer?) -> Int32) -> [UInt8] {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        _ = write(bio)
        var bytes = [UInt8](repeating: 0, count: 16384)
        let n = BIO_read(bio, &bytes, 16384)
        return Array(bytes[..<Int(max(0, n))])
    }
}

final class TestGateway {
    static let key = APIKey(id: "devkey", secret: "a secret of some length for tests")
    let loop: UVLoop
    let gateway: Gateway
    let conference: TestConference
    let operations = TestOperations()
    let composition = TestComposition()
    let uploads = TestUploads()
    let store: TestRoomStore
    let log = LogSink()
    let port: UInt16
    final class LogSink: Sendable { let lines = Mutex<[GatewayLogLine]>([]) }

    init(
        conference: TestConference = TestConference(), store: TestRoomStore = TestRoomStore(), tls: TLSFiles? = nil, studio: String? = nil, media: String? = nil, origins: [String] = [],
        publicURL: String? = nil, ready: GatewayHooks.Readiness = .init(isReady: true), limits: (inout GatewayLimits) -> Void = { _ in }
    ) async throws {
        loop = try UVLoop(name: "gateway-test")
        loop.start()
        self.conference = conference
        self.store = store
        var configuration = GatewayConfiguration(
            node: "north", region: "eu", roles: ["edge", "room"], version: "1.2.3", bind: SocketAddress(host: "127.0.0.1", port: 0)!, tls: tls, publicURL: publicURL, origins: origins,
            keys: [Self.key], studioDirectory: studio, mediaDirectory: media, iceServers: [TURNService(urls: ["stun:127.0.0.1:3478"], secret: []), TURNService(urls: ["turn:127.0.0.1:3478"], secret: Array("north".utf8))])
        configuration.limits.requestBurst = 10_000
        limits(&configuration.limits)
        let sink = log
        let metrics = MetricsBox()
        let gateway = try Gateway(
            configuration: configuration, loop: loop, service: conference, composition: composition, uploads: uploads, operations: operations, store: store, random: SeededRandom(seed: 7),
            hooks: GatewayHooks(ready: { ready }, metrics: { metrics.text() }, log: { line in sink.lines.withLock { $0.append(line) } }))
        self.gateway = gateway
        metrics.gateway.withLock { $0 = gateway }
        try await gateway.start()
        port = gateway.address.port
    }
    final class MetricsBox: Sendable {
        let gateway = Mutex<Gateway?>(nil)
        func text() -> String { gateway.withLock { $0?.metrics() } ?? "" }
    }
    func client(tls: Bool = false, alpn: String? = nil) throws -> TestClient { try TestClient(port: port, tls: tls, alpn: alpn) }
    func stop() async {
        await gateway.stop()
        loop.stop()
        loop.join()
    }
    /// Runs `body` against a running gateway and takes it down whatever happens.
    static func run(
        conference: TestConference = TestConference(), store: TestRoomStore = TestRoomStore(), tls: TLSFiles? = nil, studio: String? = nil, media: String? = nil, origins: [String] = [],
        publicURL: String? = nil, ready: GatewayHooks.Readiness = .init(isReady: true), limits: (inout GatewayLimits) -> Void = { _ in }, _ body: (TestGateway) async throws -> Void
    ) async throws {
        let gateway = try await TestGateway(conference: conference, store: store, tls: tls, studio: studio, media: media, origins: origins, publicURL: publicURL, ready: ready, limits: limits)
        let result: Result<Void, any Error>
        do { result = .success(try await body(gateway)) } catch { result = .failure(error) }
        await gateway.stop()
        try result.get()
    }
    /// Waits on the loop's clock until `condition` holds; false after `seconds`.
    func waits(_ seconds: Int = 5, until condition: () -> Bool) async -> Bool {
        let deadline = loop.now + .seconds(seconds)
        while loop.now < deadline {
            if condition() { return true }
            try? await loop.sleep(for: .milliseconds(5))
        }
        return condition()
    }
    func token(_ change: (inout AccessToken) -> Void = { _ in }) throws -> String {
        var token = AccessToken(expires: loop.wall + .seconds(600))
        token.identity = "p_1"
        token.roomJoin = true
        change(&token)
        return token.signed(by: try APIKeyring([Self.key]))
    }
}

extension Gateway {
    /// The metrics, read from the loop's thread.
    var metricsForTests: String {
        let text = Mutex("")
        let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        defer { done.deallocate() }
        sem_init(done, 0, 0)
        nonisolated(unsafe) let semaphore = done
        loop.run { text.withLock { $0 = self.metrics() }; sem_post(semaphore) }
        sem_wait(done)
        return text.withLock { $0 }
    }
}
