// How offers and answers change the sections, and how the sections are described.
internal import RTP

extension Negotiation {
    // MARK: - The peer's description

    /// RFC 3264 §8: sections keep their order; a stopped one may return as something else.
    func apply(offer session: SDP.Session, to sections: inout [Section]) throws(SDPError) {
        guard session.media.count >= sections.count else {
            throw .sectionMismatch(index: session.media.count, "the session has \(sections.count) m-lines, the offer \(session.media.count)")
        }
        var mids: Set<String> = []
        for (index, media) in session.media.enumerated() {
            guard let mid = media.mid else { throw .missing("a=mid in m-line \(index)") }
            guard mids.insert(mid).inserted else { throw .sectionMismatch(index: index, "mid \(mid) is used twice") }
            if index == sections.count {
                sections.append(Section(mid: mid, kind: media.kind, isOurs: false))
            } else if sections[index].isStopped {
                sections[index] = Section(mid: mid, kind: media.kind, isOurs: false)
            } else {
                try expect(sections[index], media, index)
            }
            if Self.isUsable(media, in: session, first: sections[..<index].allSatisfy(\.isStopped)) {
                sections[index].described(media, direction: session.direction(of: media))
                refreshOutbound(&sections[index])
            } else {
                sections[index].stop()
                (sections[index].proto, sections[index].formats) = (media.proto, media.formats)
            }
        }
    }

    func apply(answer session: SDP.Session, to sections: inout [Section]) throws(SDPError) {
        guard session.media.count == sections.count else {
            throw .sectionMismatch(index: session.media.count, "the offer has \(sections.count) m-lines, the answer \(session.media.count)")
        }
        for (index, media) in session.media.enumerated() where !sections[index].isStopped {
            try expect(sections[index], media, index)
            if media.isRejected || media.configurations.isEmpty {
                sections[index].stop()
            } else {
                sections[index].described(media, direction: session.direction(of: media))
            }
        }
    }

    private func expect(_ section: Section, _ media: SDP.Media, _ index: Int) throws(SDPError) {
        guard media.kind == section.kind else { throw .sectionMismatch(index: index, "expected m=\(section.kind.text), found m=\(media.kind.text)") }
        guard media.mid == section.mid else { throw .sectionMismatch(index: index, "expected mid \(section.mid), found \(media.mid ?? "none")") }
    }

    /// Audio or video with a codec of ours, on the one transport (RFC 8843 §7.3.3; without BUNDLE the first section has it).
    private static func isUsable(_ media: SDP.Media, in session: SDP.Session, first: Bool) -> Bool {
        guard !media.isRejected, media.kind.codecKind != nil, media.proto.hasSuffix("RTP/SAVPF"), !media.acceptableCodecs.isEmpty else { return false }
        guard let bundle = session.bundle else { return first && media.rtcpMux }
        guard let mid = media.mid, bundle.contains(mid) else { return false }
        // RFC 8843 §7.1.3: transport attributes may stand in the tagged section alone.
        return media.rtcpMux || bundle.first.flatMap { tag in session.media.first { $0.mid == tag } }?.rtcpMux ?? false
    }

    /// A track removed since the last exchange ends with this answer; one with new numbers gets them.
    private func refreshOutbound(_ section: inout Section) {
        if let id = section.outbound?.id { section.outbound = tracks.first { $0.id == id } }
    }

    /// Sends in sections the peer made only to receive.
    func fillReceivers(_ sections: inout [Section]) {
        for track in unplaced(in: sections) {
            let index = sections.firstIndex {
                !$0.isOurs && !$0.isStopped && $0.outbound == nil && $0.remoteDirection == .recvonly && $0.kind.codecKind == track.kind
                    && $0.configuration(of: track) != nil
            }
            if let index { sections[index].outbound = track }
        }
    }

    // MARK: - Our description

    func offer(_ section: Section, _ local: LocalTransport, _ numbers: inout GroupNumbers) -> SDP.Media {
        let receives = section.offeredDirection.receives
        let codecs = offeredCodecs(section, receives, &numbers)
        var extmaps: [SDP.Extmap] = []
        for uri in SDP.Media.carried(section.kind) where receives || uri == .mid || uri == .audioLevel {
            if let id = numbers.id(of: uri) { extmaps.append(SDP.Extmap(id: id, uri: uri.uri)) }
        }
        var media = SDP.Media(kind: section.kind, mid: section.mid, direction: section.offeredDirection, codecs: codecs, extmaps: extmaps, answering: nil)
        if codecs.isEmpty { (media.proto, media.formats) = (section.proto, section.formats) }
        media.add(local, setup: .actpass)
        if let track = section.outbound { media.add(track) }
        if receives, let remote = section.remote { media.receiveEncodings(of: remote) }
        if section.isStopped { media.reject() }
        return media
    }

    /// What we would receive and the track's codec; never nothing, as even a stopped section names a format (RFC 3264 §6).
    private func offeredCodecs(_ section: Section, _ receives: Bool, _ numbers: inout GroupNumbers) -> [NegotiatedCodec] {
        var codecs = receives ? section.answeredCodecs : []
        if let track = section.outbound, let chosen = Self.chosen(track, section) ?? numbers.configuration(for: track) {
            if let index = codecs.firstIndex(where: { $0.payloadType == chosen.payloadType }) { codecs[index] = chosen } else { codecs.append(chosen) }
        }
        if !codecs.isEmpty { return codecs }
        return section.remote?.acceptableCodecs ?? Self.placeholder(section.kind)
    }
    /// The track's codec under the numbers its section already has.
    private static func chosen(_ track: OutboundTrack, _ section: Section) -> NegotiatedCodec? {
        guard var chosen = section.configuration(of: track) else { return nil }
        chosen.fmtp = track.offeredFormat
        if track.rtxSSRC == nil { chosen.rtxPayloadType = nil }
        return chosen
    }

    /// - Parameter remote: the offered section; `section` is already as it describes.
    func answer(_ remote: SDP.Media, _ section: Section) -> SDP.Media {
        let codecs = section.isStopped ? remote.acceptableCodecs : answeredCodecs(section)
        let carried = remote.extensions(peerSends: true).entries + remote.extensions(peerSends: false).entries
        let extmaps = remote.extmaps.filter { extmap in carried.contains { $0.id == extmap.id && $0.uri.uri == extmap.uri } }.map { Self.reversed($0) }
        var media = SDP.Media(kind: remote.kind, mid: section.mid, direction: section.answeredDirection, codecs: codecs, extmaps: extmaps, answering: remote)
        if codecs.isEmpty { media.formats = remote.formats }
        media.add(local, setup: role.answeredSetup)
        if section.isStopped { media.reject(); return media }
        if let track = section.outbound, section.answeredDirection.sends { media.add(track) }
        media.receiveEncodings(of: remote)
        return media
    }

    /// What we receive and, where we send, the track's codec with its own parameters.
    private func answeredCodecs(_ section: Section) -> [NegotiatedCodec] {
        var codecs = section.answeredCodecs
        guard let track = section.outbound, let chosen = Self.chosen(track, section) else { return codecs }
        if !section.remoteDirection.sends { return [chosen] }
        if !codecs.contains(where: { $0.payloadType == chosen.payloadType }) { codecs.append(chosen) }
        return codecs
    }

    /// RFC 8285 §5: what the offerer only sends, we only receive.
    private static func reversed(_ extmap: SDP.Extmap) -> SDP.Extmap {
        var extmap = extmap
        if let direction = extmap.direction { extmap.direction = SDP.Direction(sends: direction.receives, receives: direction.sends) }
        return extmap
    }

    private static func placeholder(_ kind: SDP.Kind) -> [NegotiatedCodec] {
        guard let kind = kind.codecKind else { return [] }
        let codec: Codec = kind == .audio ? .opus : .vp8
        return [NegotiatedCodec(payloadType: codec.defaultPayloadType, codec: codec, rtxPayloadType: nil, fmtp: codec.defaultFormatParameters)]
    }
}
