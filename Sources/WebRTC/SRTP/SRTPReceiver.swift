// SRTP and SRTCP from one peer: our transform on OpenSSL EVP with replay protection (RFC 3711, RFC 7714). Decision: docs/decisions/0014
internal import Primitives

/// Why a packet could not be unprotected. Raw values are negative: the packet calls return them instead of a length.
package enum SRTPDrop: Int, Sendable, CaseIterable {
    /// Too short, or header fields that point beyond the packet.
    case malformed = -1
    /// The tag does not fit: another key, or changed on the way.
    case notAuthentic = -2
    /// Seen before.
    case replayed = -3
    /// Older than the replay window.
    case tooOld = -4
    /// A new SSRC beyond `SRTPReceiver`'s bound.
    case tooManyStreams = -5
    /// Anything else: cipher failure, a key limit of libsrtp2's.
    case failed = -6
}

/// Who does the work of a receiver.
package enum SRTPEngine: Sendable {
    case openSSL
    /// The library everybody else uses: several times slower here, and it allocates for each packet.
    case libsrtp2
}

/// Unprotects packets of one direction of one peer. Confined to its loop; allocates only at the first packet of an SSRC.
package final class SRTPReceiver {
    package enum Limits {
        /// SSRCs a peer may send (streams): simulcast layers with RTX of a few dozen tracks.
        package static let streams = 256
        /// Bytes of a packet.
        static let packetLength = 65_535
    }
    /// What is known of one SSRC: its RTP packet index (RFC 3711 §3.3.1) and what was seen of RTP and RTCP.
    private struct Stream {
        /// Rollover counter ‖ sequence number of the newest packet.
        var highest: UInt64 = 0
        var started = false
        var rtp = ReplayWindow()
        var rtcp = ReplayWindow()
    }
    private struct Table {
        var streams: UnsafeMutablePointer<Stream>
        var capacity: Int
    }
    private let profile: SRTPProfile
    private let rtp: SRTPTransform
    private let rtcp: SRTPTransform
    private let known: SSRCSet
    private let table: UnsafeMutablePointer<Table>
    private let library: LibrarySRTPReceiver?

    /// - Parameter maxStreams: SSRCs accepted.
    package convenience init(profile: SRTPProfile, keyAndSalt: [UInt8], maxStreams: Int = Limits.streams, engine: SRTPEngine = .openSSL) throws(SRTPError) {
        let library = engine == .libsrtp2 ? try LibrarySRTPReceiver(profile: profile, keyAndSalt: keyAndSalt, maxStreams: maxStreams) : nil
        try self.init(profile: profile, sessionKeys: SRTPSessionKeys(profile: profile, keyAndSalt: keyAndSalt), maxStreams: maxStreams, library: library)
    }
    init(profile: SRTPProfile, sessionKeys: SRTPSessionKeys, maxStreams: Int = Limits.streams, library: LibrarySRTPReceiver? = nil) throws(SRTPError) {
        self.profile = profile
        self.library = library
        rtp = try SRTPTransform(profile: profile, key: sessionKeys.rtpKey, salt: sessionKeys.rtpSalt, authentication: sessionKeys.rtpAuthentication, opens: true)
        rtcp = try SRTPTransform(profile: profile, key: sessionKeys.rtcpKey, salt: sessionKeys.rtcpSalt, authentication: sessionKeys.rtcpAuthentication, opens: true)
        known = SSRCSet(capacity: maxStreams)
        table = .allocate(capacity: 1)
        table.initialize(to: Table(streams: .allocate(capacity: 0), capacity: 0))
    }
    deinit {
        table.pointee.streams.deallocate()
        table.deallocate()
    }

    // MARK: Packets

    /// Decrypts one RTP packet in place. - Returns: its length, or a negative `SRTPDrop.rawValue`.
    package func unprotect(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
        if let library { return library.unprotect(packet, length: length) }
        guard length <= Limits.packetLength, let header = Self.headerLength(packet, length), length >= header + profile.tagLength else { return SRTPDrop.malformed.rawValue }
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let sequence = UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let place = known.ordinal(of: ssrc)
        guard place >= 0 || !known.isFull else { return SRTPDrop.tooManyStreams.rawValue }
        let index = place >= 0 ? Self.index(of: sequence, table.pointee.streams + place) : UInt64(sequence)
        if place >= 0, let drop = Self.drop(table.pointee.streams[place].rtp.check(index)) { return drop.rawValue }
        guard rtp.openRTP(packet, length: length, headerLength: header, ssrc: ssrc, rollover: UInt32(truncatingIfNeeded: index >> 16), sequence: sequence, profile: profile)
        else { return SRTPDrop.notAuthentic.rawValue }
        // `add` may move the table: it comes before the pointer is taken.
        let ordinal = place >= 0 ? place : add(ssrc)
        Self.note(table.pointee.streams + ordinal, index)
        return length - profile.tagLength
    }
    @inline(__always)
    private static func note(_ stream: UnsafeMutablePointer<Stream>, _ index: UInt64) {
        stream.pointee.rtp.note(index)
        if !stream.pointee.started || index > stream.pointee.highest {
            stream.pointee.started = true
            stream.pointee.highest = index
        }
    }

    /// Decrypts one compound RTCP packet in place. - Returns: its length, or a negative `SRTPDrop.rawValue`.
    package func unprotectRTCP(_ packet: UnsafeMutableRawPointer, length: Int) -> Int {
        if let library { return library.unprotectRTCP(packet, length: length) }
        guard length <= Limits.packetLength, length >= 8 + profile.rtcpTrailerLength, packet.load(as: UInt8.self) >> 6 == 2 else { return SRTPDrop.malformed.rawValue }
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let word = SRTPTransform.rtcpWord(packet, length: length, profile: profile)
        // Both profiles encrypt: a packet that says it is not is none of ours (RFC 3711 §3.4).
        guard word & 0x8000_0000 != 0 else { return SRTPDrop.notAuthentic.rawValue }
        let index = UInt64(word & 0x7FFF_FFFF)
        let place = known.ordinal(of: ssrc)
        guard place >= 0 || !known.isFull else { return SRTPDrop.tooManyStreams.rawValue }
        if place >= 0, let drop = Self.drop(table.pointee.streams[place].rtcp.check(index)) { return drop.rawValue }
        guard rtcp.openRTCP(packet, length: length, index: UInt32(index), profile: profile) else { return SRTPDrop.notAuthentic.rawValue }
        let ordinal = place >= 0 ? place : add(ssrc)
        table.pointee.streams[ordinal].rtcp.note(index)
        return length - profile.rtcpTrailerLength
    }

    // MARK: Parts

    /// Bytes of fixed header, CSRCs and extension; nil when they do not fit (RFC 3550 §5.1).
    @inline(__always)
    private static func headerLength(_ packet: UnsafeMutableRawPointer, _ length: Int) -> Int? {
        guard length >= 12 else { return nil }
        let first = packet.load(as: UInt8.self)
        guard first >> 6 == 2 else { return nil }
        var header = 12 + 4 * Int(first & 15)
        if first & 0x10 != 0 {
            guard length >= header + 4 else { return nil }
            header += 4 + 4 * Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: header + 2, as: UInt16.self)))
        }
        return header <= length ? header : nil
    }
    /// The packet index nearest to the newest one (RFC 3711 §3.3.1, appendix A). Before the first wrap nothing lies behind it.
    @inline(__always)
    private static func index(of sequence: UInt16, _ stream: UnsafeMutablePointer<Stream>) -> UInt64 {
        guard stream.pointee.started else { return UInt64(sequence) }
        let highest = stream.pointee.highest
        let rollover = highest >> 16, newest = UInt16(truncatingIfNeeded: highest)
        let guess: UInt64
        if newest < 0x8000 {
            guess = sequence > newest &+ 0x8000 && rollover > 0 ? rollover - 1 : rollover
        } else {
            guess = newest &- 0x8000 > sequence ? rollover + 1 : rollover
        }
        return guess << 16 | UInt64(sequence)
    }
    @inline(__always)
    private static func drop(_ verdict: ReplayWindow.Verdict) -> SRTPDrop? {
        switch verdict {
        case .fresh: nil
        case .replayed: .replayed
        case .tooOld: .tooOld
        }
    }
    /// Takes an authenticated SSRC in; only here memory is asked for.
    @inline(never)
    private func add(_ ssrc: UInt32) -> Int {
        known.insert(ssrc)
        let ordinal = known.ordinal(of: ssrc)
        if ordinal >= table.pointee.capacity {
            let new = max(4, table.pointee.capacity * 2)
            let streams = UnsafeMutablePointer<Stream>.allocate(capacity: new)
            streams.initialize(repeating: Stream(), count: new)
            streams.update(from: table.pointee.streams, count: table.pointee.capacity)
            table.pointee.streams.deallocate()
            table.pointee = Table(streams: streams, capacity: new)
        }
        return ordinal
    }
}
