// A Recording on its way to another recorder: what decides moves, what captures is somebody else's (docs/decisions/0034-capture-writers.md).
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// What goes along; journals stay where they were written, and are merged when the recording is finished.
struct MovingRecording: Codable, Sendable {
    var record: RecordingRecord
    var people: [RecordingFacts.Person]
    /// Nodes that capture, the one it leaves among them.
    var writing: [NodeName]
    /// The room as its writer there knew it.
    var snapshot: RoomSnapshot?
}

extension Recording: MovingActor {
    /// Stops deciding, and gives the state. `stay` or `left` follows.
    func prepareMove() throws -> [UInt8] {
        guard let record, record.status.state == .recording, let writer else {
            throw ServiceError(.conflict, code: "recording_busy", message: "the recording is not running; it ends where it is")
        }
        isMoving = true
        do {
            return try CBOREncoder.encode(MovingRecording(
                record: record, people: people.values.sorted { $0.id < $1.id }, writing: writing.sorted() + [actorSystem.node],
                snapshot: writer.assumeIsolated { $0.view?.asSnapshot }))
        } catch {
            isMoving = false
            throw error
        }
    }
    /// The move was given up.
    func stay() { isMoving = false }

    /// It goes on elsewhere; the writer here until it is released from there.
    func left() { record = nil }

    /// Activation on the node it moved to.
    static func activate(from bytes: [UInt8], claim: Claim, context: ConferenceContext, recorder: Recorder) async throws -> Recording {
        let moved = try CBORDecoder.decode(MovingRecording.self, from: bytes)
        let recording = Recording(context: context, recorder: recorder, id: moved.record.status.recordingID, claim: claim, record: moved.record)
        try await recording.local { try $0.takeOver(moved) }
        return recording
    }
    private func takeOver(_ moved: MovingRecording) throws {
        record?.recorder = actorSystem.node
        for person in moved.people { people[person.id] = person }
        writing = Set(moved.writing).subtracting([actorSystem.node])
        try begin(with: moved.snapshot)
        begin(on: context.loop) { await $0.change(.recording, reason: $0.record?.status.reason) }
    }
}
