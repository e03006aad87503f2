// The way to a node: an operator's link to whichever lets us in.
internal import Cluster
internal import Configuration
internal import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives

/// Confined to the loop. Every question may be asked twice, so a link that breaks costs another try at another node.
final class ClusterClient: @unchecked Sendable {
    enum Limits {
        /// Before others than the named node are tried.
        static let preferred = Duration.seconds(2)
        /// For an answer: longer than a node gives others to answer it.
        static let answer = Duration.seconds(8)
        /// For an order that moves something.
        static let order = Duration.seconds(30)
        static let attempts = 3
    }
    private let loop: UVLoop
    private let invocation: Invocation
    let topology: Topology
    /// Asked no more.
    private var avoided: NodeName?
    private let identity: TLSIdentity
    private var system: ClusterSystem?
    /// Whom the last answer came from.
    private(set) var asked = NodeName("")
    private var hasTold = false

    init(_ invocation: Invocation, loop: UVLoop) throws {
        self.invocation = invocation
        self.loop = loop
        topology = try TopologyFile.load(invocation.topology)
        if let name = invocation.node, topology.node(name) == nil { throw TopologyFile.unknown(name, in: topology) }
        identity = try OperatorIdentity.load(caFolder: topology.caFolder)
    }

    /// Asks a node; on a broken link another one.
    func ask<Answer: Sendable>(within limit: Duration = Limits.answer, _ question: @Sendable (Operations) async throws -> Answer) async throws -> Answer {
        for attempt in 1... {
            let system = try await connected()
            let node = system.service(Operations.self, on: asked, Operations.service)
            do { return try await ClusterSystem.$deadline.withValue(limit) { try await question(node) } } catch let error as ClusterError {
                guard Self.isWorthAnother(error), attempt < Limits.attempts else { throw error }
            }
        }
        throw CommandFailure(.tryAgain, code: "no_answer", "no node answered; try again")
    }
    private static func isWorthAnother(_ error: ClusterError) -> Bool {
        switch error {
        case .notExecuted(.unreachable), .notExecuted(.stopped), .unknownOutcome(.linkLost): true
        case .notExecuted, .unknownOutcome, .remote: false
        }
    }

    // MARK: Connecting

    private func connected() async throws -> ClusterSystem {
        if let system {
            asked = try await system.connected(within: invocation.timeout).name
            return system
        }
        if let name = invocation.node, name != avoided, let wanted = topology.node(name) {
            if let system = try? await connect([wanted], within: min(Limits.preferred, invocation.timeout)) { return system }
            if topology.nodes.count > 1 { Console.error("troupectl: \(name) does not let us in; asking the others\n") }
        }
        return try await connect(topology.nodes.filter { $0.name != avoided }, within: invocation.timeout)
    }
    /// From now on other nodes are asked.
    func avoid(_ node: NodeName) async throws {
        avoided = node
        _ = try await connected()
        guard asked == node else { return }
        await system?.shutdown()
        system = nil
    }
    private func connect(_ nodes: [TopologyNode], within limit: Duration) async throws -> ClusterSystem {
        var configuration = ClusterConfiguration(name: OperatorIdentity.name, tls: identity)
        configuration.kind = .operator
        configuration.seeds = nodes.compactMap(\.linkAddress)
        let system = ClusterSystem(configuration: configuration, loop: loop, network: UVNetwork(loop: loop), leases: MemoryLeaseStore(), random: SystemRandom())
        system.register(error: ServiceError.self)
        try await system.start()
        do {
            asked = try await system.connected(within: limit).name
            self.system = system
            return system
        } catch {
            await system.shutdown()
            throw error
        }
    }
    func close() async { await system?.shutdown() }
    var names: [NodeName] { topology.nodes.map(\.name).sorted() }
}

/// Which topology is meant.
enum TopologyFile {
    static let usual = "Topology/three-node.yaml"

    static func load(_ path: String?) throws -> Topology {
        if path == nil, access(usual, R_OK) != 0 { throw UsageError("name the cluster's topology: `--topology FILE` (there is no \(usual) here)") }
        return try Topology.load(path: path ?? usual)
    }
    static func unknown(_ name: NodeName, in topology: Topology) -> UsageError {
        let names = topology.nodes.map(\.name.rawValue)
        return UsageError("the topology has no node `\(name)`; \(Suggestion.nearest(to: name.rawValue, among: names).map { "did you mean `\($0)`?" } ?? "its nodes are \(names.joined(separator: ", "))")")
    }
}

/// The certificate that `troupe keys` made for operators.
enum OperatorIdentity {
    /// As the certificate has it behind `operator:`.
    static let name = NodeName("admin")

    static func load(caFolder: String) throws(FileError) -> TLSIdentity {
        let paths = CertificatePaths(folder: caFolder)
        func read(_ path: String) throws(FileError) -> String {
            guard let bytes = try PrivateFile.read(path) else { throw FileError("\(path) is not there; `troupe keys --topology FILE` makes it, where the cluster's CA is") }
            return String(decoding: bytes, as: UTF8.self)
        }
        let certificate = try read(paths.operatorCertificate), key = try read(paths.operatorKey)
        try PrivateFile.requirePrivate(paths.operatorKey)
        return TLSIdentity(certificate: certificate, key: key, authority: try read(paths.authority))
    }
}
