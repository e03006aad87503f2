// Tracks that browsers recorded themselves arrive when they can: what came after the finish is finished with again.
// Decision: docs/decisions/0037-browser-recorded-tracks.md
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

extension Recording {
    /// An upload is whole, or a writer's files came after it was released. Answers at once; said again it costs another finish, so its sender keeps a mark.
    package distributed func uploadsChanged() throws {
        guard let record, record.status.state != .deleted else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        switch record.status.state {
        // The finish is yet to come, and will find it.
        case .starting, .recording, .stopping, .deleted: return
        case .processing: newUploads = context.loop.now
        case .ready, .failed:
            newUploads = context.loop.now
            guard !isFinishingAgain else { return }
            isFinishingAgain = true
            begin(on: context.loop) { await $0.finishAgainAndLeave() }
        }
    }

    /// One at a time: a later activation would delete, or finish with, what this one is still writing. Whoever calls it has set `isFinishingAgain`.
    func finishAgainAndLeave() async {
        await finishAgain()
        // Who deleted it has this activation leave; a later one is not ours to end.
        guard record != nil, !isErasing else { return }
        await actorSystem.deactivate(kind: Recording.kind, key: recordingID.rawValue)
        isFinishingAgain = false
        // Told of while it left: the next activation's.
        if newUploads != nil, record != nil { try? await context.recording(recordingID).uploadsChanged() }
    }

    /// Until nothing new has come for `Limits.uploadsSettle`: those who were in a room end their uploads within seconds of each other.
    private func finishAgain() async {
        while newUploads != nil {
            let begun = context.loop.now
            while let last = newUploads, context.loop.now - last < Limits.uploadsSettle, context.loop.now - begun < Limits.uploadsWait {
                try? await context.loop.sleep(for: Limits.uploadsSettle)
            }
            newUploads = nil
            guard record != nil, !isErasing else { return }
            isMakingFiles = true
            let result = await finalise(isAgain: true)
            isMakingFiles = false
            guard let record else { return }
            switch result {
            case .success(let finished):
                adopt(finished)
                // A failure's reason is none of what there is now.
                await change(.ready, reason: record.status.state == .failed ? nil : record.status.reason)
                tell(finished)
            case .failure(let failure):
                context.log(.warning, "finish_again", ["recording": recordingID.rawValue, "error": failure.message])
            }
        }
    }
}
