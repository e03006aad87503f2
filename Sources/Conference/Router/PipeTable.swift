// The flows of one media loop to the loops of other nodes: who has which keys, and who labels which stream.
import Cluster
import Contracts
import Primitives
import Transport

/// A media loop of another node, in one life of that node.
struct PipePeer: Hashable, Comparable {
    let node: NodeName
    let incarnation: Incarnation
    let loop: Int
    init(_ router: RouterAddress) { node = router.node; incarnation = router.incarnation; loop = router.loop }
    static func < (a: PipePeer, b: PipePeer) -> Bool { (a.node, a.incarnation, a.loop) < (b.node, b.incarnation, b.loop) }
}

/// Confined to its media loop. One flow per peer; both sides may ask for the first track at the same time.
///
/// A key seals packets of one flow only: whenever the far end is a new one, the own end is made anew, so that no packet counter ever
/// starts again under a key that was used. Flows of an earlier incarnation of the same loop are dropped when a new one appears.
final class PipeTable {
    private struct Flow {
        var own: PipeEnd
        var far: PipeEnd?
        var pipe: PipeTransport?
        var nextStream: UInt32 = 0
    }
    private let media: MediaLoop
    private let system: ClusterSystem
    private let loop: Int
    private let random: any RandomSource
    private var flows: [PipePeer: Flow] = [:]

    init(media: MediaLoop, system: ClusterSystem, loop: Int, random: any RandomSource) {
        self.media = media
        self.system = system
        self.loop = loop
        self.random = random
    }

    /// What to name in a request to `peer`: our end, and a label for the track. The asking side labels; the two sides' labels
    /// differ in their lowest bit, since feedback about a stream comes back under the same label.
    func prepare(_ peer: PipePeer) -> (end: PipeEnd, streamID: UInt32) {
        dropEarlierLives(of: peer)
        var flow = flows[peer] ?? Flow(own: makeEnd())
        flow.nextStream &+= 1
        let isLower = (system.node, system.incarnation, loop) < (peer.node, peer.incarnation, peer.loop)
        let stream = flow.nextStream << 1 | (isLower ? 0 : 1)
        flows[peer] = flow
        return (flow.own, stream)
    }

    /// The answer to a request of ours named `far`.
    func complete(_ peer: PipePeer, far: PipeEnd, asked: PipeEnd) throws -> PipeTransport {
        guard let flow = flows[peer], flow.own == asked else {
            throw ServiceError(.unavailable, code: "pipe_replaced", message: "the pipe was set up anew meanwhile; ask again")
        }
        return try connect(peer, flow, far)
    }

    /// A request of `peer`, receiving at `far`. - Returns: our end for the answer, and the pipe to send on.
    func accept(_ peer: PipePeer, far: PipeEnd) throws -> (end: PipeEnd, pipe: PipeTransport) {
        dropEarlierLives(of: peer)
        var flow = flows[peer] ?? Flow(own: makeEnd())
        if let known = flow.far, known != far { flow = Flow(own: makeEnd(), nextStream: flow.nextStream) }
        let pipe = try connect(peer, flow, far)
        return (flows[peer]!.own, pipe)
    }

    private func connect(_ peer: PipePeer, _ flow: Flow, _ far: PipeEnd) throws -> PipeTransport {
        if let pipe = flow.pipe, flow.far == far { return pipe }
        if let old = flows[peer]?.pipe { media.removePipe(old.index) }
        let pipe = try media.addPipe(PipeFlow(
            localID: flow.own.flow, remoteID: far.flow, remote: far.address, sendKey: far.key, receiveKey: flow.own.key, tellsRecovered: far.takesRecovered == true))
        flows[peer] = Flow(own: flow.own, far: far, pipe: pipe, nextStream: flow.nextStream)
        return pipe
    }

    private func makeEnd() -> PipeEnd {
        PipeEnd(address: media.pipeAddress, flow: media.freeFlowID(), key: random.bytes(PipeTransport.Limits.keyLength), takesRecovered: true)
    }

    private func dropEarlierLives(of peer: PipePeer) {
        for old in flows.keys where old.node == peer.node && old.loop == peer.loop && old.incarnation < peer.incarnation {
            if let pipe = flows.removeValue(forKey: old)?.pipe { media.removePipe(pipe.index) }
        }
    }
}
