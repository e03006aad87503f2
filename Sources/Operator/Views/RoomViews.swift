// Rooms, recordings, jobs and events as people see them.
internal import Contracts
internal import Primitives

enum RoomViews {
    static func rooms(_ page: RoomPage, now: WallTime, terminal: Int?) -> String {
        var table = TextTable([
            .left("ROOM"), .left("CODE"), .left("NODE"), .right("EPOCH"), .right("PEOPLE"), .right("TRACKS"), .left("RECORDING"), .right("AGE"), .flexible("TITLE"),
        ])
        for room in page.rooms {
            table.add([
                room.id.rawValue, room.meetingCode, room.node.rawValue, "\(room.epoch.rawValue)", "\(room.participants)", "\(room.publications)", room.recording?.rawValue,
                SpanText.short(seconds: (now - room.createdAt).inSeconds), room.title,
            ])
        }
        var text = page.rooms.isEmpty ? "no node holds such a room\n" : table.text(terminal: terminal)
        if page.hasMore, let last = page.rooms.last { text += "there are more: troupectl rooms --after \(last.id)\n" }
        return text + missing(page.away, "rooms")
    }
    private static func missing(_ away: [NodeName], _ what: String) -> String {
        away.isEmpty ? "" : "without the \(what) of \(away.map(\.rawValue).joined(separator: ", ")): away\n"
    }

    static func room(_ report: RoomReport, terminal: Int?) -> String {
        var text = ""
        func line(_ name: String, _ value: String?) { if let value { text += (name + ":").padded(to: 14) + DisplayText.safe(value) + "\n" } }
        line("room", report.room.id.rawValue)
        line("title", report.room.title)
        line("code", report.room.meetingCode)
        line("state", report.state.rawValue)
        line("node", report.node?.rawValue)
        line("epoch", report.epoch.map { "\($0.rawValue)" })
        line("pinned to", report.pinned?.rawValue)
        line("last event", report.sequence.map { "\($0)" })
        line("created", report.room.createdAt.rfc3339)
        line("ended", report.room.endedAt?.rfc3339)
        line("recording", report.recording.map { "\($0.recordingID) \($0.state.rawValue)" + ($0.reason.map { " (\($0))" } ?? "") })
        if !report.away.isEmpty { line("away", report.away.map(\.rawValue).joined(separator: ", ") + "; one of them may hold it") }
        guard report.state == .active else { return text }
        return text + "\n" + participants(report.participants, terminal) + (report.publications.isEmpty ? "" : "\n" + publications(report.publications, terminal))
    }
    private static func participants(_ list: [ParticipantInfo], _ terminal: Int?) -> String {
        guard !list.isEmpty else { return "nobody is in it\n" }
        var table = TextTable([.left("PARTICIPANT"), .left("ROLE"), .left("EDGE"), .left("JOINED"), .flexible("NAME")])
        for person in list { table.add([person.id.rawValue, person.role.rawValue, person.node.rawValue, person.joinedAt.rfc3339, person.name]) }
        return table.text(terminal: terminal)
    }
    private static func publications(_ list: [PublicationInfo], _ terminal: Int?) -> String {
        var table = TextTable([.left("TRACK"), .left("OF"), .left("KIND"), .left("SOURCE"), .left("CODEC"), .left("MUTED")])
        for track in list { table.add([track.trackID.rawValue, track.participantID.rawValue, track.kind.rawValue, track.source.rawValue, track.codec, track.muted ? "yes" : "no"]) }
        return table.text(terminal: terminal)
    }

    // MARK: Recordings and jobs

    static func recordings(_ list: [RecordingReport], terminal: Int?) -> String {
        guard !list.isEmpty else { return "no recordings\n" }
        var table = TextTable([
            .left("RECORDING"), .left("ROOM"), .left("STATE"), .left("RECORDER"), .left("STARTED"), .right("LENGTH"), .right("SIZE"), .right("TRACKS"), .flexible("TITLE"),
        ])
        for recording in list {
            let status = recording.status
            table.add([
                status.recordingID.rawValue, status.roomID.rawValue, status.state.rawValue + (status.reason.map { " (\($0))" } ?? ""), recording.recorder.rawValue, recording.startedAt.rfc3339,
                status.duration.map { SpanText.short(seconds: $0) }, status.size.map { AmountText.bytes($0) }, "\(recording.tracks)", recording.title,
            ])
        }
        return table.text(terminal: terminal)
    }
    static func jobs(_ list: [JobReport], now: WallTime, terminal: Int?) -> String {
        guard !list.isEmpty else { return "no jobs\n" }
        var table = TextTable([.left("JOB"), .left("KIND"), .left("STATE"), .left("NODE"), .right("FOR"), .left("ROOM")])
        for job in list { table.add([job.id, job.kind, job.state, job.node.rawValue, SpanText.short(seconds: (now - job.since).inSeconds), job.room.rawValue]) }
        return table.text(terminal: terminal)
    }

    // MARK: Events

    /// One line an event: lines are never cut, they are searched.
    /// - Parameter since: what was asked for.
    static func events(_ feed: EventFeed, since: UInt64 = 0) -> String {
        var text = ""
        if feed.isCut { text = feed.cursor < since ? "the log ends at \(feed.cursor), before \(since)\n" : "older events than the first below have been removed\n" }
        for event in feed.events {
            let number = event.first < event.sequence ? "\(event.first)–\(event.sequence)" : "\(event.sequence)"
            let place = event.position.map { "\($0)".padded(to: 8) + "  " } ?? ""
            text += "\(place)\(event.at.rfc3339)  \(event.room)  \(number.padded(to: 6))  \(event.type.padded(to: 18))  \(DisplayText.safe(event.payload))\n"
        }
        return text
    }
}

extension String {
    func padded(to columns: Int) -> String { self + String(repeating: " ", count: max(0, columns - DisplayText.width(self))) }
}
