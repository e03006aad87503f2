// What operators ask, over HTTP: `/admin/v1`, for dashboards. The bodies are those of `troupectl --json`.
// Decision: docs/decisions/0026-operator-rpc.md
internal import Contracts
internal import EventLoop
internal import Primitives
internal import Synchronization

struct AdminRoutes: Sendable {
    private enum Fields {
        static let node = Field.string("node", 1...128, "A node's name")
        static let deadline = Field.integer("deadline_seconds", 0...3600, required: false, "What is left then is cut off; 60 unless said")
        static let action = Field<RebalanceOrder>.choice("action", [.plan, .begin, .stop, .resume], "plan: work one out, move nothing; begin: carry one out")
    }
    let operations: any OperationsService
    let loop: any Loop
    private let streams = EventStreams()
    init(operations: any OperationsService, loop: any Loop) { self.operations = operations; self.loop = loop }

    var routes: [Route] { looking + acting + [feed("/admin/v1/events", tag: "admin"), feed("/api/v1/events", tag: "events")] }

    // MARK: Looking

    private var looking: [Route] {
        [
            get("nodes", "Every node: state, load, links; one that does not answer is away", AdminSchemas.nodes) { call in .json(try await operations.nodes(.cluster).json) },
            get("top", "What every node is doing right now", AdminSchemas.top) { call in .json(try await operations.top(.cluster).json) },
            get(
                "rooms", "Rooms that are held by a node, by id", AdminSchemas.rooms,
                query: [.init("node", "Only on this node"), .init("filter", "Only with this in id, code or title"), .init("recorded", "1: only those being recorded"), .init("limit", "1 to 500; 100 unless said"), .init("after", "Go on after this room")],
                failures: [404]
            ) { call in
                let query = call.request
                return .json(try await operations.rooms(RoomQuery(
                    after: query.query("after").map { RoomID($0) }, limit: try number(call, "limit", 1...RoomQuery.Limits.pageMost) ?? RoomQuery.Limits.page, node: query.query("node").map { NodeName($0) },
                    filter: query.query("filter"), isRecorded: query.query("recorded") == "1"), .cluster).json)
            },
            get("rooms/{id}", "One room, by id or meeting code; looking does not wake it", AdminSchemas.room, failures: [404]) { call in
                guard let room = try await operations.room(call.parameter("id"), .cluster) else { throw Failure(404, "unknown_room", "no room has this id or meeting code") }
                return .json(room.json)
            },
            get("recordings", "Recordings, newest first", AdminSchemas.recordings, query: [.init("room", "Only of this room"), .init("limit", "1 to 500; 50 unless said")]) { call in
                let query = RecordingQuery(room: call.request.query("room").map { RoomID($0) }, limit: try number(call, "limit", 1...RecordingQuery.Limits.rowsMost) ?? RecordingQuery.Limits.rows)
                return .json(try await operations.recordings(query).json)
            },
            get("jobs", "Recordings being finished", AdminSchemas.jobs, query: [.init("limit", "1 to 500; 100 unless said")]) { call in .json(try await operations.jobs(try number(call, "limit", 1...500) ?? 100).json) },
            get("rebalance", "How far the plan under way is", AdminSchemas.rebalance) { call in .json(try await operations.rebalance(.status, .cluster).json) },
        ]
    }
    private func get(_ path: String, _ summary: String, _ schema: JSON, query: [Route.Query] = [], failures: [Int] = [], handler: @escaping Route.Handler) -> Route {
        Route(.get, "/admin/v1/" + path, tag: "admin", summary, access: .administrator, query: query, answers: [.init(200, "Done", schema)], failures: failures, handler: handler)
    }
    /// The same feed for dashboards and for programs that follow what happens.
    private func feed(_ path: String, tag: String) -> Route {
        Route(
            .get, path, tag: tag, "What happened in rooms; as server-sent events with follow=1", access: .administrator,
            query: [
                .init("since", "After this position of the feed; with `room`, after this number of the room"), .init("room", "Only of this room"), .init("limit", "1 to 500; 100 unless said"),
                .init("follow", "1: text/event-stream, one event each, going on"),
            ], answers: [.init(200, "Done", AdminSchemas.events)], handler: events)
    }
    private func number(_ call: RouteCall, _ name: String, _ range: ClosedRange<Int>) throws(Failure) -> Int? {
        guard let text = call.request.query(name) else { return nil }
        guard let value = Int(text), range.contains(value) else { throw Failure(400, "malformed", "`\(name)` is a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return value
    }

    private func events(_ call: RouteCall) async throws -> HTTPResponse {
        let query = EventQuery(
            since: UInt64(try number(call, "since", 0...Int.max) ?? 0), limit: try number(call, "limit", 1...EventQuery.Limits.pageMost) ?? EventQuery.Limits.page, room: call.request.query("room").map { RoomID($0) })
        // The first page is asked for before anything is answered, so that what is wrong has its status.
        let first = try await operations.events(query)
        guard call.request.query("follow") == "1" else { return .json(first.json) }
        guard let stream = streams.open(query, first, operations, loop) else { throw Failure(503, "too_many_streams", "\(EventStreams.Limits.open) event streams are open at this node; use another") }
        return HTTPResponse(status: 200, headers: [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")], live: { await stream.next() })
    }

    // MARK: Acting

    private var acting: [Route] {
        [
            post("rooms/{id}/move", "Move a room's actor to another node", AdminSchemas.move, fields: [Fields.node], failures: [404, 409, 410]) { call in
                .json(try await operations.move(try room(call), to: NodeName(try call.value(Fields.node))).json)
            },
            post("rooms/{id}/pin", "Say where a room belongs", AdminSchemas.pin, fields: [Fields.node], failures: [404]) { call in
                .json(try await operations.pin(try room(call), to: NodeName(try call.value(Fields.node))).json)
            },
            Route(.delete, "/admin/v1/rooms/{id}/pin", tag: "admin", "Take the pin out", access: .administrator, answers: [.init(200, "Done", AdminSchemas.pin)], failures: [404]) { call in
                .json(try await operations.pin(try room(call), to: nil).json)
            },
            post("nodes/{name}/drain", "Empty a node; `GET /admin/v1/nodes` shows how far it is", AdminSchemas.drain, fields: [Fields.deadline], failures: [404]) { call in
                let seconds = try call.optional(Fields.deadline).map { Double($0) } ?? DrainReport.Limits.usual
                return .json(try await operations.drain(NodeName(call.parameter("name")), seconds: seconds).json)
            },
            post("nodes/{name}/undrain", "Let a node take work again", AdminSchemas.drain, failures: [404]) { call in .json(try await operations.undrain(NodeName(call.parameter("name"))).json) },
            post("rebalance", "Work out or carry out a plan that levels the nodes", AdminSchemas.rebalance, fields: [Fields.action], failures: [409]) { call in
                .json(try await operations.rebalance(try call.value(Fields.action), .cluster).json)
            },
        ]
    }
    private func post(_ path: String, _ summary: String, _ schema: JSON, fields: [any BodyField] = [], failures: [Int], handler: @escaping Route.Handler) -> Route {
        Route(
            .post, "/admin/v1/" + path, tag: "admin", summary, access: .administrator, fields: fields, answers: [.init(200, "Done", schema)], failures: failures, repeatable: true, handler: handler)
    }
    private func room(_ call: RouteCall) throws(Failure) -> RoomID {
        let id = RoomID(call.parameter("id"))
        guard id.isSafe else { throw Failure(404, "unknown_room", "no room has this id") }
        return id
    }
}

/// The event streams that are open at this gateway: so many and no more.
final class EventStreams: Sendable {
    enum Limits {
        static let open = 64
    }
    private let open = Atomic<Int>(0)

    fileprivate func open(_ query: EventQuery, _ first: EventFeed, _ operations: any OperationsService, _ loop: any Loop) -> EventStream? {
        guard open.add(1, ordering: .relaxed).newValue <= Limits.open else {
            open.subtract(1, ordering: .relaxed)
            return nil
        }
        return EventStream(self, query, first, operations, loop)
    }
    fileprivate func closed() { open.subtract(1, ordering: .relaxed) }
}

/// The feed as server-sent events (WHATWG HTML §9.2): `id` is what to ask `since` with. Confined to the loop.
private final class EventStream: @unchecked Sendable {
    enum Limits {
        static let look = Duration.milliseconds(500)
        /// A comment, so that a client that is gone is noticed.
        static let heartbeat = Duration.seconds(15)
        /// Looks in a row that the store may not answer.
        static let failures = 120
    }
    private let streams: EventStreams
    private var query: EventQuery
    private var page: EventFeed?
    private let operations: any OperationsService
    private let loop: any Loop
    private var failures = 0

    init(_ streams: EventStreams, _ query: EventQuery, _ first: EventFeed, _ operations: any OperationsService, _ loop: any Loop) {
        self.streams = streams; self.query = query; self.operations = operations; self.loop = loop
        page = first
    }
    deinit { streams.closed() }

    /// The next piece of the body; nil ends it.
    func next() async -> [UInt8]? {
        let quiet = loop.now + Limits.heartbeat
        while !Task.isCancelled {
            if page == nil {
                do { page = try await operations.events(query); failures = 0 } catch { failures += 1 }
                if failures >= Limits.failures { return nil }
            }
            if let found = page.take() {
                query.since = found.cursor
                if !found.events.isEmpty || found.isCut { return Array(Self.text(found).utf8) }
            }
            guard loop.now < quiet else { return Array(":\n\n".utf8) }
            do { try await loop.sleep(for: Limits.look) } catch { return nil }
        }
        return nil
    }
    private static func text(_ feed: EventFeed) -> String {
        var text = feed.isCut ? "event: events_removed\ndata: {}\n\n" : ""
        for event in feed.events { text += "id: \(event.position ?? event.sequence)\nevent: \(event.type.filter { $0 != "\n" && $0 != "\r" })\ndata: \(event.json.text)\n\n" }
        return text
    }
}
