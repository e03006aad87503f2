// Payload types and extension ids are shared by the whole BUNDLE group (RFC 8843 §10.1.2, RFC 8285 §5): the peer's choice
// comes first, then ours, then whatever is free.
internal import RTP

/// The numbers in use, and the ones an offer of ours adds.
struct GroupNumbers {
    private var configurations: [NegotiatedCodec] = []
    private var payloadTypes: Set<UInt8> = []
    private var extensions = ExtensionMap()
    private var extensionIDs: Set<UInt8> = []

    init(_ sections: [Section]) {
        for section in sections {
            guard !section.isStopped, let remote = section.remote else { continue }
            configurations += remote.configurations
            payloadTypes.formUnion(remote.formats.compactMap { UInt8($0) })
            for extmap in remote.extmaps {
                extensionIDs.insert(extmap.id)
                if let uri = ExtensionURI(uri: extmap.uri), !extensions.contains(uri), extensions.uri(of: extmap.id) == nil {
                    extensions.set(uri, id: extmap.id)
                }
            }
        }
    }

    /// The payload types a track goes under; nil when none is free.
    mutating func configuration(for track: OutboundTrack) -> NegotiatedCodec? {
        if var known = configurations.first(where: { track.fits($0) }) {
            known.fmtp = track.offeredFormat
            if track.rtxSSRC == nil { known.rtxPayloadType = nil }
            return known
        }
        guard let payloadType = free(preferring: track.codec.defaultPayloadType) else { return nil }
        let rtx = track.rtxSSRC == nil ? nil : free(preferring: track.codec.defaultRTXPayloadType)
        let added = NegotiatedCodec(payloadType: payloadType, codec: track.codec, rtxPayloadType: rtx, fmtp: track.offeredFormat)
        configurations.append(added)
        return added
    }

    /// An id for the extension; nil when the one-byte form has none left.
    mutating func id(of uri: ExtensionURI) -> UInt8? {
        if extensions.contains(uri) { return extensions.id(of: uri) }
        let preferred: UInt8 = switch uri {
        case .audioLevel: 1
        case .mid: 4
        case .rid: 10
        case .repairedRid: 11
        default: 14
        }
        guard let id = ([preferred] + Array(1...14)).first(where: { !extensionIDs.contains($0) }) else { return nil }
        extensionIDs.insert(id)
        extensions.set(uri, id: id)
        return id
    }

    /// Dynamic payload types: 96–127, then 35–63 (RFC 5761 §4 keeps 64–95 clear of RTCP).
    private mutating func free(preferring preferred: UInt8?) -> UInt8? {
        let candidates = (preferred.map { [$0] } ?? []) + Array(96...127) + Array(35...63)
        guard let found = candidates.first(where: { !payloadTypes.contains($0) }) else { return nil }
        payloadTypes.insert(found)
        return found
    }
}
