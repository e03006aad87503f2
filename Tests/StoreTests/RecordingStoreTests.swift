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
        try await store.insert(row)
        #expect(try await store.recording("rec-1") == row)
        await #expect(throws: StoreError.conflict) { try await store.insert(row) }
        row.tracks.removeFirst()
        try await store.update(row)
        #expect(try await store.recording("rec-1") == row)
        #expect(try await store.recordings(room: nil, limit: 1) == [row])
        try await store.deleteRecording("rec-1")
        try await store.deleteRecording("rec-1")
        #expect(try await store.recording("rec-1") == nil)
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
