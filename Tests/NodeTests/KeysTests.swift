import Configuration
import Glibc
import Node
import Primitives
import Testing

private final class Folder {
    let path: String
    init() {
        var template = Array("/tmp/troupe-keys-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        for file in ["ca/nodes/node-1.pem", "ca/nodes/node-1.key", "ca/nodes/node-2.pem", "ca/nodes/node-2.key", "ca/ca.pem", "ca/ca.key", "keys.yaml"] { unlink("\(path)/\(file)") }
        for folder in ["ca/nodes", "ca", ""] { rmdir("\(path)/\(folder)") }
    }
    func permissions(_ name: String) -> mode_t {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }
}

@Suite struct Keys {
    private let folder = Folder()
    private let now = WallTime(seconds: 1_900_000_000)
    private let random = SeededRandom(seed: 1)

    private func topology(hosts: [String] = ["127.0.0.1", "127.0.0.1"]) throws -> Topology {
        let nodes = hosts.enumerated().map { "  - {name: node-\($0 + 1), host: \"\($1)\", cluster_port: 71\($0)1, http_port: 84\($0)1, media_ports: [4010\($0)]}" }
        let text = "nodes:\n\(nodes.joined(separator: "\n"))\nstore: {sqlite: s}\nstorage: {folder: f}\nca_dir: ca\nkeys_file: keys.yaml\n"
        return try Topology.parse(Array(text.utf8), file: "t.yaml", folder: folder.path)
    }
    private func bytes(_ name: String) throws -> [UInt8]? { try PrivateFile.read("\(folder.path)/\(name)") }

    @Test func allIsMadeOnceAndKeptPrivate() throws {
        let topology = try topology()
        #expect(try ClusterKeys.ensure(topology, now: now, random: random).map { $0.split(separator: ":")[0] } == ["cluster CA", "certificate of node-1", "certificate of node-2", "operator's certificate", "API keys"])
        for secret in ["ca/ca.key", "ca/nodes/node-1.key", "ca/operator.key", "keys.yaml"] { #expect(folder.permissions(secret) == 0o600, "\(secret)") }
        #expect(folder.permissions("ca/ca.pem") == 0o644)
        #expect(try ClusterKeys.ensure(topology, now: now + .seconds(86_400), random: random) == [])
        let certificates = try ClusterKeys.certificates(of: "node-2", in: topology)
        let authority = try bytes("ca/ca.pem")
        #expect(certificates.authority == authority)
    }

    @Test func aNodesCertificateNamesItAndItsHosts() throws {
        let authority = try CertificateAuthority.create(now: now)
        let issued = try authority.issue("node-1", hosts: ["192.0.2.7", "rooms.example", "2001:db8::7"], now: now)
        func objection(_ name: NodeName = "node-1", _ hosts: [String] = [], at time: WallTime? = nil) -> String? {
            authority.objection(to: issued.certificate, key: issued.key, of: name, hosts: hosts, now: time ?? now)
        }
        #expect(objection("node-1", ["192.0.2.7", "rooms.example", "2001:db8::7", "localhost", "127.0.0.1", "::1"]) == nil)
        #expect(objection("node-2") == "it does not name node-2")
        #expect(objection("node-1", ["192.0.2.8"]) == "it does not name 192.0.2.8")
        #expect(objection("node-1", ["other.example"]) == "it does not name other.example")
        #expect(objection(at: now + .seconds(800 * 86_400)) == "it ends within 30 days")
        #expect(objection(at: now + .seconds(700 * 86_400)) == nil)
        let other = try CertificateAuthority.create(now: now)
        #expect(other.objection(to: issued.certificate, key: issued.key, of: "node-1", hosts: [], now: now) == "another authority signed it")
        let second = try authority.issue("node-1", hosts: [], now: now)
        #expect(authority.objection(to: issued.certificate, key: second.key, of: "node-1", hosts: [], now: now) == "it does not belong to its key")
        #expect(authority.objection(to: [1, 2, 3], key: second.key, of: "node-1", hosts: [], now: now) == "it cannot be read")
    }

    @Test func whatNoLongerFitsIsMadeAnew() throws {
        _ = try ClusterKeys.ensure(topology(), now: now, random: random)
        let authority = try bytes("ca/ca.pem"), first = try bytes("ca/nodes/node-1.pem"), keys = try bytes("keys.yaml")
        let made = try ClusterKeys.ensure(topology(hosts: ["127.0.0.1", "127.0.0.9"]), now: now, random: random)
        #expect(made.map { $0.split(separator: ":")[0] } == ["certificate of node-2"])
        #expect(try bytes("ca/ca.pem") == authority)
        #expect(try bytes("ca/nodes/node-1.pem") == first)
        #expect(try bytes("keys.yaml") == keys)
        let later = try ClusterKeys.ensure(topology(), now: now + .seconds(800 * 86_400), random: random)
        #expect(later.map { $0.split(separator: ":")[0] } == ["certificate of node-1", "certificate of node-2", "operator's certificate"])
    }

    @Test func anOperatorsCertificateNamesNoHost() throws {
        let authority = try CertificateAuthority.create(now: now)
        let issued = try authority.issue(operator: ClusterKeys.operatorName, now: now)
        #expect(authority.objection(to: issued.certificate, key: issued.key, operator: ClusterKeys.operatorName, now: now) == nil)
        #expect(authority.objection(to: issued.certificate, key: issued.key, operator: "operator:other", now: now) == "it does not name operator:other")
        #expect(authority.objection(to: issued.certificate, key: issued.key, of: "localhost", hosts: [], now: now) == "it does not name localhost")
    }

    @Test func halfAnAuthorityIsNeverReplaced() throws {
        _ = try ClusterKeys.ensure(topology(), now: now, random: random)
        unlink("\(folder.path)/ca/ca.key")
        #expect(throws: FileError.self) { try ClusterKeys.ensure(topology(), now: now, random: random) }
        #expect(try bytes("ca/ca.pem") != nil)
    }

    @Test func aSecretOthersCanReadIsRefused() throws {
        let topology = try topology()
        _ = try ClusterKeys.ensure(topology, now: now, random: random)
        chmod(topology.keysFile, 0o640)
        #expect(throws: FileError("\(topology.keysFile) can be read by others; run `chmod 600 \(topology.keysFile)`")) { try KeysFile.load(path: topology.keysFile) }
        chmod("\(folder.path)/ca/nodes/node-1.key", 0o644)
        #expect(throws: FileError.self) { try ClusterKeys.certificates(of: "node-1", in: topology) }
        unlink("\(folder.path)/ca/nodes/node-2.pem")
        let error = #expect(throws: FileError.self) { try ClusterKeys.certificates(of: "node-2", in: topology) }
        #expect(error?.description.contains("run `troupe keys --topology FILE`") == true)
    }

    @Test func theKeysFileReadsBackWhatItWrote() throws {
        let made = KeysFile.create(random: random)
        #expect(made.keys[0].id.count == 15 && made.keys[0].secret.count == 52)
        #expect(try KeysFile.parse(Array(made.text.utf8), file: "k") == made)
        let secret = String(repeating: "s", count: 32)
        let two = try KeysFile.parse(Array("APInew: \"\(secret)\"\nAPIold: \(secret)x\n".utf8), file: "k")
        #expect(two.keys.map(\.id) == ["APInew", "APIold"])
    }

    @Test(arguments: [
        ("", "k:1:1: expected 1 to 32 lines"), ("- a\n", "k:1:1: expected"), ("API1: short\n", "k:1:7: the secret of `API1` must have 32 to 512 bytes"),
        ("API1: [a]\n", "k:1:7: the secret of `API1`"), ("a: \(String(repeating: "s", count: 32))\na: b\n", "k:2:1: `a` stands here a second time"),
    ])
    func aBadKeysFileIsRefused(text: String, beginning: String) {
        let error = #expect(throws: FileError.self) { try KeysFile.parse(Array(text.utf8), file: "k") }
        #expect(error?.description.hasPrefix(beginning) == true, "\(String(describing: error))")
    }
}
