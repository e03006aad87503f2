// An SSRC nobody announced: which track and encoding it is, by MID, RID and payload type (RFC 8843 §9.2, RFC 8852 §3).
internal import Primitives
internal import RTP

extension RouterCore {
    /// Finds the stream of a packet with an unknown SSRC, and remembers the SSRC. No allocation: packets call it.
    func learn(_ header: RTPHeader, from: TransportIndex, now: Instant) -> StreamReference? {
        guard let transport = state.pointee.transport(from), let track = track(of: header, in: transport) else { return nil }
        let isRTX = track.pointee.original(ofRTX: header.payloadType) != nil
        guard let encoding = encoding(of: header, in: track, isRTX: isRTX) else { return nil }
        let stream = track.pointee.streams + encoding
        if isRTX {
            if let old = stream.pointee.rtxSSRC { release(old, track) }
            stream.pointee.rtxSSRC = header.ssrc
        } else {
            let canBegin = track.pointee.codec(of: header.payloadType).map { isKeyFrame(codec: $0, payload: header.payload) } ?? false
            guard !stream.pointee.isStraggler(header.ssrc, isKeyFrame: canBegin, now: now) else { return nil }
            if let old = stream.pointee.ssrc { release(old, track) }
            stream.pointee.adopt(ssrc: header.ssrc, now: now)
            emit(.ssrcLearned(track.pointee.handle, encoding: UInt8(encoding), ssrc: header.ssrc))
        }
        guard claim(header.ssrc, track, encoding: UInt8(encoding), isRTX: isRTX) else { return nil }
        return StreamReference(track: track.pointee.handle.slot, encoding: UInt8(encoding), isRTX: isRTX)
    }

    /// By MID; without one by payload type, if that names one track alone.
    private func track(of header: RTPHeader, in transport: UnsafeMutablePointer<TransportState>) -> UnsafeMutablePointer<InboundTrackState>? {
        var byPayloadType: UnsafeMutablePointer<InboundTrackState>?, isAmbiguous = false
        for i in 0..<transport.pointee.tracks.count {
            let track = transport.pointee.tracks[i]
            guard !track.pointee.isPipe else { continue }
            if let mid = header.extensionElement(id: track.pointee.extensions.id(of: .mid)) {
                if track.pointee.mid.matches(mid) { return track }
                isAmbiguous = true   // a MID that is not ours is nobody's by payload type
                continue
            }
            guard track.pointee.codec(of: header.payloadType) != nil || track.pointee.original(ofRTX: header.payloadType) != nil else { continue }
            if byPayloadType != nil { isAmbiguous = true }
            byPayloadType = track
        }
        return isAmbiguous ? nil : byPayloadType
    }

    /// By RID or repaired RID; a track with one encoding needs none.
    private func encoding(of header: RTPHeader, in track: UnsafeMutablePointer<InboundTrackState>, isRTX: Bool) -> Int? {
        let map = track.pointee.extensions
        // RFC 8852 §3.2: RTX packets name the stream they repair; some senders use the plain RID there too.
        let rid = (isRTX ? header.extensionElement(id: map.id(of: .repairedRid)) : nil) ?? header.extensionElement(id: map.id(of: .rid))
        if let rid {
            for i in 0..<track.pointee.streamCount where track.pointee.streams[i].rid.matches(rid) { return i }
        }
        return track.pointee.streamCount == 1 ? 0 : nil
    }

    /// The encoding of a packet from a pipe, which carries one SSRC at a time: the one announced for it, else the first.
    func pipeEncoding(_ header: RTPHeader, _ codec: Codec, _ track: UnsafeMutablePointer<InboundTrackState>, now: Instant) -> Int? {
        for i in 0..<track.pointee.streamCount where track.pointee.streams[i].ssrc == header.ssrc { return i }
        let stream = track.pointee.streams
        guard !stream.pointee.isStraggler(header.ssrc, isKeyFrame: isKeyFrame(codec: codec, payload: header.payload), now: now) else { return nil }
        stream.pointee.adopt(ssrc: header.ssrc, now: now)
        emit(.ssrcLearned(track.pointee.handle, encoding: 0, ssrc: header.ssrc))
        return 0
    }
}
