// One published track: frames to RTP on one connection or two, retransmissions, key frames on request, sender reports.
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
    /// Which of the track's outlets it leaves by.
    var outlet = 0
}

/// A track on one connection: an SSRC with numbers of its own. While its publisher moves from one node to another it has two.
struct Outlet {
    let number: Int
    let ssrc: UInt32
    let rtxSSRC: UInt32?
    var media: OutboundMedia?
    var sequence: UInt16
    var rtxSequence: UInt16
    let timestampBase: UInt32
    var kept = [[UInt8]](repeating: [], count: SendStream.Limits.kept)
    var packets: UInt32 = 0
    var octets: UInt32 = 0

    init(number: Int, kind: Codec.Kind, random: any RandomSource) {
        self.number = number
        ssrc = UInt32(truncatingIfNeeded: random.next()) | 1
        rtxSSRC = kind == .video ? ssrc ^ 0x5555_5554 : nil
        sequence = UInt16(truncatingIfNeeded: random.next())
        rtxSequence = UInt16(truncatingIfNeeded: random.next())
        timestampBase = UInt32(truncatingIfNeeded: random.next())
    }
    func timestamp(at offset: Duration, clockRate: UInt32) -> UInt32 {
        let ticks = (Double(offset.inNanoseconds) * Double(clockRate) / 1e9).rounded()
        return timestampBase &+ UInt32(truncatingIfNeeded: Int64(ticks))
    }
    /// - Parameter stamp: written over the payload's end where the source leaves room for it.
    mutating func packet(_ payload: [UInt8], _ media: OutboundMedia, marker: Bool, timestamp: UInt32, stamp: Stamp?) -> [UInt8] {
        let head = RTPHeader.fixedLength, sequence = sequence, ssrc = ssrc
        let bytes = [UInt8](unsafeUninitializedCapacity: head + payload.count) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            RTPHeader.write(to: raw.baseAddress!, payloadType: media.payloadType, marker: marker, sequence: sequence, timestamp: timestamp, ssrc: ssrc)
            UnsafeMutableRawBufferPointer(rebasing: raw[head...]).copyBytes(from: payload)
            stamp?.write(atEndOf: UnsafeMutableRawBufferPointer(rebasing: raw[head...]))
            count = head + payload.count
        }
        kept[Int(sequence) % SendStream.Limits.kept] = bytes
        self.sequence &+= 1
        packets &+= 1
        octets &+= UInt32(truncatingIfNeeded: payload.count)
        return bytes
    }
    func sent(_ wanted: UInt16) -> [UInt8]? {
        let original = kept[Int(wanted) % SendStream.Limits.kept]
        return original.count >= RTPHeader.fixedLength && UInt16(original[2]) << 8 | UInt16(original[3]) == wanted ? original : nil
    }
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
    private var source: any FrameSource
    private(set) var outlets: [Outlet]
    private var start: (at: Instant, skipped: Duration)?
    private var lastKeyFrame: Instant?
    private var keyFrameWanted = false
    /// Payloads made so far: what they are stamped with, the same on every outlet.
    private var numbered: UInt64 = 0
    private(set) var counts = SentCounts()

    init(trackID: String, source: any FrameSource, random: any RandomSource) {
        self.trackID = trackID
        self.source = source
        codec = source.codec
        outlets = [Outlet(number: 0, kind: source.codec.kind, random: random)]
    }

    /// Of the newest outlet.
    var ssrc: UInt32 { outlets[outlets.count - 1].ssrc }
    var rtxSSRC: UInt32? { outlets[outlets.count - 1].rtxSSRC }
    /// The same frames leave by another connection as well from now on.
    mutating func addOutlet(_ number: Int, random: any RandomSource) { outlets.append(Outlet(number: number, kind: codec.kind, random: random)) }
    /// The last one stays: a track has one at least.
    mutating func removeOutlet(_ number: Int) { if outlets.count > 1 { outlets.removeAll { $0.number == number } } }
    func outlet(_ number: Int) -> Outlet? { outlets.first { $0.number == number } }
    func outlet(ofSSRC ssrc: UInt32) -> Int? { outlets.first { $0.ssrc == ssrc }?.number }

    var isStarted: Bool { start != nil }
    /// What the negotiation gave the track; nil or not accepted: nothing is sent.
    mutating func negotiated(_ media: OutboundMedia?, outlet number: Int = 0) {
        if let index = outlets.firstIndex(where: { $0.number == number }) { outlets[index].media = media }
    }
    /// Tracks started with the same `now` share a capture clock.
    mutating func begin(now: Instant) { if start == nil { start = (now, .zero) } }

    /// When the next frame is due; nil while nothing may be sent.
    var due: Instant? {
        guard let start, outlets.contains(where: { $0.media?.accepted == true }) else { return nil }
        return start.at + (source.nextOffset + start.skipped)
    }

    /// All frames due by now.
    mutating func takeDue(now: Instant, wall: WallTime) -> [OutgoingPacket] {
        var out: [OutgoingPacket] = []
        while let due, due <= now {
            if now - due > Limits.lag, let start { self.start = (start.at, start.skipped + (now - due)) }
            append(frameAt: source.nextOffset + (start?.skipped ?? .zero), now: now, wall: wall, to: &out)
        }
        return out
    }
    private mutating func append(frameAt offset: Duration, now: Instant, wall: WallTime, to out: inout [OutgoingPacket]) {
        let frame = source.next(keyFrame: takeKeyFrameWish(now))
        counts.frames += 1
        if frame.isKeyFrame, codec.kind == .video { counts.keyFrames += 1 }
        for index in outlets.indices {
            guard let media = outlets[index].media, media.accepted else { continue }
            let timestamp = outlets[index].timestamp(at: offset, clockRate: codec.clockRate)
            for (part, payload) in frame.payloads.enumerated() {
                let marker = codec.kind == .video ? part == frame.payloads.count - 1 : outlets[index].packets == 0
                let stamp = source.isStamped ? Stamp(number: UInt32(truncatingIfNeeded: numbered + UInt64(part)), sentAt: wall.microseconds) : nil
                let bytes = outlets[index].packet(payload, media, marker: marker, timestamp: timestamp, stamp: stamp)
                counts.packets += 1
                counts.bytes += UInt64(payload.count)
                out.append(OutgoingPacket(bytes: bytes, outlet: outlets[index].number))
            }
        }
        numbered += UInt64(frame.payloads.count)
    }
    private mutating func takeKeyFrameWish(_ now: Instant) -> Bool {
        guard keyFrameWanted, lastKeyFrame.map({ now - $0 >= Limits.keyFrameInterval }) ?? true else { return false }
        keyFrameWanted = false
        lastKeyFrame = now
        return true
    }

    // MARK: Feedback

    /// RFC 4585 §6.2.1: the packet again, as RTX (RFC 4588) where that was negotiated.
    mutating func repair(_ wanted: UInt16, outlet number: Int = 0) -> OutgoingPacket? {
        counts.nacks += 1
        guard let index = outlets.firstIndex(where: { $0.number == number }), let original = outlets[index].sent(wanted) else {
            counts.nacksMissed += 1
            return nil
        }
        counts.resent += 1
        guard let media = outlets[index].media, let rtxSSRC = media.rtxSSRC, let rtx = media.rtxPayloadType else { return OutgoingPacket(bytes: original, outlet: number) }
        let sequence = outlets[index].rtxSequence
        let bytes = original.withUnsafeBytes { source -> [UInt8]? in
            guard let header = try? RTPHeader.parse(source) else { return nil }
            var target = [UInt8](repeating: 0, count: source.count + Retransmission.prefixLength)
            let length = target.withUnsafeMutableBytes { Retransmission.wrap(header, ssrc: rtxSSRC, payloadType: rtx, sequence: sequence, into: $0) }
            return length == target.count ? target : nil
        }
        outlets[index].rtxSequence &+= 1
        return bytes.map { OutgoingPacket(bytes: $0, isRepair: true, outlet: number) }
    }
    /// RFC 4585 §6.3.1.
    mutating func keyFrameRequested() {
        counts.plis += 1
        keyFrameWanted = true
    }
    /// Both clocks at one moment (RFC 3550 §6.4.1); nil before the first packet.
    func senderInfo(now: Instant, wall: WallTime, outlet number: Int = 0) -> SenderInfo? {
        guard let start, let outlet = outlet(number), outlet.packets > 0 else { return nil }
        return SenderInfo(
            ssrc: outlet.ssrc, ntp: NTPTime(wall), rtpTimestamp: outlet.timestamp(at: now - start.at, clockRate: codec.clockRate), packetCount: outlet.packets,
            octetCount: outlet.octets)
    }
}
