// Shapes of answers, for OpenAPI. Tests check real answers against them.
internal import Contracts
internal import Primitives

enum ResponseSchemas {
    static let participant = Schema.object([
        ("id", Schema.string, true), ("name", Schema.string, true), ("role", Schema.choice(["host", "guest"]), true), ("node", Schema.string, true),
        ("joined_at", Schema.time, true), ("metadata", Schema.string, false), ("recording_consent", Schema.boolean, false),
    ])
    static let publication = Schema.object([
        ("track_id", Schema.string), ("participant_id", Schema.string), ("kind", Schema.choice(["audio", "video"])),
        ("source", Schema.choice(["camera", "microphone", "screen_share", "screen_share_audio"])), ("codec", Schema.string), ("muted", Schema.boolean),
    ])
    static let recordingPolicy: JSON = [
        "type": "object", "description": "Who may see the room's recordings (`participants` by default), and how many days they are kept (without it: until somebody deletes them)",
        "properties": [
            "viewers": ["type": "string", "enum": .array(RecordingPolicy.Viewers.allCases.map { .string($0.rawValue) })],
            "retention_days": ["type": "integer", "minimum": .integer(Int64(RecordingPolicy.Limits.retentionDays.lowerBound)), "maximum": .integer(Int64(RecordingPolicy.Limits.retentionDays.upperBound))],
        ],
    ]
    static let removal = Schema.object([
        ("ok", Schema.boolean, true), ("pending", Schema.boolean, false),
        ("removed", Schema.object([("objects", Schema.integer, true), ("bytes", Schema.integer, true), ("bucket_objects", Schema.integer, false), ("rows", Schema.integer, true)]), true),
    ])
    static let states = ["starting", "recording", "stopping", "processing", "ready", "failed", "deleted"]
    static let recordingStatus = Schema.object([
        ("recording_id", Schema.string, true), ("room_id", Schema.string, true), ("state", Schema.choice(states), true), ("reason", Schema.string, false),
        ("duration", Schema.number, false), ("size", Schema.integer, false), ("output_path", Schema.string, false),
        ("excluded", Schema.array(Schema.string), false), ("refused", Schema.array(Schema.string), false), ("start_at", Schema.time, false),
    ])
    static let recordedTrack = Schema.object([
        ("track_id", Schema.string), ("peer_id", Schema.string), ("name", Schema.string), ("kind", Schema.choice(["audio", "video"])),
        ("source", Schema.string), ("codec", Schema.string), ("start", Schema.number), ("duration", Schema.number), ("url", Schema.string),
    ])
    static let recording = Schema.object([
        ("recording_id", Schema.string, true), ("room_id", Schema.string, true), ("title", Schema.string, true), ("state", Schema.choice(states), true),
        ("status", Schema.choice(states), true), ("reason", Schema.string, false), ("started_at", Schema.time, true), ("stopped_at", Schema.time, false),
        ("duration", Schema.number, false), ("size", Schema.integer, false), ("output_path", Schema.string, false), ("recorder", Schema.string, true),
        ("policy", recordingPolicy, true), ("delete_after", Schema.time, false), ("excluded", Schema.array(Schema.string), false),
        ("tracks", Schema.array(recordedTrack), true), ("metadata_url", Schema.string, false), ("timeline_url", Schema.string, false),
        ("metadata", ["type": "object", "description": "metadata.json: what was captured, with each track's integrity"], false),
        ("preview_status", Schema.choice(jobStates), false), ("preview", ["type": "object", "description": "preview/index.json with signed URLs"], false),
        ("export_status", Schema.choice(jobStates), false), ("thumbnail_url", Schema.string, false), ("jobs", Schema.array(job), false),
    ])
    static let recordings = Schema.object([("recordings", Schema.array(recording))])
    static let created = Schema.object([
        ("session_id", Schema.string), ("meeting_code", Schema.string), ("host", Schema.object([("participant_id", Schema.string), ("token", Schema.string)])),
        ("join_url", Schema.string), ("ws_url", Schema.string),
    ])
    static let studioSession = Schema.object([
        ("roomId", Schema.string), ("session_id", Schema.string), ("meeting_code", Schema.string),
        ("host", Schema.object([("participant_id", Schema.string), ("token", Schema.string)])), ("join_url", Schema.string), ("ws_url", Schema.string),
    ])
    static let joined = Schema.object([
        ("participant_id", Schema.string), ("session_id", Schema.string), ("token", Schema.string), ("ws_url", Schema.string),
        ("ice_servers", Schema.array(Schema.object([("urls", Schema.array(Schema.string), true), ("username", Schema.string, false), ("credential", Schema.string, false)]))),
    ])
    static let invitation = Schema.object([("guest_token", Schema.string), ("expires_at", Schema.time), ("join_url", Schema.string)])
    static let compositionToken = Schema.object([("token", Schema.string), ("expires_at", Schema.time), ("scopes", Schema.array(Schema.string))])
    static let jobStates = ["queued", "processing", "ready", "failed", "cancelled"]
    static let jobAccepted = Schema.object([("job_id", Schema.string), ("status", Schema.choice(jobStates))])
    static let job = Schema.object([
        ("job_id", Schema.string, true), ("kind", Schema.choice(["finalise", "preview", "export", "thumbnail"]), true), ("recording_id", Schema.string, true),
        ("room_id", Schema.string, true), ("status", Schema.choice(jobStates), true), ("progress", Schema.number, true), ("eta_seconds", Schema.number, false),
        ("attempt", Schema.integer, true), ("priority", Schema.integer, true), ("created_at", Schema.time, true), ("finished_at", Schema.time, false),
        ("error", Schema.object([("code", Schema.string), ("message", Schema.string)]), false), ("url", Schema.string, false),
        ("duration", Schema.number, false), ("size", Schema.integer, false), ("complete", Schema.boolean, false), ("note", Schema.string, false),
    ])
    static let composition = Schema.object([
        ("composition_id", Schema.string, true), ("status", Schema.choice(["saved"]), true), ("version", Schema.integer, true), ("updated_at", Schema.time, true),
        ("composition", ["type": "object"], false),
    ])
    static let session = Schema.object([
        ("session_id", Schema.string, true), ("meeting_code", Schema.string, true), ("title", Schema.string, true), ("host_name", Schema.string, true),
        ("mode", Schema.choice(["sfu", "p2p"]), true), ("state", Schema.choice(["active", "ended"]), true), ("max_participants", Schema.integer, true),
        ("recording_policy", recordingPolicy, false), ("region", Schema.string, false), ("created_at", Schema.time, true), ("ended_at", Schema.time, false),
        ("participants", Schema.array(participant), true), ("publications", Schema.array(publication), true), ("recording", recordingStatus, false),
        ("node", Schema.string, false), ("epoch", Schema.integer, false),
    ])
    static let node = Schema.object([
        ("node", Schema.string, true), ("region", Schema.string, false), ("roles", Schema.array(Schema.string), true), ("version", Schema.string, true),
        ("public_url", Schema.string, false),
    ])
    static let time = Schema.object([("time_us", Schema.integer), ("node", Schema.string)])
    static let uploadURL = Schema.object([
        ("url", Schema.string), ("method", Schema.choice(["PUT"])), ("headers", ["type": "object", "additionalProperties": ["type": "string"]]), ("expires_at", Schema.time),
        ("max_bytes", Schema.integer), ("recording_id", Schema.string),
    ])
    static let chunk = Schema.object([("sequence", Schema.integer), ("bytes", Schema.integer), ("sha256", Schema.string), ("upload_complete", Schema.boolean)])
    static let upload = Schema.object([
        ("upload", Schema.string, true), ("kind", Schema.choice(["camera", "screen", "audio"]), true), ("first_sequence", Schema.integer, true), ("last_sequence", Schema.integer, false),
        ("complete", Schema.boolean, true), ("chunks", Schema.array(Schema.object([("sequence", Schema.integer), ("bytes", Schema.integer), ("sha256", Schema.string)])), true),
        ("missing", Schema.array(Schema.array(Schema.integer)), true),
    ])
    static let uploads = Schema.object([
        ("recording_id", Schema.string, true), ("participant_id", Schema.string, true), ("uploads", Schema.array(upload), true),
        ("next_sequence", ["type": "object", "additionalProperties": ["type": "integer"]], true), ("accepted_until", Schema.time, false),
    ])
    static let done = Schema.object([("ok", Schema.boolean)])
}
