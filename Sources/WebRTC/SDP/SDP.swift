// Session descriptions as values (RFC 8866), with the attributes WebRTC uses (RFC 8829 §5).
package import RTP
package import Primitives

/// The namespace of session descriptions: `SDP.Session` holds `SDP.Media`.
package enum SDP {
    package enum Limits {
        package static let bytes = 256 * 1024
        package static let lineBytes = 8 * 1024
        package static let media = 64              // m-lines of one session
        package static let formats = 128           // payload types of one m-line
        package static let attributes = 4096       // lines of one m-line
        package static let candidates = 64         // of one m-line
        package static let sources = 64            // distinct a=ssrc and a=ssrc-group lines of one m-line
        package static let restrictions = 16       // a=rid lines of one m-line
        package static let midBytes = 16           // fits a one-byte header extension (RFC 8285 §4.2)
        package static let ridBytes = 16
        package static let credentialBytes = 256   // ice-ufrag and ice-pwd (RFC 8839 §5.4)
    }

    package enum Direction: String, Sendable, Hashable {
        case sendrecv, sendonly, recvonly, inactive
        package init(sends: Bool, receives: Bool) {
            self = sends ? (receives ? .sendrecv : .sendonly) : (receives ? .recvonly : .inactive)
        }
        package var sends: Bool { self == .sendrecv || self == .sendonly }
        package var receives: Bool { self == .sendrecv || self == .recvonly }
    }

    package enum Kind: Hashable, Sendable {
        case audio, video, application
        case other(String)
        package init(_ text: String) {
            switch text {
            case "audio": self = .audio
            case "video": self = .video
            case "application": self = .application
            default: self = .other(text)
            }
        }
        package var text: String {
            switch self {
            case .audio: "audio"
            case .video: "video"
            case .application: "application"
            case .other(let text): text
            }
        }
        /// nil for what is not RTP.
        package var codecKind: Codec.Kind? { self == .audio ? .audio : self == .video ? .video : nil }
    }

    /// RFC 8842 §5.2 and RFC 4145 §4.
    package enum Setup: String, Sendable, Hashable { case actpass, active, passive, holdconn }

    /// a=fingerprint (RFC 8122 §5): the algorithm in lower case, the digest in upper.
    package struct Fingerprint: Hashable, Sendable {
        package var algorithm: String
        package var digest: String
        package init(algorithm: String, digest: String) { self.algorithm = algorithm; self.digest = digest }
    }

    /// ICE and DTLS attributes; a session's stand for media without their own.
    package struct Transport: Hashable, Sendable {
        package var iceUfrag: String?
        package var icePassword: String?
        package var iceOptions: [String] = []
        package var fingerprints: [Fingerprint] = []
        package var setup: Setup?
        package init() {}
    }

    /// a=candidate (RFC 8839 §5.1). Host names (mDNS) are kept as text; `address` is nil for them.
    package struct Candidate: Hashable, Sendable {
        package var foundation: String
        package var component: Int
        package var transport: String
        package var priority: UInt32
        package var host: String
        package var port: UInt16
        package var type: String
        package init(foundation: String, component: Int, transport: String, priority: UInt32, host: String, port: UInt16, type: String) {
            self.foundation = foundation; self.component = component; self.transport = transport; self.priority = priority
            self.host = host; self.port = port; self.type = type
        }
        package var address: SocketAddress? { SocketAddress(host: host, port: port) }
        package var isUDP: Bool { transport.lowercased() == "udp" }
    }

    package struct Group: Hashable, Sendable {
        package var semantics: String
        package var mids: [String]
        package init(semantics: String, mids: [String]) { self.semantics = semantics; self.mids = mids }
    }

    package struct RTPMap: Hashable, Sendable {
        package var payloadType: UInt8
        package var name: String
        package var clockRate: UInt32
        package var channels: Int?
        package init(payloadType: UInt8, name: String, clockRate: UInt32, channels: Int? = nil) {
            self.payloadType = payloadType; self.name = name; self.clockRate = clockRate; self.channels = channels
        }
    }

    /// a=extmap (RFC 8285 §8).
    package struct Extmap: Hashable, Sendable {
        package var id: UInt8
        package var direction: Direction?
        package var uri: String
        package init(id: UInt8, direction: Direction? = nil, uri: String) { self.id = id; self.direction = direction; self.uri = uri }
    }

    /// a=rtcp-fb (RFC 4585 §4.2); `payloadType` nil stands for "*".
    package struct Feedback: Hashable, Sendable {
        package var payloadType: UInt8?
        package var value: String
        package init(payloadType: UInt8?, value: String) { self.payloadType = payloadType; self.value = value }
    }

    /// a=msid (RFC 8830): `stream` is "-" for a track outside any stream.
    package struct MSID: Hashable, Sendable {
        package var stream: String
        package var track: String?
        package init(stream: String, track: String? = nil) { self.stream = stream; self.track = track }
    }

    /// a=ssrc (RFC 5576 §4.1), one attribute of one source.
    package struct SourceAttribute: Hashable, Sendable {
        package var ssrc: UInt32
        package var name: String
        package var value: String
        package init(ssrc: UInt32, name: String, value: String) { self.ssrc = ssrc; self.name = name; self.value = value }
    }
    package struct SourceGroup: Hashable, Sendable {
        package var semantics: String
        package var ssrcs: [UInt32]
        package init(semantics: String, ssrcs: [UInt32]) { self.semantics = semantics; self.ssrcs = ssrcs }
    }

    /// a=rid (RFC 8851); restrictions are not kept.
    package struct RID: Hashable, Sendable {
        package var id: String
        package var isSend: Bool
        package init(id: String, isSend: Bool) { self.id = id; self.isSend = isSend }
    }
    /// a=simulcast (RFC 8853 §5.1): the first alternative of each stream, without the pause mark.
    package struct Simulcast: Hashable, Sendable {
        package var send: [String] = []
        package var receive: [String] = []
        package init(send: [String] = [], receive: [String] = []) { self.send = send; self.receive = receive }
    }

    package struct Media: Equatable, Sendable {
        package var kind: Kind
        /// 0: the section is rejected or stopped.
        package var port: UInt16
        package var proto: String
        package var formats: [String]
        /// The address of the c= line.
        package var connection: String?
        package var mid: String?
        package var direction: Direction?
        package var transport = Transport()
        package var candidates: [Candidate] = []
        package var endOfCandidates = false
        package var rtcpMux = false
        package var rtcpReducedSize = false
        package var bundleOnly = false
        package var rtpmaps: [RTPMap] = []
        package var formatParameters: [UInt8: String] = [:]
        package var feedback: [Feedback] = []
        package var extmaps: [Extmap] = []
        package var msids: [MSID] = []
        package var sources: [SourceAttribute] = []
        package var sourceGroups: [SourceGroup] = []
        package var rids: [RID] = []
        package var simulcast: Simulcast?
        /// a=content (RFC 4796).
        package var content: String?
        package var sctpPort: UInt16?

        package init(kind: Kind, port: UInt16, proto: String, formats: [String]) {
            self.kind = kind; self.port = port; self.proto = proto; self.formats = formats
        }
        /// RFC 8843 §6: port 0 with a=bundle-only is not a rejection.
        package var isRejected: Bool { port == 0 && !bundleOnly }
    }

    package struct Session: Equatable, Sendable {
        package var userName = "-"
        package var sessionID = "0"
        package var version: UInt64 = 0
        package var iceLite = false
        package var groups: [Group] = []
        package var transport = Transport()
        package var direction: Direction?
        package var extmaps: [Extmap] = []
        package var extmapAllowMixed = false
        package var media: [Media] = []
        package init() {}

        package var bundle: [String]? { groups.first { $0.semantics == "BUNDLE" }?.mids }
        /// A section's direction; sendrecv when nothing is said (RFC 8866 §6.7).
        package func direction(of media: Media) -> Direction { media.direction ?? direction ?? .sendrecv }
        /// A section's transport attributes, with the session's where it has none.
        package func transport(of media: Media) -> Transport {
            var merged = media.transport
            merged.iceUfrag = merged.iceUfrag ?? transport.iceUfrag
            merged.icePassword = merged.icePassword ?? transport.icePassword
            if merged.iceOptions.isEmpty { merged.iceOptions = transport.iceOptions }
            if merged.fingerprints.isEmpty { merged.fingerprints = transport.fingerprints }
            merged.setup = merged.setup ?? transport.setup
            return merged
        }
    }
}
