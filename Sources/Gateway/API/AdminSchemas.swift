// Shapes of operators' answers, for OpenAPI; `troupectl --json` prints the same. Tests check real answers against them.
internal import Contracts
internal import Primitives

enum AdminSchemas {
    private static let away = Schema.array(Schema.string)
    private static let states = Schema.choice(["joining", "up", "draining", "leaving", "suspect", "down", "away"])

    static let drain = Schema.object([
        ("node", Schema.string, true), ("state", Schema.choice(["none", "draining", "drained", "incomplete"]), true), ("seconds_left", Schema.number, false), ("actors", Schema.integer, true),
        ("actors_left", Schema.integer, true), ("clients", Schema.integer, true), ("told", Schema.integer, true), ("moved", Schema.integer, true), ("left", Schema.integer, true),
        ("cut", Schema.integer, true), ("cut_unaware", Schema.integer, true), ("clients_left", Schema.integer, true), ("failures", Schema.array(Schema.string), true),
    ])
    private static let link = Schema.object([
        ("peer", Schema.string, true), ("rtt_ms", Schema.number, false), ("queue_bytes", Schema.integer, true), ("calls_in_flight", Schema.integer, true), ("clock_offset_ms", Schema.number, false),
        ("clock_uncertainty_ms", Schema.number, false), ("reconnects", Schema.integer, true),
    ])
    private static let capacity = Schema.object([("units", Schema.integer), ("used", Schema.integer), ("reserved", Schema.integer)])
    private static let node = Schema.object([
        ("node", Schema.string, true), ("state", states, true), ("reason", Schema.string, false), ("incarnation", Schema.integer, false), ("region", Schema.string, false),
        ("roles", Schema.array(Schema.string), true), ("version", Schema.string, false), ("address", Schema.string, false), ("url", Schema.string, false), ("uptime_seconds", Schema.number, false),
        ("capacity", capacity, false), ("rooms", Schema.integer, false), ("participants", Schema.integer, false), ("recordings", Schema.integer, false), ("links", Schema.array(link), true),
        ("drain", drain, false),
    ])
    static let nodes = Schema.object([("nodes", Schema.array(node))])

    private static let sample = Schema.object([
        ("node", Schema.string, true), ("state", states, true), ("cpu", Schema.number, false), ("loop_lag_ms", Schema.number, false), ("packets_in_per_second", Schema.number, false),
        ("packets_out_per_second", Schema.number, false), ("bytes_in_per_second", Schema.number, false), ("bytes_out_per_second", Schema.number, false), ("loss", Schema.number, false),
        ("resident_bytes", Schema.integer, false), ("rooms", Schema.integer, false), ("participants", Schema.integer, false), ("recordings", Schema.integer, false),
    ])
    static let top = Schema.object([("nodes", Schema.array(sample))])

    private static let summary = Schema.object([
        ("room_id", Schema.string, true), ("meeting_code", Schema.string, true), ("title", Schema.string, true), ("node", Schema.string, true), ("epoch", Schema.integer, true),
        ("participants", Schema.integer, true), ("publications", Schema.integer, true), ("recording_id", Schema.string, false), ("created_at", Schema.time, true),
    ])
    static let rooms = Schema.object([("rooms", Schema.array(summary), true), ("next", Schema.string, false), ("away", away, true)])
    static let room = Schema.object([
        ("room_id", Schema.string, true), ("meeting_code", Schema.string, true), ("title", Schema.string, true), ("state", Schema.choice(["active", "idle", "ended"]), true),
        ("mode", Schema.choice(["sfu", "p2p"]), true), ("max_participants", Schema.integer, true), ("region", Schema.string, false), ("created_at", Schema.time, true), ("ended_at", Schema.time, false),
        ("node", Schema.string, false), ("epoch", Schema.integer, false), ("sequence", Schema.integer, false), ("pinned", Schema.string, false), ("participants", Schema.array(ResponseSchemas.participant), true),
        ("publications", Schema.array(ResponseSchemas.publication), true), ("recording", ResponseSchemas.recordingStatus, false), ("away", away, true),
    ])
    private static let recording = Schema.object([
        ("recording_id", Schema.string, true), ("room_id", Schema.string, true), ("title", Schema.string, true), ("state", Schema.choice(ResponseSchemas.states), true), ("reason", Schema.string, false),
        ("recorder", Schema.string, true), ("epoch", Schema.integer, true), ("started_at", Schema.time, true), ("stopped_at", Schema.time, false), ("duration", Schema.number, false),
        ("size", Schema.integer, false), ("output_path", Schema.string, false), ("tracks", Schema.integer, true),
    ])
    static let recordings = Schema.object([("recordings", Schema.array(recording))])
    private static let job = Schema.object([
        ("job_id", Schema.string), ("kind", Schema.choice(["finalise"])), ("state", Schema.choice(["stopping", "processing"])), ("recording_id", Schema.string), ("room_id", Schema.string),
        ("node", Schema.string), ("since", Schema.time),
    ])
    static let jobs = Schema.object([("jobs", Schema.array(job))])
    private static let event = Schema.object([
        ("position", Schema.integer, false), ("room_id", Schema.string, true), ("first", Schema.integer, false), ("sequence", Schema.integer, true), ("epoch", Schema.integer, true), ("at", Schema.time, true),
        ("type", Schema.string, true), ("payload", ["type": "object"], true),
    ])
    static let events = Schema.object([("events", Schema.array(event)), ("cursor", Schema.integer), ("cut", Schema.boolean)])

    static let move = Schema.object([("room_id", Schema.string, true), ("from", Schema.string, false), ("to", Schema.string, true), ("epoch", Schema.integer, true), ("milliseconds", Schema.number, true)])
    static let pin = Schema.object([("room_id", Schema.string, true), ("pinned", Schema.string, false)])
    private static let plannedMove = Schema.object([
        ("kind", Schema.string, true), ("key", Schema.string, true), ("from", Schema.string, true), ("to", Schema.string, true), ("cost", Schema.integer, true),
        ("reason", Schema.choice(["pinned", "draining", "overloaded"]), true), ("failure", Schema.string, false),
    ])
    static let rebalance = Schema.object([
        ("state", Schema.choice(["none", "planned", "running", "stopped", "done"]), true), ("node", Schema.string, false), ("planned", Schema.integer, true), ("made", Schema.integer, true),
        ("failed", Schema.integer, true), ("waiting", Schema.integer, true), ("moves", Schema.array(plannedMove), true),
    ])
}
