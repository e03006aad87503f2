// Moves, pins, drains and plans: an operator's orders, carried out by whoever has to.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives
import Synchronization

extension ClusterOperations {
    // MARK: One room

    package func move(_ room: RoomID, to node: NodeName) async throws -> MoveReport {
        try requireKnown(node)
        let begun = context.loop.now
        guard let found = try await self.room(room.rawValue, .cluster) else { throw Self.unknownRoom }
        guard found.state == .active, let from = found.node, let epoch = found.epoch else { throw Self.inactive(found) }
        if from == node { return MoveReport(room: room, from: from, to: node, epoch: epoch, milliseconds: 0) }
        try requireWork(node)
        do {
            let claim = try await system.move(kind: Room.kind, key: found.room.id.rawValue, to: node, deadline: Limits.move)
            // The target comes to life with the first call: this one, so that whoever looks now finds the room there.
            _ = try? await ClusterSystem.$deadline.withValue(Limits.answer) { try await context.room(found.room.id).snapshot() }
            return MoveReport(room: found.room.id, from: from, to: claim.node, epoch: claim.epoch, milliseconds: (context.loop.now - begun).milliseconds)
        } catch { throw ServiceError(moving: error) }
    }
    /// Said here in an operator's words; placement refuses it in any case.
    private func requireWork(_ node: NodeName) throws {
        guard let member = system.member(node) else { throw ServiceError(.unavailable, code: "node_away", message: "\(node) is away; `troupectl nodes` shows who is there") }
        switch member.state {
        case .up, .suspect: return
        case .joining: throw ServiceError(.unavailable, code: "node_joining", message: "\(node) is starting; try again in a moment")
        case .draining, .leaving, .down:
            throw ServiceError(.conflict, code: "node_takes_no_work", message: "\(node) is \(member.state) and takes no work; `troupectl undrain \(node)` lets a drained node take it again")
        }
    }
    private static let unknownRoom = ServiceError(.notFound, code: "unknown_room", message: "no room has this id or meeting code")
    private static func inactive(_ report: RoomReport) -> ServiceError {
        if report.state == .ended { return ServiceError(.ended, code: "room_ended", message: "this room has ended") }
        let away = report.away.map(\.rawValue).joined(separator: ", ")
        if !away.isEmpty { return ServiceError(.unavailable, code: "node_away", message: "no node that answers has this room, and \(away) may; try again") }
        return ServiceError(.conflict, code: "room_idle", message: "nobody is in this room, so no node has it; pin it, and it comes to life there")
    }

    package func pin(_ room: RoomID, to node: NodeName?) async throws -> PinReport {
        if let node { try requireKnown(node) }
        do {
            guard let record = try await stored(room.rawValue) else { throw Self.unknownRoom }
            if let node { try await system.pin(kind: Room.kind, key: record.id.rawValue, to: node) } else { try await system.unpin(kind: Room.kind, key: record.id.rawValue) }
            return PinReport(room: record.id, node: node)
        } catch { throw ServiceError(moving: error) }
    }

    // MARK: One node

    package func drain(_ node: NodeName, seconds: Double) async throws -> DrainReport {
        try requireKnown(node)
        guard seconds.isFinite, DrainReport.Limits.seconds.contains(seconds) else {
            throw ServiceError(.malformed, code: "bad_deadline", message: "a deadline is 0 to \(Int(DrainReport.Limits.seconds.upperBound)) seconds")
        }
        guard node == here else { return try await order(node) { try await $0.drain(node, seconds: seconds) } }
        return draining.begin(within: .milliseconds(Int64(seconds * 1000)))
    }
    package func undrain(_ node: NodeName) async throws -> DrainReport {
        try requireKnown(node)
        guard node == here else { return try await order(node) { try await $0.undrain(node) } }
        return draining.end()
    }

    package func fault(_ fault: Fault, on node: NodeName, seconds: Double) async throws -> FaultReport {
        try requireKnown(node)
        guard seconds.isFinite, Fault.Limits.seconds.contains(seconds) else {
            throw ServiceError(.malformed, code: "bad_span", message: "a fault lasts \(Fault.Limits.seconds.lowerBound) to \(Int(Fault.Limits.seconds.upperBound)) seconds")
        }
        guard node == here else { return try await order(node) { try await $0.fault(fault, on: node, seconds: seconds) } }
        guard let suffer = process.suffer else {
            throw ServiceError(.forbidden, code: "chaos_not_allowed", message: "\(node) takes no faults: `chaos: true` in the topology allows them, for clusters nobody needs")
        }
        context.log(.warning, "fault", ["fault": fault.rawValue, "seconds": "\(seconds)"])
        context.loop.schedule(after: Limits.lastWord) { suffer(fault, .milliseconds(Int64(seconds * 1000))) }
        return FaultReport(node: node, fault: fault, seconds: seconds)
    }

    // MARK: Plans

    package func rebalance(_ order: RebalanceOrder, _ reach: Reach) async throws -> RebalanceReport {
        do {
            guard reach == .cluster else { return try own(order) }
            if order == .plan { return RebalanceReport(plan: try await system.rebalancePlan()) }
            // A plan lives where it was begun, and only one is carried out at a time.
            let open = try own(.status).state.isOpen ? here : await openPlan()
            switch (order, open) {
            case (.begin, nil):
                let run = system.carryOut(try await system.rebalancePlan())
                return plans.begin(run, on: here)
            case (.begin, let node?): throw ServiceError(.conflict, code: "plan_under_way", message: "\(node) carries a plan out already; see `rebalance --status`, or stop it first")
            case (.status, nil): return try own(.status)
            case (.stop, nil), (.resume, nil), (.plan, _): throw ServiceError(.conflict, code: "no_plan", message: "no plan is being carried out; `rebalance --dry-run` shows what one would do")
            case (_, let node?): return node == here ? try own(order) : try await self.order(node) { try await $0.rebalance(order, .node) }
            }
        } catch { throw ServiceError(moving: error) }
    }
    private func own(_ order: RebalanceOrder) throws -> RebalanceReport {
        switch order {
        case .stop: plans.stop()
        case .resume: plans.resume()
        case .status: break
        case .plan, .begin: throw ServiceError(.malformed, code: "not_for_a_node", message: "a plan is of the whole cluster; ask with the reach `cluster`")
        }
        return plans.report(on: here)
    }
    private func openPlan() async -> NodeName? {
        await gather { try await $0.rebalance(.status, .node) }.filter { $0.value.value?.state.isOpen ?? false }.map(\.key).min()
    }
}

/// The plan a node was last asked to carry out. Safe from any thread.
final class PlanDesk: Sendable {
    private let run = Mutex<PlanRun?>(nil)

    func begin(_ plan: PlanRun, on node: NodeName) -> RebalanceReport {
        run.withLock { $0 = plan }
        plan.resume()
        return report(on: node)
    }
    func stop() { run.withLock { $0 }?.stop() }
    func resume() { run.withLock { $0 }?.resume() }
    func report(on node: NodeName) -> RebalanceReport {
        guard let progress = run.withLock({ $0 })?.progress else { return RebalanceReport(state: .none) }
        let state: RebalanceReport.State = switch progress.state {
        case .running: .running
        case .stopped: .stopped
        case .done: .done
        }
        let failed = progress.failures.prefix(RebalanceReport.Limits.moves).map { RebalanceReport.Move($0.move, failure: $0.text) }
        return RebalanceReport(state: state, node: node, moves: failed, planned: progress.planned, made: progress.made, failed: progress.failures.count)
    }
}

extension RebalanceReport {
    init(plan: [PlannedMove]) {
        self.init(state: .planned, moves: plan.prefix(Limits.moves).map { Move($0) }, planned: plan.count)
    }
}
extension RebalanceReport.Move {
    init(_ move: PlannedMove, failure: String? = nil) {
        self.init(kind: move.identity.kind, key: move.identity.key, from: move.from, to: move.to, cost: move.cost, reason: move.reason.rawValue, failure: failure)
    }
}

extension ServiceError {
    /// Of what placement threw.
    init(moving error: any Error) {
        guard let failure = error as? MoveFailure else {
            self = ServiceError(reporting: error)
            return
        }
        switch failure {
        case .refused, .snapshotFailed: self = ServiceError(.conflict, code: "move_refused", message: "\(failure)")
        case .notActive: self = ServiceError(.conflict, code: "room_idle", message: "\(failure)")
        case .movesAlready: self = ServiceError(.conflict, code: "moves_already", message: "\(failure)")
        case .unreachable, .deadline, .overloaded, .lost: self = ServiceError(.unavailable, code: "move_failed", message: "\(failure)")
        }
    }
}
