// Everything a node is made of before its parts are wired.
package import Configuration
package import EventLoop
internal import Glibc
package import ObjectStorage
package import Primitives
package import Store

/// What `Wiring` builds a node from. Made on the main thread before the control loop runs.
package struct NodeEnvironment: Sendable {
    package let topology: Topology
    package let node: TopologyNode
    package let keys: KeysFile
    /// The cluster's certificates of this node, for links; and for HTTPS where the topology names no others.
    package let certificates: NodeCertificates
    package let certificatePaths: CertificatePaths
    /// HTTP, WebSocket, cluster links, actors that are not on a media loop. It runs on the main thread.
    package let control: UVLoop
    package let store: SQLStore
    package let objects: LocalFolder
    /// Where recordings are kept for all nodes; nil where the folder is that place.
    package let bucket: S3Bucket?
    package let random: any RandomSource
    package let log: Log
    package let startedAt: WallTime

    /// PEM files for HTTPS; nil where the topology says `tls: off`.
    package var httpsFiles: (certificate: String, key: String)? {
        switch topology.tls {
        case .clusterCA: (certificatePaths.certificate(node.name), certificatePaths.key(node.name))
        case .files(let certificate, let key): (certificate, key)
        case .off: nil
        }
    }

    /// The program that finishes recordings, beside this one.
    package var mediaWorker: String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let program = String(decoding: path[..<max(count, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(program.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/"))/troupe-media"
    }

    /// Checks and opens what can be had without running anything. Throws what to do about what cannot.
    package static func prepare(topology: Topology, node: TopologyNode, log: Log, wall: WallTime) throws -> NodeEnvironment {
        let environment = NodeEnvironment(
            topology: topology, node: node, keys: try KeysFile.load(path: topology.keysFile),
            certificates: try ClusterKeys.certificates(of: node.name, in: topology), certificatePaths: CertificatePaths(folder: topology.caFolder),
            control: try UVLoop(name: "control"), store: try StoreOpening.open(topology.store), objects: try StorageOpening.folder(topology.storageFolder),
            bucket: try topology.storageBucket.map { bucket throws(FileError) in try StorageOpening.bucket(bucket, random: SystemRandom()) }, random: SystemRandom(), log: log, startedAt: wall)
        if let files = environment.httpsFiles {
            for path in [files.certificate, files.key] where try PrivateFile.read(path) == nil { throw FileError("\(path), the certificate for HTTPS, is not there; name another under `tls` or run `troupe keys`") }
        }
        return environment
    }
}
