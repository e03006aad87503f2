// A node that empties itself: rooms and recordings move, clients are told to go elsewhere, what is left is cut off.
// DESIGN.md, Cluster: "Drain"; docs/decisions/0024-resume-and-move.md for what clients see.
import Cluster
import Contracts
import EventLoop
import Primitives

/// Begun by an operator or by SIGTERM, ended by `end` alone. Confined to the control loop.
///
/// Actors and clients go at the same time: neither waits for the other. Plans of moves are worked out again until nothing
/// is left or time is up: while one is carried out, the last calls may still have brought an actor to life here.
package final class NodeDrain: @unchecked Sendable {
    package enum Limits {
        /// Between two looks at what is left.
        package static let look = Duration.milliseconds(100)
        /// Between two plans where the last one moved nothing.
        package static let pause = Duration.milliseconds(500)
        /// Moves begun in one second, and under way at once: a node that has to go is in more of a hurry than one that is levelled.
        package static let perSecond = 200
        package static let atOnce = 8
    }
    private let context: ConferenceContext
    private var loop: any Loop { context.loop }
    private var state = DrainReport.State.none
    private var deadline = Instant.origin
    private var actorsAtFirst = 0
    private var actorsLeft = 0
    private var failures: [String] = []
    private var edgeProgress = DrainProgress()
    private var task: Task<Void, Never>?
    /// Tells the tasks of an earlier drain from those of this one.
    private var round = 0

    init(context: ConferenceContext) { self.context = context }

    /// Begins to empty the node, also where an earlier drain left something; does nothing while one goes on or when it is empty.
    /// - Returns: how far it is.
    @discardableResult
    package func begin(within limit: Duration) -> DrainReport {
        precondition(loop.isCurrent)
        guard state == .none || state == .incomplete else { return report }
        state = .draining
        deadline = loop.now + limit
        round += 1
        failures = []
        actorsAtFirst = context.edge.hostedCount + context.edge.writerCount
        actorsLeft = actorsAtFirst
        edgeProgress = DrainProgress()
        context.system.setState(.draining)
        let round = round
        task = loop.spawn { [self] in
            async let actors: Void = moveActors(round)
            let progress = await context.drainEdge(within: limit)
            if round == self.round { edgeProgress = progress }
            await actors
            await letWritersGo(round)
            finish(round)
        }
        return report
    }
    /// The node takes work again. What has moved stays where it is.
    package func end() -> DrainReport {
        precondition(loop.isCurrent)
        guard state != .none else { return report }
        state = .none
        round += 1
        task?.cancel()
        task = nil
        context.edge.undrain()
        context.system.setState(.up)
        return report
    }
    /// Begins, and waits until it is over; for one begun before, no longer than this.
    package func run(within limit: Duration) async -> DrainReport {
        begin(within: limit)
        if let task { try? await loop.withDeadline(limit + Limits.pause) { await task.value } }
        return report
    }

    package var report: DrainReport {
        var report = DrainReport(node: context.system.node, state: state)
        guard state != .none else { return report }
        let progress = context.edge.drainProgress ?? edgeProgress
        if state == .draining { report.secondsLeft = max(0, (deadline - loop.now).inSeconds) }
        report.actors = actorsAtFirst
        report.actorsLeft = actorsLeft
        report.clients = progress.clients
        report.told = progress.told
        report.moved = progress.moved
        report.left = progress.left
        report.cut = progress.cut
        report.cutUnaware = progress.cutUnaware
        report.clientsLeft = context.edge.participantCount
        report.failures = failures
        return report
    }

    private func finish(_ round: Int) {
        guard round == self.round, state == .draining else { return }
        state = actorsLeft == 0 && edgeProgress.cut + edgeProgress.cutUnaware == 0 && context.edge.participantCount == 0 ? .drained : .incomplete
    }

    // MARK: Rooms and recordings

    private func moveActors(_ round: Int) async {
        actorsLeft = await context.system.claims().count
        actorsAtFirst = actorsLeft
        while round == self.round, actorsLeft > 0, loop.now < deadline {
            let made = await carryOutPlan(round)
            actorsLeft = await context.system.claims().count
            if made == 0, actorsLeft > 0 {
                guard context.system.members().contains(where: { $0.name != context.system.node && ($0.state.takesWork || $0.state == .suspect) }) else {
                    note("no other node is up")
                    return
                }
                try? await loop.sleep(for: min(Limits.pause, max(.zero, deadline - loop.now)))
            }
        }
    }
    /// What has moved is captured here until it is released from there: a node that stopped before would cut that short.
    private func letWritersGo(_ round: Int) async {
        while round == self.round, context.edge.writerCount > 0, loop.now < deadline { try? await loop.sleep(for: Limits.look) }
    }
    /// - Returns: how many moves were made.
    private func carryOutPlan(_ round: Int) async -> Int {
        let run: PlanRun
        do {
            let plan = try await context.system.drainPlan(context.system.node)
            guard !plan.isEmpty else {
                note("no other node has room for what is left")
                return 0
            }
            run = context.system.carryOut(plan, perSecond: Limits.perSecond, atOnce: Limits.atOnce)
        } catch {
            note("\(error)")
            return 0
        }
        run.resume()
        while round == self.round, run.progress.state == .running, loop.now < deadline {
            actorsLeft = max(0, actorsAtFirst - run.progress.made)
            try? await loop.sleep(for: Limits.look)
        }
        run.stop()
        for failure in run.progress.failures { note("\(failure.move.identity): \(failure.text)") }
        return run.progress.made
    }
    private func note(_ failure: String) {
        if !failures.contains(failure), failures.count < DrainReport.Limits.failures { failures.append(failure) }
    }
}
