// From closed journals to files people can play: the row, the child process, the word to the Room.
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

extension Recording {
    /// Writes the row and tells the Room. A store that is away is told again by the next change; a newer epoch ends us.
    func change(_ state: RecordingState, reason: String?) async {
        guard record != nil else { return }
        record!.status.state = state
        record!.status.reason = reason
        do { try await context.recordings.update(record!) } catch StoreError.conflict {
            context.log(.warning, "recording_superseded", ["recording": recordingID.rawValue])
        } catch { context.log(.warning, "recording_row", ["recording": recordingID.rawValue, "error": "\(error)"]) }
        tellRoom()
    }
    private func tellRoom() {
        guard let status = record?.status else { return }
        let room = context.room(status.roomID)
        begin(on: context.loop) { recording in
            for _ in 0..<Limits.tellAttempts {
                // A newer status of ours is on its way: this one need not arrive.
                guard recording.record?.status == status else { return }
                do { return try await room.recordingChanged(status) } catch is ServiceError { return } catch {
                    try? await recording.context.loop.sleep(for: Limits.retry)
                }
            }
        }
    }

    func closeAndFinish() async {
        await change(.stopping, reason: nil)
        await closeJournals()
        context.edge.remove(recording: recordingID, room: layout.room)
        await finish()
    }

    /// The writer died with its node: its journals are closed by that; what they hold is finished, unasked.
    func finishAfterDeath() async {
        context.log(.warning, "recording_recovered", ["recording": recordingID.rawValue, "state": record?.status.state.rawValue ?? ""])
        await finish(reason: "the recorder stopped unexpectedly; finished from what was captured until then")
    }

    private func finish(reason: String? = nil) async {
        await change(.processing, reason: reason)
        let result = await recorder.finalise(layout, loop: context.loop)
        switch result {
        case .success(let finished):
            record!.status.duration = finished.duration
            record!.status.size = finished.size
            record!.status.outputPath = layout.folder
            record!.tracks = finished.tracks
            if record!.stoppedAt == nil { record!.stoppedAt = record!.startedAt + .milliseconds(Int64(finished.duration * 1000)) }
            await change(.ready, reason: reason)
        case .failure(let failure):
            await change(.failed, reason: failure.message)
        }
        recorder.remove(recordingID)
        // The row says all there is to say; a later order (delete) activates it again.
        await actorSystem.deactivate(kind: Recording.kind, key: recordingID.rawValue)
    }
}

extension RecordedEvent {
    /// A room's event as a line beside the journals; nil for what a recording does not tell of.
    init?(_ event: RoomEvent) {
        switch event.kind {
        case .participantJoined(let info):
            self.init(.participantJoined, at: event.at, participant: info.id, name: info.name)
            role = info.role.rawValue
            node = info.node.rawValue
        case .participantLeft(let id, let why):
            self.init(.participantLeft, at: event.at, participant: id)
            reason = why.rawValue
        case .trackPublished(let info):
            self.init(.trackPublished, at: event.at, participant: info.participantID, track: info.trackID)
            kind = info.kind.rawValue
            source = info.source.rawValue
            codec = info.codec
            muted = info.muted
        case .trackUnpublished(let track, let id): self.init(.trackUnpublished, at: event.at, participant: id, track: track)
        case .muted(let track, let id, let isMuted):
            self.init(.muted, at: event.at, participant: id, track: track)
            muted = isMuted
        case .chat(let message):
            self.init(.chat, at: event.at, participant: message.from, name: message.name)
            text = message.text
        case .recording, .ended, .participantMoved, .trackMoved: return nil
        }
        epoch = event.epoch.rawValue
    }
}
