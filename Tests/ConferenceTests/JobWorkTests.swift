import Contracts
import Primitives
import Testing
@testable import Conference

/// From a job's row to what `troupe-media` is called with.
@Suite struct JobWorkTests {
    private func job(_ kind: JobKind, _ parameters: String, epoch: UInt64 = 3, key: String? = nil) -> JobRecord {
        var job = JobRecord(NewJob(id: "J_1", kind: kind, recording: "RC_1", room: "R_1", dedupeKey: key, parameters: parameters), now: WallTime(seconds: 1))
        job.epoch = Epoch(epoch)
        return job
    }

    @Test func aPreviewFollowsWhatRuns() throws {
        let row = job(.preview, try JobWork.parameters(PreviewOrder(height: 480, segmentSeconds: 2)))
        let ended = try JobWork(row, root: "/data", isRunning: false)
        #expect(ended.arguments == ["preview", "--dir", "/data/rooms/R_1/RC_1", "--height", "480", "--segment-seconds", "2"] && ended.output == nil && ended.input == nil)
        #expect(try JobWork(row, root: "/data", isRunning: true).arguments == ended.arguments + ["--follow"])
    }
    /// Two attempts at one export never write one file, and what does not count can be removed.
    @Test func anExportsFileIsItsAttempts() throws {
        let parameters = try JobWork.parameters(ExportOrder(format: .mp4, composition: #"{"layout":"grid"}"#))
        let first = try JobWork(job(.export, parameters, epoch: 1), root: "/data", isRunning: false)
        let second = try JobWork(job(.export, parameters, epoch: 2), root: "/data", isRunning: false)
        #expect(first.output == "rooms/R_1/RC_1/processed/exports/J_1-1.mp4" && second.output == "rooms/R_1/RC_1/processed/exports/J_1-2.mp4")
        #expect(first.input?.key == "rooms/R_1/RC_1/processed/exports/J_1-1.json" && first.input?.content == #"{"layout":"grid"}"#)
        #expect(first.arguments.suffix(2) == ["--composition", "/data/rooms/R_1/RC_1/processed/exports/J_1-1.json"])
    }
    /// It is its attempt's file until it is whole.
    @Test(arguments: [("default", 1), ("default-2", 2), ("default-31", 31)]) func whatEveryRecordingGetsTakesItsPlaceAtTheEnd(key: String, revision: Int) throws {
        let order = try JobWork.parameters(ExportOrder(format: .webm, composition: nil, isDefault: true))
        let file = try JobWork(job(.export, order, key: key), root: "/data", isRunning: false)
        #expect(file.arguments == ["export", "--dir", "/data/rooms/R_1/RC_1", "--out", "processed/exports/J_1-3.webm", "--format", "webm"])
        #expect(file.output == "rooms/R_1/RC_1/processed/exports/J_1-3.webm" && file.input == nil)
        #expect(file.product?.name == "processed/output.webm" && file.product?.revision == revision)
        let picture = try JobWork(job(.thumbnail, "{}", key: key), root: "/data", isRunning: false)
        #expect(picture.arguments == ["thumbnail", "--dir", "/data/rooms/R_1/RC_1", "--out", "processed/exports/J_1-3.jpg"])
        #expect(picture.output == "rooms/R_1/RC_1/processed/exports/J_1-3.jpg" && picture.product?.name == "thumbnail.jpg" && picture.product?.revision == revision)
    }
    @Test(arguments: [JobKind.preview, .export])
    func parametersOfNoReleaseFail(_ kind: JobKind) {
        for text in ["", "[]", "{}", #"{"height":"tall"}"#, #"{"format":"exe"}"#] {
            do {
                _ = try JobWork(job(kind, text), root: "/data", isRunning: false)
                Issue.record("\(kind) took \(text)")
            } catch { #expect(error.code == "bad_parameters") }
        }
    }
    @Test func finishingIsNoJobOfACompositor() {
        #expect(throws: JobFailure.self) { try JobWork(job(.finalise, "{}"), root: "/data", isRunning: false) }
        #expect(!JobWork.kinds.contains(.finalise))
    }
}
