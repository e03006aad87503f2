// A node's media loops, one per port of the topology.
internal import EventLoop
internal import Primitives
internal import Transport
internal import WebRTC

enum MediaPorts {
    static func open(_ environment: NodeEnvironment, certificate: DTLSCertificate) throws -> [MediaLoop] {
        let node = environment.node
        return try node.mediaPorts.enumerated().map { index, port in
            // A port that is not named is the system's choice; other nodes learn it with each pipe.
            let pipePort = index < node.pipePorts.count ? node.pipePorts[index] : 0
            guard let bind = node.listenAddress(port: port), let pipe = node.listenAddress(port: pipePort) else {
                throw FileError("node `\(node.name)` has no numeric address to listen on; add `bind: ADDRESS`")
            }
            return try MediaLoop(
                name: "media-\(index)", bind: bind, pipeBind: pipe, announced: node.announced.compactMap { SocketAddress(host: $0, port: 0) },
                certificate: certificate, random: environment.random)
        }
    }
}
