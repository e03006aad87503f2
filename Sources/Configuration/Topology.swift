// A cluster as its operator wrote it down: Topology/*.yaml. Format: Topology/schema.json and docs/topology.md.
package import Primitives

/// What a node does. Raw values are the file's words.
package enum NodeRole: String, CaseIterable, Sendable, Hashable { case edge, room, recorder, compositor }

package struct Topology: Sendable, Equatable {
    package enum TLS: Sendable, Equatable {
        /// The node's certificate of the cluster CA, made by `troupe keys`.
        case clusterCA
        /// A certificate of the operator's own, PEM with its chain; for clients only, links keep the cluster CA.
        case files(certificate: String, key: String)
        /// Plain HTTP: every node's host is a loopback address.
        case off
    }
    /// Told to clients that cannot reach a node directly.
    package struct TURNServer: Sendable, Equatable {
        package var urls: [String]
        /// File with the secret shared with the TURN server (`use-auth-secret`).
        package var secretFile: String
        package init(urls: [String], secretFile: String) { self.urls = urls; self.secretFile = secretFile }
    }

    /// The database all nodes share.
    package enum Store: Sendable, Equatable {
        /// A file, for the nodes of one machine.
        case sqlite(path: String)
        /// A server; the file holds its URL and with it the password.
        case postgres(urlFile: String)
    }

    /// A bucket on an S3 server; the keys stand in files only their owner can read.
    package struct Bucket: Sendable, Equatable {
        /// Scheme, host and port.
        package var endpoint: String
        package var name: String
        package var region: String
        /// In front of every key.
        package var prefix: String?
        package var accessKeyFile: String
        package var secretKeyFile: String
        /// PEM file of the authorities the endpoint's certificate may come from; nil: the system's.
        package var caFile: String?
        /// `endpoint/bucket` rather than `bucket.endpoint`.
        package var isPathStyle: Bool
        package static let defaultRegion = "us-east-1"
        package init(endpoint: String, name: String, region: String, prefix: String?, accessKeyFile: String, secretKeyFile: String, caFile: String?, isPathStyle: Bool) {
            self.endpoint = endpoint; self.name = name; self.region = region; self.prefix = prefix
            self.accessKeyFile = accessKeyFile; self.secretKeyFile = secretKeyFile; self.caFile = caFile; self.isPathStyle = isPathStyle
        }
    }

    package var nodes: [TopologyNode]
    package var store: Store
    /// The folder recordings are kept in; with a bucket, the one they are written to first.
    package var storageFolder: String
    /// True when the operator says that folder is one file system for all hosts.
    package var storageIsShared: Bool
    /// A folder on each host's own disk below which recorders keep journals until they are stored; nil: they are written where they stay.
    package var journalsFolder: String?
    /// Where recordings are kept for all nodes.
    package var storageBucket: Bucket?
    /// One address for all nodes, without a trailing slash.
    package var publicURL: String?
    /// Origins beyond the nodes' own that may call.
    package var extraOrigins: [String]
    package var tls: TLS
    package var caFolder: String
    package var keysFile: String
    package var turn: [TURNServer]
    /// The studio's files; nil for those beside the program.
    package var studioFolder: String?
    /// How long a node that is told to stop lets its clients move to others.
    package var drainSeconds = Topology.defaultDrainSeconds
    package static let defaultDrainSeconds = 10
    /// Whether operators may do faults to its nodes: for test clusters.
    package var allowsChaos = false

    package func node(_ name: NodeName) -> TopologyNode? { nodes.first { $0.name == name } }
    /// Where people reach a node: its own address, whatever `public_url` says.
    package func url(of node: TopologyNode) -> String { "\(tls == .off ? "http" : "https")://\(node.hostInURL):\(node.httpPort)" }
    /// Where links people are sent lead to.
    package func publicURL(of node: TopologyNode) -> String { publicURL ?? url(of: node) }
    /// Browser origins that may call: every node's own, the public one, and those listed.
    package var allowedOrigins: [String] {
        var all = nodes.map { url(of: $0) } + (publicURL.map { [$0] } ?? []) + extraOrigins
        // A node on loopback is opened by either name.
        all += nodes.filter(\.isLoopback).map { "\(tls == .off ? "http" : "https")://localhost:\($0.httpPort)" }
        var seen: Set<String> = []
        return all.filter { seen.insert($0).inserted }
    }
}

package struct TopologyNode: Sendable, Equatable {
    package var name: NodeName
    /// Where other nodes and clients reach it: a numeric address or a name.
    package var host: String
    /// Numeric address to listen on; nil listens on `host`.
    package var bind: String?
    package var clusterPort: UInt16
    package var httpPort: UInt16
    /// One UDP port, and one media loop, each.
    package var mediaPorts: [UInt16]
    /// UDP ports of the loops' pipes, in the order of `mediaPorts`; empty: the system chooses.
    package var pipePorts: [UInt16]
    /// Addresses clients are given for media; numeric.
    package var announced: [String]
    package var roles: Set<NodeRole>
    package var region: String?
    /// Weight in placement.
    package var capacity: Int
    /// Processors media loops are pinned to; empty: not pinned.
    package var mediaCPUs: [Int]
    /// Processors for finishing and rendering; empty: not pinned.
    package var pipelineCPUs: [Int]
    /// Where the file speaks of this node.
    package var position: TextPosition

    package var isLoopback: Bool { host == "localhost" || SocketAddress(host: host, port: 0)?.isLoopback == true }
    package var hostInURL: String { host.contains(":") ? "[\(host)]" : host }
    /// Where other nodes, and operators, dial this one's links.
    package var linkAddress: SocketAddress? { SocketAddress(host: host == "localhost" ? "127.0.0.1" : host, port: clusterPort) }
    /// The address to listen on, where it is numeric.
    package func listenAddress(port: UInt16) -> SocketAddress? {
        SocketAddress(host: bind ?? (host == "localhost" ? "127.0.0.1" : host), port: port)
    }
}
