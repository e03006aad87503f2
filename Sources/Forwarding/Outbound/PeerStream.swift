// A track as one subscribing peer sees it: one SSRC, continuous numbers, whatever happens on the publisher's side.
internal import Primitives
internal import RTP

/// The rewriting state of one outbound stream to a peer. Lives behind a pointer in its `OutboundStream`.
struct PeerStream {
    /// What to do with one packet.
    enum Verdict {
        case send(SentPacket, timestamp: UInt32)
        /// A packet of padding keeps the place that was kept for a packet left out late.
        case fill(SentPacket, timestamp: UInt32)
        case skip(DropReason)
    }
    let profile: UnsafePointer<PeerProfile>
    /// Not zero-terminated; `cname.count` bytes of UTF-8 (RFC 3550 §6.5.1).
    let cname: UnsafeMutableRawBufferPointer
    private(set) var sequences = NumberLine()
    private(set) var pictures = PictureLine()
    private(set) var timestamps = TimestampLine()
    var temporal = TemporalFilter()
    let history: SentHistory
    var reports = SenderReports()
    private var hasBegun = false
    private(set) var encoding: UInt8 = EncodingSelection.none
    private(set) var generation: UInt8 = 0
    /// The splice at which the stream last went over to another source: what was sent before it stands in that source's caches.
    private var sourceSplice: UInt8?
    /// The receiver has reported on the stream: it knows its MID by the SSRC (RFC 8843 §9.2).
    var knowsMID: Bool
    private var rtxSequence: UInt16
    private(set) var packets: UInt32 = 0
    /// Payload bytes, as SR count them (RFC 3550 §6.4.1).
    private(set) var octets: UInt32 = 0

    init(_ sink: PeerSink, kind: Codec.Kind) {
        let prepared = PeerProfile(sink)
        let pointer = UnsafeMutablePointer<PeerProfile>.allocate(capacity: 1)
        pointer.initialize(to: prepared)
        profile = UnsafePointer(pointer)
        let name = Array(sink.cname.utf8.prefix(RTCPWriter.Limits.cnameBytes))
        cname = .allocate(byteCount: max(name.count, 1), alignment: 1)
        cname.copyBytes(from: name)
        cnameLength = name.count
        history = SentHistory(packets: kind == .video ? SentHistory.Limits.videoPackets : SentHistory.Limits.audioPackets)
        knowsMID = prepared.midID == 0 || prepared.mid.isEmpty
        rtxSequence = prepared.firstSequence
    }
    private let cnameLength: Int
    var cnameBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: cname[..<cnameLength]) }
    func deallocate() {
        profile.deallocate()
        cname.deallocate()
        history.deallocate()
    }

    /// The stream begins with this packet, or goes on with it after an interruption or from another encoding.
    /// - Parameters:
    ///   - old: clock of the encoding sent so far, if it is still the same life of it.
    ///   - new: clock of the packet's encoding.
    ///   - isOtherSource: the packet is of another inbound track than those before.
    mutating func splice(
        _ packet: UnsafePointer<CachedPacket>, encoding: UInt8, generation: UInt8, old: ClockReference?, new: ClockReference?, isOtherSource: Bool = false, now: Instant
    ) {
        let facts = packet.pointee.facts
        sequences.begin(at: packet.pointee.number, as: hasBegun ? sequences.highestOut &+ 1 : UInt64(profile.pointee.firstSequence) | 1 << 16)
        if facts.codec.is(.vp8) { pictures.splice(at: facts) }
        if isOtherSource || !(hasBegun && self.encoding == encoding && self.generation == generation) {
            timestamps.begin(at: facts.timestamp, clockRate: facts.codec.clockRate, old: old, new: new, now: now)
        }
        if isOtherSource, hasBegun { sourceSplice = timestamps.splice }
        temporal.splice()
        self.encoding = encoding
        self.generation = generation
        hasBegun = true
    }

    /// Whether a packet that was sent came from the source before this one.
    func isOfEarlierSource(_ sent: SentPacket) -> Bool {
        guard let sourceSplice else { return false }
        return timestamps.splice &- sent.splice > timestamps.splice &- sourceSplice
    }

    /// A packet of the encoding being sent.
    @inline(__always) mutating func step(_ packet: UnsafePointer<CachedPacket>, now: Instant) -> Verdict {
        let number = packet.pointee.number, facts = packet.pointee.facts
        guard facts.codec.is(profile.pointee.codec) else { return .skip(.codecMismatch) }
        guard number >= sequences.firstIn else { return .skip(.beforeStart) }
        let isNewest = number > sequences.highestIn
        if facts.flags.contains(.paddingOnly) { return leaveOut(packet, .paddingOnly) }
        if !facts.codec.is(.opus), !temporal.admits(facts, isNewest: isNewest) { return leaveOut(packet, .temporalLayer) }
        guard let out = sequences.map(number) else { return .skip(.beforeStart) }
        let sequence = UInt16(truncatingIfNeeded: out)
        if !isNewest, let before = history.find(sequence), before.pointee.number == number { return .skip(.alreadySent) }
        var sent = sentPacket(number, sequence, now: now)
        if facts.codec.is(.vp8) {
            let picture = pictures.map(facts)
            sent.pictureID = picture.pictureID
            sent.tl0PictureIndex = picture.tl0PictureIndex
        }
        let timestamp = timestamps.map(facts.timestamp, now: now)
        history.record(sent)
        return .send(sent, timestamp: timestamp)
    }

    /// Closes the place of a packet left out, or fills it when it is too late for that.
    private mutating func leaveOut(_ packet: UnsafePointer<CachedPacket>, _ reason: DropReason) -> Verdict {
        let facts = packet.pointee.facts
        if facts.codec.is(.vp8), reason == .temporalLayer { pictures.drop(facts) }
        guard let place = sequences.drop(packet.pointee.number) else { return .skip(reason) }
        let sequence = UInt16(truncatingIfNeeded: place)
        if let before = history.find(sequence), before.pointee.number == packet.pointee.number { return .skip(.alreadySent) }
        var sent = sentPacket(packet.pointee.number, sequence, now: .origin)
        sent.isFiller = true
        sent.hasMID = false
        history.record(sent)
        return .fill(sent, timestamp: facts.timestamp &+ timestamps.offset)
    }
    @inline(__always) private func sentPacket(_ number: UInt64, _ sequence: UInt16, now: Instant) -> SentPacket {
        SentPacket(
            number: number, sentAt: SentHistory.milliseconds(now), sequence: sequence, splice: timestamps.splice, encoding: encoding, hasMID: !knowsMID)
    }

    @inline(__always) mutating func count(payload: Int) {
        packets &+= 1
        octets &+= UInt32(truncatingIfNeeded: payload)
    }
    mutating func nextRTXSequence() -> UInt16 {
        defer { rtxSequence &+= 1 }
        return rtxSequence
    }
    /// Whether a packet's descriptor carries numbers that differ from the publisher's.
    @inline(__always) func rewritesPicture(_ facts: PacketFacts) -> Bool {
        pictures.isShifted && facts.codec.is(.vp8) && facts.flags.rawValue & (PacketFacts.Flags.pictureID.rawValue | PacketFacts.Flags.tl0PictureIndex.rawValue) != 0
    }
}
