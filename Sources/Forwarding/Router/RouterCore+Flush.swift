// Fills a send batch: media per subscriber, then what is sent again.
internal import Primitives
internal import RTP

extension RouterCore {
    /// Sends on every arrival, one subscriber after the other, so that a burst goes one way (`UDP_SEGMENT`).
    func flushMedia(into batch: SendBatch, now: Instant) -> Bool {
        guard state.pointee.queuedTracks.count > 0 else { return true }
        if !state.pointee.cursor.isCollected { collectTransports() }
        let context = context(now)
        while state.pointee.cursor.transport < state.pointee.queuedTransports.count {
            let transport = state.pointee.queuedTransports[state.pointee.cursor.transport]
            guard flushMedia(of: transport, into: batch, context) else { return false }
            transport.pointee.isQueued = false
            state.pointee.cursor.transport += 1
            state.pointee.cursor.reader = 0
        }
        for i in 0..<state.pointee.queuedTracks.count { state.pointee.queuedTracks[i].pointee.clearArrivals() }
        state.pointee.queuedTracks.removeAll()
        state.pointee.queuedTransports.removeAll()
        state.pointee.cursor = RouterState.Cursor()
        return true
    }

    private func flushMedia(of transport: UnsafeMutablePointer<TransportState>, into batch: SendBatch, _ context: ForwardingContext) -> Bool {
        let readers = transport.pointee.readers
        var reader = state.pointee.cursor.reader, arrival = state.pointee.cursor.arrival
        var count = batch.count, bytes = 0
        let packets = batch.packets, capacity = batch.capacity, first = batch.count
        defer {
            batch.count = count
            state.pointee.cursor.reader = reader
            state.pointee.cursor.arrival = arrival
            countOut(packets: count - first, bytes: bytes)
        }
        while reader < readers.count {
            let stream = readers[reader], track = stream.pointee.track
            while arrival < track.pointee.arrivalCount {
                guard count < capacity else { return false }
                if stream.pointee.forward(track.pointee.arrivals[arrival], into: packets + count, context) {
                    bytes += packets[count].length
                    count += 1
                }
                arrival += 1
            }
            // What the source so far had is sent; from here on the next one's, once it can be decoded.
            if stream.pointee.upcoming != nil, let first = goOver(stream, context) {
                arrival = first
                continue
            }
            arrival = 0
            reader += 1
        }
        return true
    }

    /// Lists the transports that have a reader of a track with arrivals.
    private func collectTransports() {
        state.pointee.queuedTransports.removeAll()
        for i in 0..<state.pointee.queuedTracks.count {
            collectTransports(of: state.pointee.queuedTracks[i].pointee.readers)
            collectTransports(of: state.pointee.queuedTracks[i].pointee.waiting)
        }
        state.pointee.cursor.isCollected = true
    }
    @inline(__always) private func collectTransports(of readers: PointerList<OutboundStream>) {
        for j in 0..<readers.count {
            let transport = readers[j].pointee.transportState
            guard !transport.pointee.isQueued else { continue }
            transport.pointee.isQueued = true
            state.pointee.queuedTransports.append(transport)
        }
    }

    /// Answers NACKs, and sends on what a late key frame start left behind.
    func flushResends(into batch: SendBatch, now: Instant) -> Bool {
        let context = context(now)
        while !resends.pointee.isEmpty {
            guard !batch.isFull else { return false }
            let job = resends.pointee.pop()
            guard let reader = find(job.reader) else { continue }
            let target = batch.packets + batch.count
            let isFilled = switch job.work {
            case .again(let sequence): reader.pointee.resend(sequence, into: target, context)
            case .original(let number): reader.pointee.passAgain(encoding: job.encoding, number: number, into: target, context)
            case .late(let number): forwardLate(number, job.encoding, reader, into: target, context)
            }
            guard isFilled else { continue }
            countOut(packets: 1, bytes: target.pointee.length)
            batch.count += 1
        }
        return true
    }
    private func forwardLate(
        _ number: UInt64, _ encoding: UInt8, _ reader: UnsafeMutablePointer<OutboundStream>, into target: UnsafeMutablePointer<ForwardedPacket>,
        _ context: ForwardingContext
    ) -> Bool {
        let stream = reader.pointee.track.pointee.streams + Int(encoding)
        guard reader.pointee.selection.current == encoding || reader.pointee.isCrossing, stream.pointee.cache.find(number) != nil else { return false }
        return reader.pointee.forward(Arrival(number: number, encoding: encoding, generation: stream.pointee.generation), into: target, context)
    }

    private func context(_ now: Instant) -> ForwardingContext {
        ForwardingContext(now: now, counters: counts, resends: resends)
    }
    private func countOut(packets: Int, bytes: Int) {
        counts.pointee.rtpOut &+= UInt64(packets)
        counts.pointee.rtpBytesOut &+= UInt64(bytes)
    }
}
