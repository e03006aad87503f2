// What one transport of a router carries in and out.
internal import Primitives

/// The tracks of one transport. Lives behind a pointer in the router while it has any.
struct TransportState {
    enum Limits {
        /// How far apart reports may be due to share a compound packet.
        static let coalescing = Duration.milliseconds(100)
    }
    let index: TransportIndex
    var readers = PointerList<OutboundStream>()
    var tracks = PointerList<InboundTrackState>()
    /// True while it stands in the router's list of transports to flush.
    var isQueued = false
    /// When the next SR or RR is due; nil while there is nothing to report.
    var reportDueAt: Instant?

    init(index: TransportIndex) { self.index = index }
    func deallocate() {
        readers.deallocate()
        tracks.deallocate()
    }
    var isUnused: Bool { readers.count == 0 && tracks.count == 0 }

    /// The lowest even stream number no reader of the transport has; the odd one after it is its RTX stream's.
    func freeStreamNumber() -> Int32 {
        var number: Int32 = 0
        while (0..<readers.count).contains(where: { readers[$0].pointee.streamNumber == number }) { number += 2 }
        return number
    }
    mutating func bringForward(_ due: Instant) { reportDueAt = reportDueAt.map { min($0, due) } ?? due }
}
