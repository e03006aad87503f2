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
        context.log(.info, "recording_state", ["recording": recordingID.rawValue, "room": layout.room.rawValue, "state": state.rawValue, "reason": reason ?? ""])
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
        note(RecordedEvent(.recordingStopped, at: record?.stoppedAt ?? context.loop.wall))
        try? writeFacts()
        await closeWriters(writing)
        await finish()
    }

    /// The writer died with its node. Where the room still wants the recording it goes on here, under the same id, with a hole of that
    /// time; else what the journals hold is finished, unasked.
    func goOnAfterDeath() async {
        guard let record, record.status.state.isActive, let snapshot = await roomThatWantsIt(record.status) else { return await finishAfterDeath() }
        self.record?.recorder = actorSystem.node
        self.record?.status.state = .recording
        let reason = "its recorder stopped unexpectedly; it goes on at \(actorSystem.node)"
        context.log(.warning, "recording_continues", ["recording": recordingID.rawValue, "from": record.recorder.rawValue])
        // Whoever captured for the one that died goes on until this one has every track.
        writing = otherRecorders
        do { try begin(with: snapshot) } catch { return context.log(.error, "capture", ["recording": recordingID.rawValue, "error": "\(error)"]) }
        note(RecordedEvent(.writerChanged, at: context.loop.wall))
        await change(.recording, reason: reason)
    }
    private func closeWriters(_ others: Set<NodeName>) async {
        async let elsewhere: Void = release(others)
        try? await recorder.release(recordingID, epoch: epoch)
        await elsewhere
        writer = nil
    }
    /// Asked for as long as a room may take to come back that died with its recorder.
    private func roomThatWantsIt(_ status: RecordingStatus) async -> RoomSnapshot? {
        let room = context.room(status.roomID), end = context.loop.now + Limits.roomReturn
        while context.loop.now < end {
            if let snapshot = try? await room.present(status) {
                return snapshot.recording?.recordingID == recordingID && snapshot.recording?.state.isActive == true && !snapshot.participants.isEmpty ? snapshot : nil
            }
            try? await context.loop.sleep(for: Limits.retry)
        }
        return nil
    }
    /// Another recorder holds a newer claim and decides. The writer here goes on until it says otherwise.
    func claimLost() async {
        record = nil
    }

    func finishAfterDeath() async {
        context.log(.warning, "recording_recovered", ["recording": recordingID.rawValue, "state": record?.status.state.rawValue ?? ""])
        await closeWriters(otherRecorders)
        await finish(reason: "the recorder stopped unexpectedly; finished from what was captured until then")
    }

    /// A disk that is full, or another process at the same recording, is waited for, `Limits.finishAttempts` times.
    /// - Parameter isAgain: the recording is ready already, and stays so meanwhile.
    func finalise(isAgain: Bool = false) async -> Result<FinishedRecording, MediaFailure> {
        var pause = Limits.finishRetry
        for _ in 1..<Limits.finishAttempts {
            let result = await recorder.finalise(layout)
            guard record != nil, case .failure(let failure) = result, failure.isTemporary else { return result }
            context.log(.warning, "finish_retry", ["recording": recordingID.rawValue, "seconds": "\(pause.inSeconds)", "error": failure.message])
            if !isAgain { await change(.processing, reason: "tried again: \(failure.message)") }
            try? await context.loop.sleep(for: pause)
            pause = pause * 2
        }
        return await recorder.finalise(layout)
    }

    func adopt(_ finished: FinishedRecording) {
        record!.status.duration = finished.duration
        record!.status.size = finished.size
        record!.status.outputPath = layout.folder
        record!.tracks = finished.tracks
        if record!.stoppedAt == nil { record!.stoppedAt = record!.startedAt + .milliseconds(Int64(finished.duration * 1000)) }
    }
    /// What is made of every recording, and the bucket's copy, follow.
    func tell(_ finished: FinishedRecording) {
        guard let record, let onReady = recorder.onReady else { return }
        context.loop.spawn { await onReady(record, finished.revision) }
    }
    private func finish(reason: String? = nil) async {
        await change(.processing, reason: reason)
        let result = await finalise()
        guard record != nil else { return }
        isFinishingAgain = true
        record!.deleteAfter = record!.policy?.deleteAfter(record!.stoppedAt ?? context.loop.wall)
        writePolicy()
        switch result {
        case .success(let finished):
            adopt(finished)
            await change(.ready, reason: reason)
            tell(finished)
        case .failure(let failure):
            await change(.failed, reason: failure.message)
        }
        // The row says all there is to say then; a later order (delete, an upload) activates it again.
        await finishAgainAndLeave()
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
        case .recording, .ended, .participantMoved, .trackMoved, .eventsLost: return nil
        }
        epoch = event.epoch.rawValue
        sequence = event.sequence
    }
}
