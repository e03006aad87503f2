// What an answer of an S3 server means, and when a request is worth sending again.
// Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
internal import Primitives

/// Decided without sending anything.
enum S3Verdict: Equatable {
    /// As hoped for, or a status the caller said it understands.
    case done
    /// Sending it again will not help.
    case failed(ObjectStorageError)
    /// It may help, after a pause.
    case again(ObjectStorageError)

    /// - Parameters:
    ///   - what: the request, for people: method and key.
    ///   - code: `Code` of the answer's XML; nil where there is none (`HEAD` has no body).
    ///   - understood: statuses other than 2xx that the caller reads itself.
    static func of(status: Int, code: String?, what: String, understood: Set<Int>) -> S3Verdict {
        let said = "\(what): the server answered \(status)\(code.map { " \($0)" } ?? "")"
        switch (status, code) {
        case (200...299, nil): return .done
        // An answer that began as a success may end as an error (CompleteMultipartUpload).
        case (200...299, _): return .again(.away(said))
        case (_, "NoSuchBucket"): return .failed(.refused("\(said); create the bucket, or name another one"))
        case (_, "RequestTimeTooSkewed"): return .failed(.refused("\(said); set this machine's clock"))
        case (_, "SignatureDoesNotMatch"): return .failed(.refused("\(said); the secret key is not the server's, or a proxy changes requests"))
        case (_, "InvalidAccessKeyId"): return .failed(.refused("\(said); the server does not know the access key"))
        case (_, "QuotaExceeded"), (507, _): return .failed(.away("\(said); make room there"))
        case (_, "RequestTimeout"), (_, "SlowDown"), (_, "BadDigest"), (_, "XAmzContentSHA256Mismatch"), (_, "OperationAborted"): return .again(.away(said))
        case (let status, _) where understood.contains(status): return .done
        case (404, _): return .failed(.notFound)
        case (408, _), (429, _), (500, _), (502...504, _): return .again(.away(said))
        case (300...399, _): return .failed(.refused("\(said); the bucket is elsewhere, correct its endpoint and region"))
        case (401, _), (403, _): return .failed(.refused("\(said); the keys do not allow this"))
        default: return .failed(.refused(said))
        }
    }
}

/// How long to wait between attempts: full jitter under a bound that doubles.
enum S3Retry {
    /// - Parameters:
    ///   - attempt: the one that failed, 1...
    ///   - random: any 64 bits.
    ///   - asked: seconds of `Retry-After`, if the server sent it.
    static func pause(afterAttempt attempt: Int, random: UInt64, asked: Int?) -> Duration {
        let bound = min(S3Limits.firstPause * (1 << max(0, min(attempt - 1, 10))), S3Limits.longestPause)
        let jittered = Duration.nanoseconds(Int64(random % UInt64(bound.inNanoseconds / 2 + 1))) + bound / 2
        guard let asked, asked > 0 else { return jittered }
        return max(jittered, min(.seconds(min(asked, 3_600)), S3Limits.longestPause))
    }
}

package enum S3Limits {
    /// Times one request is sent.
    package static let attempts = 5
    package static let firstPause: Duration = .milliseconds(200)
    package static let longestPause: Duration = .seconds(5)
    /// For name, TCP and TLS.
    package static let connect: Duration = .seconds(5)
    /// Without `stallBytes` a second for so long, an exchange is given up.
    package static let stall: Duration = .seconds(15)
    package static let stallBytes = 1_024
    /// Bytes of an answer that is read into memory and is no object: lists, errors.
    package static let answerBytes = 8 << 20
    /// Larger objects are sent in parts of this size, or of what makes `parts` of them.
    package static let partBytes: Int64 = 8 << 20
    package static let parts: Int64 = 10_000
    /// The largest part, held in memory while it is sent; with `parts` it bounds an object: 625 GiB.
    package static let largestPartBytes: Int64 = 64 << 20
    /// Bytes one `read` gives back, and pieces of what `get` fetches.
    package static let readBytes: Int64 = 64 << 20
    package static let pieceBytes: Int64 = 16 << 20
    /// Objects of one list.
    package static let listed = 500_000
    /// Keys of one page, and of one request to delete (S3's own bound).
    package static let pageKeys = 1_000
    /// Connections kept open for the next request.
    package static let idleConnections = 8
    /// Pages of keys `deleteAll` goes through.
    package static let deletedPages = 10_000
}

/// The parts an object of `size` bytes is sent in: equal ones and a rest.
enum S3Parts {
    /// - Returns: one range for what is sent whole; nil for what is larger than an object may be.
    static func of(_ size: Int64) -> [Range<Int64>]? {
        if size <= S3Limits.partBytes { return [0..<size] }
        let mebibyte: Int64 = 1 << 20
        let least = (size - 1) / S3Limits.parts + 1
        let part = max(S3Limits.partBytes, (least + mebibyte - 1) / mebibyte * mebibyte)
        guard part <= S3Limits.largestPartBytes else { return nil }
        return stride(from: 0, to: size, by: Int64.Stride(part)).map { $0..<min($0 + part, size) }
    }
}
