// A Recording on its way to another recorder: both capture for a while, so that no packet falls between them.
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
    var snapshot: RoomSnapshot
}

extension Recording: MovingActor {
    /// Stops deciding and taking notes, not capturing, and gives the state. `stay` or `left` follows.
    func prepareMove() throws -> [UInt8] {
        guard let record, record.status.state == .recording, let view else {
            throw ServiceError(.conflict, code: "recording_busy", message: "the recording is not running; it ends where it is")
        }
        isMoving = true
        do {
            return try CBOREncoder.encode(MovingRecording(record: record, people: people.values.sorted { $0.id < $1.id }, snapshot: view.asSnapshot))
        } catch {
            isMoving = false
            throw error
        }
    }
    /// The move was given up.
    func stay() { isMoving = false }

    /// It goes on elsewhere. What is captured here until the other has reached every track is evidence like any other.
    func left() {
        record = nil
        begin(on: context.loop) { recording in
            try? await recording.context.loop.sleep(for: Limits.overlap)
            let tags = await recording.closeTaps(), recorder = recording.recorder
            // It may have come back here meanwhile, in another life that goes on writing.
            if recorder.holds(recording, id: recording.recordingID) {
                try? recorder.journals.close(recording: recording.layout)
            } else {
                for tag in tags { try? recorder.journals.close(tag) }
            }
            // Not before: the node's Router of the room goes with the last who is in it.
            recording.leave()
        }
    }

    /// Activation on the node it moved to.
    static func activate(from bytes: [UInt8], claim: Claim, context: ConferenceContext, recorder: Recorder) async throws -> Recording {
        let moved = try CBORDecoder.decode(MovingRecording.self, from: bytes)
        let recording = Recording(context: context, recorder: recorder, id: moved.record.status.recordingID, claim: claim, record: moved.record)
        recorder.add(recording, id: moved.record.status.recordingID)
        await recording.local { $0.takeOver(moved) }
        return recording
    }
    private func takeOver(_ moved: MovingRecording) {
        record?.recorder = actorSystem.node
        for person in moved.people { people[person.id] = person }
        begin(moved.snapshot)
        begin(on: context.loop) { recording in
            await recording.change(.recording, reason: recording.record?.status.reason)
            await recording.followRoom()
        }
    }
}
