// RTP header extensions by name, and the ids one BUNDLE group gives them (RFC 8285 §5, RFC 8843 §9.2).

/// The header extensions we know by name. At most 16: `ExtensionMap` holds one byte for each.
package enum ExtensionURI: UInt8, CaseIterable, Hashable, Sendable {
    case mid, rid, repairedRid, audioLevel, absSendTime, transportCC, videoOrientation, playoutDelay
    case absCaptureTime, timestampOffset, dependencyDescriptor, videoLayersAllocation
    case contentType, videoTiming, colorSpace, mixerAudioLevel

    package var uri: String {
        switch self {
        case .mid: "urn:ietf:params:rtp-hdrext:sdes:mid"
        case .rid: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        case .repairedRid: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
        case .audioLevel: "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        case .absSendTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        case .transportCC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        case .videoOrientation: "urn:3gpp:video-orientation"
        case .playoutDelay: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
        case .absCaptureTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
        case .timestampOffset: "urn:ietf:params:rtp-hdrext:toffset"
        case .dependencyDescriptor: "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        case .videoLayersAllocation: "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
        case .contentType: "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
        case .videoTiming: "http://www.webrtc.org/experiments/rtp-hdrext/video-timing"
        case .colorSpace: "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
        case .mixerAudioLevel: "urn:ietf:params:rtp-hdrext:csrc-audio-level"
        }
    }
    package init?(uri: some StringProtocol) {
        guard let known = Self.allCases.first(where: { $0.uri == uri }) else { return nil }
        self = known
    }
}

/// Which id carries which extension: a value of fixed size, looked up both ways without hashing. Ids run 1…255; 0 is "none".
package struct ExtensionMap: Hashable, Sendable, Codable {
    private var ids = SIMD16<UInt8>()       // by ExtensionURI
    private var names = SIMD16<UInt8>()     // ExtensionURI + 1 by id, for ids 1…15

    package init() {}
    package init(_ pairs: KeyValuePairs<ExtensionURI, UInt8>) {
        self.init()
        for (uri, id) in pairs { set(uri, id: id) }
    }

    /// 0 when the extension has no id.
    package func id(of uri: ExtensionURI) -> UInt8 { ids[Int(uri.rawValue)] }
    package func contains(_ uri: ExtensionURI) -> Bool { id(of: uri) != 0 }
    package func uri(of id: UInt8) -> ExtensionURI? {
        guard id != 0 else { return nil }
        if id < 16 {
            let name = names[Int(id)]
            return name == 0 ? nil : ExtensionURI(rawValue: name - 1)
        }
        for i in 0..<16 where ids[i] == id { return ExtensionURI(rawValue: UInt8(i)) }
        return nil
    }
    /// Gives `uri` the id, taking it from whoever had it; id 0 removes.
    package mutating func set(_ uri: ExtensionURI, id: UInt8) {
        if let holder = self.uri(of: id) { clear(holder) }
        clear(uri)
        ids[Int(uri.rawValue)] = id
        if id > 0, id < 16 { names[Int(id)] = uri.rawValue + 1 }
    }
    package mutating func remove(_ uri: ExtensionURI) { clear(uri) }
    package var isEmpty: Bool { ids == SIMD16() }
    /// Ids above 14 need the two-byte form (RFC 8285 §4.3).
    package var needsTwoByteForm: Bool { ids.max() > 14 }
    /// Pairs in the order of `ExtensionURI`. Allocates; for control code.
    package var entries: [(uri: ExtensionURI, id: UInt8)] {
        ExtensionURI.allCases.compactMap { contains($0) ? ($0, id(of: $0)) : nil }
    }

    private mutating func clear(_ uri: ExtensionURI) {
        let old = ids[Int(uri.rawValue)]
        if old > 0, old < 16 { names[Int(old)] = 0 }
        ids[Int(uri.rawValue)] = 0
    }
}

/// RFC 6464: a client's audio level, 0 (loudest) to 127 (silence) in −dBov, with its voice activity bit.
package struct AudioLevel: Equatable, Sendable {
    package let isVoice: Bool
    package let level: UInt8
    /// - Parameter level: −dBov, 0…127.
    package init(level: UInt8, isVoice: Bool) { self.level = level; self.isVoice = isVoice }
    package init?(_ value: UnsafeRawBufferPointer) {
        guard let byte = value.first else { return nil }
        isVoice = byte & 0x80 != 0
        level = byte & 0x7F
    }
}
