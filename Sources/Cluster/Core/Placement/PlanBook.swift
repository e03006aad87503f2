// The state a plan is worked out on: every decision looks at it alone, so that the plan made after a plan is empty.
import Primitives

struct PlanBook {
    private struct Entry {
        var node: PlannedNode
        var used = 0
        /// By falling cost, then by identity.
        var actors: [PlacedActor] = []
    }
    private let names: [NodeName]
    private var entries: [NodeName: Entry] = [:]
    private let roles: (String) -> Set<String>
    /// Actors no node can take; not looked at again until room is made.
    private var stuck: Set<VirtualIdentity> = []

    init(actors: [PlacedActor], nodes: [PlannedNode], roles: @escaping (String) -> Set<String>) {
        self.roles = roles
        names = nodes.map(\.host.name).sorted()
        for node in nodes { entries[node.host.name] = Entry(node: node) }
        for actor in actors.sorted(by: { ($0.cost, $1.identity) > ($1.cost, $0.identity) }) {
            entries[actor.node]?.actors.append(actor)
            entries[actor.node]?.used += max(0, actor.cost)
        }
    }
    mutating func apply(_ move: PlannedMove) {
        if move.reason == .overloaded { stuck.removeAll() }
        guard let index = entries[move.from]?.actors.firstIndex(where: { $0.identity == move.identity }), var actor = entries[move.from]?.actors.remove(at: index) else { return }
        entries[move.from]?.used -= move.cost
        actor.node = move.to
        guard var target = entries[move.to] else { return }
        target.used += move.cost
        let place = target.actors.firstIndex { ($0.cost, actor.identity) < (actor.cost, $0.identity) }
        target.actors.insert(actor, at: place ?? target.actors.count)
        entries[move.to] = target
    }

    // MARK: What must move

    mutating func nextPinned() -> PlannedMove? {
        for name in names {
            for actor in entries[name]!.actors {
                guard let pinned = actor.pinned, pinned != name, let node = entries[pinned]?.node, node.host.takesWork, mayHost(node, actor) else { continue }
                return PlannedMove(identity: actor.identity, from: name, to: pinned, cost: actor.cost, reason: .pinned)
            }
        }
        return nil
    }
    /// - Parameter node: nil: any that takes no work.
    mutating func nextToLeave(_ node: NodeName?) -> PlannedMove? {
        for name in names where node == nil || node == name {
            guard !entries[name]!.node.host.takesWork else { continue }
            for actor in entries[name]!.actors where !stuck.contains(actor.identity) {
                if let to = place(for: actor) { return PlannedMove(identity: actor.identity, from: name, to: to, cost: actor.cost, reason: .draining) }
                stuck.insert(actor.identity)
            }
        }
        return nil
    }
    /// The first of the rendezvous order that has room: where callers would look for it, too.
    private func place(for actor: PlacedActor) -> NodeName? {
        let request = PlacementRequest(kind: actor.identity.kind, key: actor.identity.key, roles: roles(actor.identity.kind), region: actor.region)
        return Placement.order(request, among: names.map { entries[$0]!.node.host }).first { name in
            name != actor.node && entries[name]!.used + actor.cost <= entries[name]!.node.capacity
        }
    }
    private func mayHost(_ node: PlannedNode, _ actor: PlacedActor) -> Bool {
        let wanted = roles(actor.identity.kind)
        return wanted.isEmpty || !wanted.isDisjoint(with: node.host.roles)
    }

    // MARK: Levelling

    /// The move that relieves the fullest node by its largest actor that fits better elsewhere.
    func nextRelief(hasBegun: Bool) -> PlannedMove? {
        let taking = names.filter { entries[$0]!.node.host.takesWork && entries[$0]!.node.capacity > 0 }
        let capacity = taking.reduce(0) { $0 + entries[$1]!.node.capacity }, used = taking.reduce(0) { $0 + entries[$1]!.used }
        guard capacity > 0, used > 0 else { return nil }
        let mark = 100 + (hasBegun ? RebalancePlan.Limits.enough : RebalancePlan.Limits.begin)
        // used / capacity of the node against used / capacity of all, in whole numbers.
        let over = taking.filter { isAbove(entries[$0]!.used * 100, of: entries[$0]!.node.capacity, used * mark, of: capacity) }
        for name in over.sorted(by: { (share($0), $1) > (share($1), $0) }) {
            if let move = relief(of: name, to: taking) { return move }
        }
        return nil
    }
    private func relief(of name: NodeName, to taking: [NodeName]) -> PlannedMove? {
        let source = entries[name]!
        for actor in source.actors where actor.cost > 0 && actor.pinned != name {
            let targets = taking.filter { other in
                guard other != name, mayHost(entries[other]!.node, actor), actor.region == nil || entries[other]!.node.host.region == actor.region || source.node.host.region != actor.region else { return false }
                // Afterwards the target is emptier than the source was: the fullest of the two has become less full.
                let after = entries[other]!.used + actor.cost
                return after <= entries[other]!.node.capacity && isAbove(source.used, of: source.node.capacity, after, of: entries[other]!.node.capacity)
            }
            let best = targets.min { a, b in
                let (x, y) = (share(a, with: actor.cost), share(b, with: actor.cost))
                return x != y ? x < y : a < b
            }
            if let best { return PlannedMove(identity: actor.identity, from: name, to: best, cost: actor.cost, reason: .overloaded) }
        }
        return nil
    }
    private func share(_ name: NodeName, with cost: Int = 0) -> Double { Double(entries[name]!.used + cost) / Double(max(1, entries[name]!.node.capacity)) }
    /// a / b > c / d, for amounts that fit.
    private func isAbove(_ a: Int, of b: Int, _ c: Int, of d: Int) -> Bool { Double(a) * Double(d) > Double(c) * Double(b) }
}
