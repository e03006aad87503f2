import Glibc
import Configuration
import Primitives
import Testing

/// The repository's root, from this file's own path.
let repository = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")

/// Eleven lines of a correct topology; `nodes` begins in line 2, the node's keys in lines 2 to 6.
private func sample(node: String = "", root: String = "", replacing old: String? = nil, with new: String = "") -> String {
    let text = """
        nodes:
          - name: node-1
            host: 127.0.0.1
            cluster_port: 7101
            http_port: 8441
            media_ports: [40101, 40102]
        \(node)
        store: {sqlite: data/troupe.db}
        storage: {folder: recordings}
        ca_dir: /etc/troupe/ca
        keys_file: keys.yaml
        \(root)
        """
    guard let old else { return text }
    precondition(text.contains(old), "the sample has no `\(old)`")
    return text.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false).joined(separator: new)
}
private func withBucket(_ bucket: String) -> String { sample(replacing: "{folder: recordings}", with: "{folder: f, s3: \(bucket)}") }
private func parse(_ text: String) throws -> Topology { try Topology.parse(Array(text.utf8), file: "t.yaml", folder: "conf") }
private func complaint(_ text: String) -> String {
    do { return "accepted: \(try parse(text))" } catch { return "\(error)" }
}

@Suite struct TopologyReading {
    @Test func everyValueArrives() throws {
        let topology = try parse("""
            nodes:
              - {name: a, host: rooms.example, bind: 0.0.0.0, cluster_port: 7101, http_port: 443, media_ports: [40001, 40002], pipe_ports: [41001, 41002],
                 announced: [192.0.2.7, "2001:db8::7"], roles: [edge, room], region: eu, capacity: 250, media_cpus: [2, 3], pipeline_cpus: [4]}
            store: {sqlite: /var/lib/troupe/t.db}
            storage: {folder: /srv/rec, shared: true}
            public_url: "https://meet.example.org/"
            origins: ["https://app.example.org"]
            tls: {certificate: cert.pem, key: key.pem}
            ca_dir: ca
            keys_file: keys.yaml
            turn: [{urls: ["turn:turn.example.org:3478"], secret_file: turn.secret}]
            studio_dir: ../studio
            """)
        let node = try #require(topology.node("a"))
        #expect(node.host == "rooms.example" && node.bind == "0.0.0.0" && node.clusterPort == 7101 && node.httpPort == 443)
        #expect(node.mediaPorts == [40001, 40002] && node.pipePorts == [41001, 41002] && node.announced == ["192.0.2.7", "2001:db8::7"])
        #expect(node.roles == [.edge, .room] && node.region == "eu" && node.capacity == 250 && node.mediaCPUs == [2, 3] && node.pipelineCPUs == [4])
        #expect(topology.store == .sqlite(path: "/var/lib/troupe/t.db") && topology.storageFolder == "/srv/rec" && topology.storageIsShared)
        #expect(topology.publicURL == "https://meet.example.org" && topology.tls == .files(certificate: "conf/cert.pem", key: "conf/key.pem"))
        #expect(topology.caFolder == "conf/ca" && topology.keysFile == "conf/keys.yaml" && topology.studioFolder == "conf/../studio")
        #expect(topology.turn == [Topology.TURNServer(urls: ["turn:turn.example.org:3478"], secretFile: "conf/turn.secret")])
        #expect(topology.allowedOrigins == ["https://rooms.example:443", "https://meet.example.org", "https://app.example.org"])
        #expect(node.listenAddress(port: 7101) == SocketAddress(host: "0.0.0.0", port: 7101))
    }

    @Test func whatIsLeftOutHasADefault() throws {
        let topology = try parse(sample())
        let node = try #require(topology.nodes.first)
        #expect(node.roles == Set(NodeRole.allCases) && node.capacity == 100 && node.announced == ["127.0.0.1"] && node.pipePorts.isEmpty && node.region == nil)
        #expect(topology.tls == .clusterCA && topology.publicURL == nil && topology.turn.isEmpty && !topology.storageIsShared)
        #expect(topology.url(of: node) == "https://127.0.0.1:8441")
        #expect(topology.allowedOrigins == ["https://127.0.0.1:8441", "https://localhost:8441"])
    }

    @Test func JSONIsASubset() throws {
        let json = #"{"nodes":[{"name":"a","host":"::1","cluster_port":1,"http_port":2,"media_ports":[3]}],"store":{"sqlite":"s"},"storage":{"folder":"f"},"ca_dir":"c","keys_file":"k","tls":"off"}"#
        // A quoted word is text and `off` in quotes the same word.
        #expect(complaint(json).contains("`tls` must be `off` or a mapping"))
        let topology = try parse(json.split(separator: #","tls":"off""#).joined())
        #expect(topology.url(of: topology.nodes[0]) == "https://[::1]:2")
    }

    @Test(arguments: ["three-node.yaml", "single-node.yaml"])
    func theShippedOnesAreCorrect(name: String) throws {
        let topology = try Topology.load(path: "\(repository)/Topology/\(name)")
        #expect(topology.store == .sqlite(path: "\(repository)/Topology/../.troupe/data/troupe.db"))
        #expect(topology.nodes.allSatisfy { $0.isLoopback })
    }

    @Test func theSchemaNamesTheSameKeys() throws {
        let tree = try YAMLReader.read(Array(text(of: "\(repository)/Topology/schema.json").utf8))
        #expect(keys(tree, "properties") == TopologyKeys.root)
        #expect(keys(tree, "$defs", "node", "properties") == TopologyKeys.node)
        #expect(keys(tree, "properties", "store", "properties") == TopologyKeys.store)
        #expect(keys(tree, "properties", "store", "properties", "postgres", "properties") == TopologyKeys.postgres)
        #expect(keys(tree, "properties", "storage", "properties") == TopologyKeys.storage)
        #expect(keys(tree, "properties", "storage", "properties", "s3", "properties") == TopologyKeys.s3)
        #expect(keys(tree, "properties", "turn", "items", "properties") == TopologyKeys.turn)
    }

    private func keys(_ tree: YAMLTree, _ path: String...) -> [String] {
        var tree = tree
        for word in path {
            guard case .mapping(let entries) = tree.content, let next = entries.first(where: { $0.key == word }) else { return [] }
            tree = next.value
        }
        guard case .mapping(let entries) = tree.content else { return [] }
        return entries.map(\.key)
    }
    private func text(of path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }
}

@Suite struct TopologyMistakes {
    @Test func aSlipIsNamedWithItsPlaceAndTheWordMeant() {
        #expect(complaint(sample(replacing: "http_port", with: "http_prt")) == """
            t.yaml:2:5: a node needs `http_port`; write for instance `http_port: 8441`
            t.yaml:5:5: `http_prt` is not a key of a node; write `http_port`
            """)
    }

    @Test func allMistakesComeAtOnceInOrder() {
        let text = sample(replacing: "cluster_port: 7101", with: "cluster_port: 71O1")
        #expect(complaint(text + "\nstorag: x\n") == """
            t.yaml:4:19: `cluster_port` of a node must be a whole number, not `71O1`; write for instance `cluster_port: 7101`
            t.yaml:13:1: `storag` is not a key of a topology; write `storage`
            """)
    }

    @Test(arguments: [
        (sample(node: "    roles: [edge, rom]"), "t.yaml:7:19: `rom` is not a role; write `room`"),
        (sample(node: "    pipe_ports: [1, 2, 3]"), "t.yaml:7:17: `pipe_ports` has 3 entries and `media_ports` 2; write one pipe port for each media port, or none"),
        (sample(replacing: "8441", with: "\"8441\""), "t.yaml:5:16: `http_port` of a node must be a whole number, not `8441`; write it without quotes: `8441`"),
        (sample(replacing: "8441", with: "84410"), "t.yaml:5:16: `http_port` of a node must lie between 1 and 65535, not 84410"),
        (sample(replacing: "8441", with: "7101"), "t.yaml:2:5: `http_port` of node-1 and `cluster_port` of node-1 are both 7101; give one of them another port"),
        (sample(replacing: "[40101, 40102]", with: "[40101, 40101]"), "t.yaml:6:26: `media_ports` of a node names 40101 twice; remove one"),
        (sample(replacing: "[40101, 40102]", with: "40101"), "t.yaml:6:18: `media_ports` of a node must be a list, not `40101`; write for instance `media_ports: [40001, 40002]`"),
        (sample(replacing: "[40101, 40102]", with: "[]"), "t.yaml:6:18: a node needs at least one of `media_ports`; each is one media loop"),
        (sample(replacing: "name: node-1", with: "name: ../x"), "t.yaml:2:11: `../x` cannot name a node; use letters, digits, `-`, `_` and `.`, for instance `node-1`"),
        (sample(replacing: "name: node-1", with: "name: localhost"), "t.yaml:2:11: `localhost` cannot name a node; use letters, digits, `-`, `_` and `.`, for instance `node-1`"),
        (sample(replacing: "127.0.0.1", with: "127.0.0.1:80"), "t.yaml:3:11: `127.0.0.1:80` is neither an address nor a host's name; write for instance `host: 127.0.0.1` (ports stand in keys of their own)"),
        (sample(replacing: "127.0.0.1", with: "rooms.example"), "t.yaml:3:11: `host: rooms.example` is a name, and media needs addresses; add `announced: [ADDRESS]` with the numeric address clients reach this node at"),
        (sample(node: "    roles: [recorder]"), "t.yaml:2:3: no node has the role `edge`; a cluster needs at least one, add it to `roles` of a node\nt.yaml:2:3: no node has the role `room`; a cluster needs at least one, add it to `roles` of a node"),
        (sample(node: "    host: ::1"), "t.yaml:7:5: `host` stands here a second time (first in line 3); remove one of them"),
        (sample(root: "tls: on"), "t.yaml:12:6: `tls` must be `off` or a mapping with `certificate` and `key`, not `on`; leave it out for a certificate of the cluster CA"),
        (sample(root: "public_url: meet.example.org"), "t.yaml:12:13: `meet.example.org` is not an address people can open; write for instance `public_url: https://meet.example.org`"),
        (sample(root: "origins: [\"https://a.example/path\"]"), "t.yaml:12:11: `https://a.example/path` is not an origin; write scheme, host and port only, for instance `https://example.org`"),
        (sample(replacing: "{sqlite: data/troupe.db}", with: "{postgres: x}"), "t.yaml:8:19: `postgres` is a mapping; write the URL into a file only its owner can read and `postgres: {url_file: FILE}` here"),
        (sample(replacing: "{sqlite: data/troupe.db}", with: "{postgres: {}}"), "t.yaml:8:19: `postgres` needs `url_file`; write for instance `url_file: ../.troupe/postgres.url`"),
        (sample(replacing: "{sqlite: data/troupe.db}", with: "{postgres: {url: x}}"), "t.yaml:8:19: `postgres` needs `url_file`; write for instance `url_file: ../.troupe/postgres.url`\nt.yaml:8:20: `url` is not a key of `postgres`; its keys are `url_file`"),
        (sample(replacing: "{sqlite: data/troupe.db}", with: "{postgres: {url_file: \"postgresql://a:b@c/d\"}}"), "t.yaml:8:30: `url_file` names a file, it is not the URL itself; write the URL into a file only its owner can read"),
        (sample(replacing: "{sqlite: data/troupe.db}", with: "{sqlite: t.db, postgres: {url_file: x}}"), "t.yaml:8:17: `store` is `sqlite` or `postgres`, not both; remove one"),
        (sample(replacing: "{folder: recordings}", with: "{folder: f, s3: x}"), "t.yaml:9:26: `s3` must be a mapping with the keys `endpoint`, `bucket`, `region`, `prefix`, `access_key_file`, `secret_key_file`, `ca_file`, `path_style`, not `x`"),
        (sample(replacing: "{folder: recordings}", with: "recordings"), "t.yaml:9:10: `storage` must be a mapping with the keys `folder`, `shared`, `journals`, `s3`, not `recordings`"),
        (withBucket("{bucket: recs, access_key_file: a, secret_key_file: s}"), "t.yaml:9:26: `s3` needs `endpoint`; write for instance `endpoint: https://s3.eu-central-1.amazonaws.com`"),
        (withBucket("{endpoint: s3.example.org, bucket: Recs, access_key_file: a, secret_key_file: s}"), "t.yaml:9:37: `s3.example.org` is no address of an S3 server; write scheme, host and port only, for instance `https://s3.eu-central-1.amazonaws.com`\nt.yaml:9:61: `Recs` cannot name a bucket; use 3 to 63 small letters, digits, `-` and `.`"),
        (withBucket("{endpoint: \"https://x\", bucket: recs, access_key_file: AKIAIOSFODNN7EXAMPLE, secret_key_file: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}"), "t.yaml:9:81: `access_key_file` names a file, it is not the key itself; write the key into a file only its owner can read\nt.yaml:9:120: `secret_key_file` names a file, it is not the key itself; write the key into a file only its owner can read"),
        (withBucket("{endpoint: \"https://x\", bucket: recs, prefix: ../x, region: \"a b\", access_key_file: a, secret_key_file: s}"), "t.yaml:9:72: `../x` cannot stand in front of keys; write words joined by `/`, for instance `troupe/recordings`\nt.yaml:9:86: `a b` is no region; write for instance `eu-central-1`"),
        (sample(replacing: "{folder: recordings}", with: "{s3: {endpoint: \"https://x\", bucket: recs, access_key_file: a, secret_key_file: s}}"), "t.yaml:9:10: `storage` needs `folder`; write for instance `folder: ../.troupe/recordings`"),
        ("nodes: []\nstore: {sqlite: s}\nstorage: {folder: f}\nca_dir: c\nkeys_file: k\n", "t.yaml:1:8: `nodes` has 0 entries; a cluster has 1 to 64 nodes"),
        ("", "t.yaml:1:1: a topology must be a mapping with the keys `nodes`, `store`, `storage`, `public_url`, `origins`, `tls`, `ca_dir`, `keys_file`, `turn`, `studio_dir`, `drain_seconds`, `chaos`, not nothing"),
        ("- a\n", "t.yaml:1:1: a topology must be a mapping with the keys `nodes`, `store`, `storage`, `public_url`, `origins`, `tls`, `ca_dir`, `keys_file`, `turn`, `studio_dir`, `drain_seconds`, `chaos`, not a list"),
        ("a: &x 1\n", "t.yaml:1:4: anchors (`&name`) are not read here; write the value out where it is needed"),
        ("a: *x\n", "t.yaml:1:4: aliases (`*name`) are not read here; write the value out"),
        ("a: !!str 1\n", "t.yaml:1:4: tags (`!name`) are not read here; write the plain value"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document begins; one file holds one topology, remove `---` and what follows"),
        ("[a]: 1\n", "t.yaml:1:1: a key must be a word"),
    ])
    func refused(text: String, expected: String) { #expect(complaint(text) == expected) }

    @Test func whatIsNoYAMLIsSaidWithItsLine() {
        #expect(complaint("nodes:\n  - a: 1\n b: 2\n").hasPrefix("t.yaml:3:2: this is not YAML: "))
        #expect(complaint("a: \"open\n").contains("this is not YAML"))
        #expect(complaint("\u{1}").contains("this is not YAML"))
    }

    @Test func severalHostsNeedMoreThanSQLiteAndAFolder() {
        let second = "  - {name: node-2, host: 192.0.2.2, cluster_port: 7101, http_port: 8441, media_ports: [40101]}"
        #expect(complaint(sample(node: second)) == """
            t.yaml:8:8: an SQLite store serves the nodes of one machine, and `node-2` is on another host (192.0.2.2); write `postgres: {url_file: FILE}` or give all nodes one host
            t.yaml:9:10: nodes on several hosts need one storage for recordings; put the folder on a file system all of them mount and write `shared: true`
            """)
    }

    @Test func severalHostsMayShareAPostgreSQLDatabase() throws {
        let second = "  - {name: node-2, host: 192.0.2.2, cluster_port: 7101, http_port: 8441, media_ports: [40101]}"
        let topology = try parse(sample(node: second).split(separator: "\n", omittingEmptySubsequences: false).map { line in
            if line.hasPrefix("store:") { return "store: {postgres: {url_file: secrets/postgres.url}}" }
            return line.hasPrefix("storage:") ? "storage: {folder: /srv/rec, shared: true}" : String(line)
        }.joined(separator: "\n"))
        #expect(topology.store == .postgres(urlFile: "conf/secrets/postgres.url") && topology.nodes.count == 2)
    }

    @Test func aBucketStandsBesideTheFolder() throws {
        let second = "  - {name: node-2, host: 192.0.2.2, cluster_port: 7101, http_port: 8441, media_ports: [40101]}"
        let topology = try parse(sample(node: second).split(separator: "\n", omittingEmptySubsequences: false).map { line in
            if line.hasPrefix("store:") { return "store: {postgres: {url_file: secrets/postgres.url}}" }
            guard line.hasPrefix("storage:") else { return String(line) }
            return #"storage: {folder: /srv/rec, shared: true, journals: spool, s3: {endpoint: "http://[::1]:9000", bucket: recs.a, region: eu-1, prefix: a/b, access_key_file: a, secret_key_file: /s, ca_file: ca.pem, path_style: true}}"#
        }.joined(separator: "\n"))
        #expect(topology.storageFolder == "/srv/rec" && topology.storageIsShared && topology.journalsFolder == "conf/spool")
        let bucket = try #require(topology.storageBucket)
        #expect(bucket.endpoint == "http://[::1]:9000" && bucket.name == "recs.a" && bucket.region == "eu-1" && bucket.prefix == "a/b" && bucket.isPathStyle)
        #expect(bucket.accessKeyFile == "conf/a" && bucket.secretKeyFile == "/s" && bucket.caFile == "conf/ca.pem")
    }

    @Test func plainHTTPIsForLoopbackOnly() throws {
        #expect(try parse(sample(root: "tls: off")).tls == .off)
        #expect(complaint(sample(node: "    bind: 0.0.0.0", root: "tls: off")) == "t.yaml:12:6: plain HTTP is for loopback only, and `node-1` listens on 0.0.0.0; remove `tls: off` or give its nodes `host: 127.0.0.1`")
        #expect(complaint(sample(root: "tls: off", replacing: "127.0.0.1", with: "192.0.2.1")).contains("plain HTTP is for loopback only"))
    }

    @Test func namesAndPortsAreUniqueOnAHost() {
        let twin = "  - {name: node-1, host: localhost, cluster_port: 7102, http_port: 8442, media_ports: [40102]}"
        #expect(complaint(sample(node: twin)) == """
            t.yaml:7:5: a second node is named `node-1` (the first in line 2); names are unique
            t.yaml:7:5: `media_ports` of node-1 and `media_ports` of node-1 are both 40102; give one of them another port
            """)
    }

    @Test func hostileTextsAreRefusedQuickly() {
        #expect(complaint(String(repeating: "[", count: 10_000)).contains("nested too deeply"))
        #expect(complaint("a: [" + String(repeating: "1,", count: 200_000) + "]").contains("too long"))
        #expect(complaint(String(repeating: "a", count: 2 << 20)).contains("a topology has at most"))
        var random = SplitMix64(seed: 7)
        let base = Array(sample().utf8)
        for _ in 0..<2_000 {
            var bytes = base
            for _ in 0..<3 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            _ = try? Topology.parse(bytes, file: "t.yaml", folder: ".")
        }
    }

    @Test func aMissingFileSaysWhatToGive() {
        #expect(throws: TopologyError.self) { try Topology.load(path: "/nowhere/t.yaml") }
        #expect(throws: TopologyError.self) { try Topology.load(path: "/") }
    }
}
