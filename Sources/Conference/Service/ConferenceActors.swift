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
        system.virtual(Room.kind, roles: ["room"], revives: true, move: moving(Room.self) { try await Room.activate(from: $0, claim: $1, context: context) }) { key, claim, _ in
            try await Room.activate(key: key, claim: claim, context: context)
        } lost: { _, actor in
            await (actor as? Room)?.local { $0.claimLost() }
        }
        system.virtual(Recording.kind, roles: ["recorder"], move: moving(Recording.self) { try await Recording.activate(from: $0, claim: $1, context: context, recorder: try required(recorder)) }) { key, claim, _ in
            try await Recording.activate(key: key, claim: claim, context: context, recorder: try required(recorder))
        } lost: { _, actor in
            await (actor as? Recording)?.local { await $0.claimLost() }
        }
    }

    private static func required(_ recorder: Recorder?) throws -> Recorder {
        guard let recorder else { throw ServiceError(.unavailable, code: "no_recorder", message: "this node is no recorder") }
        return recorder
    }
    private static func moving<A: MovingActor>(
        _: A.Type, _ activate: @escaping @Sendable (_ snapshot: [UInt8], _ claim: Claim) async throws -> A
    ) -> VirtualMove {
        VirtualMove(
            snapshot: { _, actor in
                guard let actor = actor as? A else { preconditionFailure("\(actor) is no \(A.self)") }
                return try await actor.local { try $0.prepareMove() }
            },
            activate: { _, claim, _, snapshot in try await activate(snapshot, claim) },
            kept: { _, actor in await (actor as? A)?.local { $0.stay() } },
            left: { _, actor, _ in await (actor as? A)?.local { $0.left() } })
    }

    /// On a recorder, once its cluster system has started.
    package static func begin(_ context: ConferenceContext, _ recorder: Recorder) {
        context.system.provide(RecorderAgent(context: context, recorder: recorder), as: RecorderAgent.service)
        recorder.begin(storing: context)
        wakeUnfinished(context)
        RetentionSweeper.begin(context)
    }

    /// Finishes, unasked, the recordings an earlier life of this node left open. Tried again while the store or the claim is not settled.
    private static func wakeUnfinished(_ context: ConferenceContext) {
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

/// A virtual actor that takes its state along. Every call comes on its own executor.
protocol MovingActor: DistributedActor where ActorSystem == ClusterSystem {
    /// The state. From here on it decides nothing, until `stay`; or `left` follows.
    func prepareMove() throws -> [UInt8]
    /// The move was given up.
    func stay()
    /// It goes on elsewhere.
    func left()
}
