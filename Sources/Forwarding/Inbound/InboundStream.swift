// One encoding of a track as it arrives: one SSRC at a time, with what repairs and reports it.
internal import Primitives
internal import RTP

/// The state of one inbound stream. Lives behind a pointer in its `InboundTrackState`.
struct InboundStream {
    enum Limits {
        /// Without a packet for so long an encoding counts as silent and subscribers are moved to another.
        static let silence = Duration.seconds(1)
        /// An SSRC that was just replaced is not taken back for so long, but at a key frame: its packets are stragglers.
        static let replacedHold = Duration.seconds(2)
        static let reportInterval = Duration.seconds(1)
    }
    /// How a packet came to this router.
    enum Way: UInt8 {
        case direct
        /// By RTX (RFC 4588 §4).
        case retransmission
        /// Over a pipe, from a node that had it by RTX.
        case pipedRetransmission
    }
    /// What a received packet did.
    enum Outcome {
        case cached(UnsafePointer<CachedPacket>)
        case dropped(DropReason)
    }
    let index: UInt8
    let kind: Codec.Kind
    private(set) var rid: ShortName
    var ssrc: UInt32?
    var rtxSSRC: UInt32?
    /// Grows with every new SSRC and every restart of the numbers: readers begin anew then.
    private(set) var generation: UInt8 = 0
    private(set) var gate = SequenceGate()
    private(set) var cache: PacketCache
    private(set) var statistics: ReceptionStatistics?
    var nack = NackScheduler()
    var keyFrames = KeyFrameArbiter()
    /// The last packet that came while the track was muted: it and those before are for nobody.
    var hiddenThrough: UInt64 = 0
    private(set) var report: (info: SenderInfo, at: Instant, receivedAt: Int64)?
    /// Counts reports, so that each pipe and tap passes on each once.
    private(set) var reportNumber: UInt32 = 0
    private(set) var isActive = false
    private(set) var lastPacketAt = Instant.origin
    private(set) var packets: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private(set) var recovered: UInt64 = 0
    private(set) var keyFrameCount: UInt64 = 0
    private var replacedSSRC: UInt32?
    private var replacedAt = Instant.origin

    init(index: UInt8, kind: Codec.Kind, description: EncodingDescription) {
        self.index = index
        self.kind = kind
        rid = ShortName(description.rid ?? "")
        ssrc = description.ssrc
        rtxSSRC = description.rtxSSRC
        cache = PacketCache(kind: kind)
    }
    func deallocate() { cache.deallocate() }

    /// Earliest time feedback about this stream is due; nil while there is none to give.
    var feedbackDeadline: Instant? {
        guard let a = nack.deadline else { return keyFrames.deadline }
        return keyFrames.deadline.map { min(a, $0) } ?? a
    }

    mutating func rename(_ rid: String?) { self.rid = ShortName(rid ?? "") }

    /// Whether this SSRC is a straggler of the one replaced a moment ago.
    func isStraggler(_ ssrc: UInt32, isKeyFrame: Bool, now: Instant) -> Bool {
        ssrc == replacedSSRC && !isKeyFrame && now - replacedAt < Limits.replacedHold
    }

    /// The encoding has another SSRC from now on (RFC 3550 §8): all numbers begin anew.
    mutating func adopt(ssrc new: UInt32, now: Instant) {
        if let ssrc, ssrc != new {
            replacedSSRC = ssrc
            replacedAt = now
        }
        let isFirst = packets == 0
        ssrc = new
        statistics = nil
        report = nil
        if !isFirst { startsOver = true }
    }
    private var startsOver = false

    // MARK: Packets

    /// A media packet of this stream, for the first time or repeated.
    /// - Parameters:
    ///   - keeping: see `PacketCache.insert`.
    mutating func receive(_ header: RTPHeader, codec: Codec, extensions: ExtensionMap, way: Way, receivedAt: Int64, keeping: UInt64, now: Instant) -> Outcome {
        let number: UInt64
        if way == .retransmission {
            guard packets > 0, !startsOver else { return .dropped(.orphanRetransmission) }
            guard let place = gate.place(header.sequence) else { return .dropped(.tooOld) }
            number = place
        } else {
            switch admit(header.sequence) {
            case .newest(let n), .late(let n): number = n
            case .restart(let n):
                number = n
                generation &+= 1
                nack.reset(to: n)
            case .tooOld: return .dropped(.tooOld)
            case .jump: return .dropped(.sequenceJump)
            }
        }
        guard cache.find(number) == nil else { return .dropped(.duplicate) }
        var facts = PayloadInspector.facts(of: header, codec: codec, extensions: extensions)
        if way != .direct { facts.flags.formUnion(.recovered) }
        guard let packet = cache.insert(number, header.bytes, header: header, facts: facts, receivedAt: receivedAt, keeping: keeping) else {
            return .dropped(refusal(number, header))
        }
        count(header, codec: codec, isRTX: way == .retransmission, now: now)
        repair(number, now: now)
        if facts.flags.contains(.keyFrame), kind == .video {
            keyFrameCount &+= 1
            keyFrames.satisfy()
        }
        return .cached(packet)
    }

    private mutating func admit(_ sequence: UInt16) -> SequenceGate.Verdict {
        guard startsOver else { return gate.admit(sequence) }
        startsOver = false
        return .restart(gate.startOver(sequence))
    }
    private func refusal(_ number: UInt64, _ header: RTPHeader) -> DropReason {
        if header.bytes.count > PacketCache.Limits.packetBytes { return .oversized }
        return number &+ UInt64(cache.packetCapacity) <= gate.highest ? .tooOld : .arrivalsFull
    }
    private mutating func count(_ header: RTPHeader, codec: Codec, isRTX: Bool, now: Instant) {
        packets &+= 1
        bytes &+= UInt64(header.bytes.count)
        lastPacketAt = now
        // RFC 4588 §6.2: what came by RTX does not count as received in the reports on the original stream.
        guard !isRTX else { return }
        if statistics == nil { statistics = ReceptionStatistics(ssrc: header.ssrc, clockRate: codec.clockRate) }
        statistics?.received(sequence: header.sequence, timestamp: header.timestamp, now: now)
    }
    private mutating func repair(_ number: UInt64, now: Instant) {
        switch nack.received(number, now: now) {
        case .filled(let requests): if requests > 0 { recovered &+= 1 }
        case .outage: if kind == .video { keyFrames.request() }
        case .inOrder, .gap, .notMissing: break
        }
    }

    // MARK: Activity and reports

    /// - Returns: true when the encoding was silent before.
    mutating func becomesActive() -> Bool {
        defer { isActive = true }
        return !isActive
    }
    /// - Returns: true when the encoding has just fallen silent.
    mutating func becomesSilent(now: Instant) -> Bool {
        guard isActive, now - lastPacketAt >= Limits.silence else { return false }
        isActive = false
        nack.abandon()
        return true
    }
    mutating func received(_ info: SenderInfo, receivedAt: Int64, now: Instant) {
        report = (info, now, receivedAt)
        reportNumber &+= 1
        statistics?.receivedSenderReport(ntp: info.ntp, now: now)
    }
    var clock: ClockReference? { report.map { ClockReference(ntp: $0.info.ntp, timestamp: $0.info.rtpTimestamp) } }
    mutating func makeReportBlock(now: Instant) -> ReportBlock? { statistics?.makeReportBlock(now: now) }
}
