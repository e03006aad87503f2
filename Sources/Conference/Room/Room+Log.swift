// A Room and its durable log: written behind, one batch at a time, without anybody waiting for it.
import Contracts
import EventLoop
import Primitives

extension Room {
    /// Begins to write what the store lacks; nothing where that is under way, or the log goes along to another node.
    func writeLog() {
        guard !isWriting, !isMoving, ticking, core.log.deadline != nil else { return }
        isWriting = true
        begin(on: context.loop) { await $0.writeAll() }
    }

    private func writeAll() async {
        while !isMoving, ticking, let due = core.log.deadline {
            if due > context.loop.now { try? await context.loop.sleep(for: due - context.loop.now) }
            guard let batch = core.takeBatch(now: context.loop.now) else { continue }
            await write(batch)
        }
        isWriting = false
    }
    private func write(_ batch: EventBatch) async {
        let before = core.log.counters
        do {
            switch try await context.events.appendEvents(batch) {
            case .appended: core.log.appended(through: batch.through)
            case .conflict(let highest, let epoch):
                core.hasUnsavedState = core.hasUnsavedState || batch.state != nil
                core.log.conflict(highest: highest, epoch: epoch, at: context.loop.wall)
                context.log(core.log.isSuperseded ? .warning : .error, core.log.isSuperseded ? "room_log_superseded" : "room_log_rewritten", [
                    "room": core.record.id.rawValue, "highest": "\(highest)", "epoch": "\(epoch.rawValue)",
                ])
            }
        } catch {
            // Told once for each time the store goes away, by whoever keeps its lease.
            core.log.failed(now: context.loop.now)
            core.hasUnsavedState = core.hasUnsavedState || batch.state != nil
        }
        context.edge.note(core.log.counters, since: before)
        for (address, outbox) in outboxes where outbox.awaits(core.log.persisted) { resumePump(address) }
    }

    /// Waits until the store has every event, at most `limit`. - Returns: whether it has.
    func settleLog(within limit: Duration) async -> Bool {
        let end = context.loop.now + limit, through = core.log.sequence
        while !core.log.isWritten, core.log.persisted < through, !core.log.isSuperseded, context.loop.now < end {
            writeLog()
            try? await context.loop.sleep(for: Limits.look)
        }
        return core.log.isWritten || core.log.persisted >= through
    }
    enum Limits {
        /// Between looks whether the last batch is written.
        static let look = Duration.milliseconds(5)
        /// Writers of recordings that follow at one time.
        static let followers = 16
        /// From the word that a recording starts to the start of everyone's own recorder: as long as it takes to hear of it.
        static let startLead = Duration.seconds(1)
        /// How long an edge that brings something is kept waiting for the store.
        static let brought = Duration.seconds(1)
    }
}
