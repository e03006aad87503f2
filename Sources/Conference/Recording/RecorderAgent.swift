// What recorder nodes say to each other: who captures which recording.
import Capture
import Cluster
import Contracts
import Distributed
import Primitives

/// A decider's word: be there and capture. Saying it again changes nothing.
struct CaptureOrder: Codable, Sendable {
    var recording: RecordingID
    var room: RoomID
    /// Of the decider's claim.
    var epoch: Epoch
    /// The room as the decider knows it, for a writer that begins; one that has none asks the Room.
    var snapshot: RoomSnapshot?
}

/// How far a writer is.
struct CaptureReport: Codable, Equatable, Sendable {
    /// It knows what the room publishes.
    var isFollowing: Bool
    /// Tracks that are published and not muted, and how many of them no packet has arrived from.
    var wanted: Int
    var waiting: Int
    /// What its disk says.
    var failing: String?
    /// Every packet that reaches the cluster reaches this writer.
    var isWhole: Bool { isFollowing && waiting == 0 && failing == nil }
}

/// One on every recorder node, provided as a service; lives on the control loop.
package distributed actor RecorderAgent {
    package typealias ActorSystem = ClusterSystem
    package static let service = "recorder"
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let context: ConferenceContext
    private let recorder: Recorder

    init(context: ConferenceContext, recorder: Recorder) {
        actorSystem = context.system
        self.context = context
        self.recorder = recorder
    }

    /// - Throws: `ServiceError` `superseded` for an order of an older decider, `draining` on a node that is being emptied.
    distributed func capture(_ order: CaptureOrder) throws -> CaptureReport {
        let writer = try recorder.writer(order, context: context)
        return try writer.assumeIsolated { try $0.obey(order) }
    }
    /// A recording is being deleted. - Returns: what stood here unstored.
    distributed func forget(_ recording: RecordingID, room: RoomID) async throws -> RecordingRemoval {
        try await recorder.forget(RecordingLayout(room: room, recording: recording))
    }
    /// - Returns: when its files are closed, and stored where they are to be stored elsewhere, or late; at once where it captures nothing of the recording.
    distributed func release(_ recording: RecordingID, epoch: Epoch) async throws {
        try await recorder.release(recording, epoch: epoch)
    }
}
