// Shapes of answers, for OpenAPI. Tests check real answers against them.
internal import Primitives

enum ResponseSchemas {
    static let participant = Schema.object([
        ("id", Schema.string, true), ("name", Schema.string, true), ("role", Schema.choice(["host", "guest"]), true), ("node", Schema.string, true),
        ("joined_at", Schema.time, true), ("metadata", Schema.string, false),
    ])
    static let publication = Schema.object([
        ("track_id", Schema.string), ("participant_id", Schema.string), ("kind", Schema.choice(["audio", "video"])),
        ("source", Schema.choice(["camera", "microphone", "screen_share", "screen_share_audio"])), ("codec", Schema.string), ("muted", Schema.boolean),
    ])
    static let states = ["starting", "recording", "stopping", "processing", "ready", "failed"]
    static let recordingStatus = Schema.object([
        ("recording_id", Schema.string, true), ("room_id", Schema.string, true), ("state", Schema.choice(states), true), ("reason", Schema.string, false),
        ("duration", Schema.number, false), ("size", Schema.integer, false), ("output_path", Schema.string, false),
    ])
    static let recordedTrack = Schema.object([
        ("track_id", Schema.string), ("peer_id", Schema.string), ("name", Schema.string), ("kind", Schema.choice(["audio", "video"])),
        ("source", Schema.string), ("codec", Schema.string), ("start", Schema.number), ("duration", Schema.number), ("url", Schema.string),
    ])
    static let recording = Schema.object([
        ("recording_id", Schema.string, true), ("room_id", Schema.string, true), ("title", Schema.string, true), ("state", Schema.choice(states), true),
        ("status", Schema.choice(states), true), ("reason", Schema.string, false), ("started_at", Schema.time, true), ("stopped_at", Schema.time, false),
        ("duration", Schema.number, false), ("size", Schema.integer, false), ("output_path", Schema.string, false), ("recorder", Schema.string, true),
        ("tracks", Schema.array(recordedTrack), true), ("metadata_url", Schema.string, false), ("timeline_url", Schema.string, false),
        ("metadata", ["type": "object", "description": "metadata.json: what was captured, with each track's integrity"], false),
    ])
    static let recordings = Schema.object([("recordings", Schema.array(recording))])
    static let created = Schema.object([
        ("session_id", Schema.string), ("meeting_code", Schema.string), ("host", Schema.object([("participant_id", Schema.string), ("token", Schema.string)])),
        ("join_url", Schema.string), ("ws_url", Schema.string),
    ])
    static let joined = Schema.object([
        ("participant_id", Schema.string), ("session_id", Schema.string), ("token", Schema.string), ("ws_url", Schema.string),
        ("ice_servers", Schema.array(Schema.object([("urls", Schema.array(Schema.string), true), ("username", Schema.string, false), ("credential", Schema.string, false)]))),
    ])
    static let session = Schema.object([
        ("session_id", Schema.string, true), ("meeting_code", Schema.string, true), ("title", Schema.string, true), ("host_name", Schema.string, true),
        ("mode", Schema.choice(["sfu", "p2p"]), true), ("state", Schema.choice(["active", "ended"]), true), ("max_participants", Schema.integer, true),
        ("recording_policy", Schema.string, false), ("region", Schema.string, false), ("created_at", Schema.time, true), ("ended_at", Schema.time, false),
        ("participants", Schema.array(participant), true), ("publications", Schema.array(publication), true), ("recording", recordingStatus, false),
        ("node", Schema.string, false), ("epoch", Schema.integer, false),
    ])
    static let node = Schema.object([
        ("node", Schema.string, true), ("region", Schema.string, false), ("roles", Schema.array(Schema.string), true), ("version", Schema.string, true),
        ("public_url", Schema.string, false),
    ])
    static let done = Schema.object([("ok", Schema.boolean)])
}
