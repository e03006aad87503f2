// The Router actor: a room's media on one media loop. It arranges; packets pass through its `RouterCore` without it.
import Cluster
import Contracts
import Distributed
import EventLoop
import Forwarding
import Primitives
import RTP
import Transport
import WebRTC

/// An instance per room and media loop; lives on that loop. This node's Participants and Recordings call it locally;
/// other nodes' Routers ask it for tracks with `openPipe` and give them back with `closePipe`.
package distributed actor Router {
    package typealias ActorSystem = ClusterSystem
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    package enum Limits {
        /// How long readers may take to go over to another source of their track; then the one they had goes away.
        package static let switching = Duration.seconds(3)
    }
    /// A track published through this Router, or reaching it by a pipe.
    struct Source {
        var inbound: InboundTrack
        var configuration: InboundConfiguration
        var origin: Origin
        /// `Publication.attachment`: of two sources of one track the higher is the later.
        var attachment: UInt64
        /// Who wants it here; a piped track nobody wants is given back.
        var outbound: [Destination: Forwarding.OutboundTrack] = [:]
        /// Other nodes' Routers among them: under which label they get it.
        var pipedOut: [PipePeer: (pipe: PipeTransport, streamID: UInt32)] = [:]
    }
    enum Origin {
        case peer
        case pipe(from: RouterAddress, PipeTransport, streamID: UInt32)
        /// Its packets ended, the publication did not: readers wait here for the next source.
        case absent
    }
    enum Destination: Hashable {
        case peer(TransportIndex)
        case pipe(PipePeer)
        /// By the journal's tag.
        case tap(UInt32)
    }
    /// A source that was followed by another and is still read.
    struct Retired {
        let number: UInt64
        let track: TrackID
        var source: Source
        /// Readers on their way to the next source; other nodes' Routers stay in `source.outbound` until they close their pipe.
        var leaving: Set<Forwarding.OutboundTrack>
        var isRead: Bool { !leaving.isEmpty || !source.outbound.isEmpty }
    }

    let plane: MediaPlane
    let media: MediaLoop
    let pipes: PipeTable
    let roomID: RoomID
    let random: any RandomSource
    /// The packet side, made at the first use on the loop.
    var made: RouterCore?
    var sources: [TrackID: Source] = [:]
    var retired: [Retired] = []
    var retiredCount: UInt64 = 0
    /// Tracks whose pipe is being asked for, and who waits for it besides the first.
    var opening: Set<TrackID> = []
    var waiting: [TrackID: [CheckedContinuation<Void, Never>]] = [:]
    private var closed = false
    private var counted = SourceSwitches()

    init(system: ClusterSystem, room: RoomID, plane: MediaPlane, random: any RandomSource) {
        actorSystem = system
        roomID = room
        self.plane = plane
        media = plane.media
        pipes = plane.pipes
        self.random = random
    }

    nonisolated func address(of plane: MediaPlane) -> RouterAddress {
        RouterAddress(actor: id, node: actorSystem.node, incarnation: actorSystem.incarnation, loop: plane.index)
    }
    var address: RouterAddress { address(of: plane) }

    func core() throws -> RouterCore {
        if let made { return made }
        guard !closed else { throw ServiceError(.unavailable, code: "router_closed", message: "nobody of the room is left at this node; try again") }
        let core = try media.makeRouter(configuration: RouterConfiguration(feedbackSSRC: UInt32(truncatingIfNeeded: random.next()) | 1, cname: random.token(12))) { [weak self] event in
            if case .switched(let outbound) = event { self?.assumeIsolated { $0.hasSwitched(outbound) } }
        }
        made = core
        return core
    }

    private func hasSwitched(_ outbound: Forwarding.OutboundTrack) {
        if let counters = made?.counters {
            plane.switches.done += counters.sourceSwitches - counted.done
            plane.switches.afterSilence += counters.switchesAfterSilence - counted.afterSilence
            plane.switches.framesLost += counters.framesLostAtSwitch - counted.framesLost
            counted = SourceSwitches(done: counters.sourceSwitches, afterSilence: counters.switchesAfterSilence, framesLost: counters.framesLostAtSwitch)
        }
        switched(outbound)
    }

    // MARK: Peers

    func addPeer(_ configuration: PeerSessionConfiguration, onNotice: @escaping @Sendable (PeerNotice) -> Void) throws -> TransportIndex {
        try media.addPeer(router: core(), configuration: configuration) { event in
            switch event {
            case .connected: onNotice(.connected)
            case .selected: break
            case .closed(let reason): onNotice(.closed("\(reason)"))
            }
        }
    }
    func setRemote(_ transport: TransportIndex, _ remote: RemoteTransport) throws {
        try media.setRemote(
            transport, ufrag: remote.iceUfrag, password: remote.icePassword, fingerprintAlgorithm: remote.fingerprintAlgorithm, fingerprint: remote.fingerprint)
    }
    /// - Parameters:
    ///   - tracks: what it published, and under which attachment.
    ///   - isHandedOver: the publications go on elsewhere: their readers stay.
    func removePeer(_ transport: TransportIndex, tracks: [(TrackID, attachment: UInt64)], isHandedOver: Bool) {
        for (track, attachment) in tracks {
            if isHandedOver { handOver(track, attachment: attachment) } else { unpublish(track, attachment: attachment) }
        }
        unsubscribeAll(transport)
        media.removePeer(transport)
    }
    func unsubscribeAll(_ transport: TransportIndex) {
        for track in sources.keys.sorted() { release(track, .peer(transport)) }
    }

    // MARK: Publishing

    func publish(_ track: TrackID, attachment: UInt64, from transport: TransportIndex, _ section: InboundMedia, muted: Bool) throws {
        let core = try core()
        let configuration = InboundConfiguration(section, transport: transport)
        let inbound = core.addInbound(configuration)
        core.setMuted(inbound, muted)
        follow(track, with: Source(inbound: inbound, configuration: configuration, origin: .peer, attachment: attachment))
    }
    func updateInbound(_ track: TrackID, attachment: UInt64, _ section: InboundMedia) {
        guard var source = sources[track], source.attachment == attachment else { return }
        source.configuration = InboundConfiguration(section, transport: source.configuration.transport)
        made?.updateInbound(source.inbound, source.configuration)
        sources[track] = source
    }
    func unpublish(_ track: TrackID, attachment: UInt64) {
        if let number = retired.first(where: { $0.track == track && $0.source.attachment == attachment })?.number { forgetRetired(number) }
        guard let source = sources[track], case .peer = source.origin, source.attachment == attachment else { return }
        sources[track] = nil
        discard(source)
    }
    func setMuted(_ track: TrackID, _ muted: Bool) {
        if let source = sources[track] { made?.setMuted(source.inbound, muted) }
        for one in retired where one.track == track { made?.setMuted(one.source.inbound, muted) }
    }

    // MARK: Subscribing

    func subscribe(_ publication: Publication, to transport: TransportIndex, _ outbound: OutboundMedia) async throws {
        try await require(publication)
        guard let source = sources[publication.info.trackID], source.outbound[.peer(transport)] == nil,
              let codec = source.configuration.codecs.first?.codec else { return }
        let sink = PeerSink(
            ssrc: outbound.ssrc, rtxSSRC: outbound.rtxSSRC, codec: codec, payloadType: outbound.payloadType, rtxPayloadType: outbound.rtxPayloadType,
            extensions: outbound.extensions, mid: outbound.mid, cname: publication.info.participantID.rawValue,
            firstSequence: UInt16(truncatingIfNeeded: random.next() & 0x7FFF))
        add(.peer(transport), OutboundConfiguration(transport: transport, sink: .peer(sink)), to: publication.info.trackID)
    }
    func unsubscribe(_ track: TrackID, from transport: TransportIndex) { release(track, .peer(transport)) }

    /// Makes the track's packets arrive here. - Returns: how they look.
    func reach(_ publication: Publication) async throws -> InboundConfiguration {
        try await require(publication)
        guard let source = sources[publication.info.trackID] else {
            throw ServiceError(.notFound, code: "unknown_track", message: "the track ended meanwhile")
        }
        return source.configuration
    }
    /// Every packet of the track, untouched, into the loop's journal ring.
    func tap(_ publication: Publication, tag: UInt32) async throws {
        try await require(publication)
        add(.tap(tag), OutboundConfiguration(transport: try plane.tap(), sink: .tap(tag: tag)), to: publication.info.trackID)
    }
    func untap(_ track: TrackID, tag: UInt32) { release(track, .tap(tag)) }

    func add(_ destination: Destination, _ configuration: OutboundConfiguration, to track: TrackID) {
        guard let source = sources[track], let outbound = made?.addOutbound(of: source.inbound, configuration) else { return }
        sources[track]?.outbound[destination] = outbound
    }
    func drop(_ track: TrackID, _ destination: Destination) {
        guard let outbound = sources[track]?.outbound.removeValue(forKey: destination) else { return }
        made?.removeOutbound(outbound)
        switched(outbound)
    }
    func release(_ track: TrackID, _ destination: Destination) {
        drop(track, destination)
        giveBackIfUnwanted(track)
    }

    /// Nobody of the room is left at this node.
    func close() {
        guard !closed else { return }
        closed = true
        for one in retired { forgetRetired(one.number) }
        for track in sources.keys.sorted() {
            sources[track]?.outbound = [:]
            if let source = sources[track], case .peer = source.origin { unpublish(track, attachment: source.attachment) } else { giveBackIfUnwanted(track) }
        }
        if let made { media.removeRouter(made) }
        made = nil
    }
}

extension InboundConfiguration {
    /// What SDP settled about a publisher's section.
    init(_ section: InboundMedia, transport: TransportIndex) {
        self.init(
            transport: transport, kind: section.kind == .audio ? .audio : .video, mid: section.mid,
            codecs: section.codecs.map { PayloadMapping(payloadType: $0.payloadType, codec: $0.codec, rtxPayloadType: $0.rtxPayloadType) },
            extensions: section.extensions,
            encodings: section.encodings.map { EncodingDescription(rid: $0.rid, ssrc: $0.ssrc, rtxSSRC: $0.rtxSSRC) })
    }
}
