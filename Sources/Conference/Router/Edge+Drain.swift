// Emptying an edge: its clients are told to go, in waves, and cut off at the deadline (docs/decisions/0024-resume-and-move.md).
import Cluster
import Contracts
import EventLoop
import Primitives

/// What a drain has come to, and what it counted.
package struct DrainProgress: Sendable, Equatable {
    package var clients = 0
    /// Told to move so far.
    package var told = 0
    /// Went to another node with their media, or left by themselves.
    package var moved = 0
    package var left = 0
    /// Cut at the deadline: those that know `move`, and those that never said so.
    package var cut = 0
    package var cutUnaware = 0
    package init(clients: Int = 0) { self.clients = clients }
    package var isDone: Bool { moved + left + cut + cutUnaware >= clients }
}

/// A drain under way. A value of `Edge`.
struct Draining {
    var progress: DrainProgress
    mutating func note(_ reason: LeaveReason) {
        switch reason {
        case .moved, .replaced: progress.moved += 1
        case .draining: break
        default: progress.left += 1
        }
    }
}

extension Edge {
    package enum DrainLimits {
        /// Clients told at once, and the pause before the next ones: a node that takes them makes one PeerConnection for each.
        package static let wave = 20
        package static let pause = Duration.milliseconds(100)
        package static let look = Duration.milliseconds(50)
    }

    /// Whether new sessions are taken here.
    func requireOpen() throws {
        if draining != nil { throw ServiceError(.unavailable, code: "draining", message: "this node is being emptied; use another") }
        if isFrozen { throw ServiceError(.unavailable, code: "frozen", message: "this node has lost sight of the cluster; use another or try again") }
    }
    package var drainProgress: DrainProgress? { draining?.progress }

    /// Takes no new sessions, tells each client to go on at one of `nodes`, and cuts off what is left at the deadline.
    /// `report` is called on the control loop whenever something changed. Nobody is waited for where there is nowhere to go.
    /// - Returns: what it came to. The edge stays closed until `undrain`.
    @discardableResult
    package func drain(deadline: Duration, to nodes: @escaping @Sendable (ParticipantID) -> [String], report: (@Sendable (DrainProgress) -> Void)? = nil) async -> DrainProgress {
        let end = loop.now + deadline
        draining = Draining(progress: DrainProgress(clients: sessions.count))
        await sendAway(.draining, until: end, to: nodes)
        var last: DrainProgress?
        while let progress = draining?.progress, !progress.isDone, !sessions.isEmpty, loop.now < end {
            if progress != last { report?(progress) }
            last = progress
            // Called off; another drain may have begun meanwhile.
            do { try await loop.sleep(for: DrainLimits.look) } catch { return DrainProgress() }
        }
        guard draining != nil else { return DrainProgress() }
        for participant in sessions {
            switch await participant.local({ await $0.cut() }) {
            case .hadMoved: break   // counted as it went
            case .aware: draining?.progress.cut += 1
            case .unaware: draining?.progress.cutUnaware += 1
            }
        }
        let progress = draining?.progress ?? DrainProgress()
        report?(progress)
        return progress
    }
    /// Takes sessions again.
    package func undrain() { draining = nil }

    /// The cluster says that this node may not decide any more, or that it may again: its rooms refuse, its clients are sent elsewhere.
    package func freeze(_ frozen: Bool, to nodes: @escaping @Sendable (ParticipantID) -> [String]) {
        precondition(loop.isCurrent)
        guard frozen != isFrozen else { return }
        isFrozen = frozen
        for room in roomActors { room.assumeIsolated { $0.freeze(frozen) } }
        guard frozen else { return }
        loop.spawn { await self.sendAway(.frozen, until: self.loop.now + DrainLimits.frozen, to: nodes) }
    }

    private func sendAway(_ reason: MoveOrder.Reason, until end: Instant, to nodes: @escaping @Sendable (ParticipantID) -> [String]) async {
        for (index, participant) in sessions.enumerated() {
            guard loop.now < end, reason == .frozen ? isFrozen : draining != nil else { return }
            if index > 0, index % DrainLimits.wave == 0 { try? await loop.sleep(for: DrainLimits.pause) }
            let left = max(end - loop.now, .zero)
            let isTold = await participant.local { $0.goElsewhere(reason, to: nodes($0.info.id), within: left) }
            if isTold { draining?.progress.told += 1 }
        }
    }
}

extension Edge.DrainLimits {
    /// What clients of a frozen node are told they have; nobody cuts them off.
    package static let frozen = Duration.seconds(10)
}

extension Participant {
    /// - Returns: whether the client was told: it is still here and knows `move`.
    func goElsewhere(_ reason: MoveOrder.Reason, to nodes: [String], within left: Duration) -> Bool {
        guard handover == nil, connection != nil, features.contains(.move), !nodes.isEmpty else { return false }
        send(.move(MoveOrder(reason: reason, roomID: roomID, nodes: nodes, deadline: left)))
        return true
    }
    /// The drain's deadline.
    func cut() async -> CutClient {
        let isAware = features.contains(.move)
        guard handover == nil else {
            await finish(.moved, tellRoom: false)
            return .hadMoved
        }
        await finish(.draining, tellRoom: !features.contains(.resume))
        return isAware ? .aware : .unaware
    }
}
enum CutClient: Sendable { case hadMoved, aware, unaware }
