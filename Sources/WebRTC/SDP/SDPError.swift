// Why a session description is refused. Texts say what is wrong, for the peer's developer.

package enum SDPError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooLarge(bytes: Int)
    /// More of something than `SDP.Limits` allows.
    case tooMany(String)
    case malformed(line: Int, String)
    /// An attribute WebRTC requires is not there.
    case missing(String)
    case unsupported(String)
    /// The m-lines do not continue those of the session (RFC 3264 §8).
    case sectionMismatch(index: Int, String)
    /// An answer came while no offer of ours was outstanding.
    case noOfferOutstanding

    package var description: String {
        switch self {
        case .tooLarge(let bytes): "the description has \(bytes) bytes; at most \(SDP.Limits.bytes) are read"
        case .tooMany(let what): "too many \(what)"
        case .malformed(let line, let what): "line \(line): \(what)"
        case .missing(let what): "\(what) is missing"
        case .unsupported(let what): "\(what) is not supported"
        case .sectionMismatch(let index, let what): "m-line \(index): \(what)"
        case .noOfferOutstanding: "an answer without an offer"
        }
    }
}
