// `Idempotency-Key`: a repeated request is answered with what the first one was answered.
internal import Contracts
internal import Hashing
internal import Primitives

/// Keeps successful answers in the room store for a day. Confined to the gateway's loop.
///
/// The stored name is a digest of caller, endpoint and key, so that nobody reads another's answer; the stored body begins
/// with a digest of the request's body, so that one key for two different requests is refused instead of answered wrongly.
/// With the store away requests are served all the same, unrepeatable (law 4).
final class Idempotency: @unchecked Sendable {
    enum Limits {
        static let keyBytes = 255
        static let underWay = 4096        // keys at once, then requests go unrepeatable
    }
    private let store: any RoomStore
    private var underWay: Set<String> = []
    init(store: any RoomStore) { self.store = store }

    /// Answers from the store or runs `work` and keeps its answer.
    func answer(_ call: RouteCall, key: String?, authorization: String?, work: @Sendable () async throws -> HTTPResponse) async throws -> HTTPResponse {
        guard let key, !key.isEmpty else { return try await work() }
        guard key.utf8.count <= Limits.keyBytes else { throw Failure(400, "malformed", "`Idempotency-Key` must have at most \(Limits.keyBytes) bytes") }
        let name = Self.name(call.request, key, authorization)
        let fingerprint = Digests.hex(Digests.sha256(call.request.body))
        guard underWay.count < Limits.underWay else { return try await work() }
        guard underWay.insert(name).inserted else {
            throw Failure(409, "in_progress", "the first request with this `Idempotency-Key` is still under way; ask again in a moment", retryAfter: 1)
        }
        defer { underWay.remove(name) }
        if let stored = try? await store.answer(idempotencyKey: name) { return try Self.replay(stored, fingerprint) }
        let response = try await work()
        if (200..<300).contains(response.status), case .bytes(let body) = response.body {
            let stored = StoredAnswer(status: response.status, body: fingerprint + "\n" + String(decoding: body, as: UTF8.self))
            try? await store.keep(stored, idempotencyKey: name, at: call.now)
        }
        return response
    }
    private static func name(_ request: HTTPRequest, _ key: String, _ authorization: String?) -> String {
        Digests.hex(Digests.sha256(Array("\(request.method.rawValue)\n\(request.path)\n\(authorization ?? "")\n\(key)".utf8)))
    }
    private static func replay(_ stored: StoredAnswer, _ fingerprint: String) throws(Failure) -> HTTPResponse {
        let parts = stored.body.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == fingerprint else {
            throw Failure(422, "idempotency_key_reused", "this `Idempotency-Key` came with another body before; use a new key for a new request")
        }
        var response = HTTPResponse(status: stored.status, headers: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: Array(parts[1].utf8))
        response.set("Idempotent-Replay", "true")
        return response
    }
}
