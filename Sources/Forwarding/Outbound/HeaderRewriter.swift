// Writes the header of a packet as one subscriber sees it (RFC 3550 §5.1, RFC 8285, RFC 4588 §4, RFC 7741 §4.2).
internal import RTP

/// What a subscriber's SDP fixed, prepared for the packet path.
struct PeerProfile {
    let ssrc: UInt32
    let rtxSSRC: UInt32
    let payloadType: UInt8
    let rtxPayloadType: UInt8
    let hasRTX: Bool
    let codec: Codec
    let extensions: ExtensionMap
    let hasExtensions: Bool
    let usesTwoByteForm: Bool
    let mid: ShortName
    let midID: UInt8
    let firstSequence: UInt16

    init(_ sink: PeerSink) {
        ssrc = sink.ssrc
        rtxSSRC = sink.rtxSSRC ?? 0
        payloadType = sink.payloadType & 0x7F
        rtxPayloadType = (sink.rtxPayloadType ?? 0) & 0x7F
        hasRTX = sink.rtxSSRC != nil && sink.rtxPayloadType != nil
        codec = sink.codec
        extensions = sink.extensions
        hasExtensions = !sink.extensions.isEmpty
        usesTwoByteForm = sink.extensions.needsTwoByteForm
        mid = ShortName(sink.mid)
        midID = sink.extensions.id(of: .mid)
        firstSequence = sink.firstSequence & 0x7FFF
    }
}

enum HeaderRewriter {
    enum Limits {
        /// Room for the fixed header, our extension block and a payload descriptor; the rest of the wire is the payload's.
        static let headBytes = 128
    }
    /// Where the parts of an outgoing packet stand.
    struct Layout {
        var header: Int
        var prefix: Int
        /// Payload bytes of the original that `prefix` replaces.
        var skipped: Int
    }

    /// Writes header and rewritten prefix to `wire`.
    /// - Parameters:
    ///   - sent: the numbers of the original transmission, which a retransmission repeats.
    ///   - rtxSequence: nil for the original; else the packet is wrapped (RFC 4588 §4).
    /// - Returns: nil when it does not fit `capacity`.
    @inline(__always) static func write(
        _ packet: UnsafePointer<CachedPacket>, _ bytes: UnsafeRawPointer, as sent: SentPacket, timestamp: UInt32, rewritesPicture: Bool,
        profile: UnsafePointer<PeerProfile>, rtxSequence: UInt16?, to wire: UnsafeMutableRawPointer, capacity: Int
    ) -> Layout? {
        guard Limits.headBytes + Int(packet.pointee.payloadLength) <= capacity else { return nil }
        let block = extensionBlock(packet, bytes, hasMID: sent.hasMID, profile: profile, at: wire + RTPHeader.fixedLength)
        let header = RTPHeader.fixedLength + block
        let isMarked = packet.pointee.facts.flags.contains(.marker)
        var prefix = 0
        if let rtxSequence {
            RTPHeader.write(
                to: wire, payloadType: profile.pointee.rtxPayloadType, marker: isMarked, sequence: rtxSequence, timestamp: timestamp,
                ssrc: profile.pointee.rtxSSRC, hasExtensionBlock: block > 0)
            wire.storeBytes(of: sent.sequence.bigEndian, toByteOffset: header, as: UInt16.self)
            prefix = Retransmission.prefixLength
        } else {
            RTPHeader.write(
                to: wire, payloadType: profile.pointee.payloadType, marker: isMarked, sequence: sent.sequence, timestamp: timestamp,
                ssrc: profile.pointee.ssrc, hasExtensionBlock: block > 0)
        }
        guard rewritesPicture else { return Layout(header: header, prefix: prefix, skipped: 0) }
        let descriptor = copyDescriptor(packet, bytes, sent, to: wire + header + prefix)
        return Layout(header: header, prefix: prefix + descriptor, skipped: descriptor)
    }

    /// A packet of padding only, in the place of one left out (RFC 3550 §5.1: the last byte counts the padding).
    static func writeFiller(_ sent: SentPacket, timestamp: UInt32, profile: PeerProfile, to wire: UnsafeMutableRawPointer) -> Layout {
        RTPHeader.write(to: wire, payloadType: profile.payloadType, marker: false, sequence: sent.sequence, timestamp: timestamp, ssrc: profile.ssrc)
        wire.storeBytes(of: wire.load(as: UInt8.self) | 0x20, as: UInt8.self)
        wire.storeBytes(of: UInt32(4).bigEndian, toByteOffset: RTPHeader.fixedLength, as: UInt32.self)
        return Layout(header: RTPHeader.fixedLength, prefix: 4, skipped: 0)
    }

    /// MID first, then what the original carried and the subscriber negotiated. At most 4 + 2 + 32 + 4 × (2 + 16) bytes.
    @inline(__always) private static func extensionBlock(
        _ packet: UnsafePointer<CachedPacket>, _ bytes: UnsafeRawPointer, hasMID: Bool, profile: UnsafePointer<PeerProfile>, at target: UnsafeMutableRawPointer
    ) -> Int {
        let found = packet.pointee.facts.extensions
        guard profile.pointee.hasExtensions, hasMID || found[0] != 0 else { return 0 }
        var block = ExtensionBlockWriter(to: target, capacity: Limits.headBytes - RTPHeader.fixedLength - 16, twoByte: profile.pointee.usesTwoByteForm)
        if hasMID { appendMID(profile, to: &block) }
        for i in 0..<4 {
            let element = found[i]
            guard element != 0, let uri = ExtensionURI(rawValue: UInt8(truncatingIfNeeded: element >> 24)) else { break }
            let id = profile.pointee.extensions.id(of: uri)
            guard id != 0 else { continue }
            _ = block.append(id: id, UnsafeRawBufferPointer(start: bytes + Int(element & 0xFFFF), count: Int(element >> 16 & 0xFF)))
        }
        return block.finish()
    }
    private static func appendMID(_ profile: UnsafePointer<PeerProfile>, to block: inout ExtensionBlockWriter) {
        withUnsafeTemporaryAllocation(byteCount: ShortName.Limits.bytes, alignment: 1) { scratch in
            guard let base = scratch.baseAddress else { return }
            let count = profile.pointee.mid.copy(to: base)
            _ = block.append(id: profile.pointee.midID, UnsafeRawBufferPointer(start: base, count: count))
        }
    }

    /// Copies the VP8 descriptor with other numbers. §4.2: picture id at byte 2 in one or two bytes, TL0PICIDX behind it.
    private static func copyDescriptor(_ packet: UnsafePointer<CachedPacket>, _ bytes: UnsafeRawPointer, _ sent: SentPacket, to target: UnsafeMutableRawPointer) -> Int {
        let facts = packet.pointee.facts, length = Int(facts.descriptorLength)
        target.copyMemory(from: bytes + Int(packet.pointee.payloadOffset), byteCount: length)
        var offset = 2
        if facts.flags.contains(.longPictureID) {
            target.storeBytes(of: (sent.pictureID | 0x8000).bigEndian, toByteOffset: offset, as: UInt16.self)
            offset += 2
        } else if facts.flags.contains(.pictureID) {
            target.storeBytes(of: UInt8(truncatingIfNeeded: sent.pictureID & 0x7F), toByteOffset: offset, as: UInt8.self)
            offset += 1
        }
        if facts.flags.contains(.tl0PictureIndex) { target.storeBytes(of: sent.tl0PictureIndex, toByteOffset: offset, as: UInt8.self) }
        return length
    }
}
