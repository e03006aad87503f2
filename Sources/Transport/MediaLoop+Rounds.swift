// The end of a receive round, the turn of the loop, and timers: when routers are flushed and asked for their next deadline.
import CShims
import EventLoop
import Forwarding
import Primitives
import WebRTC

extension MediaLoop {
    @inline(__always)
    func markDirty(_ target: Int32) {
        let entry = targets + Int(target)
        guard !entry.pointee.isDirty else { return }
        entry.pointee.isDirty = true
        dirty[round.pointee.dirty] = target
        round.pointee.dirty &+= 1
    }

    /// Sends what the round's routers have, then notes their deadlines and tells their events.
    func flushRouters(now: Instant) {
        let touched = round.pointee.dirty
        guard touched > 0 else { return }
        for i in 0..<touched { flushRouter(dirty[i], now: now) }
        transmit()
        batch.removeAll()
        noteDelay()
        round.pointee.dirty = 0
        for i in 0..<touched {
            let target = dirty[i]
            settled[i] = target
            targets[Int(target)].isDirty = false
            guard let router = targets[Int(target)].router else { continue }
            // A deadline that stays in the past must not spin the loop.
            deadlines.set(target, router._withUnsafeGuaranteedRef { $0.deadline }.map { max($0, now + Limits.timerStep) })
        }
        for i in 0..<touched { tellEvents(of: settled[i]) }
    }
    private func flushRouter(_ target: Int32, now: Instant) {
        guard let router = targets[Int(target)].router else { return }
        for _ in 0..<Limits.flushRounds {
            let start = batch.count
            let done = router._withUnsafeGuaranteedRef { $0.flush(into: batch, now: now) }
            dispatch(batch, from: start, target: target)
            if !done || batch.isFull {
                transmit()
                batch.removeAll()
            }
            if done { return }
        }
        fatalError("a router fills batch after batch without end")
    }
    private func tellEvents(of target: Int32) {
        guard let router = targets[Int(target)].router else { return }
        guard var event = router._withUnsafeGuaranteedRef({ $0.takeEvent() }) else { return }
        // The entry keeps router and handler alive even if the handler removes the router.
        guard let entry = routers[target] else { return }
        while true {
            entry.onEvent(event)
            guard routers[target] != nil, let next = entry.core.takeEvent() else { break }
            event = next
        }
        // The handler may have told the router something.
        if routers[target] != nil { markDirty(target) }
    }
    private func noteDelay() {
        guard round.pointee.sent, round.pointee.oldest > 0 else { return }
        count.pointee.delay.note(microseconds: loop.wall.microseconds - round.pointee.oldest)
        round.pointee.oldest = 0
    }

    /// Right before the loop sleeps: packets of our own, routers whose control side was at work, the next deadline.
    func beforePoll() {
        flushDirect()
        if loop.jobsRun != jobsSeen {
            jobsSeen = loop.jobsRun
            for target in 0..<targetsUsed where targets[Int(target)].router != nil { markDirty(target) }
        }
        if round.pointee.dirty > 0 {
            round.pointee.oldest = 0
            flushRouters(now: loop.now)
        }
        if let timer { loop.setTimer(timer, to: deadlines.earliest) }
    }

    func timerRang() {
        let now = loop.now
        round.pointee.oldest = 0
        while true {
            let id = deadlines.takeDue(now: now)
            guard id >= 0 else { break }
            if Int(id) < Limits.targets { routerIsDue(id, now: now) } else { peerIsDue(id - Int32(Limits.targets), now: now) }
        }
        flushRouters(now: now)
    }
    private func routerIsDue(_ target: Int32, now: Instant) {
        guard let router = targets[Int(target)].router else { return }
        router._withUnsafeGuaranteedRef { $0.handleTimeout(now: now) }
        markDirty(target)
    }
    private func peerIsDue(_ index: TransportIndex, now: Instant) {
        guard let peer = peers[index] else { return }
        peer.session.handleTimeout(now: now)
        pump(peer)
        // A deadline that stays in the past must not spin the loop.
        if peers[index] != nil, let next = peer.session.deadline, next <= now { deadlines.set(Self.deadlineID(index), now + Limits.timerStep) }
    }
    static func deadlineID(_ index: TransportIndex) -> Int32 { index + Int32(Limits.targets) }
}
