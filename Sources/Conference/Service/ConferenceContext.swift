// What every actor of the conference is given: nothing is reached for globally.
import Cluster
import Contracts
import EventLoop
import Primitives

package enum LogLevel: String, Sendable { case debug, info, warning, error }

/// The surroundings of the conference's actors on one node. Made once by the node; shared, immutable.
package final class ConferenceContext: Sendable {
    package typealias Logger = @Sendable (LogLevel, _ event: String, _ fields: [String: String]) -> Void

    package let system: ClusterSystem
    /// The node's control loop: every actor but Routers lives here.
    package let loop: any Loop
    package let rooms: any RoomStore
    package let recordings: any RecordingStore
    package let events: any EventStore
    package let random: any RandomSource
    package let edge: Edge
    package let log: Logger
    /// Base addresses of the cluster's edges, as clients reach them.
    package let addresses: [NodeName: String]

    package init(
        system: ClusterSystem, loop: any Loop, rooms: any RoomStore, recordings: any RecordingStore, events: any EventStore, random: any RandomSource, edge: Edge,
        addresses: [NodeName: String] = [:], log: @escaping Logger
    ) {
        self.addresses = addresses
        self.system = system; self.loop = loop; self.rooms = rooms; self.recordings = recordings; self.events = events
        self.random = random; self.edge = edge; self.log = log
    }

    /// Where a client may go on: this node first, then the others in an order of its own, so that the clients of a node that dies spread.
    func nodes(for participant: ParticipantID) -> [String] {
        let others = addresses.filter { $0.key != system.node }.sorted {
            (StableHash.fnv1a("\(participant)@\($0.key)".utf8), $0.key) < (StableHash.fnv1a("\(participant)@\($1.key)".utf8), $1.key)
        }
        return (addresses[system.node].map { [$0] } ?? []) + others.map(\.value)
    }
    /// Where a client of this node can go on without it: edges that take clients as far as the cluster sees, in the order of `nodes(for:)`.
    package func elsewhere(for participant: ParticipantID) -> [String] {
        let up = Set(system.members().filter { $0.state.takesWork || $0.state == .suspect }.map(\.name)).subtracting([system.node])
        let reachable = Set(addresses.filter { up.contains($0.key) }.values)
        return nodes(for: participant).filter(reachable.contains)
    }
    /// Empties this node's edge; at once where there is no other.
    @discardableResult
    package func drainEdge(within deadline: Duration) async -> DrainProgress {
        let isAlone = elsewhere(for: "").isEmpty
        return await edge.drain(deadline: isAlone ? .zero : deadline, to: { [self] in elsewhere(for: $0) }, report: { [log] progress in
            log(.info, "draining", ["clients": "\(progress.clients)", "told": "\(progress.told)", "moved": "\(progress.moved)", "left": "\(progress.left)"])
        })
    }
    /// The cluster's word that this node may not decide, or may again.
    package func freezeEdge(_ frozen: Bool) { edge.freeze(frozen, to: { [self] id in nodes(for: id).filter { $0 != addresses[system.node] } }) }
    func room(_ id: RoomID) -> Room { system.reference(Room.self, kind: Room.kind, key: id.rawValue) }
    func recording(_ id: RecordingID) -> Recording { system.reference(Recording.self, kind: Recording.kind, key: id.rawValue) }
}

/// Where a recorder keeps its journals and what finishes them.
package struct RecorderSettings: Sendable {
    /// Root of the local object storage; recordings lie under `rooms/{room}/{recording}/`.
    package var storageRoot: String
    /// Path of the `troupe-media` executable.
    package var mediaWorker: String
    /// This node's own folder for journals, whose files are brought to the storage as they end; nil: they are written where they stay.
    package var journalRoot: String?
    package init(storageRoot: String, mediaWorker: String, journalRoot: String? = nil) {
        self.storageRoot = storageRoot; self.mediaWorker = mediaWorker; self.journalRoot = journalRoot
    }
}
