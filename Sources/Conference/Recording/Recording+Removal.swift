// A recording's end of life: asked for, or its time is over (docs/decisions/0039-consent-and-retention.md).
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// Why a recording is deleted. Raw values stand in the log and at `/metrics`.
package enum RemovalCause: String, Codable, Sendable, CaseIterable { case asked, retention }

extension Recording {
    /// `policy.json`: what `RecordingPolicy` says, and when the recording goes.
    struct PolicyFile: Codable {
        var version = 1
        var viewers: RecordingPolicy.Viewers
        var retentionDays: Int?
        var deleteAfter: String?
        enum CodingKeys: String, CodingKey { case version, viewers, retentionDays = "retention_days", deleteAfter = "delete_after" }
    }
    /// Beside the files, for whoever has only them; the row decides.
    func writePolicy() {
        guard let record else { return }
        let policy = record.policy ?? RecordingPolicy()
        let file = PolicyFile(viewers: policy.viewers, retentionDays: policy.retentionDays, deleteAfter: record.deleteAfter?.rfc3339)
        guard let bytes = try? CaptureJSON.encode(file, pretty: true) else { return }
        let recorder = recorder, layout = layout, context = context
        context.loop.spawn {
            do { try await recorder.write(bytes, as: layout.policy) } catch { context.log(.warning, "policy_file", ["recording": layout.recording.rawValue, "error": "\(error)"]) }
        }
    }

    /// Removes every file, the bucket's copy, and the rows.
    ///
    /// The row goes last and is overdue from the first step on: whatever dies meanwhile, the sweeper of some recorder node does the rest.
    package distributed func erase(_ cause: RemovalCause) async throws -> RecordingRemoval {
        guard let status = record?.status else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        guard !status.state.isActive else { throw ServiceError(.conflict, code: "still_recording", message: "stop the recording first") }
        guard status.state == .ready || status.state == .failed, !isMakingFiles else {
            throw ServiceError(.conflict, code: "still_processing", message: "its files are being written; delete it when it is `ready` or `failed`, in a moment")
        }
        guard !isErasing else { throw ServiceError(.conflict, code: "being_deleted", message: "it is being deleted at this moment") }
        isErasing = true
        var isErased = false
        // Whatever else runs in this activation learns that there is nothing left to work on.
        defer { if !isErased { isErasing = false } }
        if record!.deleteAfter.map({ $0 > context.loop.wall }) ?? true {
            record!.deleteAfter = context.loop.wall
            try await context.recordings.update(record!)
        }
        let unstored = await forgetElsewhere()
        var removal = try await recorder.erase(layout)
        removal.objects += unstored.objects
        removal.bytes += unstored.bytes
        if removal.isPending {
            record!.status.state = .failed
            record!.status.reason = "deleted; its copy in the bucket goes as soon as the bucket answers"
            (record!.tracks, record!.status.size, record!.status.outputPath) = ([], nil, nil)
            try await context.recordings.update(record!)
        } else {
            removal.rows = try await context.recordings.deleteRecording(recordingID)
            record = nil
        }
        isErased = true
        recorder.count(removal, cause)
        context.log(.info, "recording_deleted", [
            "recording": recordingID.rawValue, "room": status.roomID.rawValue, "cause": cause.rawValue, "objects": "\(removal.objects)", "bytes": "\(removal.bytes)",
            "bucket_objects": removal.bucketObjects.map(String.init) ?? "", "rows": "\(removal.rows)", "pending": "\(removal.isPending)",
        ])
        if !removal.isPending { tellRoomItIsGone(status, cause) }
        await actorSystem.deactivate(kind: Recording.kind, key: recordingID.rawValue)
        return removal
    }
    /// A recorder that does not answer removes what it has when it brings it.
    private func forgetElsewhere() async -> RecordingRemoval {
        let layout = layout, system = actorSystem
        return await withTaskGroup(of: RecordingRemoval?.self) { group in
            for node in otherRecorders.sorted() {
                let agent = system.service(RecorderAgent.self, on: node, RecorderAgent.service)
                group.addTask { await Self.forgotten { try await agent.forget(layout.recording, room: layout.room) } }
            }
            var sum = RecordingRemoval(objects: 0, bytes: 0)
            for await case let one? in group {
                sum.objects += one.objects
                sum.bytes += one.bytes
            }
            return sum
        }
    }
    private static func forgotten(_ ask: @Sendable () async throws -> RecordingRemoval) async -> RecordingRemoval? {
        try? await ClusterSystem.$deadline.withValue(Limits.order) { try await ask() }
    }
    private func tellRoomItIsGone(_ status: RecordingStatus, _ cause: RemovalCause) {
        var gone = RecordingStatus(recordingID: status.recordingID, roomID: status.roomID, state: .deleted)
        gone.reason = cause == .retention ? "its time was over" : nil
        let context = context, told = gone, room = context.room(status.roomID)
        context.loop.spawn {
            for _ in 0..<Limits.tellAttempts {
                do { return try await room.recordingChanged(told) } catch is ServiceError { return } catch { try? await context.loop.sleep(for: Limits.retry) }
            }
        }
    }
}

/// Deletes recordings whose time is over. Every recorder node runs one; who deletes is decided by the recording's claim.
enum RetentionSweeper {
    enum Limits {
        /// Between two looks at the store.
        static let look = Duration.seconds(15)
        /// Recordings deleted in one of them.
        static let round = 16
    }
    static func begin(_ context: ConferenceContext) {
        context.loop.spawn {
            while true {
                // Not all nodes at the same moment.
                let share = Int64(StableHash.fnv1a(context.system.node.rawValue.utf8) % 5_000)
                guard (try? await context.loop.sleep(for: Limits.look + .milliseconds(share))) != nil else { return }
                await sweep(context)
            }
        }
    }
    static func sweep(_ context: ConferenceContext) async {
        guard let overdue = try? await context.recordings.overdueRecordings(at: context.loop.wall, limit: Limits.round) else { return }
        for record in overdue {
            let id = record.status.recordingID
            do { _ = try await context.recording(id).erase(.retention) } catch let error as ServiceError where error.kind == .notFound || error.kind == .conflict {
                continue
            } catch {
                context.log(.warning, "retention", ["recording": id.rawValue, "error": "\(error)"])
                return
            }
        }
    }
}
