// One HTTP exchange after the other by libcurl, on the caller's thread.
internal import CCurl
internal import Glibc
internal import Primitives

struct HTTPAnswer {
    var status = 0
    /// By lower-case name.
    var headers: [String: String] = [:]
    /// Of a success that went into a file: empty.
    var body: [UInt8] = []
}

enum HTTPFailure: Error {
    /// The server could not be reached, broke off or was too slow: libcurl's words.
    case broken(String)
    /// The server's certificate, or the file of authorities: libcurl's words.
    case untrusted(String)
    /// The answer is larger than asked for.
    case tooLarge
    /// The file could not be written (errno).
    case sink(Int32)
}

/// Owns one `CURL *` and with it a connection that is kept for the next exchange. Used by one thread at a time, hence unchecked.
final class HTTPConnection: @unchecked Sendable {
    /// Where a success's body goes; what else the server says is read into memory.
    enum Sink {
        /// At most so many bytes.
        case memory(Int)
        /// Written from `offset` on, at most `count` bytes.
        case file(Descriptor, offset: Int64, count: Int64)
    }

    private let handle: UnsafeMutableRawPointer
    private var sink = Sink.memory(0)
    private var answer = HTTPAnswer()
    private var written: Int64 = 0
    private var failure: HTTPFailure?

    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init?() {
        guard Self.isReady, let handle = curl_easy_init() else { return nil }
        self.handle = handle
    }
    deinit { curl_easy_cleanup(handle) }

    /// - Parameters:
    ///   - headers: all that are sent but those HTTP itself needs.
    ///   - body: nil sends none.
    ///   - certificates: PEM file of the authorities to trust; nil: the system's.
    /// - Returns: the answer, whatever its status, and how many bytes were sent.
    func exchange(
        _ method: String, _ url: String, headers: [(name: String, value: String)], body: UnsafeRawBufferPointer?, into sink: Sink, certificates: String?, stall: Duration = S3Limits.stall
    ) -> (result: Result<HTTPAnswer, HTTPFailure>, sent: Int64) {
        self.sink = sink
        answer = HTTPAnswer()
        written = 0
        failure = nil
        // Keeps the connection, forgets every option.
        curl_easy_reset(handle)
        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        // What libcurl would add by itself is no part of what was signed.
        for line in headers.filter({ $0.name != "host" }).map({ "\($0.name): \($0.value)" }) + ["Expect:", "Content-Type:", "Accept:"] { list = curl_slist_append(list, line) }
        let bytes = body?.count ?? 0
        set(CURLOPT_URL, url)
        set(CURLOPT_CUSTOMREQUEST, method)
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(S3Limits.connect.inMilliseconds))
        set(CURLOPT_LOW_SPEED_LIMIT, S3Limits.stallBytes)
        set(CURLOPT_LOW_SPEED_TIME, max(1, Int(stall.inSeconds)))
        if let certificates { set(CURLOPT_CAINFO, certificates) }
        shim_curl_set_pointer(handle, CURLOPT_HTTPHEADER, list)
        if method == "HEAD" {
            set(CURLOPT_NOBODY, 1)
        } else if method == "PUT" || method == "POST" {
            shim_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes))
            if let start = body?.baseAddress, bytes > 0 {
                shim_curl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: start))
            } else {
                set(CURLOPT_COPYPOSTFIELDS, "")
            }
        }
        let context = Unmanaged.passUnretained(self).toOpaque()
        shim_curl_set_header_sink(handle, { bytes, size, count, context in
            HTTPConnection.owner(context).take(header: UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }, context)
        shim_curl_set_body_sink(handle, { bytes, size, count, context in
            HTTPConnection.owner(context).take(body: UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }, context)
        let code = curl_easy_perform(handle)
        let sent = Int64(shim_curl_uploaded(handle))
        if let failure { return (.failure(failure), sent) }
        guard code == CURLE_OK else {
            let text = String(cString: curl_easy_strerror(code))
            return (.failure(code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ? .untrusted(text) : .broken(text)), sent)
        }
        answer.status = shim_curl_status(handle)
        return (.success(answer), sent)
    }

    private static func owner(_ context: UnsafeMutableRawPointer?) -> HTTPConnection {
        Unmanaged<HTTPConnection>.fromOpaque(context!).takeUnretainedValue()
    }
    private func set(_ option: CURLoption, _ value: Int) { _ = shim_curl_set_long(handle, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = shim_curl_set_text(handle, option, value) }

    // MARK: What comes

    private func take(header bytes: UnsafeRawBufferPointer) -> Bool {
        let line = String(decoding: bytes, as: UTF8.self)
        guard let colon = line.firstIndex(of: ":") else { return true }
        let value = line[line.index(after: colon)...].split(whereSeparator: { $0 == " " || $0.isNewline || $0 == "\t" }).joined(separator: " ")
        answer.headers[line[..<colon].lowercased()] = value
        return answer.headers.count <= 256
    }

    private func take(body bytes: UnsafeRawBufferPointer) -> Bool {
        let isSuccess = (200...299).contains(shim_curl_status(handle))
        switch sink {
        case .file(let file, let offset, let count) where isSuccess:
            guard written + Int64(bytes.count) <= count else { failure = .tooLarge; return false }
            if let code = file.write(bytes, at: offset + written) { failure = .sink(code); return false }
            written += Int64(bytes.count)
        case .memory(let limit):
            guard answer.body.count + bytes.count <= (isSuccess ? limit : S3Limits.answerBytes) else { failure = .tooLarge; return false }
            answer.body += bytes
        case .file:
            guard answer.body.count + bytes.count <= S3Limits.answerBytes else { failure = .tooLarge; return false }
            answer.body += bytes
        }
        return true
    }
}
