@testable import Capture
import Primitives
import RTP
import Testing
@testable import Composition

@Suite struct EditTests {
    /// ann's camera and microphone for a minute, with the same hole, and what her browser recorded.
    private func room(hole: ClosedRange<Double> = 20...23, cause: HoleCause = .network, sources: [String] = ["camera", "microphone"], _ change: (inout Manifest.DeviceTrack) -> Void = { _ in }) -> Recordings {
        var room = Recordings()
        room.participant("ann", name: "Ann")
        for source in ["camera", "microphone"] {
            room.track(TrackID(source), "ann", source, 0, 60, holes: [.init(from: hole.lowerBound, to: hole.upperBound, cause: cause, packets: 9)])
        }
        room.devices = sources.map { source in
            var device = device(source, 2, 58)
            change(&device)
            return device
        }
        return room
    }
    private func device(_ source: String, _ from: Double, _ to: Double, part: Int = 1) -> Manifest.DeviceTrack {
        var device = Manifest.DeviceTrack(peerID: "ann", upload: "u\(part)", kind: .camera, source: source, chunks: .init(told: 1))
        device.file = .init(
            path: "tracks/ann/\(source)-device.part\(part).webm", codec: source == "camera" ? .vp8 : .opus, container: "webm", start: from, duration: to - from, size: 1, width: nil, height: nil,
            frames: 1, keyFrames: 1)
        device.alignment = DeviceAlignment(clock: 2_000_000, uncertainty: 10_000)
        return device
    }
    private func pieces(_ room: Recordings, _ source: String = "camera") -> [String] {
        (room.edited.edits?.first { $0.source == source }?.pieces ?? []).map { "\($0.from)-\($0.to) \($0.origin.rawValue)" }
    }

    @Test func aHoleComesFromTheDevice() throws {
        let room = room()
        for source in ["camera", "microphone"] { #expect(pieces(room, source) == ["0.0-19.8 server", "19.8-23.2 device", "23.2-60.0 server"]) }
        let manifest = room.edited
        #expect(manifest.repairs.map(\.piece.cause) == [.network, .network] && manifest.repairs.allSatisfy { $0.piece.path == "tracks/ann/\($0.piece.trackID)-device.part1.webm" })
        #expect(manifest.tracks.allSatisfy { $0.holes[0].isRepaired == true && $0.integrity.repaired?.deviceHoles == 1 && $0.integrity.repaired?.deviceSeconds == 3 })
        let plan = try room.plan()
        #expect(plan.missing.isEmpty && plan.people.count == 1)
        let files = [10.0, 21, 30].map { second in (plan.at(second)?.tiles.first?.source).map { plan.sources[$0].pieces[0].path } }
        #expect(files == ["tracks/ann/camera.webm", "tracks/ann/camera-device.part1.webm", "tracks/ann/camera.webm"])
        let heard = [10.0, 21, 30].map { second in (plan.at(second)?.sounds ?? []).map { plan.sources[$0.source].pieces[0].path } }
        #expect(heard == [["tracks/ann/microphone.webm"], ["tracks/ann/microphone-device.part1.webm"], ["tracks/ann/microphone.webm"]])
        #expect(plan.intervals.map { Double($0.output.lowerBound) / 1e6 } == [0, 19.8, 23.2])
    }
    @Test func withoutADeviceNothingChanges() {
        var room = room()
        room.devices = nil
        #expect(room.edited == room.manifest)
    }
    @Test func aDeviceThatIsNotAlignedIsNotUsed() {
        #expect(pieces(room { $0.alignment = DeviceAlignment(clock: 0, uncertainty: 200_000) }) == [])
        #expect(pieces(room { $0.file = nil }) == [] && pieces(room { $0.alignment = nil }) == [])
    }
    @Test func aDeviceFillsWhatItHas() {
        let late = room { $0.holes = [.init(from: 18, to: 21.5, cause: .missingChunk, packets: 0)] }
        #expect(pieces(late) == ["0.0-21.5 server", "21.5-23.2 device", "23.2-60.0 server"])
        #expect(late.edited.tracks.allSatisfy { $0.holes[0].isRepaired == nil && $0.integrity.repaired?.deviceHoles == 0 && $0.integrity.repaired?.deviceSeconds == 1.5 })
        #expect((try? late.plan())?.missing.count == 2, "what is still missing is told")
        #expect(pieces(room(sources: ["camera"]), "microphone") == [])
    }
    /// A muted microphone stays muted, whatever the browser heard meanwhile.
    @Test func whatWasMutedIsNotTaken() {
        var room = room()
        room.muted("microphone", "ann", at: 21_000, true)
        room.muted("microphone", "ann", at: 22_500, false)
        #expect(pieces(room, "microphone") == ["0.0-19.8 server", "19.8-20.7 device", "20.7-22.5 server", "22.5-23.2 device", "23.2-60.0 server"])
        #expect(pieces(room).count == 3, "the camera was not muted")
        #expect(pieces(self.room(cause: .muted)) == ["0.0-60.0 server"])
    }
    @Test func whoWasLeftOutStaysLeftOut() {
        var room = room()
        room.events += [(20_500, "participant_excluded"), (22_000, "participant_included")].map { Timeline.Entry(t: $0.0, type: $0.1, peerID: "ann") }
        for source in ["camera", "microphone"] { #expect(pieces(room, source) == ["0.0-19.8 server", "19.8-20.2 device", "20.2-22.0 server", "22.0-23.2 device", "23.2-60.0 server"]) }
        #expect(pieces(self.room(cause: .leftOut)) == ["0.0-60.0 server"])
    }
    @Test func smallHolesAreOneOrNone() {
        var room = room(hole: 20...20.02)
        #expect(pieces(room, "microphone") == ["0.0-60.0 server"], "one packet is not worth a switch")
        room = self.room(hole: 20...20.2)
        for index in 0..<2 { room.tracks[index].holes += (0..<4).map { .init(from: 20.7 + Double($0), to: 20.9 + Double($0), cause: .network, packets: 3) } }
        #expect(pieces(room) == ["0.0-19.8 server", "19.8-24.1 device", "24.1-60.0 server"])
        #expect(room.edited.tracks[0].integrity.repaired?.deviceHoles == 5)
    }
    @Test func theBetterOfTwoRecordingsIsTaken() throws {
        var room = room { $0.alignment = DeviceAlignment(clock: 0, uncertainty: 30_000) }
        room.devices?.append(device("camera", 21, 60, part: 2))
        let paths = room.edited.edits?.first { $0.source == "camera" }?.pieces.map { $0.path ?? "-" }
        #expect(paths == ["-", "tracks/ann/camera-device.part1.webm", "tracks/ann/camera-device.part2.webm", "-"])
        #expect(pieces(room) == ["0.0-19.8 server", "19.8-21.0 device", "21.0-23.2 device", "23.2-60.0 server"])
    }
    /// A connection that died at 20 s, was given up at 40 s and came back at 45 s; beside it somebody who left.
    @Test func aLostConnectionIsAHole() {
        func room(_ reason: String, unpublished: Int64? = nil) -> Recordings {
            var room = Recordings()
            room.participant("ann", name: "Ann")
            room.track("one", "ann", "camera", 0, 20)
            room.track("two", "ann", "camera", 46, 60)
            room.devices = [device("camera", 2, 58)]
            var left = Timeline.Entry(t: 40_000, type: "participant_left", peerID: "ann")
            left.reason = reason
            room.events = [Timeline.Entry(t: 0, type: "participant_joined", peerID: "ann"), left, Timeline.Entry(t: 45_000, type: "participant_joined", peerID: "ann")]
            if let unpublished { room.events.append(Timeline.Entry(t: unpublished, type: "track_unpublished", peerID: "ann", trackID: "one")) }
            return room
        }
        #expect(pieces(room("connection_lost")) == ["0.0-20.0 server", "20.0-45.0 device", "46.0-60.0 server"])
        #expect(pieces(room("connection_lost", unpublished: 40_000)).count == 3, "the Room's own word")
        #expect(pieces(room("connection_lost", unpublished: 20_000)) == ["0.0-20.0 server", "46.0-60.0 server"], "she had turned it off")
        #expect(pieces(room("left")) == ["0.0-20.0 server", "46.0-60.0 server"])
    }
    /// The recorder died for good at 50 s: the device has the rest.
    @Test func theEndCanBeTheDevices() throws {
        var room = room(hole: 50...57, cause: .recorderDown)
        room.duration = 50
        for index in room.tracks.indices { room.tracks[index].files[0].duration = 50 }
        #expect(room.edited.duration == 57)
        #expect(pieces(room) == ["0.0-49.8 server", "49.8-57.0 device"])
        let plan = try room.plan()
        #expect(plan.duration == 57_000_000 && plan.names(55) == ["ann"])
    }
    @Test func twoCamerasAtOnceAreLeftAlone() {
        var room = room()
        room.track("second", "ann", "camera", 10, 40)
        #expect(pieces(room) == [] && room.edited.warnings.count == 1 && pieces(room, "microphone").count == 3)
    }

    /// Bob as the server has him; of ann it has nothing, and her browser recorded both media from 6 s to 58 s.
    private func alone(_ events: [Timeline.Entry] = [], _ change: (inout Recordings) -> Void = { _ in }) -> Recordings {
        var room = Recordings()
        room.participant("ann", name: "Ann")
        room.participant("bob", name: "Bob")
        room.track("bob-cam", "bob", "camera", 0, 60)
        room.events = [Timeline.Entry(t: 5_000, type: "participant_joined", peerID: "ann")] + events
        room.devices = [device("camera", 6, 58), device("microphone", 6, 58)]
        change(&room)
        return room
    }
    private func entry(_ type: String, at t: Int64, _ track: TrackID? = nil, source: String? = nil, muted: Bool? = nil, reason: String? = nil) -> Timeline.Entry {
        var entry = Timeline.Entry(t: t, type: type, peerID: "ann", trackID: track)
        (entry.source, entry.muted, entry.reason) = (source, muted, reason)
        return entry
    }
    @Test func whatTheServerHasNothingOfIsTheDevices() throws {
        let room = alone()
        for source in ["camera", "microphone"] { #expect(pieces(room, source) == ["6.0-58.0 device"]) }
        let repairs = room.edited.repairs
        #expect(repairs.map(\.piece.trackID) == ["camera-ann", "microphone-ann"] && repairs.allSatisfy { $0.peerID == "ann" && $0.piece.cause == .network })
        let plan = try room.plan()
        #expect(plan.people.map(\.id) == ["bob", "ann"] || plan.people.map(\.id) == ["ann", "bob"])
        #expect(Set(plan.names(30)) == ["ann", "bob"] && Set(plan.names(59)) == ["ann-off", "bob"])
        #expect(plan.heard(30) == ["microphone-ann"] && plan.heard(59) == [] && plan.missing.isEmpty)
    }
    /// The Room's word of the track: from its beginning to its end, and not while it was muted.
    @Test func aTrackWithoutPacketsIsTheDevicesWhileItWasPublished() {
        let published = [entry("track_published", at: 10_000, "c1", source: "camera", muted: false), entry("track_published", at: 10_000, "m1", source: "microphone", muted: true)]
        var room = alone(published + [entry("muted", at: 20_000, "m1", muted: false), entry("muted", at: 30_000, "m1", muted: true), entry("track_unpublished", at: 40_000, "c1")])
        #expect(pieces(room) == ["10.0-40.0 device"] && pieces(room, "microphone") == ["20.0-29.7 device"])
        #expect(room.edited.repairs.map(\.piece.trackID) == ["c1", "m1"])
        room = alone([entry("muted", at: 20_000, "x", muted: true), entry("muted", at: 30_000, "x", muted: false)])
        for source in ["camera", "microphone"] { #expect(pieces(room, source) == ["6.0-19.7 device", "30.0-58.0 device"], "nobody knows which of them was muted") }
    }
    @Test func whoLeftOrWasLeftOutIsNotTakenFromTheDevice() {
        #expect(pieces(alone([entry("participant_left", at: 50_000, reason: "left")])) == ["6.0-50.0 device"])
        #expect(pieces(alone([entry("participant_left", at: 50_000, reason: "connection_lost")])) == ["6.0-58.0 device"])
        #expect(pieces(alone([entry("participant_excluded", at: 20_000), entry("participant_included", at: 25_000)])) == ["6.0-19.7 device", "25.0-58.0 device"])
        #expect(pieces(alone { $0.devices?[0].alignment = DeviceAlignment(clock: 0, uncertainty: 200_000) }) == [], "nobody knows where it belongs")
    }
    /// Packets were captured, and none of them could be decoded; and a recording in which nobody's were captured at all.
    @Test func aTrackWithoutAFileIsTheDevices() throws {
        let broken = alone { $0.track("cam", "ann", "camera", 0, 60, files: 0) }
        let brokenPlan = try broken.plan()
        #expect(pieces(broken) == ["6.0-58.0 device"] && broken.edited.repairs[0].piece.trackID == "cam" && brokenPlan.missing.isEmpty)
        let none = alone { $0.tracks = [] }, plan = try none.plan()
        #expect(plan.people.map(\.id) == ["ann"] && pieces(none) == ["6.0-58.0 device"])
    }

    /// Whatever is missing: pieces neither overlap nor come from where nothing is, and what was muted comes from nowhere else.
    @Test(arguments: 0..<40 as Range<UInt64>) func piecesAreInOrder(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func second(_ below: Double) -> Double { (Double(random.next() % 10_000) / 10_000 * below * 1000).rounded() / 1000 }
        var room = Recordings()
        room.participant("ann", name: "Ann")
        let holes = (0..<6).map { _ in let from = second(58); return Manifest.MissingPart(from: from, to: from + second(4), cause: HoleCause.allCases[Int(random.next() % UInt64(HoleCause.allCases.count))], packets: 1) }
        room.track("microphone", "ann", "microphone", second(5), 60, holes: holes.sorted { $0.from < $1.from })
        room.devices = (1...3).map { device("microphone", second(30), 30 + second(30), part: $0) }
        for number in 0..<4 as Range<Int64> { room.muted("microphone", "ann", at: number * 15_000 + Int64(second(15) * 1000), number % 2 == 0) }
        let manifest = room.edited, pieces = manifest.edits?.first?.pieces ?? []
        #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.to <= $1.from + 1e-9 } && pieces.allSatisfy { $0.from < $0.to })
        for piece in pieces {
            let file = piece.origin == .server ? manifest.tracks[0].files[0] : try #require(manifest.deviceTracks?.first { $0.file?.path == piece.path }?.file)
            #expect(piece.from >= file.start - 1e-6 && piece.to <= file.start + file.duration + 1e-6)
        }
        let muted = Spans(RecordedScene.muted(room.timeline.events, 60_000_000).ranges)
        let taken = Spans(pieces.filter { $0.origin == .device }.map { Int64($0.from * 1e6)..<Int64($0.to * 1e6) })
        #expect(taken.subtracting(muted).total >= taken.total - 4_000)
        #expect(try room.plan().duration >= 60_000_000)
    }
}
