// All of a router's state, behind one pointer: what the packet path touches has no object header, no reference count, no exclusivity check.
internal import Primitives

struct RouterState {
    enum Limits {
        /// SSRCs of one encoding: media and RTX.
        static let ssrcsPerEncoding = 2
        /// How often silent encodings are looked for.
        static let tick = Duration.milliseconds(250)
    }
    /// Where a flush that met a full batch goes on.
    struct Cursor {
        var isCollected = false
        var transport = 0
        var reader = 0
        var arrival = 0
    }
    let feedbackSSRC: UInt32
    let cname: UnsafeMutableRawBufferPointer
    var tracks = SlotTable<InboundTrackState>()
    var readers = SlotTable<OutboundStream>()
    var transports = SlotTable<TransportState>()
    /// Transport index → slot in `transports`.
    var transportSlots = StreamTable()
    /// (transport, SSRC or pipe stream id) → `StreamReference`.
    var inbound = StreamTable()
    /// (transport, SSRC or pipe stream id) → slot in `readers`.
    var outbound = StreamTable()
    var queuedTracks = PointerList<InboundTrackState>()
    var queuedTransports = PointerList<TransportState>()
    var cursor = Cursor()
    var events = BoundedQueue<RouterEvent>(capacity: RouterEvent.Limits.queued)
    /// Earliest NACK or PLI; nil while none is due.
    var feedbackDueAt: Instant?
    /// Earliest SR or RR.
    var reportsDueAt: Instant?
    var tickDueAt: Instant?
    /// A publisher's sender report waits to be passed on to pipes and taps.
    var hasReportsToPass = false

    init(_ configuration: RouterConfiguration) {
        feedbackSSRC = configuration.feedbackSSRC
        let name = Array(configuration.cname.utf8.prefix(255))
        cname = .allocate(byteCount: name.count, alignment: 1)
        cname.copyBytes(from: name)
    }
    func deallocate() {
        cname.deallocate()
        tracks.deallocate()
        readers.deallocate()
        transports.deallocate()
        transportSlots.deallocate()
        inbound.deallocate()
        outbound.deallocate()
        queuedTracks.deallocate()
        queuedTransports.deallocate()
    }

    mutating func wantFeedback(at due: Instant?) {
        guard let due else { return }
        feedbackDueAt = feedbackDueAt.map { min($0, due) } ?? due
    }
    mutating func wantReport(_ transport: UnsafeMutablePointer<TransportState>, at due: Instant) {
        transport.pointee.bringForward(due)
        reportsDueAt = reportsDueAt.map { min($0, due) } ?? due
    }
    func transport(_ index: TransportIndex) -> UnsafeMutablePointer<TransportState>? {
        let slot = transportSlots.find(StreamTable.key(index, 0))
        return slot < 0 ? nil : transports[Int(slot)]
    }
}

/// Which stream a packet belongs to, in one word of `StreamTable`.
struct StreamReference {
    let rawValue: Int32
    /// The encoding is found by SSRC within the track: pipes.
    static let anyEncoding: UInt8 = 0x7F
    init(rawValue: Int32) { self.rawValue = rawValue }
    init(track: Int32, encoding: UInt8, isRTX: Bool) { rawValue = track << 8 | Int32(encoding) << 1 | (isRTX ? 1 : 0) }
    var track: Int { Int(rawValue >> 8) }
    var encoding: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 1) & 0x7F }
    var isRTX: Bool { rawValue & 1 != 0 }
}
