// One room's packets on one media loop: who gets which, rewritten how.
package import Primitives

/// Takes decrypted packets, writes outgoing ones into the caller's batch.
///
/// Confined to one media loop; no clock, no IO. Allocates in control calls only, never per packet.
/// One round: `receiveRTP` and `receiveRTCP` for each packet of a receive batch, then `flush` until it answers true, sending and emptying
/// the batch after each call. Payload pointers in the batch are good until the next call that is not `flush`, control calls included.
/// When `deadline` has passed: `handleTimeout`, then `flush`. Control calls may bring `deadline` forward and make work for `flush`.
package final class RouterCore {
    let state: UnsafeMutablePointer<RouterState>
    let counts: UnsafeMutablePointer<RouterCounters>
    let resends: UnsafeMutablePointer<ResendQueue>

    package init(configuration: RouterConfiguration = RouterConfiguration()) {
        state = .allocate(capacity: 1)
        state.initialize(to: RouterState(configuration))
        counts = .allocate(capacity: 1)
        counts.initialize(to: RouterCounters())
        resends = .allocate(capacity: 1)
        resends.initialize(to: ResendQueue())
    }
    deinit {
        for slot in 0..<state.pointee.tracks.end { if let track = state.pointee.tracks[slot] { remove(track) } }
        state.pointee.deallocate()
        resends.pointee.deallocate()
        resends.deallocate()
        counts.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    // MARK: Packets

    /// - Parameters:
    ///   - packet: decrypted RTP; may be changed in place (RTX unwrapping); not needed after the call.
    ///   - pipeStream: the pipe's stream id when `from` is a pipe, else nil.
    ///   - isRecovered: the pipe's far end had it by RTX.
    ///   - receivedAt: wall time in µs at the ingress node.
    package func receiveRTP(
        _ packet: UnsafeMutableRawPointer, length: Int, from: TransportIndex, pipeStream: UInt32? = nil, isRecovered: Bool = false, receivedAt: Int64, now: Instant
    ) -> Disposition {
        receive(UnsafeMutableRawBufferPointer(start: packet, count: length), from: from, pipeStream: pipeStream, isRecovered: isRecovered, receivedAt: receivedAt, now: now)
    }

    /// As `receiveRTP`, for a decrypted compound RTCP packet.
    package func receiveRTCP(
        _ packet: UnsafeRawPointer, length: Int, from: TransportIndex, pipeStream: UInt32? = nil, receivedAt: Int64, now: Instant
    ) {
        receiveCompound(UnsafeRawBufferPointer(start: packet, count: length), from: from, pipeStream: pipeStream, receivedAt: receivedAt, now: now)
    }

    /// Appends what is to be sent, a subscriber's packets together.
    /// - Returns: true when nothing is left; false when the batch is full: send it, empty it and call again.
    package func flush(into batch: SendBatch, now: Instant) -> Bool {
        flushMedia(into: batch, now: now) && flushResends(into: batch, now: now) && passReports(into: batch, now: now)
            && flushFeedback(into: batch, now: now) && flushReports(into: batch, now: now)
    }

    // MARK: Time

    /// When to call `handleTimeout` and `flush` next; nil while nothing waits.
    package var deadline: Instant? {
        let earliest = min(state.pointee.tickDueAt ?? .distantFuture, state.pointee.feedbackDueAt ?? .distantFuture, state.pointee.reportsDueAt ?? .distantFuture)
        return earliest == .distantFuture ? nil : earliest
    }
    /// Looks for encodings that fell silent. NACK, PLI and reports that are due are written by the `flush` after it.
    package func handleTimeout(now: Instant) {
        guard let due = state.pointee.tickDueAt, due <= now else { return }
        lookForSilence(now: now)
        state.pointee.tickDueAt = state.pointee.tracks.count > 0 ? now + RouterState.Limits.tick : nil
    }

    // MARK: What happened

    package func takeEvent() -> RouterEvent? { state.pointee.events.pop() }
    package var counters: RouterCounters { counts.pointee }

    @inline(__always) func drop(_ reason: DropReason) -> Disposition {
        counts.pointee.drop(reason)
        return .dropped(reason)
    }
    func emit(_ event: RouterEvent) {
        if !state.pointee.events.push(event) { counts.pointee.eventsLost &+= 1 }
    }
}
