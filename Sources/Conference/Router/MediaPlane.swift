// One media loop as the conference uses it: its pipes to other nodes, and its ring into the journals.
import Cluster
import Contracts
import Forwarding
import Primitives
import Transport

/// What source switches on one media loop came to, of all its Routers, those that are gone among them.
package struct SourceSwitches: Sendable, Equatable {
    package var done: UInt64 = 0
    package var afterSilence: UInt64 = 0
    package var framesLost: UInt64 = 0
}

/// Made once per media loop by the node. Everything but the constants is confined to the loop.
package final class MediaPlane: @unchecked Sendable {
    package let media: MediaLoop
    /// Index of the loop on its node; also the actor system's shard.
    package let index: Int
    /// What captured packets are written to; the node's journal thread drains it.
    package let ring: PacketRing
    let pipes: PipeTable
    private var tapIndex: TransportIndex?
    var switches = SourceSwitches()

    package init(media: MediaLoop, index: Int, system: ClusterSystem, random: any RandomSource, ring: PacketRing = PacketRing()) {
        self.media = media
        self.index = index
        self.ring = ring
        pipes = PipeTable(media: media, system: system, loop: index, random: random)
    }

    /// From any task.
    package func sourceSwitches() async -> SourceSwitches {
        await withCheckedContinuation { continuation in media.loop.run { continuation.resume(returning: self.switches) } }
    }

    /// The transport that writes into `ring`; one serves all recordings.
    func tap() throws -> TransportIndex {
        if let tapIndex { return tapIndex }
        let made = try media.addTap(ring)
        tapIndex = made
        return made
    }
}
