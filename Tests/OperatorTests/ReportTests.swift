import Contracts
import Primitives
import Testing

/// What nodes' answers become together.
@Suite struct RoomPages {
    private func room(_ id: RoomID, _ node: NodeName, _ epoch: UInt64 = 1, title: String = "") -> RoomSummary {
        RoomSummary(id: id, meetingCode: "abc-\(id)", title: title, node: node, epoch: Epoch(epoch), participants: 0, publications: 0, createdAt: WallTime(seconds: 0))
    }
    @Test func areMergedByID() {
        let page = RoomPage.merged([RoomPage(rooms: [room("b", "n1"), room("d", "n1")], hasMore: false), RoomPage(rooms: [room("a", "n2"), room("c", "n2")], hasMore: false)], limit: 10, away: ["n4", "n3"])
        #expect(page.rooms.map(\.id) == ["a", "b", "c", "d"] && !page.hasMore && page.away == ["n3", "n4"])
    }
    @Test func theLimitHolds() {
        let page = RoomPage.merged([RoomPage(rooms: [room("a", "n1"), room("c", "n1")], hasMore: false), RoomPage(rooms: [room("b", "n2")], hasMore: false)], limit: 2, away: [])
        #expect(page.rooms.map(\.id) == ["a", "b"] && page.hasMore)
    }
    /// A node that told a part only may have rooms before another's: what lies behind its last one waits for the next page.
    @Test func nothingBehindACutPageIsShown() {
        let page = RoomPage.merged([RoomPage(rooms: [room("a", "n1"), room("b", "n1")], hasMore: true), RoomPage(rooms: [room("b2", "n2"), room("z", "n2")], hasMore: false)], limit: 10, away: [])
        #expect(page.rooms.map(\.id) == ["a", "b"] && page.hasMore)
    }
    @Test func aRoomThatMovedMeanwhileIsToldOnce() {
        let page = RoomPage.merged([RoomPage(rooms: [room("a", "n1", 3)], hasMore: false), RoomPage(rooms: [room("a", "n2", 4)], hasMore: false)], limit: 10, away: [])
        #expect(page.rooms == [room("a", "n2", 4)])
    }
    /// Every room comes exactly once when the pages are walked, however they are spread over nodes.
    @Test(arguments: 1...40) func walkingThePagesFindsEach(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let all = (0..<Int.random(in: 0...60, using: &random)).map { index in room(RoomID("r\(String(index + 100))"), NodeName("n\(Int.random(in: 1...4, using: &random))")) }
        let limit = Int.random(in: 1...9, using: &random)
        var found: [RoomID] = [], after: RoomID?
        while true {
            let query = RoomQuery(after: after, limit: limit)
            let pages = (1...4).map { number -> RoomPage in
                let own = all.filter { $0.node == NodeName("n\(number)") && query.takes($0) }.sorted { $0.id < $1.id }
                return RoomPage(rooms: Array(own.prefix(limit)), hasMore: own.count > limit)
            }
            let page = RoomPage.merged(pages, limit: limit, away: [])
            found += page.rooms.map(\.id)
            guard page.hasMore else { break }
            after = page.rooms.last?.id
        }
        #expect(found == all.map(\.id).sorted())
    }
    @Test func filtersLookAtIDCodeAndTitle() {
        var query = RoomQuery(filter: "STAND")
        #expect(query.takes(room("R_1", "n1", title: "Weekly stand-up")) && !query.takes(room("R_1", "n1", title: "other")))
        query = RoomQuery(filter: "abc-r_2")
        #expect(query.takes(room("R_2", "n1")) && !query.takes(room("R_1", "n1")))
        #expect(!RoomQuery(after: "R_2").takes(room("R_2", "n1")) && !RoomQuery(node: "n2").takes(room("R_2", "n1")) && !RoomQuery(isRecorded: true).takes(room("R_2", "n1")))
        #expect(RoomQuery(limit: 0).rows == 1 && RoomQuery(limit: 9_999).rows == RoomQuery.Limits.pageMost)
    }
}

@Suite struct ReportsAsJSON {
    @Test func whatIsNotKnownIsLeftOut() {
        var away = NodeReport(name: "n3", state: NodeReport.away)
        away.reason = "no link to it"
        #expect(away.json.text == #"{"node":"n3","state":"away","reason":"no link to it","roles":[],"links":[]}"#)
        #expect([NodeSample(name: "n1", state: "up")].json.text == #"{"nodes":[{"node":"n1","state":"up"}]}"#)
        #expect(PinReport(room: "R_1", node: nil).json.text == #"{"room_id":"R_1"}"#)
    }
    @Test func aPayloadIsJSONWithinJSON() {
        let event = EventEntry(position: 9, room: "R_1", first: 4, sequence: 4, epoch: Epoch(2), at: WallTime(seconds: 0), type: "chat", payload: #"{"text":"\"hi\""}"#)
        #expect(event.json.text == #"{"position":9,"room_id":"R_1","sequence":4,"epoch":2,"at":"1970-01-01T00:00:00.000Z","type":"chat","payload":{"text":"\"hi\""}}"#)
        var broken = event
        broken.payload = "{"
        #expect(broken.json["payload"] == .null)
    }
    @Test func jobsAreRecordingsBeingFinished() {
        func record(_ state: RecordingState) -> RecordingRecord {
            RecordingRecord(status: RecordingStatus(recordingID: "RC_1", roomID: "R_1", state: state), recorder: "n1", epoch: Epoch(1), startedAt: WallTime(seconds: 1), stoppedAt: WallTime(seconds: 5), title: "t")
        }
        for state in [RecordingState.starting, .recording, .ready, .failed] { #expect(JobReport(record(state)) == nil) }
        #expect(JobReport(record(.processing))?.since == WallTime(seconds: 5))
    }
}
