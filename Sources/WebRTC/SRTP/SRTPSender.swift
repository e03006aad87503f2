// SRTP and SRTCP towards one peer: our transform on OpenSSL EVP (RFC 3711, RFC 7714). Proven byte for byte against libsrtp2.
internal import COpenSSL

/// Protects packets of one direction of one peer. Contexts and tables are kept; the packet calls do not allocate.
///
/// Confined to its loop. Every SSRC is registered before its first packet; the router draws a fresh SSRC for every new
/// outbound stream, since a second stream under one key, SSRC and index would repeat a nonce (RFC 3711 §9.1, RFC 7714 §8.3).
package final class SRTPSender {
    package enum Limits {
        /// Registered SSRCs of one peer (streams); beyond it `register` refuses.
        package static let streams = 16_384
        /// SRTCP packets under one key (RFC 3711 §9.2).
        package static let rtcpPackets: UInt32 = 0x7FFF_FFFF
        /// Bytes of a protected packet: what a UDP datagram can hold.
        package static let packetLength = 65_535
    }
    /// The packet call was refused: unknown stream, header too short, or `capacity` too small. A fault of the caller, counted there.
    package static let refused = -1

    private struct Stream {
        var ssrc: UInt32 = 0
        /// Rollover counter of `highest` (RFC 3711 §3.3.1).
        var rollover: UInt32 = 0
        var highest: UInt16 = 0
        var started = false
        var live = false
    }
    private struct Table {
        var streams: UnsafeMutablePointer<Stream>
        var count: Int32
        var rtcpIndex: UInt32
    }

    package let profile: SRTPProfile
    private let table: UnsafeMutablePointer<Table>
    private let rtp: SRTPTransform
    private let rtcp: SRTPTransform

    package convenience init(profile: SRTPProfile, keyAndSalt: [UInt8]) throws(SRTPError) {
        try self.init(profile: profile, sessionKeys: SRTPSessionKeys(profile: profile, keyAndSalt: keyAndSalt))
    }
    init(profile: SRTPProfile, sessionKeys: SRTPSessionKeys, firstRTCPIndex: UInt32 = 1) throws(SRTPError) {
        self.profile = profile
        rtp = try SRTPTransform(profile: profile, key: sessionKeys.rtpKey, salt: sessionKeys.rtpSalt, authentication: sessionKeys.rtpAuthentication)
        rtcp = try SRTPTransform(profile: profile, key: sessionKeys.rtcpKey, salt: sessionKeys.rtcpSalt, authentication: sessionKeys.rtcpAuthentication)
        table = .allocate(capacity: 1)
        // libsrtp2 counts its first SRTCP packet 1; so do we.
        table.initialize(to: Table(streams: .allocate(capacity: 0), count: 0, rtcpIndex: firstRTCPIndex))
    }
    deinit {
        table.pointee.streams.deallocate()
        table.deallocate()
    }

    // MARK: Control

    /// Makes room for a stream and returns the handle its packets carry; the same SSRC gets the same handle until released.
    /// - Parameter rolloverCounter: the packet index' upper 32 bits at its first packet; 0 but for a stream that goes on from elsewhere.
    /// - Returns: a handle, or `refused` when `Limits.streams` are registered.
    package func register(ssrc: UInt32, rolloverCounter: UInt32 = 0) -> Int32 {
        var free: Int32? = nil
        for i in 0..<table.pointee.count {
            let stream = table.pointee.streams + Int(i)
            if stream.pointee.live, stream.pointee.ssrc == ssrc { return i }
            if !stream.pointee.live, free == nil { free = i }
        }
        guard let slot = free ?? grow() else { return Int32(Self.refused) }
        table.pointee.streams[Int(slot)] = Stream(ssrc: ssrc, rollover: rolloverCounter, live: true)
        return slot
    }
    /// Frees a handle. Its SSRC must not be used again under these keys.
    package func release(stream handle: Int32) {
        guard handle >= 0, handle < table.pointee.count else { return }
        table.pointee.streams[Int(handle)] = Stream()
    }
    /// Doubles the table; the new slots are free. Handles stay valid.
    private func grow() -> Int32? {
        let old = Int(table.pointee.count)
        let new = min(max(8, old * 2), Limits.streams)
        guard new > old else { return nil }
        let streams = UnsafeMutablePointer<Stream>.allocate(capacity: new)
        streams.initialize(repeating: Stream(), count: new)
        streams.update(from: table.pointee.streams, count: old)
        table.pointee.streams.deallocate()
        table.pointee.streams = streams
        table.pointee.count = Int32(new)
        return Int32(old)
    }

    // MARK: Packets

    /// Encrypts one RTP packet into `wire`, where its header and the first `prefixLength` payload bytes already stand in plain;
    /// the rest of the payload is read from `payload` (RFC 3711 §3.3, RFC 7714 §8).
    ///
    /// Sending an old sequence number again repeats its index: allowed only for the very same bytes.
    /// - Parameter capacity: bytes that may be written at `wire`.
    /// - Returns: the packet's length, or `refused`.
    package func protect(stream handle: Int32, wire: UnsafeMutableRawPointer, headerLength: Int, prefixLength: Int, payload: UnsafeRawPointer?, payloadLength: Int, capacity: Int) -> Int {
        let body = prefixLength &+ payloadLength
        let total = headerLength &+ body &+ profile.tagLength
        guard headerLength >= 12, prefixLength >= 0, payloadLength >= 0, total <= capacity, total <= Limits.packetLength,
              handle >= 0, handle < table.pointee.count, payloadLength == 0 || payload != nil else { return Self.refused }
        let stream = table.pointee.streams + Int(handle)
        let sequence = UInt16(bigEndian: wire.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = UInt32(bigEndian: wire.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard stream.pointee.live, ssrc == stream.pointee.ssrc else { return Self.refused }
        let rollover = Self.advance(stream, to: sequence)
        let sealed = profile == .aeadAES128GCM
            ? rtp.sealAEAD(wire, headerLength: headerLength, prefixLength: prefixLength, payload: payload, payloadLength: payloadLength, ssrc: ssrc, rollover: rollover, sequence: sequence)
            : rtp.sealCounterMode(wire, headerLength: headerLength, prefixLength: prefixLength, payload: payload, payloadLength: payloadLength, ssrc: ssrc, rollover: rollover, sequence: sequence)
        return sealed ? total : Self.refused
    }

    /// The rollover counter of `sequence`, nearest to the highest sent so far (RFC 3711 §3.3.1, appendix A).
    @inline(__always)
    private static func advance(_ stream: UnsafeMutablePointer<Stream>, to sequence: UInt16) -> UInt32 {
        guard stream.pointee.started else {
            stream.pointee.started = true
            stream.pointee.highest = sequence
            return stream.pointee.rollover
        }
        let highest = stream.pointee.highest
        let distance = Int16(bitPattern: sequence &- highest)
        if distance > 0 {
            if sequence < highest { stream.pointee.rollover &+= 1 }
            stream.pointee.highest = sequence
            return stream.pointee.rollover
        }
        // An older packet; one from before the wrap belongs to the counter before. Below zero there is none: receivers guess 0 as well.
        return sequence > highest && stream.pointee.rollover > 0 ? stream.pointee.rollover - 1 : stream.pointee.rollover
    }

    /// Encrypts one compound RTCP packet in place and appends trailer and tag (RFC 3711 §3.4, RFC 7714 §9).
    /// - Returns: the packet's length, or `refused` (also once 2^31 packets were sent: the session must be keyed anew).
    package func protectRTCP(_ buffer: UnsafeMutableRawPointer, length: Int, capacity: Int) -> Int {
        let total = length &+ profile.rtcpTrailerLength
        let index = table.pointee.rtcpIndex
        guard length >= 8, total <= capacity, total <= Limits.packetLength, index <= Limits.rtcpPackets else { return Self.refused }
        table.pointee.rtcpIndex = index &+ 1
        let sealed = profile == .aeadAES128GCM
            ? rtcp.sealRTCPWithAEAD(buffer, length: length, index: index)
            : rtcp.sealRTCPWithCounterMode(buffer, length: length, index: index)
        return sealed ? total : Self.refused
    }
}
