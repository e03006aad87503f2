// One published track: frames to RTP, retransmissions, key frames on request, sender reports.
internal import Primitives
internal import RTP
internal import WebRTC

struct SentCounts: Equatable {
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    var frames: UInt64 = 0
    var keyFrames: UInt64 = 0
    var resent: UInt64 = 0
    /// Sequence numbers asked for again, and those no longer kept.
    var nacks: UInt64 = 0
    var nacksMissed: UInt64 = 0
    var plis: UInt64 = 0
}

/// A packet to encrypt and send.
struct OutgoingPacket {
    var bytes: [UInt8]
    /// Whether it belongs to the retransmission stream.
    var isRepair = false
}

/// A pure value but for its owner's clock, which comes as an argument.
struct SendStream {
    enum Limits {
        /// Packets kept for retransmission.
        static let kept = 1024
        /// A source this far behind its clock skips ahead.
        static let lag = Duration.seconds(1)
        /// Between two key frames on request.
        static let keyFrameInterval = Duration.milliseconds(200)
    }
    let trackID: String
    let codec: Codec
    let ssrc: UInt32
    let rtxSSRC: UInt32?
    private var source: any FrameSource
    private var media: OutboundMedia?
    private var sequence: UInt16
    private var rtxSequence: UInt16
    private let timestampBase: UInt32
    private var start: (at: Instant, skipped: Duration)?
    private var kept = [[UInt8]](repeating: [], count: Limits.kept)
    private var lastKeyFrame: Instant?
    private var keyFrameWanted = false
    private(set) var counts = SentCounts()

    init(trackID: String, source: any FrameSource, random: any RandomSource) {
        self.trackID = trackID
        self.source = source
        codec = source.codec
        ssrc = UInt32(truncatingIfNeeded: random.next()) | 1
        rtxSSRC = source.codec.kind == .video ? ssrc ^ 0x5555_5554 : nil
        sequence = UInt16(truncatingIfNeeded: random.next())
        rtxSequence = UInt16(truncatingIfNeeded: random.next())
        timestampBase = UInt32(truncatingIfNeeded: random.next())
    }

    var isStarted: Bool { start != nil }
    /// What the negotiation gave the track; nil or not accepted: nothing is sent.
    mutating func negotiated(_ media: OutboundMedia?) { self.media = media }
    /// Tracks started with the same `now` share a capture clock.
    mutating func begin(now: Instant) { if start == nil { start = (now, .zero) } }

    /// When the next frame is due; nil while nothing may be sent.
    var due: Instant? {
        guard let start, media?.accepted == true else { return nil }
        return start.at + (source.nextOffset + start.skipped)
    }

    /// All frames due by now.
    mutating func takeDue(now: Instant, wall: WallTime) -> [OutgoingPacket] {
        guard let media, media.accepted else { return [] }
        var out: [OutgoingPacket] = []
        while let due, due <= now {
            if now - due > Limits.lag, let start { self.start = (start.at, start.skipped + (now - due)) }
            append(frameAt: source.nextOffset + (start?.skipped ?? .zero), media, now: now, wall: wall, to: &out)
        }
        return out
    }
    private mutating func append(frameAt offset: Duration, _ media: OutboundMedia, now: Instant, wall: WallTime, to out: inout [OutgoingPacket]) {
        let frame = source.next(keyFrame: takeKeyFrameWish(now))
        let timestamp = timestamp(at: offset)
        counts.frames += 1
        if frame.isKeyFrame, codec.kind == .video { counts.keyFrames += 1 }
        for (index, payload) in frame.payloads.enumerated() {
            let marker = codec.kind == .video ? index == frame.payloads.count - 1 : counts.packets == 0
            out.append(OutgoingPacket(bytes: packet(payload, media, marker: marker, timestamp: timestamp, wall: wall)))
        }
    }
    private mutating func takeKeyFrameWish(_ now: Instant) -> Bool {
        guard keyFrameWanted, lastKeyFrame.map({ now - $0 >= Limits.keyFrameInterval }) ?? true else { return false }
        keyFrameWanted = false
        lastKeyFrame = now
        return true
    }
    private mutating func packet(_ payload: [UInt8], _ media: OutboundMedia, marker: Bool, timestamp: UInt32, wall: WallTime) -> [UInt8] {
        let head = RTPHeader.fixedLength
        let stamp = source.isStamped ? Stamp(number: UInt32(truncatingIfNeeded: counts.packets), sentAt: wall.microseconds) : nil
        let bytes = [UInt8](unsafeUninitializedCapacity: head + payload.count) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            RTPHeader.write(to: raw.baseAddress!, payloadType: media.payloadType, marker: marker, sequence: sequence, timestamp: timestamp, ssrc: ssrc)
            UnsafeMutableRawBufferPointer(rebasing: raw[head...]).copyBytes(from: payload)
            stamp?.write(atEndOf: UnsafeMutableRawBufferPointer(rebasing: raw[head...]))
            count = head + payload.count
        }
        kept[Int(sequence) % Limits.kept] = bytes
        sequence &+= 1
        counts.packets += 1
        counts.bytes += UInt64(payload.count)
        return bytes
    }
    private func timestamp(at offset: Duration) -> UInt32 {
        let ticks = (Double(offset.inNanoseconds) * Double(codec.clockRate) / 1e9).rounded()
        return timestampBase &+ UInt32(truncatingIfNeeded: Int64(ticks))
    }

    // MARK: Feedback

    /// RFC 4585 §6.2.1: the packet again, as RTX (RFC 4588) where that was negotiated.
    mutating func repair(_ wanted: UInt16) -> OutgoingPacket? {
        counts.nacks += 1
        let original = kept[Int(wanted) % Limits.kept]
        guard original.count >= RTPHeader.fixedLength, UInt16(original[2]) << 8 | UInt16(original[3]) == wanted else {
            counts.nacksMissed += 1
            return nil
        }
        counts.resent += 1
        guard let media, let rtxSSRC = media.rtxSSRC, let rtx = media.rtxPayloadType else { return OutgoingPacket(bytes: original) }
        let bytes = original.withUnsafeBytes { source -> [UInt8]? in
            guard let header = try? RTPHeader.parse(source) else { return nil }
            var target = [UInt8](repeating: 0, count: source.count + Retransmission.prefixLength)
            let length = target.withUnsafeMutableBytes { Retransmission.wrap(header, ssrc: rtxSSRC, payloadType: rtx, sequence: rtxSequence, into: $0) }
            return length == target.count ? target : nil
        }
        rtxSequence &+= 1
        return bytes.map { OutgoingPacket(bytes: $0, isRepair: true) }
    }
    /// RFC 4585 §6.3.1.
    mutating func keyFrameRequested() {
        counts.plis += 1
        keyFrameWanted = true
    }
    /// Both clocks at one moment (RFC 3550 §6.4.1); nil before the first packet.
    func senderInfo(now: Instant, wall: WallTime) -> SenderInfo? {
        guard let start, counts.packets > 0 else { return nil }
        return SenderInfo(
            ssrc: ssrc, ntp: NTPTime(wall), rtpTimestamp: timestamp(at: now - start.at), packetCount: UInt32(truncatingIfNeeded: counts.packets),
            octetCount: UInt32(truncatingIfNeeded: counts.bytes))
    }
}
