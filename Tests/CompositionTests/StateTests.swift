import Capture
import Primitives
import RTP
import Testing
@testable import Composition

@Suite struct StateTests {
    private let subject = CompositionSubject(peers: ["ann", "bob"], duration: 60_000)
    private func read(_ text: String) throws(CompositionError) -> CompositionState { try CompositionState.read(Array(text.utf8), for: subject) }
    private func mistakes(_ text: String) -> (kind: CompositionError.Kind?, lines: [String]) {
        do throws(CompositionError) { _ = try read(text); return (nil, []) } catch { return (error.kind, error.mistakes.map(\.description)) }
    }

    @Test func everythingIsRead() throws {
        let state = try read("""
            {"layout": "speaker", "new_field": {"x": [1]}, "timeline": [
              {"t": 0, "type": "layout", "layout": "grid"}, {"t": 1000, "type": "pin", "peer_id": "ann", "until": 2000},
              {"t": 3000, "type": "unpin"}, {"t": 3000, "type": "unpin", "peer_id": "ann"}, {"t": 4000, "type": "mute", "peer_id": "bob", "more": 1},
              {"t": 5000, "type": "unmute", "peer_id": "bob"}, {"t": 6000, "type": "hide", "peer_id": "bob"}, {"t": 7000, "type": "show", "peer_id": "bob"},
              {"t": 8000, "type": "cut", "until": 9000}, {"t": 60000, "type": "chapter", "title": "End"}],
             "tracks": [{"peer_id": "ann", "muted": true, "gain_db": -3.5, "denoise": true}, {"peer_id": "bob"}], "export": {"resolution": "1080p", "fps": 60}}
            """)
        #expect(state.layout == .speaker && state.timeline.count == 10)
        #expect(state.timeline[1] == .init(t: 1000, until: 2000, .pin("ann")))
        #expect(state.timeline[8] == .init(t: 8000, until: 9000, .cut))
        #expect(state.tracks == [.init(peer: "ann", isMuted: true, gain: -350, isDenoised: true), .init(peer: "bob")])
        #expect(state.export.size == VideoSize(width: 1920, height: 1080) && state.export.framesPerSecond == 60)
        #expect(try CompositionState(json: state.json) == state)
        #expect(try CompositionState.read(state.json.bytes, for: subject) == state)
    }
    @Test func nothingIsTheDefault() throws {
        #expect(try read("{}") == CompositionState())
        #expect(try read("{\"layout\": null, \"timeline\": null, \"tracks\": null, \"export\": null}") == CompositionState())
        #expect(CompositionState().export.size == VideoSize(width: 1280, height: 720))
    }

    @Test(arguments: [
        ("[]", ": no JSON object"), ("{", "malformed JSON at byte 1"), ("{\"layout\": \"circle\"}", "layout: no layout; write one of grid, speaker, sidebar, single"),
        ("{\"timeline\": {}}", "timeline: no array"), ("{\"timeline\": [7]}", "timeline[0]: no object"),
        ("{\"timeline\": [{\"t\": 0, \"type\": \"fly\"}]}", "timeline[0].type: `fly` is no type; write one of layout, pin"),
        ("{\"timeline\": [{\"type\": \"unpin\"}]}", "timeline[0].t: missing; write milliseconds"),
        ("{\"timeline\": [{\"t\": -1, \"type\": \"unpin\"}]}", "timeline[0].t: no whole number from 0"),
        ("{\"timeline\": [{\"t\": 0.5, \"type\": \"unpin\"}]}", "timeline[0].t: no whole number from 0"),
        ("{\"timeline\": [{\"t\": 1e300, \"type\": \"unpin\"}]}", "timeline[0].t: no whole number from 0"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"cut\"}]}", "timeline[0].until: missing; write where the cut ends"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"cut\", \"until\": 5}]}", "timeline[0].until: 5 is not after `t` (5)"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"show\", \"peer_id\": \"ann\", \"until\": 9}]}", "timeline[0].until: `show` has no end"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"pin\"}]}", "timeline[0].peer_id: missing"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"pin\", \"peer_id\": \"../x\"}]}", "timeline[0].peer_id: no participant id"),
        ("{\"timeline\": [{\"t\": 5, \"type\": \"chapter\", \"title\": \"\"}]}", "timeline[0].title: missing, empty or too long"),
        ("{\"tracks\": [{\"peer_id\": \"ann\", \"gain_db\": 21}]}", "tracks[0].gain_db: no number from -60 to 20"),
        ("{\"tracks\": [{\"peer_id\": \"ann\", \"muted\": 1}]}", "tracks[0].muted: neither true nor false"),
        ("{\"export\": {\"resolution\": \"4k\"}}", "export.resolution: no resolution that can be rendered"),
        ("{\"export\": {\"resolution\": \"361p\"}}", "export.resolution: "), ("{\"export\": {\"resolution\": \"1280x700\"}}", "export.resolution: "),
        ("{\"export\": {\"fps\": 23}}", "export.fps: no whole number from 24 to 60"), ("{\"export\": {\"fps\": 29.97}}", "export.fps: no whole"),
    ] as [(String, String)])
    func malformedIsSaidWithItsPlace(text: String, start: String) {
        let (kind, lines) = mistakes(text)
        #expect(kind == .malformed && lines.count == 1)
        #expect(lines.first.map { ": \($0)".contains(start) } == true, "\(lines)")
    }

    @Test(arguments: [
        ("{\"timeline\": [{\"t\": 0, \"type\": \"pin\", \"peer_id\": \"eve\"}]}", ["timeline[0].peer_id: \"eve\" is not in this recording; write one of ann, bob"]),
        ("{\"timeline\": [{\"t\": 60001, \"type\": \"unpin\"}]}", ["timeline[0].t: 60001 is after the end; the recording ends at 60000 ms"]),
        ("{\"timeline\": [{\"t\": 1, \"type\": \"cut\", \"until\": 60001}]}", ["timeline[0].until: 60001 is after the end; the recording ends at 60000 ms"]),
        ("{\"timeline\": [{\"t\": 50, \"type\": \"cut\", \"until\": 90}, {\"t\": 10, \"type\": \"cut\", \"until\": 60}]}",
            ["timeline[0].t: this cut begins inside the one of timeline[1]; join them, or begin it at 60"]),
        ("{\"timeline\": [{\"t\": 0, \"type\": \"cut\", \"until\": 60000}]}", ["timeline: the cuts leave nothing of 60000 ms; leave a part of the recording"]),
        ("{\"tracks\": [{\"peer_id\": \"ann\"}, {\"peer_id\": \"ann\"}]}", ["tracks[1].peer_id: \"ann\" stands here twice; write one entry a person"]),
        ("{\"tracks\": [{\"peer_id\": \"eve\"}], \"timeline\": [{\"t\": 70000, \"type\": \"mute\", \"peer_id\": \"eve\"}]}",
            ["timeline[0].peer_id: \"eve\" is not in this recording; write one of ann, bob", "timeline[0].t: 70000 is after the end; the recording ends at 60000 ms",
             "tracks[0].peer_id: \"eve\" is not in this recording; write one of ann, bob"]),
    ] as [(String, [String])])
    func whatTheRecordingDoesNotHaveIsSaid(text: String, lines: [String]) {
        let found = mistakes(text)
        #expect(found.kind == .unsupported)
        #expect(found.lines == lines)
    }

    @Test func tooMuchIsRefused() {
        let entry = "{\"t\": 1, \"type\": \"unpin\"}"
        let most = "{\"timeline\": [\(Array(repeating: entry, count: CompositionState.Limits.timelineEntries).joined(separator: ","))]}"
        #expect(mistakes(most).kind == nil)
        let more = "{\"timeline\": [\(Array(repeating: entry, count: CompositionState.Limits.timelineEntries + 1).joined(separator: ","))]}"
        #expect(mistakes(more).kind == .tooLarge)
        #expect(mistakes("{\"x\": \"" + String(repeating: "a", count: 1 << 20) + "\"}").kind == .tooLarge)
        let wrong = "{\"timeline\": [\(Array(repeating: "1", count: 500).joined(separator: ","))]}"
        do { _ = try read(wrong); Issue.record("was read") } catch {
            #expect(error.mistakes.count == CompositionState.Limits.mistakes && error.further == 500 - CompositionState.Limits.mistakes)
        }
    }
    @Test(arguments: Array(stride(from: 360, through: 1080, by: 2))) func everyPictureIsEven(height: Int) {
        let size = CompositionState.Export(height: height).size
        #expect(size.width % 2 == 0 && abs(size.width * 9 - height * 16) <= 18)
    }
}
