// A Participant's media: offers and answers with its client, publications to the Room, subscriptions to its Router.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives
import RTP
import Transport
import WebRTC

extension Participant {
    // MARK: Offer and answer

    func handleOffer(_ sdp: String) async throws {
        guard view.room.mode == .sfu else { return }
        var media = try await openMedia()
        let accepted: Accepted
        do { accepted = try media.negotiation.receive(offer: sdp) } catch { throw ServiceError(refused: error) }
        self.media = media
        // The description stands and has its answer, whatever becomes of its tracks: a client without one offers nothing any more.
        defer {
            if let answer = accepted.answer { send(.answer(SessionDescriptionMessage(sdp: answer))) }
            offerIfNeeded()
        }
        try await apply(accepted)
    }

    func handleAnswer(_ sdp: String) async throws {
        guard var media = self.media else {
            throw ServiceError(.conflict, code: "no_offer", message: "there is no offer to answer; wait for webrtc_offer")
        }
        let accepted: Accepted
        do { accepted = try media.negotiation.receive(answer: sdp) } catch { throw ServiceError(refused: error) }
        self.media = media
        defer { offerIfNeeded() }
        try await apply(accepted)
    }

    func offerIfNeeded() {
        guard var media = self.media, let sdp = media.negotiation.makeOffer() else { return }
        self.media = media
        send(.offer(SessionDescriptionMessage(sdp: sdp)))
    }

    /// Carries what a description settled to the Router and the Room.
    private func apply(_ accepted: Accepted) async throws {
        guard let media = self.media else { return }
        if media.remote != accepted.remote {
            self.media?.remote = accepted.remote
            try await media.router.local { [remote = accepted.remote] in try $0.setRemote(media.transport, remote) }
        }
        try await publish(accepted.inbound)
        for outbound in accepted.outbound { await forward(outbound) }
    }

    // MARK: Publishing

    private func publish(_ sections: [InboundMedia]) async throws {
        guard let media = self.media else { return }
        var live: Set<String> = []
        for section in sections where section.active {
            live.insert(section.mid)
            if media.inbound[section.mid] != nil {
                let track = media.inbound[section.mid]!
                let attachment = published[track]?.attachment ?? 0
                await media.router.local { $0.updateInbound(track, attachment: attachment, section) }
                continue
            }
            try await publish(section, on: media)
        }
        for (mid, track) in media.inbound.sorted(by: { $0.key < $1.key }) where !live.contains(mid) {
            self.media?.inbound[mid] = nil
            try await unpublish(track)
        }
    }

    private func publish(_ section: InboundMedia, on media: EdgeMedia) async throws {
        let kind: MediaKind = section.kind == .audio ? .audio : .video
        let declaration = declared.removeValue(forKey: section.mid) ?? declared.removeValue(forKey: section.trackID)
        var track = declaration?.trackID ?? TrackID(section.trackID.filter { $0 != "{" && $0 != "}" })
        if !track.isSafe || published[track] != nil { track = TrackID("TR_" + context.random.token(14)) }
        guard let codec = section.codecs.first else { return }
        // Published before at another edge: it goes on as it was.
        let known = view.publications[track].flatMap { $0.info.participantID == info.id ? $0.info : nil }
        let publication = Publication(
            info: PublicationInfo(
                trackID: track, participantID: info.id, kind: kind, source: declaration?.source ?? known?.source ?? (kind == .audio ? .microphone : .camera),
                codec: codec.codec.name, muted: (declaration?.muted ?? false) || (known?.muted ?? false)),
            router: media.router.address(of: context.edge.plane(of: roomID)), attachment: attachment)
        try await media.router.local { [track] in
            try $0.publish(track, attachment: publication.attachment, from: media.transport, section, muted: publication.info.muted)
        }
        self.media?.inbound[section.mid] = track
        published[track] = publication
        let me = info.id
        do { try await tellTracks { try await $0.publish(publication, by: me, attachment: self.attachment) } } catch let refusal as ServiceError {
            // The description stands and has its answer; this track of it goes nowhere.
            published[track] = nil
            await media.router.local { [track] in $0.unpublish(track, attachment: publication.attachment) }
            send(.error(id: nil, code: refusal.code, message: refusal.message))
        }
    }

    func unpublish(_ track: TrackID) async throws {
        guard let publication = published.removeValue(forKey: track) else { return }
        if let mid = media?.inbound.first(where: { $0.value == track })?.key { media?.inbound[mid] = nil }
        await media?.router.local { $0.unpublish(track, attachment: publication.attachment) }
        let me = info.id
        try await tellTracks { try await $0.unpublish(track, by: me, attachment: self.attachment) }
    }

    /// The Room's decision about a track of ours: a muted track's packets stop at this Router.
    func applyMute(_ track: TrackID, _ muted: Bool) async {
        published[track]?.info.muted = muted
        await media?.router.local { $0.setMuted(track, muted) }
    }

    // MARK: Subscribing

    func subscribe(to tracks: [TrackID]) async {
        guard view.room.mode == .sfu else { return }
        do {
            var media = try await openMedia()
            for track in tracks {
                guard let publication = view.publications[track], publication.info.participantID != info.id, media.subscriptions[track] == nil,
                      let codec = Codec(name: publication.info.codec) else { continue }
                media.subscriptions[track] = EdgeMedia.Subscription(publication: publication)
                media.negotiation.addOutbound(WebRTC.OutboundTrack(
                    id: track.rawValue, streamID: publication.info.participantID.rawValue, kind: publication.info.kind == .audio ? .audio : .video, codec: codec,
                    ssrc: UInt32(truncatingIfNeeded: context.random.next()) | 1, rtxSSRC: publication.info.kind == .video ? UInt32(truncatingIfNeeded: context.random.next()) | 1 : nil))
            }
            self.media = media
            offerIfNeeded()
        } catch {
            let refusal = ServiceError(reporting: error)
            send(.error(id: nil, code: refusal.code, message: refusal.message))
        }
    }

    func unsubscribe(from tracks: [TrackID]) async {
        for track in tracks {
            guard var media = self.media, let subscription = media.subscriptions.removeValue(forKey: track) else { continue }
            media.negotiation.removeOutbound(id: track.rawValue)
            self.media = media
            if subscription.forwarding { await media.router.local { [transport = media.transport] in $0.unsubscribe(track, from: transport) } }
            send(.subscriptionUpdated(trackID: track, participantID: subscription.publication.info.participantID, mid: subscription.mid, subscribed: false))
        }
        offerIfNeeded()
    }

    /// An answer settled one outbound section: packets may flow.
    private func forward(_ outbound: OutboundMedia) async {
        let track = TrackID(outbound.id)
        guard let media = self.media, let subscription = media.subscriptions[track], !subscription.forwarding, outbound.accepted else { return }
        self.media?.subscriptions[track]?.forwarding = true
        self.media?.subscriptions[track]?.mid = outbound.mid
        do {
            try await media.router.local { try await $0.subscribe(subscription.publication, to: media.transport, outbound) }
            send(.subscriptionUpdated(trackID: track, participantID: subscription.publication.info.participantID, mid: outbound.mid, subscribed: true))
        } catch {
            self.media?.subscriptions[track]?.forwarding = false
            context.log(.warning, "subscribe_failed", ["room": roomID.rawValue, "track": track.rawValue, "error": "\(error)"])
            retryForward(outbound)
        }
    }

    /// The publisher of a track is attached elsewhere now: what this client gets of it goes on from there.
    func follow(_ publication: Publication) async {
        let track = publication.info.trackID
        guard let media = self.media, media.subscriptions[track] != nil else { return }
        self.media?.subscriptions[track]?.publication = publication
        // One that does not run yet begins at the new place.
        guard media.subscriptions[track]?.forwarding == true else { return }
        do { try await media.router.local { try await $0.move(publication) } } catch {
            context.log(.warning, "follow_failed", ["room": roomID.rawValue, "track": track.rawValue, "error": "\(error)"])
            begin(on: context.loop) { participant in
                try? await participant.context.loop.sleep(for: Limits.subscribeRetry)
                guard !participant.finished, participant.media?.subscriptions[track]?.publication == publication else { return }
                await participant.follow(publication)
            }
        }
    }

    /// The publisher's Router could not be asked (its node is restarting, a link is down): tried again while the track is published.
    private func retryForward(_ outbound: OutboundMedia) {
        begin(on: context.loop) { participant in
            try? await participant.context.loop.sleep(for: Limits.subscribeRetry)
            guard !participant.finished else { return }
            await participant.forward(outbound)
        }
    }

    // MARK: Life of the PeerConnection

    /// The PeerConnection's server side, made at the first need.
    private func openMedia() async throws -> EdgeMedia {
        if let media { return media }
        let router = context.edge.router(for: roomID)
        let configuration = PeerSessionConfiguration(
            role: .server, localUfrag: context.random.token(8), localPassword: context.random.token(26), certificate: context.edge.certificate,
            presetKeys: context.edge.presetKeys)
        // Held by the peer until `closeMedia` removes it.
        let participant = self, loop = context.loop
        let transport = try await router.local {
            try $0.addPeer(configuration) { notice in
                loop.post { participant.assumeIsolated { $0.enqueue(.peer(notice)) } }
            }
        }
        let local = LocalTransport(
            iceUfrag: configuration.localUfrag, icePassword: configuration.localPassword, fingerprint: context.edge.certificate.fingerprint,
            candidates: context.edge.plane(of: roomID).media.candidates)
        let made = EdgeMedia(router: router, transport: transport, negotiation: Negotiation(local: local, sessionID: context.random.next() >> 2))
        media = made
        return made
    }

    func handle(_ notice: PeerNotice) async {
        switch notice {
        case .connected:
            context.log(.info, "peer_connected", ["room": roomID.rawValue])
        case .closed(let reason):
            context.log(.info, "peer_closed", ["room": roomID.rawValue, "reason": reason])
            if handover != nil { return await finish(.moved, tellRoom: false) }
            if connection == nil { return await finish(.connectionLost, tellRoom: true) }
            // The client still signals, with a PeerConnection that is of no use to either side any more. One that can resume does so;
            // its tracks are kept as for anyone whose connection was lost.
            if features.contains(.resume) {
                await closeMedia(isHandedOver: true)
                return loseConnection("media_closed")
            }
            // Another's tracks end here, and its next offer starts over.
            let tracks = published.keys.sorted()
            await closeMedia(isHandedOver: false)
            for track in tracks {
                published[track] = nil
                let me = info.id
                try? await tellTracks { try await $0.unpublish(track, by: me, attachment: self.attachment) }
            }
            if autoSubscribe { await subscribe(to: view.publications.keys.filter { view.publications[$0]?.info.participantID != info.id }.sorted()) }
        }
    }

    /// - Parameter isHandedOver: what it published goes on from another edge.
    func closeMedia(isHandedOver: Bool) async {
        guard let media = self.media else { return }
        self.media = nil
        let tracks = published.values.map { ($0.info.trackID, attachment: $0.attachment) }.sorted { $0.0 < $1.0 }
        await media.router.local { $0.removePeer(media.transport, tracks: tracks, isHandedOver: isHandedOver) }
    }
}
