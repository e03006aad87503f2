// What must hold between the values of a topology.
internal import Primitives

enum TopologyRules {
    static func mistakes(of topology: Topology, positions: [String: TextPosition]) -> [TopologyMistake] {
        func position(_ key: String) -> TextPosition { positions[key] ?? .init(line: 1, column: 1) }
        var found = names(topology) + ports(topology)
        let top = position("nodes")
        for role in [NodeRole.edge, .room] where !topology.nodes.contains(where: { $0.roles.contains(role) }) {
            found.append(.init(top, "no node has the role `\(role.rawValue)`; a cluster needs at least one, add it to `roles` of a node"))
        }
        if let other = secondHost(topology) {
            if case .sqlite = topology.store {
                found.append(.init(position("store"), "an SQLite store serves the nodes of one machine, and `\(other.name)` is on another host (\(other.host)); write `postgres: {url_file: FILE}` or give all nodes one host"))
            }
            if !topology.storageIsShared {
                found.append(.init(position("storage"), "nodes on several hosts need one storage for recordings; put the folder on a file system all of them mount and write `shared: true`"))
            }
        }
        if topology.tls == .off, let open = topology.nodes.first(where: { !$0.isLoopback || SocketAddress(host: $0.bind ?? "127.0.0.1", port: 0)?.isLoopback == false }) {
            found.append(.init(position("tls"), "plain HTTP is for loopback only, and `\(open.name)` listens on \(open.bind ?? open.host); remove `tls: off` or give its nodes `host: 127.0.0.1`"))
        }
        return found
    }

    private static func names(_ topology: Topology) -> [TopologyMistake] {
        var seen: [NodeName: TextPosition] = [:], found: [TopologyMistake] = []
        for node in topology.nodes {
            guard let first = seen.updateValue(node.position, forKey: node.name) else { continue }
            found.append(.init(node.position, "a second node is named `\(node.name)` (the first in line \(first.line)); names are unique"))
        }
        return found
    }

    /// TCP and UDP ports are spaces of their own; on one host nothing may listen twice.
    private static func ports(_ topology: Topology) -> [TopologyMistake] {
        struct Place: Hashable { let host: String; let isUDP: Bool; let port: UInt16 }
        var seen: [Place: String] = [:], found: [TopologyMistake] = []
        for node in topology.nodes {
            let tcp = [("cluster_port", node.clusterPort), ("http_port", node.httpPort)].map { ($0.0, false, $0.1) }
            let udp = node.mediaPorts.map { ("media_ports", true, $0) } + node.pipePorts.map { ("pipe_ports", true, $0) }
            for (key, isUDP, port) in tcp + udp {
                let user = "`\(key)` of \(node.name)"
                if let first = seen.updateValue(user, forKey: Place(host: machine(node), isUDP: isUDP, port: port)) {
                    found.append(.init(node.position, "\(user) and \(first) are both \(port); give one of them another port"))
                }
            }
        }
        return found
    }

    private static func secondHost(_ topology: Topology) -> TopologyNode? {
        guard let first = topology.nodes.first.map(machine) else { return nil }
        return topology.nodes.first { machine($0) != first }
    }
    private static func machine(_ node: TopologyNode) -> String { node.isLoopback ? "loopback" : node.host }
}
