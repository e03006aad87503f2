// What actors did and what callers were told: kept outside of the cluster, compared at every entry.
import Cluster
import Primitives

/// One per world; all lives write into it.
package final class Ledger: @unchecked Sendable {
    package enum Limits {
        /// How late a call may end after its deadline: timers of a clock that drifts, and the hop to its caller.
        package static let late: Int64 = 250_000_000
        /// How long an owner that a majority has voted down may go on deciding beside its successor: until its next renewal, or,
        /// without the store, until it sees that it has no majority (docs/decisions/0022). Who lost its claims by its row, or
        /// gave them away, may not for a moment.
        package static let votedDown = ClusterConfiguration.Limits.leaseTime.inNanoseconds
    }
    package enum Told: Equatable, Sendable {
        case value
        case notExecuted(String)
        case unknown
        case failed(String)
    }
    private struct Call {
        let by: String
        let key: String
        let begun: Int64
        let deadline: Int64
        let loop: SimulatedLoop
        let stalledBefore: Int64
        var executions = 0
        var told: Told?
    }
    private struct Owner: Hashable {
        let node: NodeName
        let incarnation: Incarnation
    }
    private struct Identity: Hashable {
        let key: String
        let epoch: Epoch
    }
    private let world: World
    private var calls: [UInt64: Call] = [:]
    private var lastCall: UInt64 = 0
    private var owners: [Identity: Owner] = [:]
    private var decided: [String: Epoch] = [:]
    private var votedDown: [Owner: Int64] = [:]
    /// The longest that a voted-down owner was seen to decide after its end. Nanoseconds.
    package private(set) var longestOverlap: Int64 = 0
    private var claimed: [String: Epoch] = [:]
    private var logged: [String: Epoch] = [:]
    package private(set) var executed = 0
    package private(set) var answered: [String: Int] = [:]

    package init(_ world: World) { self.world = world }

    // MARK: Owners

    /// An actor was made under a claim.
    package func activated(_ claim: Claim) {
        let key = "\(claim.kind)/\(claim.key)", owner = Owner(node: claim.node, incarnation: claim.incarnation)
        world.say("active \(key) epoch \(claim.epoch.rawValue) at \(claim.node)")
        if let other = owners.updateValue(owner, forKey: Identity(key: key, epoch: claim.epoch)) {
            world.fail(.oneOwner, "\(key) is active at \(owner.node) and was at \(other.node), both under epoch \(claim.epoch.rawValue)")
        }
    }
    /// A life believes to hold a claim.
    package func holds(_ claim: Claim, in life: Life) {
        let key = "\(claim.kind)/\(claim.key)", owner = Owner(node: life.name, incarnation: claim.incarnation)
        if let other = owners.updateValue(owner, forKey: Identity(key: key, epoch: claim.epoch)), other != owner {
            world.fail(.oneOwner, "\(key) is held by \(owner.node) and by \(other.node), both under epoch \(claim.epoch.rawValue)")
        }
    }
    /// A claim was written.
    package func claimed(_ claim: Claim) {
        let key = "\(claim.kind)/\(claim.key)"
        if claim.isReleased { return }
        if let known = claimed[key], claim.epoch <= known {
            world.fail(.epochsGrow, "\(key) was claimed under epoch \(known.rawValue), and now under \(claim.epoch.rawValue) by \(claim.node)")
        }
        claimed[key] = claim.epoch
    }
    /// A room's log was opened under an epoch, or got entries under one.
    package func logged(_ room: String, _ epoch: Epoch) {
        if let known = logged[room], epoch < known {
            world.fail(.staleDecision, "the log of \(room) gets entries of epoch \(epoch.rawValue) after \(known.rawValue) opened it")
        }
        logged[room] = max(logged[room] ?? .none, epoch)
    }
    /// The store has ended a life.
    package func retired(_ node: NodeName, _ incarnation: Incarnation, byVote: Bool) {
        if byVote { votedDown[Owner(node: node, incarnation: incarnation)] = world.now }
    }
    /// An actor decided something under its claim.
    package func decided(_ claim: Claim) {
        let name = "\(claim.kind)/\(claim.key)"
        if let latest = decided[name], claim.epoch < latest { overtaken(claim, name, latest) }
        decided[name] = max(decided[name] ?? .none, claim.epoch)
    }
    private func overtaken(_ claim: Claim, _ name: String, _ latest: Epoch) {
        let text = "\(name) at \(claim.node) decides under epoch \(claim.epoch.rawValue) after a decision under \(latest.rawValue)"
        guard let since = votedDown[Owner(node: claim.node, incarnation: claim.incarnation)] else { return world.fail(.staleDecision, text) }
        let overlap = world.now - since
        longestOverlap = max(longestOverlap, overlap)
        world.note(0x0E81A9, UInt64(overlap))
        if overlap > Limits.votedDown { world.fail(.staleDecision, "\(text), \(overlap / 1_000_000) ms after it was voted down") }
    }

    // MARK: Calls

    package func begin(by: String, key: String, deadline: Int64, on loop: SimulatedLoop) -> UInt64 {
        lastCall += 1
        calls[lastCall] = Call(by: by, key: key, begun: world.now, deadline: deadline, loop: loop, stalledBefore: loop.stalledFor)
        return lastCall
    }
    package func executed(_ id: UInt64, at node: NodeName) {
        executed += 1
        guard var call = calls[id] else { return world.fail(.executedOnce, "call \(id) runs at \(node), and nobody made it") }
        call.executions += 1
        calls[id] = call
        world.note(0xCA11, id)
        if call.executions > 1 { world.fail(.executedOnce, "call \(id) of \(call.by) to \(call.key) runs a second time, at \(node)") }
        if case .notExecuted(let why) = call.told { world.fail(.executedOnce, "call \(id) of \(call.by) to \(call.key) runs at \(node); its caller was told that it did not (\(why))") }
    }
    package func told(_ id: UInt64, _ told: Told) {
        guard var call = calls[id] else { return }
        call.told = told
        calls[id] = call
        world.note(0xA1, id)
        switch told {
        case .value:
            answered["value", default: 0] += 1
            if call.executions == 0 { world.fail(.executedOnce, "call \(id) of \(call.by) to \(call.key) was answered and never ran") }
        case .notExecuted(let why):
            answered["not executed: \(why.prefix(24))", default: 0] += 1
            if call.executions > 0 { world.fail(.executedOnce, "call \(id) of \(call.by) to \(call.key) ran; its caller is told that it did not (\(why))") }
        case .unknown: answered["unknown", default: 0] += 1
        case .failed(let why): answered["failed: \(why.prefix(40))", default: 0] += 1
        }
        let stalled = call.loop.stalledFor - call.stalledBefore, took = world.now - call.begun - stalled
        if took > call.deadline + Limits.late {
            world.fail(.answered, "call \(id) of \(call.by) to \(call.key) took \(took / 1_000_000) ms; its deadline was \(call.deadline / 1_000_000) ms")
        }
    }
    /// Nobody waits for this call any more: its caller was another call, which is over.
    package func abandon(_ id: UInt64) { if calls[id]?.told == nil { calls[id]?.told = .unknown } }
    /// At the end: whoever lives has had an answer to every call.
    package func settle() {
        for (id, call) in calls.sorted(by: { $0.key < $1.key }) where call.told == nil && call.loop.state != .dead && world.now - call.begun > call.deadline {
            return world.fail(.answered, "call \(id) of \(call.by) to \(call.key), begun at \(Trace.seconds(call.begun)), has no answer")
        }
    }
    package var callCount: Int { calls.count }
}
