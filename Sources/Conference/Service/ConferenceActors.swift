// Making the conference's actors known to the cluster, and waking what a dead process left unfinished.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

package enum ConferenceActors {
    package enum Limits {
        package static let wakeAttempts = 30
        package static let wakePause = Duration.seconds(1)
    }

    /// Call it on every node before `ClusterSystem.start`.
    /// - Parameter recorder: of a node of the recorder role; nil elsewhere.
    package static func register(_ context: ConferenceContext, recorder: Recorder?) {
        let system = context.system
        system.register(error: ServiceError.self)
        system.register(error: StoreError.self)
        system.virtual(Room.kind, roles: ["room"], move: moving(context)) { key, claim, _ in
            try await Room.activate(key: key, claim: claim, context: context)
        } lost: { _, actor in
            await (actor as? Room)?.local { $0.claimLost() }
        }
        system.virtual(Recording.kind, roles: ["recorder"]) { key, claim, _ in
            guard let recorder else { throw ServiceError(.unavailable, code: "no_recorder", message: "this node is no recorder") }
            return try await Recording.activate(key: key, claim: claim, context: context, recorder: recorder)
        } lost: { _, actor in
            await (actor as? Recording)?.local { await $0.claimLost() }
        }
    }

    private static func moving(_ context: ConferenceContext) -> VirtualMove {
        VirtualMove(
            snapshot: { _, actor in
                guard let room = actor as? Room else { return [] }
                return try await room.local { try $0.prepareMove() }
            },
            activate: { _, claim, _, snapshot in try await Room.activate(from: snapshot, claim: claim, context: context) },
            kept: { _, actor in await (actor as? Room)?.local { $0.stay() } },
            left: { _, actor, _ in await (actor as? Room)?.local { $0.left() } })
    }

    /// Finishes, unasked, the recordings an earlier life of this node left open. Tried again while the store or the claim is not settled.
    package static func wakeUnfinished(_ context: ConferenceContext) {
        context.loop.spawn {
            for _ in 0..<Limits.wakeAttempts {
                do {
                    for row in try await context.recordings.unfinishedRecordings(recorder: context.system.node) {
                        context.log(.info, "recording_unfinished", ["recording": row.status.recordingID.rawValue, "state": row.status.state.rawValue])
                        _ = try await context.recording(row.status.recordingID).wake()
                    }
                    return
                } catch {
                    context.log(.warning, "recording_wake", ["error": "\(error)"])
                    try? await context.loop.sleep(for: Limits.wakePause)
                }
            }
        }
    }
}
