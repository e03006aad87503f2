@testable import Capture
import Primitives
import RTP
import Testing
@testable import Composition

@Suite struct PlanTests {
    private let meeting = Recordings.meeting(["ann", "bob", "cid"])

    @Test func aMeetingIsOneInterval() throws {
        let plan = try meeting.plan()
        #expect(plan.intervals.count == 1 && plan.duration == 60_000_000 && plan.frameCount == 1_800)
        #expect(plan.names(30) == ["ann", "bob", "cid"] && plan.heard(30) == ["ann-mic", "bob-mic", "cid-mic"])
        #expect(plan.people.map(\.name) == ["ANN", "BOB", "CID"] && plan.missing.isEmpty && plan.chapters.isEmpty)
    }
    @Test func aCameraThatIsOffShowsTheName() throws {
        var room = Recordings.meeting(["ann"])
        room.muted("ann-cam", "ann", at: 10_000, true)
        room.muted("ann-cam", "ann", at: 20_000, false)
        let plan = try room.plan()
        #expect(plan.intervals.map(\.output) == [0..<10_000_000, 10_000_000..<20_000_000, 20_000_000..<60_000_000])
        #expect(plan.names(15) == ["ann-off"] && plan.names(25) == ["ann"])
    }
    @Test func aTrackPublishedMutedIsOffFromTheBeginning() throws {
        var room = Recordings.meeting(["ann"])
        var entry = Timeline.Entry(t: -5, type: "track_published", peerID: "ann", trackID: "ann-cam")
        entry.muted = true
        room.events.append(entry)
        #expect(try room.plan().names(59) == ["ann-off"])
    }
    @Test func peopleComeAndGo() throws {
        var room = Recordings.meeting(["ann"])
        room.participant("bob", name: "Bob", joined: 10, left: 50)
        room.track("bob-cam", "bob", "camera", 12, 30)
        room.participant("eve", name: "Eve", joined: 0)
        room.events += [(10_000, "participant_joined"), (20_000, "participant_left"), (25_000, "participant_joined"), (50_000, "participant_left")]
            .map { Timeline.Entry(t: $0.0, type: $0.1, peerID: "bob") }
        let plan = try room.plan()
        #expect(plan.names(5) == ["ann"], "Eve never sent anything")
        #expect(plan.names(11) == ["ann", "bob-off"] && plan.names(15) == ["ann", "bob"])
        #expect(plan.names(22) == ["ann", "bob"], "media outweighs a missing event")
        #expect(plan.names(40) == ["ann", "bob-off"] && plan.names(55) == ["ann"])
        #expect(plan.chapters == [.init(at: 0, title: "A meeting"), .init(at: 10_000_000, title: "Bob joins")])
    }
    @Test func aLongHoleGivesWayToThePlaceholder() throws {
        var room = Recordings()
        room.participant("ann", name: "Ann")
        let hole = Manifest.MissingPart(from: 10, to: 20, cause: .recorderDown, packets: 0), short = Manifest.MissingPart(from: 30, to: 31.9, cause: .network, packets: 3)
        room.track("cam", "ann", "camera", 0, 60, holes: [hole, short])
        let plan = try room.plan()
        #expect(plan.names(11) == ["ann"] && plan.names(13) == ["ann-off"] && plan.names(21) == ["ann"] && plan.names(31) == ["ann"])
        #expect(plan.missing == [.init(peerID: "ann", trackID: "cam", from: 10, to: 20, cause: "recorder_down"), .init(peerID: "ann", trackID: "cam", from: 30, to: 31.9, cause: "network")])
    }
    @Test func aSharedScreenIsLarge() throws {
        var room = meeting
        room.track("bob-screen", "bob", "screen_share", 20, 40)
        let plan = try room.plan()
        #expect(plan.names(10) == ["ann", "bob", "cid"] && plan.names(30) == ["bob+screen", "ann", "bob", "cid"] && plan.names(50) == ["ann", "bob", "cid"])
        let tiles = try #require(plan.at(30)).tiles
        #expect(tiles[0].place.width > 900 && tiles[1].place.width < 330)
        #expect(plan.chapters.map(\.title) == ["A meeting", "BOB shares a screen"])
    }

    @Test func theSpeakerIsLarge() throws {
        var room = meeting
        room.speaks("bob-mic", "bob", 10_000, 20_000)
        room.speaks("cid-mic", "cid", 30_000, 40_000)
        for layout in [CompositionLayout.speaker, .sidebar, .single] {
            let plan = try room.plan(.init(layout: layout))
            #expect([5, 15, 25, 35].map { plan.names($0).first } == ["ann", "bob", "bob", "cid"])
            #expect(plan.names(15).count == (layout == .single ? 1 : 3) && Set(plan.names(15)).count == plan.names(15).count)
        }
        #expect(try room.plan(.init(layout: .grid)).intervals.count == 1, "a grid does not change with who speaks")
    }
    @Test func whoSpeaksIsInAGridThatIsTooSmall() throws {
        let peers = (0..<40).map { ParticipantID("p\($0 < 10 ? "0" : "")\($0)") }
        var room = Recordings.meeting(peers)
        room.speaks("p39-mic", "p39", 10_000, 20_000)
        let plan = try room.plan()
        #expect(plan.names(5).count == 25 && !plan.names(5).contains("p39") && plan.names(15).contains("p39") && plan.heard(5).count == 40)
    }

    @Test func editsHappenAtTheirTime() throws {
        let state = CompositionState(layout: .grid, timeline: [
            .init(t: 50_000, .layout(.single)), .init(t: 10_000, until: 20_000, .pin("bob")), .init(t: 15_000, .pin("cid")), .init(t: 30_000, .unpin(nil)),
            .init(t: 20_000, until: 25_000, .mute("ann")), .init(t: 40_000, .hide("ann")), .init(t: 45_000, .show("ann")),
        ], tracks: [.init(peer: "bob", gain: -600), .init(peer: "cid", isMuted: true)])
        let plan = try meeting.plan(state)
        #expect([5, 12, 17, 22, 35].map { plan.names($0).first } == ["ann", "bob", "cid", "cid", "ann"], "the latest pin wins")
        #expect(try #require(plan.at(12)).tiles[0].place.width > 900)
        #expect(plan.heard(19) == ["ann-mic", "bob-mic"] && plan.heard(22) == ["bob-mic"] && plan.heard(26) == ["ann-mic", "bob-mic"])
        #expect(plan.names(42) == ["bob", "cid"] && plan.heard(42).contains("ann-mic"), "who is hidden is heard")
        #expect(plan.names(47) == ["ann", "bob", "cid"] && plan.names(55) == ["ann"])
        #expect(plan.at(5)?.sounds.map(\.gain) == [0, -600])
    }
    @Test func anEndStandsBeforeABeginning() throws {
        let plan = try meeting.plan(.init(timeline: [.init(t: 20_000, until: 30_000, .mute("ann")), .init(t: 10_000, until: 20_000, .mute("ann"))]))
        #expect(!plan.heard(20).contains("ann-mic") && !plan.heard(29.9).contains("ann-mic") && plan.heard(30).contains("ann-mic"))
    }
    @Test func cutsAreTakenOut() throws {
        var room = meeting
        room.speaks("bob-mic", "bob", 15_000, 20_000)
        let state = CompositionState(layout: .single, timeline: [.init(t: 10_000, .cut).until(17_000), .init(t: 0, .cut).until(1_000), .init(t: 16_000, .chapter("In the cut")), .init(t: 30_000, .chapter("Later"))])
        let plan = try room.plan(state)
        #expect(plan.duration == 52_000_000)
        #expect(plan.intervals.map(\.output) == [0..<9_000_000, 9_000_000..<52_000_000])
        #expect(plan.intervals.map(\.start) == [1_000_000, 17_000_000])
        #expect(plan.names(8.9) == ["ann"] && plan.names(9) == ["bob"], "who began to speak in the cut is shown after it")
        #expect(plan.chapters == [.init(at: 0, title: "A meeting"), .init(at: 9_000_000, title: "In the cut"), .init(at: 22_000_000, title: "Later")])
    }
    @Test func turnsAndPartsAreKept() throws {
        var room = Recordings()
        room.participant("ann", name: "Ann")
        room.track("cam", "ann", "camera", 0, 60, files: 2)
        var turn = Timeline.Entry(t: 20_000, type: "rotation", peerID: "ann", trackID: "cam")
        turn.rotation = 90
        room.events.append(turn)
        let plan = try room.plan()
        #expect(plan.sources[0].pieces.map(\.range) == [0..<30_000_000, 30_000_000..<60_000_000] && plan.sources[0].pieces.map(\.path) == ["tracks/ann/cam.part1.webm", "tracks/ann/cam.part2.webm"])
        #expect(plan.at(10)?.tiles[0].rotation == 0 && plan.at(30)?.tiles[0].rotation == 90)
    }
    @Test func nothingToRenderIsSaid() {
        #expect(throws: CompositionError.self) { try Recordings().plan() }
        var room = Recordings()
        room.track("cam", "ann", "camera", 0, 60, files: 0)
        #expect(throws: CompositionError.self) { try room.plan() }
    }
    @Test func absurdManifestsDoNotTrap() throws {
        var room = Recordings.meeting(["ann"])
        room.duration = .infinity
        _ = try? room.plan()
        room.duration = 1e300
        room.events = [.init(t: .max, type: "participant_joined", peerID: "ann"), .init(t: .min, type: "participant_left", peerID: "ann")]
        room.speaks("ann-mic", "ann", .min, .max)
        room.muted("ann-cam", "ann", at: .min, true)
        room.track("x", "ann", "camera", -1e300, 1e300)
        #expect(try room.plan(.init(timeline: [.init(t: .max, until: .max, .mute("ann")), .init(t: 1, until: .max, .cut)])).duration == 1_000)
    }

    /// Any recording under any state: the rules a renderer relies on.
    @Test(arguments: 1...60) func rules(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed) &* 7_919)
        func time(_ most: UInt64) -> Int64 { Int64(random.next() % most) }
        let peers = (0..<Int(1 + random.next() % 30)).map { ParticipantID("p\($0)") }
        var room = Recordings(), state = CompositionState()
        for peer in peers {
            room.participant(peer, name: "", joined: random.next() % 3 == 0 ? nil : Double(time(30)), left: random.next() % 3 == 0 ? Double(30 + time(30)) : nil)
            for (suffix, source) in [("cam", "camera"), ("mic", "microphone"), ("screen", "screen_share")] where random.next() % 4 > 0 {
                let from = Double(time(50_000)) / 1000, track = TrackID("\(peer)-\(suffix)")
                room.track(track, peer, source, from, min(60, from + Double(time(60_000)) / 1000), files: Int(1 + random.next() % 3))
                for _ in 0..<time(5) { room.muted(track, peer, at: time(60_000), random.next() % 2 == 0) }
                if suffix == "mic" { for _ in 0..<time(9) { let at = time(60_000); room.speaks(track, peer, at, at + time(9_000)) } }
            }
        }
        let layouts = CompositionLayout.allCases
        for _ in 0..<time(40) {
            let peer = peers[Int(random.next() % UInt64(peers.count))], t = time(60_000)
            let action: CompositionState.Action = switch random.next() % 7 {
            case 0: .layout(layouts[Int(random.next() % 4)])
            case 1: .pin(peer)
            case 2: .unpin(random.next() % 2 == 0 ? nil : peer)
            case 3: .mute(peer)
            case 4: .hide(peer)
            case 5: .show(peer)
            default: .cut
            }
            let ends = action == .cut || (action.opposite != nil && random.next() % 2 == 0)
            let until: Int64? = ends ? t + 1 + time(3_000) : nil
            state.timeline.append(CompositionState.Entry(t: t, until: until, action))
        }
        guard let plan = try? room.plan(state) else { return }
        let ranges: [Range<Int64>] = state.timeline.filter { $0.action == .cut }.map { entry in (entry.t * 1000)..<((entry.until ?? entry.t) * 1000) }
        let cuts = Spans(ranges).clipped(to: 0..<60_000_000)
        #expect(plan.duration == 60_000_000 - cuts.total)
        var at: Int64 = 0, recorded: Int64 = -1
        for interval in plan.intervals {
            #expect(interval.output.lowerBound == at && !interval.output.isEmpty, "the output is covered exactly")
            #expect(interval.start >= recorded, "every recorded moment is used at most once, in order")
            let used = interval.start..<interval.recorded(interval.output.upperBound)
            #expect(Spans([used]).subtracting(cuts) == Spans([used]), "nothing that was cut is used")
            (at, recorded) = (interval.output.upperBound, used.upperBound)
            #expect(interval.tiles.count <= Arrangement.Limits.tiles)
            for (index, tile) in interval.tiles.enumerated() {
                #expect(Rectangle(plan.picture).contains(tile.place) && (tile.place.x | tile.place.y | tile.place.width | tile.place.height) & 1 == 0)
                for other in interval.tiles[..<index] { #expect(!tile.place.overlaps(other.place)) }
                if let source = tile.source {
                    #expect(plan.sources[source].kind == .video && plan.sources[source].person == tile.person)
                    #expect(plan.sources[source].pieces.contains { $0.range.overlaps(used) }, "a picture that is shown is there")
                }
            }
            #expect(Set(interval.tiles.compactMap(\.source)).count == interval.tiles.compactMap(\.source).count, "nothing is shown twice")
            for sound in interval.sounds { #expect(plan.sources[sound.source].kind == .audio) }
        }
        #expect(at == plan.duration)
        #expect(zip(plan.chapters, plan.chapters.dropFirst()).allSatisfy { $0.at < $1.at } && plan.chapters.allSatisfy { $0.at < plan.duration })
    }
    /// 12 hours, 25 people who talk all the time, 10,000 entries, a thousand of them within a second.
    @Test func aLongDayIsPlannedAtOnce() throws {
        var room = Recordings.meeting((0..<25).map { ParticipantID("p\($0)") }, seconds: 43_200)
        for i in 0..<20_000 as Range<Int64> { room.speaks(TrackID("p\(i % 25)-mic"), ParticipantID("p\(i % 25)"), i * 2_100, i * 2_100 + 1_900) }
        var entries: [CompositionState.Entry] = []
        for i in 0..<10_000 {
            let t: Int64 = i < 1_000 ? 5_000_000 + Int64(i) : Int64(i) * 4_000
            let peer = ParticipantID("p\(i / 2 % 25)")
            entries.append(CompositionState.Entry(t: t, i % 2 == 0 ? .mute(peer) : .unmute(peer)))
        }
        let plan = try room.plan(.init(layout: .speaker, timeline: entries))
        #expect(plan.intervals.count > 20_000 && plan.intervals.last?.output.upperBound == 43_200_000_000)
    }
}
extension CompositionState.Entry {
    fileprivate func until(_ end: Int64) -> Self { .init(t: t, until: end, action) }
}
