// Sends signed requests to one bucket, again where that may help, and counts.
internal import Glibc
internal import Hashing
internal import Primitives
internal import Synchronization

/// What a bucket has been asked, since the process began.
package struct S3Counts: Sendable, Equatable {
    /// Requests, repeated ones included.
    package var requests: UInt64 = 0
    /// Of these, those sent again.
    package var retries: UInt64 = 0
    /// Calls that failed after all.
    package var failures: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    /// Uploads in parts that were begun and given up.
    package var abortedUploads: UInt64 = 0
}

final class S3Client: Sendable {
    let address: S3Address
    private let credentials: @Sendable () throws(ObjectStorageError) -> S3Credentials
    private let certificates: String?
    private let stall: Duration
    private let wall: @Sendable () -> WallTime
    private let random: any RandomSource
    private let idle = Mutex<[HTTPConnection]>([])
    private let counters = Mutex(S3Counts())

    init(
        _ address: S3Address, credentials: @escaping @Sendable () throws(ObjectStorageError) -> S3Credentials, certificates: String?,
        stall: Duration, random: any RandomSource, wall: @escaping @Sendable () -> WallTime
    ) {
        self.address = address; self.credentials = credentials; self.certificates = certificates; self.stall = stall; self.random = random; self.wall = wall
    }

    var counts: S3Counts { counters.withLock { $0 } }
    func count(_ change: (inout S3Counts) -> Void) { counters.withLock { change(&$0) } }

    /// A request without its body, as an operation describes it.
    struct Call {
        var method: String
        /// In the bucket; nil: the bucket itself.
        var name: String?
        var query: [(name: String, value: String)] = []
        /// Lower-case names; those of the signature are added.
        var headers: [(name: String, value: String)] = []
        var sink = HTTPConnection.Sink.memory(S3Limits.answerBytes)
        /// Statuses other than 2xx the operation reads itself.
        var understood: Set<Int> = []
        var what: String { "\(method) \(name ?? "of the bucket")" }
    }

    /// Sends a call until it is answered in earnest, at most `S3Limits.attempts` times.
    func send(_ call: Call, body: [UInt8]? = nil) throws(ObjectStorageError) -> HTTPAnswer {
        var attempt = 1
        while true {
            let (answer, verdict) = try once(call, body)
            switch verdict {
            case .done: return answer
            case .failed(let error):
                if error != .notFound { count { $0.failures += 1 } }
                throw error
            case .again(let error):
                guard attempt < S3Limits.attempts else {
                    count { $0.failures += 1 }
                    throw error
                }
                count { $0.retries += 1 }
                Self.wait(S3Retry.pause(afterAttempt: attempt, random: random.next(), asked: answer.headers["retry-after"].flatMap { Int($0) }))
                attempt += 1
            }
        }
    }

    private func once(_ call: Call, _ body: [UInt8]?) throws(ObjectStorageError) -> (HTTPAnswer, S3Verdict) {
        // Signed anew each time: a signature is good for minutes only, and keys may have been changed.
        let request = try signed(call, body)
        guard let connection = idle.withLock({ $0.popLast() }) ?? HTTPConnection() else { throw .away("libcurl cannot be used") }
        let url = address.url(request)
        let (result, sent) = if let body {
            body.withUnsafeBytes { connection.exchange(call.method, url, headers: request.headers, body: $0, into: call.sink, certificates: certificates, stall: stall) }
        } else {
            connection.exchange(call.method, url, headers: request.headers, body: nil, into: call.sink, certificates: certificates, stall: stall)
        }
        idle.withLock { if $0.count < S3Limits.idleConnections { $0.append(connection) } }
        count {
            $0.requests += 1
            $0.bytesSent += UInt64(max(0, sent))
        }
        switch result {
        case .success(let answer):
            count { $0.bytesReceived += UInt64(answer.body.count) }
            return (answer, S3Verdict.of(status: answer.status, code: Self.code(answer), what: call.what, understood: call.understood))
        case .failure(.broken(let text)): return (HTTPAnswer(), .again(.away("\(call.what): \(text)")))
        case .failure(.untrusted(let text)): return (HTTPAnswer(), .failed(.refused("\(call.what): \(text); name the authority of the server's certificate under `ca_file`")))
        case .failure(.tooLarge): return (HTTPAnswer(), .failed(.away("\(call.what): the answer is larger than it may be")))
        case .failure(.sink(let code)): return (HTTPAnswer(), .failed(.away("\(call.what): cannot write what comes: \(Descriptor.reason(code))")))
        }
    }

    private func signed(_ call: Call, _ body: [UInt8]?) throws(ObjectStorageError) -> S3Request {
        let now = wall()
        let payload = (body ?? []).withUnsafeBytes { Digests.hex(Digests.sha256($0)) }
        var request = S3Request(
            method: call.method, path: address.path(call.name), query: call.query,
            headers: call.headers + [("host", address.host), ("x-amz-content-sha256", payload), ("x-amz-date", S3Time.basic(now))], payload: payload)
        // Checked by the server beside the signature's own hash, which some servers do not compare with what came.
        if let body { request.headers.append(("content-md5", Digests.base64(body.withUnsafeBytes(Digests.md5)))) }
        request.headers.append(("authorization", S3Signature(credentials: try credentials(), region: address.region).authorization(request, at: now)))
        return request
    }

    /// `Code` of an error, also of one that came with a 200.
    private static func code(_ answer: HTTPAnswer) -> String? {
        guard !answer.body.isEmpty, answer.status >= 300 || answer.headers["content-type"]?.contains("xml") == true, let root = XMLElement.parse(answer.body), root.name == "Error" else { return nil }
        return root["Code"].map { String($0.unicodeScalars.filter { $0.isASCII && $0.properties.isAlphabetic }.prefix(64).map(Character.init)) }
    }

    /// Blocks the calling thread, which is one of storage.
    private static func wait(_ pause: Duration) {
        let (seconds, nanoseconds) = pause.inNanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        var wanted = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)), left = timespec()
        while nanosleep(&wanted, &left) != 0, errno == EINTR { wanted = left }
    }

    // MARK: URLs signed in advance

    /// Good for one method and object until `life` is over, by whoever has it.
    func presigned(_ method: String, _ name: String, life: Duration) throws(ObjectStorageError) -> String {
        let request = S3Request(method: method, path: address.path(name), headers: [("host", address.host)], payload: S3Request.unsigned)
        return address.url(S3Signature(credentials: try credentials(), region: address.region).presigned(request, at: wall(), life: life))
    }
}
