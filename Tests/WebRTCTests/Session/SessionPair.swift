// A client and a server session on a path in virtual time.
import Primitives
import Testing
@testable import WebRTC

/// Delivers what both sessions send at once, in order; a test may cut the path, move the client and let time pass.
final class SessionPair {
    static let server = SocketAddress(ipv4: 0x7F00_0001, port: 3478)
    static let serverCredentials = ICECredentials(fragment: "srvrfrag", password: "server-password-of-24-ch")
    static let clientCredentials = ICECredentials(fragment: "clntfrag", password: "client-password-of-24-ch")

    let client: PeerSession, server: PeerSession
    var now = Instant.origin
    /// Where the client's datagrams come from.
    var here = SocketAddress(ipv4: 0x7F00_0001, port: 50_000)
    var isCut = false
    /// All but `.transmit`, in order.
    var clientSaid: [PeerSession.Output] = [], serverSaid: [PeerSession.Output] = []
    /// May change or drop a datagram towards the server.
    var onTheWayUp: ([UInt8]) -> [UInt8]? = { $0 }

    init(presetKeys: (client: SRTPKeys, server: SRTPKeys)? = nil) throws {
        let c = Self.clientCredentials, s = Self.serverCredentials
        client = try PeerSession(configuration: PeerSessionConfiguration(role: .client, localUfrag: c.fragment, localPassword: c.password, certificate: DTLSPair.clientCertificate, presetKeys: presetKeys?.client), now: now, random: SeededRandom(seed: 1))
        server = try PeerSession(configuration: PeerSessionConfiguration(role: .server, localUfrag: s.fragment, localPassword: s.password, certificate: DTLSPair.serverCertificate, presetKeys: presetKeys?.server), now: now, random: SeededRandom(seed: 2))
    }
    func tellServer(fingerprint: Fingerprint = DTLSPair.fingerprint(DTLSPair.clientCertificate)) {
        server.setRemote(ufrag: Self.clientCredentials.fragment, password: Self.clientCredentials.password, fingerprint: fingerprint)
    }
    func tellClient(credentials: ICECredentials = serverCredentials, fingerprint: Fingerprint = DTLSPair.fingerprint(DTLSPair.serverCertificate)) {
        client.addRemoteCandidate(Self.server)
        client.setRemote(ufrag: credentials.fragment, password: credentials.password, fingerprint: fingerprint)
    }
    /// Signalling done on both sides, and everything that follows without time passing.
    func connect() {
        tellServer()
        tellClient()
        settle()
    }

    func settle() {
        var quiet = false
        while !quiet {
            quiet = true
            while let output = client.takeOutput() {
                quiet = false
                guard case .transmit(let sent, let to) = output else { clientSaid.append(output); continue }
                guard !isCut, to == Self.server, let bytes = onTheWayUp(sent) else { continue }
                bytes.withBytes { server.receive($0, from: here, now: now) }
            }
            while let output = server.takeOutput() {
                quiet = false
                guard case .transmit(let bytes, let to) = output else { serverSaid.append(output); continue }
                guard !isCut, to == here else { continue }
                bytes.withBytes { client.receive($0, from: Self.server, now: now) }
            }
        }
    }
    /// Lets time pass, calling either side when it asked for it.
    func run(for duration: Duration) {
        let end = now + duration
        settle()
        while let next = [client.deadline, server.deadline].compactMap({ $0 }).min(), next <= end {
            now = max(now, next)
            if let due = client.deadline, due <= now { client.handleTimeout(now: now) }
            if let due = server.deadline, due <= now { server.handleTimeout(now: now) }
            settle()
        }
        now = end
    }
    static func keys(_ said: [PeerSession.Output]) -> SRTPKeys? {
        said.compactMap { if case .keyed(let keys) = $0 { keys } else { nil } }.first
    }
    static func closed(_ said: [PeerSession.Output]) -> CloseReason? {
        said.compactMap { if case .closed(let reason) = $0 { reason } else { nil } }.first
    }
    static func drops(_ said: [PeerSession.Output]) -> [PeerSessionDrop] {
        said.compactMap { if case .dropped(let reason) = $0 { reason } else { nil } }
    }
}
