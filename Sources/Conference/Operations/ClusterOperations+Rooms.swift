// Rooms, recordings, jobs and events, for operators.
import Cluster
import Contracts
import Distributed
import Primitives

extension ClusterOperations {
    // MARK: Rooms

    package func rooms(_ query: RoomQuery, _ reach: Reach) async throws -> RoomPage {
        guard (query.filter?.utf8.count ?? 0) <= RoomQuery.Limits.filterBytes else {
            throw ServiceError(.malformed, code: "filter_too_long", message: "a filter has at most \(RoomQuery.Limits.filterBytes) bytes")
        }
        if let node = query.node { try requireKnown(node) }
        let own = ownRooms(query)
        guard reach == .cluster else { return own }
        let replies = await gather { try await $0.rooms(query, .node) }
        let away = replies.filter { $0.value.value == nil }.map(\.key)
        return RoomPage.merged([own] + replies.values.compactMap(\.value), limit: query.rows, away: away)
    }
    private func ownRooms(_ query: RoomQuery) -> RoomPage {
        var page = RoomPage(rooms: [], hasMore: false)
        for room in context.edge.hosted(after: query.after) {
            let summary = RoomSummary(room.assumeIsolated { $0.snapshot() })
            guard query.takes(summary) else { continue }
            if page.rooms.count == query.rows {
                page.hasMore = true
                break
            }
            page.rooms.append(summary)
        }
        return page
    }

    /// Looks without waking: a room that lies in the store stays there.
    package func room(_ idOrCode: String, _ reach: Reach) async throws -> RoomReport? {
        if let own = ownRoom(idOrCode) { return reach == .cluster ? await withPin(own) : own }
        guard reach == .cluster else { return nil }
        let replies = await gather { try await $0.room(idOrCode, .node) }
        if let found = replies.values.compactMap({ $0.value ?? nil }).max(by: { ($0.epoch ?? .none) < ($1.epoch ?? .none) }) { return await withPin(found) }
        let away = replies.filter { $0.value.value == nil }.map(\.key).sorted()
        do {
            guard let record = try await stored(idOrCode) else { return nil }
            return await withPin(RoomReport(record, away: away))
        } catch { throw ServiceError(reporting: error) }
    }
    private func ownRoom(_ idOrCode: String) -> RoomReport? {
        let all = context.edge.hosted(after: nil).lazy.map { room in room.assumeIsolated { $0.snapshot() } }
        return all.first { $0.room.id.rawValue == idOrCode || $0.room.meetingCode == idOrCode }.map { RoomReport($0) }
    }
    func stored(_ idOrCode: String) async throws -> RoomRecord? {
        if let record = try await context.rooms.room(RoomID(idOrCode)) { return record }
        return try await context.rooms.room(code: idOrCode)
    }
    private func withPin(_ report: RoomReport) async -> RoomReport {
        var report = report
        // With the store away nobody can tell; the rest is worth telling.
        report.pinned = (try? await system.pinned(kind: Room.kind, key: report.room.id.rawValue)) ?? nil
        return report
    }

    // MARK: Recordings and jobs

    package func recordings(_ query: RecordingQuery) async throws -> [RecordingReport] {
        do { return try await context.recordings.recordings(room: query.room, limit: query.rows).map { RecordingReport($0) } } catch { throw ServiceError(reporting: error) }
    }
    /// Recordings that are being finished, oldest first.
    package func jobs(_ limit: Int) async throws -> [JobReport] {
        var found: [JobReport] = []
        do {
            for node in others + [here] { found += try await context.recordings.unfinishedRecordings(recorder: node).compactMap { JobReport($0) } }
        } catch { throw ServiceError(reporting: error) }
        return Array(found.sorted { ($0.since, $0.id) < ($1.since, $1.id) }.prefix(min(max(1, limit), Limits.jobs)))
    }

    // MARK: Events

    package func events(_ query: EventQuery) async throws -> EventFeed {
        do {
            guard let room = query.room else {
                let page = try await context.events.globalEvents(since: query.since, limit: query.rows)
                return EventFeed(events: page.entries.map { EventEntry($0.event, of: $0.room, position: $0.position) }, cursor: page.cursor, isCut: page.isCut)
            }
            let page = try await context.events.events(room: room, since: query.since, limit: query.rows)
            return EventFeed(events: page.events.map { EventEntry($0, of: room) }, cursor: page.events.last?.sequence ?? query.since, isCut: page.isCut)
        } catch { throw ServiceError(reporting: error) }
    }
}

extension EventEntry {
    init(_ event: LoggedEvent, of room: RoomID, position: UInt64? = nil) {
        self.init(position: position, room: room, first: event.first, sequence: event.sequence, epoch: event.epoch, at: event.at, type: event.type, payload: event.payload)
    }
}
