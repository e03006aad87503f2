// From a YAML tree to a `Topology`: keys, types, defaults. Rules between values: TopologyRules.swift.
internal import Glibc
internal import Primitives

/// The keys of each mapping, in the order they are listed to people. `Topology/schema.json` names the same ones; a test compares them.
package enum TopologyKeys {
    package static let root = ["nodes", "store", "storage", "public_url", "origins", "tls", "ca_dir", "keys_file", "turn", "studio_dir", "drain_seconds", "chaos"]
    package static let node = ["name", "host", "bind", "cluster_port", "http_port", "media_ports", "pipe_ports", "announced", "roles", "region", "capacity", "media_cpus", "pipeline_cpus"]
    package static let store = ["sqlite", "postgres"]
    package static let postgres = ["url_file"]
    package static let storage = ["folder", "shared", "journals", "s3"]
    package static let s3 = ["endpoint", "bucket", "region", "prefix", "access_key_file", "secret_key_file", "ca_file", "path_style"]
    package static let tls = ["certificate", "key"]
    package static let turn = ["urls", "secret_file"]
}

extension Topology {
    package enum Limits {
        package static let nodes = 64
        package static let mediaPorts = 64
        package static let processors = 1_024
        /// The highest number a processor may have.
        package static let processorNumber = 4_095
        package static let capacity = 1_000_000
        package static let origins = 64
        /// Seconds; the longest a node that stops waits for its clients.
        package static let drainSeconds = 3_600
    }

    /// Reads and checks a file. Relative paths in it begin at its own folder.
    package static func load(path: String) throws(TopologyError) -> Topology {
        func refuse(_ text: String) -> TopologyError { TopologyError(file: path, mistakes: [.init(.init(line: 1, column: 1), text)]) }
        guard let file = fopen(path, "r") else {
            throw refuse("cannot be read: \(String(cString: strerror(errno))); give the path of a topology, for instance Topology/single-node.yaml")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: YAMLReader.Limits.textBytes + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw refuse("cannot be read: \(String(cString: strerror(errno))); is it a file?") }
        let slash = path.lastIndex(of: "/")
        return try parse(Array(bytes[..<count]), file: path, folder: slash.map { String(path[..<$0]) } ?? ".")
    }

    /// - Parameter folder: where relative paths begin.
    package static func parse(_ text: [UInt8], file: String, folder: String) throws(TopologyError) -> Topology {
        var mistakes: [TopologyMistake] = []
        do throws(TopologyMistake) {
            let tree = try YAMLReader.read(text)
            var reader = TopologyReader(folder: folder)
            let topology = reader.topology(tree)
            mistakes = reader.mistakes
            if let topology {
                if mistakes.isEmpty { mistakes = TopologyRules.mistakes(of: topology, positions: reader.positions) }
                if mistakes.isEmpty { return topology }
            }
        } catch {
            mistakes = [error]
        }
        throw TopologyError(file: file, mistakes: mistakes.sorted { $0.position < $1.position })
    }
}

/// Builds the values; every mistake is kept, none stops it.
struct TopologyReader {
    let folder: String
    private(set) var mistakes: [TopologyMistake] = []
    /// Where top-level keys stand, for the rules.
    private(set) var positions: [String: TextPosition] = [:]

    init(folder: String) { self.folder = folder }

    mutating func topology(_ tree: YAMLTree) -> Topology? {
        guard var fields = TopologyFields(tree, what: "a topology", keys: TopologyKeys.root, mistakes: &mistakes) else { return nil }
        defer { mistakes += fields.mistakes }
        for key in TopologyKeys.root { positions[key] = fields.position(of: key) }
        let nodes = nodes(&fields)
        let store = store(&fields), storage = storage(&fields)
        let caFolder = fields.requiredText("ca_dir", example: "../.troupe/ca")
        let keysFile = fields.requiredText("keys_file", example: "../.troupe/keys.yaml")
        let publicURL = webAddress(&fields)
        let origins = (fields.texts("origins", example: "[\"https://example.org\"]") ?? []).prefix(Topology.Limits.origins)
        for (origin, position) in origins where !isOrigin(origin) {
            fields.note(position, "`\(origin)` is not an origin; write scheme, host and port only, for instance `https://example.org`")
        }
        let tls = tls(&fields), turn = turn(&fields), studio = fields.text("studio_dir")
        let drain = fields.integer("drain_seconds", in: 0...Topology.Limits.drainSeconds, example: "10")
        let chaos = fields.truth("chaos") ?? false
        guard let store, let storage, let caFolder, let keysFile else { return nil }
        return Topology(
            nodes: nodes, store: store, storageFolder: resolved(storage.folder), storageIsShared: storage.shared, journalsFolder: storage.journals.map(resolved), storageBucket: storage.bucket,
            publicURL: publicURL, extraOrigins: origins.map(\.text), tls: tls, caFolder: resolved(caFolder), keysFile: resolved(keysFile),
            turn: turn, studioFolder: studio.map(resolved), drainSeconds: drain ?? Topology.defaultDrainSeconds, allowsChaos: chaos)
    }

    // MARK: Nodes

    private mutating func nodes(_ fields: inout TopologyFields) -> [TopologyNode] {
        guard fields.require("nodes", example: "[{name: node-1, host: 127.0.0.1, …}]"), let items = fields.items("nodes", example: "[{name: node-1, …}]") else { return [] }
        guard (1...Topology.Limits.nodes).contains(items.count) else {
            fields.note(fields.position(of: "nodes"), "`nodes` has \(items.count) entries; a cluster has 1 to \(Topology.Limits.nodes) nodes")
            return []
        }
        var nodes: [TopologyNode] = []
        for item in items {
            guard var node = TopologyFields(item, what: "a node", keys: TopologyKeys.node, mistakes: &mistakes) else { continue }
            if let read = self.node(&node) { nodes.append(read) }
            mistakes += node.mistakes
        }
        return nodes
    }

    private func node(_ fields: inout TopologyFields) -> TopologyNode? {
        let name = name(&fields), host = host(&fields), bind = numericHost(&fields, "bind")
        let clusterPort = fields.requiredPort("cluster_port", example: "7101")
        let httpPort = fields.requiredPort("http_port", example: "8441")
        let ports = 1...65_535
        let mediaPorts = fields.require("media_ports", example: "[40001, 40002]")
            ? fields.integers("media_ports", in: ports, atMost: Topology.Limits.mediaPorts, example: "[40001, 40002]") : nil
        if mediaPorts?.isEmpty == true { fields.note(fields.position(of: "media_ports"), "a node needs at least one of `media_ports`; each is one media loop") }
        let pipePorts = fields.integers("pipe_ports", in: ports, atMost: Topology.Limits.mediaPorts, example: "[41001, 41002]") ?? []
        if !pipePorts.isEmpty, let mediaPorts, pipePorts.count != mediaPorts.count {
            fields.note(fields.position(of: "pipe_ports"), "`pipe_ports` has \(pipePorts.count) entries and `media_ports` \(mediaPorts.count); write one pipe port for each media port, or none")
        }
        let announced = announced(&fields, host: host)
        let roles = roles(&fields)
        let cpus = 0...Topology.Limits.processorNumber
        let mediaCPUs = fields.integers("media_cpus", in: cpus, atMost: Topology.Limits.processors, example: "[2, 3]") ?? []
        let pipelineCPUs = fields.integers("pipeline_cpus", in: cpus, atMost: Topology.Limits.processors, example: "[4, 5]") ?? []
        let capacity = fields.integer("capacity", in: 1...Topology.Limits.capacity, example: "100") ?? 100
        let region = fields.text("region")
        guard let name, let host, let clusterPort, let httpPort, let mediaPorts else { return nil }
        return TopologyNode(
            name: name, host: host, bind: bind, clusterPort: clusterPort, httpPort: httpPort, mediaPorts: mediaPorts.map { UInt16($0) },
            pipePorts: pipePorts.map { UInt16($0) }, announced: announced, roles: roles, region: region, capacity: capacity,
            mediaCPUs: mediaCPUs, pipelineCPUs: pipelineCPUs, position: fields.position)
    }

    private func name(_ fields: inout TopologyFields) -> NodeName? {
        guard let text = fields.requiredText("name", example: "node-1") else { return nil }
        let name = NodeName(text)
        // A certificate names its node beside `localhost`, so no node may have that name.
        guard name.isSafe, text != "localhost" else {
            fields.note(fields.position(of: "name"), "`\(text)` cannot name a node; use letters, digits, `-`, `_` and `.`, for instance `node-1`")
            return nil
        }
        return name
    }

    private func host(_ fields: inout TopologyFields) -> String? {
        guard let text = fields.requiredText("host", example: "127.0.0.1") else { return nil }
        let isName = text.utf8.count <= 253 && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") } && label.first != "-" && label.last != "-"
        }
        guard SocketAddress(host: text, port: 0) != nil || isName else {
            fields.note(fields.position(of: "host"), "`\(text)` is neither an address nor a host's name; write for instance `host: 127.0.0.1` (ports stand in keys of their own)")
            return nil
        }
        return text
    }

    private func numericHost(_ fields: inout TopologyFields, _ key: String) -> String? {
        guard let text = fields.text(key) else { return nil }
        if SocketAddress(host: text, port: 0) != nil { return text }
        fields.note(fields.position(of: key), "`\(key)` must be a numeric address, not `\(text)`; write for instance `\(key): 0.0.0.0`")
        return nil
    }

    private func announced(_ fields: inout TopologyFields, host: String?) -> [String] {
        guard let listed = fields.texts("announced", example: "[192.0.2.7]") else {
            guard let host else { return [] }
            if host == "localhost" { return ["127.0.0.1"] }
            if SocketAddress(host: host, port: 0) != nil { return [host] }
            fields.note(fields.position(of: "host"), "`host: \(host)` is a name, and media needs addresses; add `announced: [ADDRESS]` with the numeric address clients reach this node at")
            return []
        }
        for (text, position) in listed where SocketAddress(host: text, port: 0) == nil {
            fields.note(position, "`\(text)` is not a numeric address; write for instance `announced: [192.0.2.7]`")
        }
        return listed.map(\.text)
    }

    private func roles(_ fields: inout TopologyFields) -> Set<NodeRole> {
        let words = NodeRole.allCases.map(\.rawValue)
        guard let listed = fields.texts("roles", example: "[edge, room, recorder]") else { return Set(NodeRole.allCases) }
        var roles: Set<NodeRole> = []
        for (word, position) in listed {
            if let role = NodeRole(rawValue: word) { roles.insert(role); continue }
            let advice = Suggestion.nearest(to: word, among: words).map { "write `\($0)`" } ?? "roles are \(TopologyFields.listed(words))"
            fields.note(position, "`\(word)` is not a role; \(advice)")
        }
        if listed.isEmpty { fields.note(fields.position(of: "roles"), "a node without a role does nothing; roles are \(TopologyFields.listed(words))") }
        return roles
    }

    // MARK: Store, storage, TLS, TURN, addresses

    private mutating func store(_ fields: inout TopologyFields) -> Topology.Store? {
        guard fields.require("store", example: "{sqlite: ../.troupe/data/troupe.db}"), let tree = fields.tree("store") else { return nil }
        guard var store = TopologyFields(tree, what: "`store`", keys: TopologyKeys.store, mistakes: &mistakes) else { return nil }
        defer { mistakes += store.mistakes }
        guard store.has("postgres") else { return store.requiredText("sqlite", example: "../.troupe/data/troupe.db").map { .sqlite(path: resolved($0)) } }
        if store.has("sqlite") { store.note(store.position(of: "sqlite"), "`store` is `sqlite` or `postgres`, not both; remove one") }
        guard let inner = store.tree("postgres") else { return nil }
        // A URL holds a password: it is refused here without being repeated.
        if case .scalar = inner.content {
            store.note(inner.position, "`postgres` is a mapping; write the URL into a file only its owner can read and `postgres: {url_file: FILE}` here")
            return nil
        }
        guard var postgres = TopologyFields(inner, what: "`postgres`", keys: TopologyKeys.postgres, mistakes: &mistakes) else { return nil }
        defer { mistakes += postgres.mistakes }
        guard let file = postgres.requiredText("url_file", example: "../.troupe/postgres.url") else { return nil }
        if ["postgres://", "postgresql://"].contains(where: file.hasPrefix) {
            postgres.note(postgres.position(of: "url_file"), "`url_file` names a file, it is not the URL itself; write the URL into a file only its owner can read")
            return nil
        }
        return .postgres(urlFile: resolved(file))
    }

    private mutating func storage(_ fields: inout TopologyFields) -> (folder: String, shared: Bool, journals: String?, bucket: Topology.Bucket?)? {
        guard fields.require("storage", example: "{folder: ../.troupe/recordings}"), let tree = fields.tree("storage") else { return nil }
        guard var storage = TopologyFields(tree, what: "`storage`", keys: TopologyKeys.storage, mistakes: &mistakes) else { return nil }
        defer { mistakes += storage.mistakes }
        let shared = storage.truth("shared") ?? false, journals = storage.text("journals")
        var bucket: Topology.Bucket?
        if let tree = storage.tree("s3") { bucket = self.bucket(tree) }
        return storage.requiredText("folder", example: "../.troupe/recordings").map { ($0, shared, journals, bucket) }
    }

    private mutating func bucket(_ tree: YAMLTree) -> Topology.Bucket? {
        guard var s3 = TopologyFields(tree, what: "`s3`", keys: TopologyKeys.s3, mistakes: &mistakes) else { return nil }
        defer { mistakes += s3.mistakes }
        let endpoint = s3.requiredText("endpoint", example: "https://s3.eu-central-1.amazonaws.com")
        if let endpoint, !isOrigin(endpoint) { s3.note(s3.position(of: "endpoint"), "`\(endpoint)` is no address of an S3 server; write scheme, host and port only, for instance `https://s3.eu-central-1.amazonaws.com`") }
        let name = s3.requiredText("bucket", example: "recordings")
        if let name, !isBucket(name) { s3.note(s3.position(of: "bucket"), "`\(name)` cannot name a bucket; use 3 to 63 small letters, digits, `-` and `.`") }
        let region = s3.text("region") ?? Topology.Bucket.defaultRegion
        if !region.utf8.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) { s3.note(s3.position(of: "region"), "`\(region)` is no region; write for instance `eu-central-1`") }
        let prefix = s3.text("prefix")
        if let prefix, !isPrefix(prefix) { s3.note(s3.position(of: "prefix"), "`\(prefix)` cannot stand in front of keys; write words joined by `/`, for instance `troupe/recordings`") }
        let access = keyFile("access_key_file", &s3), secret = keyFile("secret_key_file", &s3)
        let authorities = s3.text("ca_file"), isPathStyle = s3.truth("path_style") ?? false
        guard let endpoint, let name, let access, let secret else { return nil }
        return Topology.Bucket(
            endpoint: endpoint, name: name, region: region, prefix: prefix, accessKeyFile: access, secretKeyFile: secret, caFile: authorities.map(resolved), isPathStyle: isPathStyle)
    }
    /// A key itself is long and has no folder: it is refused without being repeated.
    private func keyFile(_ key: String, _ fields: inout TopologyFields) -> String? {
        guard let file = fields.requiredText(key, example: "../secrets/\(key == "access_key_file" ? "s3.access" : "s3.secret")") else { return nil }
        guard !file.hasPrefix("AKIA"), !(file.utf8.count == 40 && !file.contains(".") && !file.hasPrefix("/")) else {
            fields.note(fields.position(of: key), "`\(key)` names a file, it is not the key itself; write the key into a file only its owner can read")
            return nil
        }
        return resolved(file)
    }
    private func isPrefix(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && !part.hasPrefix(".") && part.utf8.count <= 200 && part.utf8.allSatisfy { isAlphanumeric($0) || "_.-=".utf8.contains($0) }
        }
    }
    private func isBucket(_ name: String) -> Bool {
        guard (3...63).contains(name.utf8.count), name.lowercased() == name, let first = name.utf8.first, let last = name.utf8.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last) && name.utf8.allSatisfy { isAlphanumeric($0) || "-.".utf8.contains($0) }
    }

    private mutating func tls(_ fields: inout TopologyFields) -> Topology.TLS {
        guard let tree = fields.tree("tls") else { return .clusterCA }
        if case .scalar("off", isPlain: true) = tree.content { return .off }
        guard case .mapping = tree.content else {
            fields.note(tree.position, "`tls` must be `off` or a mapping with `certificate` and `key`, not \(tree.kind); leave it out for a certificate of the cluster CA")
            return .clusterCA
        }
        guard var tls = TopologyFields(tree, what: "`tls`", keys: TopologyKeys.tls, mistakes: &mistakes) else { return .clusterCA }
        defer { mistakes += tls.mistakes }
        guard let certificate = tls.requiredText("certificate", example: "/etc/troupe/fullchain.pem"), let key = tls.requiredText("key", example: "/etc/troupe/key.pem") else { return .clusterCA }
        return .files(certificate: resolved(certificate), key: resolved(key))
    }

    private mutating func turn(_ fields: inout TopologyFields) -> [Topology.TURNServer] {
        var servers: [Topology.TURNServer] = []
        for item in fields.items("turn", example: "[{urls: [\"turn:turn.example.org:3478\"], secret_file: ../turn.secret}]") ?? [] {
            guard var server = TopologyFields(item, what: "an entry of `turn`", keys: TopologyKeys.turn, mistakes: &mistakes) else { continue }
            let urls = server.require("urls", example: "[\"turn:turn.example.org:3478\"]") ? server.texts("urls", example: "[\"turn:turn.example.org:3478\"]") ?? [] : []
            for (url, position) in urls where !["turn:", "turns:", "stun:", "stuns:"].contains(where: url.hasPrefix) {
                server.note(position, "`\(url)` is not a TURN address; write for instance `turn:turn.example.org:3478` (RFC 7065)")
            }
            if let secret = server.requiredText("secret_file", example: "../turn.secret") { servers.append(.init(urls: urls.map(\.text), secretFile: resolved(secret))) }
            mistakes += server.mistakes
        }
        return servers
    }

    private func webAddress(_ fields: inout TopologyFields) -> String? {
        guard var text = fields.text("public_url") else { return nil }
        while text.hasSuffix("/") { text.removeLast() }
        if isOrigin(text) { return text }
        fields.note(fields.position(of: "public_url"), "`\(text)` is not an address people can open; write for instance `public_url: https://meet.example.org`")
        return nil
    }

    private func isOrigin(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return false }
        let rest = text.dropFirst(scheme.count)
        return !rest.isEmpty && rest.utf8.allSatisfy { isAlphanumeric($0) || "-._:[]".utf8.contains($0) }
    }
    private func isAlphanumeric(_ byte: UInt8) -> Bool {
        (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A)
    }
    private func resolved(_ path: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }
}
