// Carries out a plan: on the wires, the store, the machines.
import Primitives

/// Lives on the world's stage.
package final class FaultInjector: @unchecked Sendable {
    private let cluster: SimulatedCluster
    private var world: World { cluster.world }
    private var wires: Wires { cluster.wires }
    private var database: SimulatedDatabase { cluster.database }
    private let plan: FaultPlan
    /// How often each kind was carried out and met something to disturb.
    package private(set) var fired: [FaultKind: Int] = [:]
    /// Faults of one kind may overlap: what they disturb is whole again when the last is over.
    private var cuts: [[Int]]
    private var storeOutages = 0
    private var storeSlowness: [Int64] = []
    private var unreachable: [Host: Int] = [:]
    private var lostAnswers: [UInt64] = []

    package init(_ cluster: SimulatedCluster, _ plan: FaultPlan) {
        self.cluster = cluster
        self.plan = plan
        cuts = Array(repeating: Array(repeating: 0, count: plan.nodes), count: plan.nodes)
    }
    package func begin() {
        for fault in plan.faults { world.after(fault.at - world.now) { self.fire(fault) } }
    }
    /// Every kind that was carried out, with those only the network itself can count.
    package var counts: [FaultKind: Int] {
        var all = fired
        all[.loss] = Int(wires.counters.stalled + wires.counters.datagramsLost)
        all[.reorder] = Int(wires.counters.datagramsReordered)
        all[.duplicate] = Int(wires.counters.datagramsDoubled)
        all[.unknownOutcome] = Int(database.counters.unknownOutcomes)
        return all
    }

    private func fire(_ fault: Fault) {
        guard carryOut(fault) else { return }
        fired[fault.kind, default: 0] += 1
        world.say("FAULT \(fault.kind.rawValue) n\(fault.host + 1) n\(fault.other + 1) \(fault.lasts / 1_000_000)ms \(fault.amount)")
    }
    private func over(_ fault: Fault, _ end: @escaping @Sendable () -> Void) {
        world.after(fault.lasts) {
            self.world.say("over  \(fault.kind.rawValue) n\(fault.host + 1)")
            end()
        }
    }
    /// - Returns: whether there was anything to disturb.
    private func carryOut(_ fault: Fault) -> Bool {
        switch fault.kind {
        case .kill, .powerLoss, .stop, .restart, .drain, .pause: return onProcess(fault)
        case .isolate, .split, .asymmetric, .flap, .loss, .delay, .reset, .reorder, .duplicate, .severed, .doomed: return onNetwork(fault)
        case .wallStep, .drift: return onClock(fault)
        case .storeAway, .storeSlow, .storeUnreachable, .unknownOutcome: return onStore(fault)
        }
    }

    // MARK: Processes

    private func onProcess(_ fault: Fault) -> Bool {
        let machine = cluster.machines[fault.host]
        switch fault.kind {
        case .pause:
            guard machine.stall() else { return false }
            over(fault) { machine.resume() }
        case .drain:
            guard let life = machine.drain(within: .nanoseconds(fault.lasts)) else { return false }
            over(fault) { machine.undrain(life) }
        case .stop:
            guard machine.stop() else { return false }
            over(fault) { machine.boot() }
        case .restart:
            guard machine.kill(silently: false) else { return false }
            world.after(20_000_000) { machine.boot() }
        default:
            guard machine.kill(silently: fault.kind == .powerLoss) else { return false }
            over(fault) { machine.boot() }
        }
        return true
    }

    // MARK: Network

    private func cut(_ from: Host, _ to: Host) {
        cuts[from][to] += 1
        wires.cut(from, to)
    }
    private func heal(_ from: Host, _ to: Host) {
        cuts[from][to] -= 1
        if cuts[from][to] == 0 { wires.heal(from, to) }
    }
    private func cutAll(_ pairs: [(Host, Host)], _ fault: Fault) {
        for (a, b) in pairs { cut(a, b) }
        over(fault) { for (a, b) in pairs { self.heal(a, b) } }
    }
    private func isolation(of host: Host) -> [(Host, Host)] { (0..<plan.nodes).filter { $0 != host }.flatMap { [(host, $0), ($0, host)] } }

    private func onNetwork(_ fault: Fault) -> Bool {
        let a = fault.host, b = fault.other
        switch fault.kind {
        case .isolate: cutAll(isolation(of: a), fault)
        case .severed:
            cutAll(isolation(of: a), fault)
            loseStore(a, fault)
        case .doomed:
            let machine = cluster.machines[a]
            guard machine.life != nil else { return false }
            cutAll(isolation(of: a), fault)
            loseStore(a, fault)
            world.after(min(fault.amount * 1_000_000, fault.lasts / 2)) { _ = machine.kill(silently: true) }
            over(fault) { machine.boot() }
        case .split:
            let left = (0..<plan.nodes).filter { fault.amount >> Int64($0) & 1 == 0 }, right = (0..<plan.nodes).filter { !left.contains($0) }
            guard !left.isEmpty, !right.isEmpty else { return false }
            cutAll(left.flatMap { l in right.flatMap { [(l, $0), ($0, l)] } }, fault)
        case .asymmetric: cutAll([(a, b)], fault)
        case .flap: flap(a, b, every: fault.amount * 1_000_000, until: world.now + fault.lasts, isCut: false)
        case .reset: return wires.reset(a, b) > 0
        default: worsen(fault)
        }
        return true
    }
    private func flap(_ a: Host, _ b: Host, every: Int64, until end: Int64, isCut: Bool) {
        if isCut { heal(a, b); heal(b, a) } else if world.now < end { cut(a, b); cut(b, a) } else { return }
        world.after(every) { self.flap(a, b, every: every, until: end, isCut: !isCut) }
    }
    /// Between two machines, both ways; back to what it was afterwards.
    private func worsen(_ fault: Fault) {
        let amount = UInt64(max(0, fault.amount))
        @Sendable func change(_ path: inout Path, by sign: Int64) {
            switch fault.kind {
            case .loss: path.lost = sign > 0 ? path.lost + amount : path.lost - amount
            case .delay: path.latency += sign * fault.amount * 1_000_000
            case .reorder: path.reordered = sign > 0 ? path.reordered + amount : path.reordered - amount
            default: path.doubled = sign > 0 ? path.doubled + amount : path.doubled - amount
            }
        }
        for (a, b) in [(fault.host, fault.other), (fault.other, fault.host)] {
            change(&wires.paths[a][b], by: 1)
            over(fault) { change(&self.wires.paths[a][b], by: -1) }
        }
    }

    // MARK: Clocks

    private func onClock(_ fault: Fault) -> Bool {
        let machine = cluster.machines[fault.host]
        if fault.kind == .drift { machine.drift = fault.amount } else { machine.stepWall(milliseconds: fault.amount) }
        return true
    }

    // MARK: Store

    private func loseStore(_ host: Host, _ fault: Fault) {
        unreachable[host, default: 0] += 1
        database.unreachable.insert(host)
        over(fault) { [self] in
            unreachable[host]! -= 1
            if unreachable[host] == 0 { database.reached(host) }
        }
    }
    private func onStore(_ fault: Fault) -> Bool {
        switch fault.kind {
        case .storeAway:
            storeOutages += 1
            database.health.isAway = true
            over(fault) { [self] in
                storeOutages -= 1
                database.health.isAway = storeOutages > 0
            }
        case .storeUnreachable: loseStore(fault.host, fault)
        case .storeSlow:
            storeSlowness.append(fault.amount * 1_000_000)
            database.health.sync = storeSlowness.max()!
            over(fault) { [self] in
                storeSlowness.removeFirst()
                database.health.sync = storeSlowness.max() ?? StoreHealth().sync
            }
        default:
            lostAnswers.append(UInt64(fault.amount))
            database.health.answersLost = lostAnswers.max()!
            over(fault) { [self] in
                lostAnswers.removeFirst()
                database.health.answersLost = lostAnswers.max() ?? 0
            }
        }
        return true
    }
}
