// Signalling and HTTP bodies as the client needs them (docs/protocol/).
internal import FoundationEssentials

/// One frame from the node; only the members the client acts on.
struct ServerSignal: Decodable {
    struct Recording: Codable, Equatable {
        var recording_id: String
        var room_id: String
        var state: String
        var reason: String?
        var duration: Double?
    }
    var type: String
    var id: Int64?
    var sdp: String?
    var code: String?
    var message: String?
    var node: String?
    var pingInterval: Double?
    var recording: Recording?
    var reason: String?
    var seq: UInt64?
    var resumeToken: String?
    var nodes: [String]?
    var wsURLs: [String]?
    /// Milliseconds.
    var deadline: Int?

    private enum Key: String, CodingKey { case type, id, sdp, code, message, node, ping_interval, recording, reason, seq, resume_token, nodes, ws_urls, deadline_ms }
    /// `id` is a text in some events and a number in answers.
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        type = try values.decode(String.self, forKey: .type)
        id = try? values.decode(Int64.self, forKey: .id)
        sdp = try? values.decode(String.self, forKey: .sdp)
        code = try? values.decode(String.self, forKey: .code)
        message = try? values.decode(String.self, forKey: .message)
        node = try? values.decode(String.self, forKey: .node)
        pingInterval = try? values.decode(Double.self, forKey: .ping_interval)
        recording = try? values.decode(Recording.self, forKey: .recording)
        reason = try? values.decode(String.self, forKey: .reason)
        seq = try? values.decode(UInt64.self, forKey: .seq)
        resumeToken = try? values.decode(String.self, forKey: .resume_token)
        nodes = try? values.decode([String].self, forKey: .nodes)
        wsURLs = try? values.decode([String].self, forKey: .ws_urls)
        deadline = try? values.decode(Int.self, forKey: .deadline_ms)
    }
    static func decode(_ frame: [UInt8]) throws -> ServerSignal { try JSONDecoder().decode(ServerSignal.self, from: Data(frame)) }
}

struct ClientSignal: Encodable {
    var type: String
    var id: Int64?
    var sdp: String?
    var track_id: String?
    var source: String?
    var token: String?
    var last_seq: UInt64?
    var attempt: UInt32?
    var move: Bool?
    var features: [String]?
    init(hello features: [String]) {
        type = "hello"
        self.features = features
    }
    init(resume token: String, lastSeen: UInt64, attempt: UInt32, isMove: Bool, features: [String]) {
        type = "resume"
        (self.token, last_seq, self.attempt, move, self.features) = (token, lastSeen, attempt, isMove, features)
    }
    init(_ type: String, id: Int64? = nil, sdp: String? = nil, trackID: String? = nil, source: String? = nil) {
        self.type = type; self.id = id; self.sdp = sdp; track_id = trackID; self.source = source
    }
    var bytes: [UInt8] { (try? JSONEncoder().encode(self)).map { Array($0) } ?? [] }
}

/// A place in a room.
struct Credentials: Codable, Equatable, Sendable {
    var session_id: String
    var participant_id: String
    var token: String
}

struct CreateBody: Encodable {
    var title: String
    var host_name: String
    var mode = "sfu"
    var max_participants: Int
}
struct CreateAnswer: Decodable {
    struct Host: Decodable { var participant_id: String; var token: String }
    var session_id: String
    var host: Host
}
struct JoinBody: Encodable { var display_name: String }
struct ErrorBody: Decodable {
    struct Inner: Decodable { var code: String; var message: String }
    var error: Inner
}

extension HTTPAnswer {
    /// The body of a good answer, or the node's own words.
    func decode<Value: Decodable>(_ type: Value.Type, doing what: String) throws -> Value {
        guard (200..<300).contains(status) else {
            let error = try? JSONDecoder().decode(ErrorBody.self, from: Data(body)).error
            throw WebError("\(what): \(status) \(error.map { "\($0.code): \($0.message)" } ?? "")")
        }
        do { return try JSONDecoder().decode(type, from: Data(body)) } catch { throw WebError("\(what): the answer (\(status), \(body.count) bytes: \(String(decoding: body.prefix(80), as: UTF8.self))) is not understood: \(error)") }
    }
}
extension Encodable {
    var json: [UInt8] { (try? JSONEncoder().encode(self)).map { Array($0) } ?? [] }
}
