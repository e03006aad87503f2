// A client's PeerConnection: real negotiation, ICE and SRTP towards its edge; a packet now and then.
import Conference
import Contracts
import EventLoop
import Forwarding
import Primitives
import RTP
import Transport
import WebRTC

/// Confined to the clients' loop. Keys are preset: DTLS would draw from the system's randomness and look at its clock.
final class ClientMedia: PacketSink, @unchecked Sendable {
    enum Limits {
        /// Between two packets of one track.
        static let packet = Duration.milliseconds(1500)
        static let payloadBytes = 40
        static let tracks = 2
    }
    private struct Sending {
        var ssrc: UInt32
        var payloadType: UInt8?
        var sequence: UInt16
        var stream: Int32
    }
    private unowned let client: SimulatedClient
    private let random: SeededRandom
    private var media: MediaLoop { client.scenario.clientsMedia }
    private var negotiation: ClientNegotiation
    private var transport: TransportIndex?
    private var remote: RemoteTransport?
    private var sending: [String: Sending] = [:]
    private var lastTrack = 0
    private var timer: RepeatingTimer?
    private(set) var isConnected = false
    /// Packets by the track they are of.
    private(set) var received: [TrackID: UInt64] = [:]
    private var tracksBySSRC: [UInt32: TrackID] = [:]

    init(_ client: SimulatedClient, _ random: SeededRandom) {
        self.client = client
        self.random = random
        let media = client.scenario.clientsMedia!
        let secret = ICECredentials.random(random)
        let local = LocalTransport(iceUfrag: secret.fragment, icePassword: secret.password, fingerprint: media.certificate.fingerprint, candidates: [])
        negotiation = ClientNegotiation(local: local, sessionID: random.next() >> 2)
        let configuration = PeerSessionConfiguration(
            role: .client, localUfrag: secret.fragment, localPassword: secret.password, certificate: media.certificate, presetKeys: SimulatedKeys.client)
        do {
            try media.addSink(self)
            transport = try media.addPeer(
                sink: self, configuration: configuration, ownSocket: Wires.address(of: client.scenario.clientsHost, port: 0)
            ) { [weak self] event in
                if case .connected = event { self?.isConnected = true }
            }
        } catch { client.scenario.world.fail(.nodeFailed, "a client cannot open its media: \(error)") }
        timer = client.scenario.clientsLoop.every(Limits.packet) { [weak self] in self?.sendPackets() }
    }
    func close() {
        timer?.cancel()
        if let transport { media.removePeer(transport) }
        transport = nil
        media.removeSink(self)
    }

    // MARK: Signalling

    func welcomed() {
        guard let connection = client.connection, random.next() % 3 != 0 else { return }
        publish(connection)
    }
    func publish(_ connection: SimulatedConnection) {
        guard sending.count < Limits.tracks else { return }
        lastTrack += 1
        let track = "\(client.name)-t\(lastTrack)-\(client.connects)"
        add(track, connection)
        offer(connection)
    }
    private func add(_ track: String, _ connection: SimulatedConnection) {
        let ssrc = UInt32(truncatingIfNeeded: random.next()) | 1
        sending[track] = Sending(ssrc: ssrc, payloadType: nil, sequence: UInt16(truncatingIfNeeded: random.next() & 0x7FFF), stream: Int32(sending.count))
        negotiation.publish(WebRTC.OutboundTrack(id: track, streamID: client.name, kind: .audio, codec: .opus, ssrc: ssrc))
        connection.say(ClientMessage(.publish(trackID: TrackID(track), mid: nil, source: .microphone, muted: false)))
    }
    /// The tracks of the connection before, under their ids.
    func goOn(with tracks: [String], _ connection: SimulatedConnection) {
        for track in tracks { add(track, connection) }
        if !tracks.isEmpty { offer(connection) }
    }
    /// What it sends, or is about to.
    var tracks: [String] { sending.keys.sorted() }
    func unpublish(_ connection: SimulatedConnection) {
        guard let track = sending.keys.min() else { return }
        sending[track] = nil
        negotiation.unpublish(id: track)
        offer(connection)
    }
    private func offer(_ connection: SimulatedConnection) {
        guard let sdp = negotiation.makeOffer() else { return }
        client.scenario.world.remark("\(client.name) offers \(tracks)")
        connection.say(ClientMessage(.offer(SessionDescriptionMessage(sdp: sdp))))
    }
    func offered(_ sdp: String, _ connection: SimulatedConnection) {
        do {
            guard let accepted = try negotiation.receive(offer: sdp) else { return }
            if let answer = accepted.answer { connection.say(ClientMessage(.answer(SessionDescriptionMessage(sdp: answer)))) }
            try apply(accepted)
        } catch { client.scenario.world.say("\(client.name) refuses an offer: \(error)") }
        offer(connection)
    }
    func answered(_ sdp: String, _ connection: SimulatedConnection) {
        do { try apply(negotiation.receive(answer: sdp)) } catch { client.scenario.world.say("\(client.name) refuses an answer: \(error)") }
        offer(connection)
    }
    private func apply(_ accepted: Accepted) throws {
        guard let transport else { return }
        let their = accepted.remote
        if their != remote {
            try media.setRemote(transport, ufrag: their.iceUfrag, password: their.icePassword, fingerprintAlgorithm: their.fingerprintAlgorithm, fingerprint: their.fingerprint)
            for candidate in their.candidates where !(remote?.candidates.contains(candidate) ?? false) { try media.addRemoteCandidate(transport, candidate) }
            remote = their
        }
        for outbound in accepted.outbound where outbound.accepted { sending[outbound.id]?.payloadType = outbound.payloadType }
        for inbound in accepted.inbound where inbound.active {
            for encoding in inbound.encodings { if let ssrc = encoding.ssrc { tracksBySSRC[ssrc] = TrackID(inbound.trackID) } }
        }
    }

    // MARK: Packets

    private func sendPackets() {
        guard isConnected, let transport else { return }
        for track in sending.keys.sorted() {
            guard var stream = sending[track], let payloadType = stream.payloadType else { continue }
            stream.sequence &+= 1
            sending[track] = stream
            var packet = [UInt8](repeating: 0, count: 12 + Limits.payloadBytes)
            packet[0] = 0x80
            packet[1] = payloadType
            let timestamp = UInt32(truncatingIfNeeded: client.scenario.world.now / 20_833)
            for (place, word) in [(4, timestamp), (8, stream.ssrc)] { for i in 0..<4 { packet[place + i] = UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * i)) } }
            packet[2] = UInt8(stream.sequence >> 8)
            packet[3] = UInt8(truncatingIfNeeded: stream.sequence)
            packet.withUnsafeBytes { media.sendRTP($0, headerLength: 12, stream: stream.stream, to: transport) }
        }
    }
    func receive(_ packet: UnsafeRawBufferPointer, isRTCP: Bool, from: TransportIndex, receivedAt: Int64, now: Instant) {
        guard !isRTCP, packet.count >= 12 else { return }
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        client.scenario.mediaPackets += 1
        guard let track = tracksBySSRC[ssrc] else { return }
        received[track, default: 0] += 1
    }
    /// What it sends now, with a place in the session.
    var published: Set<TrackID> { Set(sending.filter { $0.value.payloadType != nil }.keys.map { TrackID($0) }) }
}

/// Both ends of every client's SRTP.
enum SimulatedKeys {
    private static let a = (0..<28).map { UInt8($0) }, b = (0..<28).map { UInt8(200 - $0) }
    static let server = SRTPKeys(profile: .aeadAES128GCM, localKey: a, remoteKey: b)
    static let client = SRTPKeys(profile: .aeadAES128GCM, localKey: b, remoteKey: a)
}
