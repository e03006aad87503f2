import Primitives
import RTP
import Testing
import WebRTC

let serverFingerprint = Array(repeating: "AB", count: 32).joined(separator: ":")
let clientFingerprint = Array(repeating: "CD", count: 32).joined(separator: ":")

extension LocalTransport {
    static let server = LocalTransport(
        iceUfrag: "srvufrag", icePassword: "serverpasswordserverpass", fingerprint: serverFingerprint,
        candidates: [SocketAddress(host: "127.0.0.1", port: 40000)!, SocketAddress(host: "::1", port: 40000)!])
    static let client = LocalTransport(
        iceUfrag: "cliufrag", icePassword: "clientpasswordclientpass", fingerprint: clientFingerprint, candidates: [SocketAddress(host: "127.0.0.1", port: 50000)!])
}

extension Negotiation {
    static func test() -> Negotiation { Negotiation(local: .server, sessionID: 42) }
}
extension ClientNegotiation {
    static func test() -> ClientNegotiation { ClientNegotiation(local: .client, sessionID: 43) }
}
extension OutboundTrack {
    /// Numbers follow from the id, so that two tests never mean the same stream.
    static func test(_ id: String, _ codec: Codec, fmtp: String = "", stream: String = "anna") -> OutboundTrack {
        let number = id.utf8.reduce(UInt32(1000)) { $0 &* 31 &+ UInt32($1) }
        return OutboundTrack(
            id: id, streamID: stream, kind: codec.kind, codec: codec, fmtp: fmtp, ssrc: number, rtxSSRC: codec.kind == .video ? number &+ 1 : nil)
    }
}

/// The section with this mid.
func section(_ text: String?, _ mid: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> SDP.Media {
    let session = try SDP.Session.parse(try #require(text, sourceLocation: sourceLocation))
    return try #require(session.media.first { $0.mid == mid }, sourceLocation: sourceLocation)
}

/// One exchange begun by the client, and one begun by the server, as the shells will do them.
func exchange(_ client: inout ClientNegotiation, _ server: inout Negotiation) throws -> (client: Accepted, server: Accepted) {
    let offered = client.makeOffer()
    let atServer = try server.receive(offer: try #require(offered))
    let atClient = try client.receive(answer: try #require(atServer.answer))
    return (atClient, atServer)
}
func exchange(_ server: inout Negotiation, _ client: inout ClientNegotiation) throws -> (client: Accepted, server: Accepted) {
    let offered = server.makeOffer()
    let received = try client.receive(offer: try #require(offered))
    let atClient = try #require(received)
    let atServer = try server.receive(answer: try #require(atClient.answer))
    return (atClient, atServer)
}

func nothing<T>(_ value: T?) -> Bool { value == nil }
func refusal<T>(_ body: () throws(SDPError) -> T) -> SDPError? {
    do { _ = try body(); return nil } catch { return error }
}

extension String {
    /// Every line that begins with `prefix` becomes `line`.
    func replacingLines(_ prefix: String, with line: String) -> String {
        split(separator: "\r\n").map { $0.hasPrefix(prefix) ? line[...] : $0 }.joined(separator: "\r\n") + "\r\n"
    }
}
