// What operators ask, over HTTP: `/admin/v1`, for dashboards. The bodies are those of `troupectl --json`.
// Decision: docs/decisions/0026-operator-rpc.md
internal import Contracts
internal import EventLoop
internal import Primitives

struct AdminRoutes: Sendable {
    private enum Fields {
        static let node = Field.string("node", 1...128, "A node's name")
        static let deadline = Field.integer("deadline_seconds", 0...3600, required: false, "What is left then is cut off; 60 unless said")
        static let action = Field<RebalanceOrder>.choice("action", [.plan, .begin, .stop, .resume], "plan: work one out, move nothing; begin: carry one out")
    }
    let operations: any OperationsService
    enum Limits {
        /// Event streams that are open at this gateway.
        static let streams = 64
    }
    private let streams: ServerSentEvents
    init(operations: any OperationsService, loop: any Loop) { self.operations = operations; streams = ServerSentEvents(most: Limits.streams, loop: loop) }

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
        return try streams.answer((query: query, first: Optional(first))) { [operations] state in
            let page = if let first = state.first.take() { first } else { try await operations.events(state.query) }
            state.query.since = page.cursor
            return page.serverSent
        }
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

extension EventFeed {
    /// `id` is what to ask `since` with.
    fileprivate var serverSent: ServerSentEvents.Look {
        var text = isCut ? "event: events_removed\ndata: {}\n\n" : ""
        for event in events { text += "id: \(event.position ?? event.sequence)\nevent: \(event.type.filter { $0 != "\n" && $0 != "\r" })\ndata: \(event.json.text)\n\n" }
        return text.isEmpty ? .unchanged : .text(text)
    }
}
