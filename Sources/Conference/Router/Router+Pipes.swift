// A Router and its peers on other nodes: tracks asked for, granted, given back (docs/decisions/0012-pipes.md).
import Cluster
import Contracts
import Distributed
import EventLoop
import Forwarding
import Primitives
import RTP
import Transport

extension Router {
    /// Makes sure the track's packets reach this Router, from where the publication says or from a later place.
    func require(_ publication: Publication) async throws {
        let track = publication.info.trackID
        if let source = sources[track], source.attachment >= publication.attachment { return }
        guard publication.router != address else {
            throw ServiceError(.notFound, code: "unknown_track", message: "the track ended before it could be subscribed to")
        }
        if opening.insert(track).inserted {
            defer { settle(track) }
            try await open(publication)
        } else {
            await withCheckedContinuation { waiting[track, default: []].append($0) }
            guard let source = sources[track], source.attachment >= publication.attachment else {
                throw ServiceError(.unavailable, code: "publisher_unreachable", message: "the publisher's node did not answer; it is tried again")
            }
        }
    }
    private func settle(_ track: TrackID) {
        opening.remove(track)
        for continuation in waiting.removeValue(forKey: track) ?? [] { continuation.resume() }
    }

    private func open(_ publication: Publication) async throws {
        let track = publication.info.trackID
        let peer = PipePeer(publication.router)
        let (end, streamID) = pipes.prepare(peer)
        let origin = try Router.resolve(id: publication.router.actor, using: actorSystem)
        let grant = try await origin.openPipe(PipeRequest(trackID: track, attachment: publication.attachment, router: address, end: end, streamID: streamID))
        let pipe = try pipes.complete(peer, far: grant.end, asked: end)
        guard let configuration = InboundConfiguration(grant.media, transport: pipe.index, streamID: streamID) else {
            throw ServiceError(.unsupported, code: "unknown_codec", message: "the publisher's node speaks a codec this one does not know; upgrade it")
        }
        let core = try core()
        try media.bindPipeStream(streamID, of: pipe, to: core)
        let inbound = core.addInbound(configuration)
        follow(track, with: Source(
            inbound: inbound, configuration: configuration, origin: .pipe(from: publication.router, pipe, streamID: streamID), attachment: publication.attachment))
    }

    /// The last subscriber of a piped track left: its node need not receive it any more.
    func giveBackIfUnwanted(_ track: TrackID) {
        guard let source = sources[track], source.outbound.isEmpty else { return }
        if case .peer = source.origin { return }
        sources[track] = nil
        discard(source)
        if case .pipe(let origin, _, let streamID) = source.origin { giveBack(track, streamID: streamID, to: origin) }
    }
    /// Nobody waits for it: a node that is silent holds nothing up.
    func giveBack(_ track: TrackID, streamID: UInt32, to origin: RouterAddress) {
        let system = actorSystem, here = address
        media.loop.spawn { try? await Router.resolve(id: origin.actor, using: system).closePipe(track, streamID: streamID, to: here) }
    }

    // MARK: Asked by other nodes

    /// A Router elsewhere wants one of our tracks.
    package distributed func openPipe(_ request: PipeRequest) throws -> PipeGrant {
        guard let source = sources[request.trackID], case .peer = source.origin, source.attachment == request.attachment else {
            throw ServiceError(.notFound, code: "unknown_track", message: "this Router does not publish the track (any more)")
        }
        let peer = PipePeer(request.router)
        let (end, pipe) = try pipes.accept(peer, far: request.end)
        let core = try core()
        dropPipe(request.trackID, peer)
        try media.bindPipeStream(request.streamID, of: pipe, to: core)
        add(.pipe(peer), OutboundConfiguration(transport: pipe.index, sink: .pipe(streamID: request.streamID)), to: request.trackID)
        sources[request.trackID]?.pipedOut[peer] = (pipe, request.streamID)
        return PipeGrant(end: end, media: PipedMedia(source.configuration))
    }

    package distributed func closePipe(_ track: TrackID, streamID: UInt32, to router: RouterAddress) {
        let peer = PipePeer(router)
        if sources[track]?.pipedOut[peer]?.streamID == streamID { return dropPipe(track, peer) }
        guard let index = retired.firstIndex(where: { $0.track == track && $0.source.pipedOut[peer]?.streamID == streamID }) else { return }
        closeRetiredPipe(index, peer)
    }
    private func dropPipe(_ track: TrackID, _ peer: PipePeer) {
        guard let (pipe, streamID) = sources[track]?.pipedOut.removeValue(forKey: peer) else { return }
        media.unbindPipeStream(streamID, of: pipe)
        drop(track, .pipe(peer))
    }
    private func closeRetiredPipe(_ index: Int, _ peer: PipePeer) {
        if let (pipe, streamID) = retired[index].source.pipedOut.removeValue(forKey: peer) { media.unbindPipeStream(streamID, of: pipe) }
        if let outbound = retired[index].source.outbound.removeValue(forKey: .pipe(peer)) { made?.removeOutbound(outbound) }
        if !retired[index].isRead { forgetRetired(retired[index].number) }
    }

    /// A node died: nothing need be sent there any more.
    func nodeDown(_ node: NodeName) {
        for track in sources.keys.sorted() {
            for peer in sources[track]!.pipedOut.keys where peer.node == node { dropPipe(track, peer) }
        }
        for index in retired.indices.reversed() {
            let number = retired[index].number
            for peer in retired[index].source.pipedOut.keys.sorted() where peer.node == node {
                if retired.indices.contains(index), retired[index].number == number { closeRetiredPipe(index, peer) }
            }
        }
    }
}

extension PipedMedia {
    init(_ configuration: InboundConfiguration) {
        self.init(
            kind: configuration.kind == .audio ? .audio : .video,
            payloadTypes: configuration.codecs.map { PayloadType(number: $0.payloadType, codec: $0.codec.rawValue, rtx: $0.rtxPayloadType) },
            encodings: configuration.encodings.map { Encoding(rid: $0.rid, ssrc: $0.ssrc, rtxSSRC: $0.rtxSSRC) },
            extensions: configuration.extensions.entries.map { HeaderExtension(uri: $0.uri.uri, id: $0.id) })
    }
}

extension InboundConfiguration {
    /// - Returns: nil when no payload type's codec is known here.
    init?(_ media: PipedMedia, transport: TransportIndex, streamID: UInt32) {
        let codecs = media.payloadTypes.compactMap { type in
            Codec(rawValue: type.codec).map { PayloadMapping(payloadType: type.number, codec: $0, rtxPayloadType: type.rtx) }
        }
        guard !codecs.isEmpty else { return nil }
        var extensions = ExtensionMap()
        for known in media.extensions { if let uri = ExtensionURI(uri: known.uri) { extensions.set(uri, id: known.id) } }
        self.init(
            transport: transport, origin: .pipe(streamID: streamID), kind: media.kind == .audio ? .audio : .video, codecs: codecs, extensions: extensions,
            encodings: media.encodings.map { EncodingDescription(rid: $0.rid, ssrc: $0.ssrc, rtxSSRC: $0.rtxSSRC) })
    }
}
