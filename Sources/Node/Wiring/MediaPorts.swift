// A node's media loops, one per port of the topology.
internal import CShims
internal import Configuration
internal import EventLoop
internal import Primitives
internal import Transport
internal import WebRTC

enum MediaPorts {
    /// Starts the loops' threads, each bound to its processor where the topology names some.
    static func start(_ loops: [MediaLoop], on environment: NodeEnvironment) {
        let processors = environment.node.mediaCPUs
        for (index, loop) in loops.enumerated() {
            loop.uvLoop.start()
            guard !processors.isEmpty else { continue }
            let processor = processors[index % processors.count], log = environment.log
            loop.loop.post {
                let status = shim_pin_thread(Int32(processor))
                if status != 0 { log.warning("cannot bind a media loop to its processor", ["loop": String(index), "processor": String(processor), "errno": String(status)]) }
            }
        }
    }

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
