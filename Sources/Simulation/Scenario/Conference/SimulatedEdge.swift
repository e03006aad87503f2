// The conference's part of one process: wired as a node wires it, without gateway and recorder.
import Cluster
import Conference
import EventLoop
import Primitives
import Transport
import WebRTC

/// Belongs to one life.
final class SimulatedEdge: @unchecked Sendable {
    let media: MediaLoop
    let edge: Edge
    let context: ConferenceContext
    let service: LocalConference

    /// One certificate a process: its keys come from OpenSSL and decide nothing.
    static let certificate: DTLSCertificate = {
        do { return try DTLSCertificate.selfSigned(now: WallTime(microseconds: SimulatedClock.Limits.epoch)) } catch { preconditionFailure("\(error)") }
    }()

    /// Clients go by the machines' names.
    private static func addresses(of life: Life) -> [NodeName: String] {
        let names = [life.name] + life.system.configuration.peers.keys
        return Dictionary(uniqueKeysWithValues: names.map { ($0, $0.rawValue) })
    }

    init(_ life: Life, _ world: World) throws {
        let random = SeededRandom(seed: world.random("edge \(life.loop.name)").state)
        media = try MediaLoop(
            loop: life.media, bind: Wires.address(of: life.host, port: 9000), pipeBind: Wires.address(of: life.host, port: 9001), certificate: Self.certificate, random: random)
        let plane = MediaPlane(media: media, index: 0, system: life.system, random: random)
        let edge = Edge(system: life.system, loop: life.loop, planes: [plane], certificate: Self.certificate, random: random)
        edge.presetKeys = SimulatedKeys.server
        self.edge = edge
        let name = life.loop.name
        context = ConferenceContext(
            system: life.system, loop: life.loop, rooms: life.store, recordings: life.store, events: life.store, random: random, edge: edge,
            addresses: Self.addresses(of: life),
            log: { level, event, fields in
                world.say("\(name) \(level.rawValue) \(event) \(fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))")
            })
        service = LocalConference(context: context)
        ConferenceActors.register(context, recorder: nil)
        life.system.observeFreeze { [context] in context.freezeEdge($0) }
        life.system.observeMembers { [edge] event in
            if case .down(let member) = event { edge.nodeDown(member.name) }
        }
    }
}
