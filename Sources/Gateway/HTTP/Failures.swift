// Errors as clients see them (API.md): `{"error": {"code", "message", "request_id"}}` with a fitting status.
package import Contracts
internal import EventLoop
internal import Primitives

/// A refusal with its HTTP status. Codes are part of the contract.
package struct Failure: Error, Equatable, Sendable {
    package var status: Int
    package var code: String
    package var message: String
    /// Seconds, for 429 and 503.
    package var retryAfter: Int?
    package init(_ status: Int, _ code: String, _ message: String, retryAfter: Int? = nil) {
        self.status = status; self.code = code; self.message = message
        self.retryAfter = retryAfter ?? (status == 503 ? 2 : status == 429 ? 1 : nil)
    }
    /// WebSocket close codes of the private range carry the same meaning: 4000 + status.
    package var closeCode: UInt16 { UInt16(4000 + status) }

    package func response(requestID: String) -> HTTPResponse {
        let body: JSON = ["error": ["code": .string(code), "message": .string(message), "request_id": .string(requestID)]]
        var response = HTTPResponse.json(body, status: status)
        if let retryAfter { response.set("Retry-After", String(retryAfter)) }
        if status == 401 { response.set("WWW-Authenticate", "Bearer") }
        return response
    }
}

extension Failure {
    package init(_ error: ServiceError) { self.init(Self.status(of: error.kind), error.code, error.message) }
    static func status(of kind: ServiceError.Kind) -> Int {
        switch kind {
        case .malformed: 400
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .conflict: 409
        case .ended: 410
        case .tooLarge: 413
        case .unsupported: 422
        case .rateLimited: 429
        case .unavailable: 503
        }
    }
    /// Whatever a handler threw. Unknown errors are ours to explain in the log, not the client's to read.
    package init(any error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as ServiceError: self.init(error)
        case let error as FieldError: self.init(400, "malformed", error.description)
        case let error as JSONError: self.init(400, "malformed", error.description)
        case let error as TokenError: self.init(401, error == .expired ? "token_expired" : "bad_token", error.description)
        case let error as StoreError: self.init(error)
        case is DiskThread.Busy: self.init(503, "disk_busy", "too many files are being read; try again in a moment")
        case is DeadlineExceeded: self.init(503, "timeout", "the node did not finish in time; ask whether it was done before you try again")
        case is CancellationError: self.init(503, "cancelled", "the node stopped before it finished; try again")
        default: self.init(500, "internal", "something failed inside the node; report the request id")
        }
    }
    private init(_ error: StoreError) {
        switch error {
        case .away: self.init(503, "store_away", "the store does not answer; try again in a moment")
        case .conflict: self.init(409, "conflict", "something else changed it at the same time; read it again")
        case .notFound: self.init(404, "not_found", "there is no such thing; check the id")
        case .corrupt: self.init(500, "internal", "something failed inside the node; report the request id")
        }
    }
}
