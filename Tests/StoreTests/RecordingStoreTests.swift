import Contracts
import Primitives
import Store
import Testing

@Suite struct RecordingRows {
    @Test(arguments: Engine.here) func aRecordingComesBackAsItWasPut(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        var row = Sample.recording("rec-1", state: .ready)
        row.status.duration = 20.25
        row.status.size = 1 << 40
        row.status.outputPath = "rooms/room-a/rec-1/"
        row.status.reason = "one hole"
        row.stoppedAt = Sample.start + .seconds(21)
        row.tracks = ["audio", "video"].enumerated().map { index, kind in
            RecordedTrack(
                trackID: TrackID("t-\(index)"), participantID: "p-1", name: "Ann", kind: MediaKind(rawValue: kind)!, source: .camera, codec: "vp8",
                start: 0.25, duration: 20, key: "rooms/room-a/rec-1/tracks/p-1/t-\(index).webm")
        }
        row.status.excluded = ["p 1", "p\"2"]
        row.status.refused = ["p-3"]
        row.policy = RecordingPolicy(viewers: .host, retentionDays: 30)
        row.deleteAfter = Sample.start + .seconds(30 * 86_400)
        try await store.insert(row)
        #expect(try await store.recording("rec-1") == row)
        await #expect(throws: StoreError.conflict) { try await store.insert(row) }
        row.tracks.removeFirst()
        try await store.update(row)
        #expect(try await store.recording("rec-1") == row)
        #expect(try await store.recordings(room: nil, limit: 1) == [row])
        #expect(try await store.deleteRecording("rec-1") == 2, "the recording's row and its file's")
        #expect(try await store.deleteRecording("rec-1") == 0)
        #expect(try await store.recording("rec-1") == nil)
        await database.close()
    }

    /// Nothing of it is left, and everything of the other one is.
    @Test(arguments: Engine.here) func deletingRemovesWhatBelongsToIt(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room(), host: Sample.admission())
        for id in ["rec-1", "rec-2"] as [RecordingID] {
            var row = Sample.recording(id, state: .ready)
            row.tracks = [RecordedTrack(trackID: "t", participantID: "p", name: "", kind: .audio, source: .microphone, codec: "opus", start: 0, duration: 1, key: "k")]
            try await store.insert(row)
            _ = try await store.insert(NewJob(id: JobID("J-\(id)"), kind: .preview, recording: id, room: "room-a", priority: 0, dedupeKey: nil, parameters: "{}"))
            _ = try await store.insertToken(TokenHash(Array(repeating: id == "rec-1" ? 1 : 2, count: 32))!, for: TokenBinding(kind: .composition, room: "room-a", recording: id), scopes: [], life: .seconds(60))
            _ = try await store.saveComposition("default", of: id, state: "{}", expecting: nil)
        }
        #expect(try await store.deleteRecording("rec-1") == 5)
        #expect(try await store.recording("rec-1") == nil)
        #expect(try await store.job("J-rec-1") == nil)
        #expect(try await store.composition("default", of: "rec-1") == nil)
        #expect(try await store.deleteRecording("rec-1") == 0)
        #expect(try await store.recording("rec-2")?.tracks.count == 1)
        #expect(try await store.job("J-rec-2") != nil)
        #expect(try await store.deleteRecording("rec-2") == 5)
        await database.close()
    }

    @Test(arguments: Engine.here) func overdueOnesAreFoundAndBounded(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        for (index, state) in [RecordingState.ready, .failed, .processing, .ready, .ready].enumerated() {
            var row = Sample.recording(RecordingID("rec-\(index)"), state: state)
            row.deleteAfter = index == 4 ? nil : Sample.start + .seconds(Int64(100 - index))
            try await store.insert(row)
        }
        #expect(try await store.overdueRecordings(at: Sample.start + .seconds(96), limit: 10).isEmpty)
        #expect(try await store.overdueRecordings(at: Sample.start + .seconds(97), limit: 10).map(\.status.recordingID) == ["rec-3"])
        #expect(try await store.overdueRecordings(at: Sample.start + .seconds(1_000), limit: 10).map(\.status.recordingID) == ["rec-3", "rec-1", "rec-0"])
        #expect(try await store.overdueRecordings(at: Sample.start + .seconds(1_000), limit: 2).count == 2)
        await database.close()
    }

    @Test(arguments: Engine.here) func aParticipantFindsTheRecordingsOfItsRooms(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.room("room-a", code: "a"), host: Sample.admission("room-a", "p-1"))
        try await store.insert(Sample.room("room-b", code: "b"), host: Sample.admission("room-b", "p-2"))
        try await store.admit(Sample.admission("room-b", "p-1", role: .guest))
        for (index, room) in (["room-a", "room-b", "room-c"] as [RoomID]).enumerated() { try await store.insert(Sample.recording(RecordingID("rec-\(index)"), room: room, at: Int64(index))) }
        #expect(try await store.recordings(of: "p-1", limit: 10).map(\.status.recordingID) == ["rec-1", "rec-0"])
        #expect(try await store.recordings(of: "p-2", limit: 10).map(\.status.recordingID) == ["rec-1"])
        #expect(try await store.recordings(of: "p-3", limit: 10).isEmpty)
        await database.close()
    }

    @Test(arguments: Engine.here) func anOlderEpochIsRefused(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        try await store.insert(Sample.recording("rec-1", epoch: 3))
        try await store.update(Sample.recording("rec-1", state: .stopping, epoch: 3))
        try await store.update(Sample.recording("rec-1", state: .processing, recorder: "node-2", epoch: 4))
        await #expect(throws: StoreError.conflict) { try await store.update(Sample.recording("rec-1", state: .failed, epoch: 3)) }
        #expect(try await store.recording("rec-1") == Sample.recording("rec-1", state: .processing, recorder: "node-2", epoch: 4))
        await #expect(throws: StoreError.notFound) { try await store.update(Sample.recording("rec-2")) }
        await database.close()
    }

    @Test(arguments: Engine.here) func listsAreNewestFirstAndBounded(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        for index in 0..<5 { try await store.insert(Sample.recording(RecordingID("rec-\(index)"), room: index == 2 ? "room-b" : "room-a", at: Int64(index))) }
        #expect(try await store.recordings(room: nil, limit: 3).map(\.status.recordingID) == ["rec-4", "rec-3", "rec-2"])
        #expect(try await store.recordings(room: "room-a", limit: 10).map(\.status.recordingID) == ["rec-4", "rec-3", "rec-1", "rec-0"])
        #expect(try await store.recordings(room: nil, limit: -1).isEmpty)
        #expect(try await store.recordings(room: nil, limit: .max).count == 5)
        await database.close()
    }

    @Test(arguments: Engine.here) func aRecorderFindsItsUnfinishedWork(engine: Engine) async throws {
        let database = try await TestDatabase(engine), store = database.store()
        let states: [RecordingState] = [.starting, .recording, .stopping, .processing, .ready, .failed]
        for (index, state) in states.enumerated() { try await store.insert(Sample.recording(RecordingID("rec-\(index)"), state: state, at: Int64(index))) }
        try await store.insert(Sample.recording("rec-9", recorder: "node-2"))
        #expect(try await store.unfinishedRecordings(recorder: "node-1").map(\.status.state) == [.starting, .recording, .stopping, .processing])
        await database.close()
    }
}
