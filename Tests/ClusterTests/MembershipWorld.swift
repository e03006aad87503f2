// Membership cores joined by a seeded network in virtual time: links that break and come back, messages that are late or lost.
import Primitives
import Testing

@testable import Cluster

struct MembershipWorld {
    enum Happening {
        case message(MembershipMessage, from: Life, to: NodeName, link: Int)
        case linkLost(of: NodeName, to: Life)
        case condemned(NodeName, Life, Set<NodeName>)
        case rejoin(NodeName)
        case relink
    }
    struct Node {
        var core: Membership
        var isAlive = true
        var stalledUntil = Instant.origin
        var deadline: Instant
        var ups: Set<Life> = []
        var downs: [(Life, Instant)] = []
        var condemnations = 0
    }
    struct Pair: Hashable {
        let a: NodeName, b: NodeName
        init(_ x: NodeName, _ y: NodeName) { (a, b) = x < y ? (x, y) : (y, x) }
    }
    private struct Timed {
        let at: Instant
        let order: Int
        let what: Happening
    }
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var nodes: [NodeName: Node] = [:]
    private var queue: [Timed] = []
    private var order = 0
    /// Which links are up; the number tells one from its successor.
    private var links: [Pair: Int] = [:]
    private var lastLink = 0
    /// Directions in which nothing passes.
    var blocked: Set<[NodeName]> = []
    private var held: [[NodeName]: [Timed]] = [:]
    var loss = 0                      // messages of a hundred
    var delay: ClosedRange<Int> = 100...1000   // microseconds
    var random: SplitMix64
    let timing: Membership.Timing
    var messages = 0
    var bytesMost = 0
    var trace = StableHash.fnv1a([])

    init(_ count: Int, seed: UInt64, timing: Membership.Timing = .init(), loss: Int = 0) {
        random = SplitMix64(seed: seed)
        self.timing = timing
        self.loss = loss
        let names = (0..<count).map { NodeName("n" + (count > 10 && $0 < 10 ? "0" : "") + String($0)) }
        for name in names { add(name, incarnation: 1) }
        schedule(.relink, after: .milliseconds(1))
    }
    var names: [NodeName] { nodes.keys.sorted() }
    var alive: [NodeName] { names.filter { nodes[$0]!.isAlive } }

    mutating func add(_ name: NodeName, incarnation: UInt64) {
        let core = Membership(Member(name: name, incarnation: Incarnation(incarnation), roles: ["room"]), timing: timing, seed: random.next(), now: now)
        nodes[name] = Node(core: core, deadline: core.deadline)
    }
    mutating func schedule(_ what: Happening, after delay: Duration) {
        order += 1
        push(Timed(at: now + delay, order: order, what: what))
    }
    /// A binary heap by time and order.
    private mutating func push(_ timed: Timed) {
        queue.append(timed)
        var i = queue.count - 1
        while i > 0, Self.precedes(queue[i], queue[(i - 1) / 2]) { queue.swapAt(i, (i - 1) / 2); i = (i - 1) / 2 }
    }
    private mutating func pop() -> Timed {
        queue.swapAt(0, queue.count - 1)
        let first = queue.removeLast()
        var i = 0
        while true {
            var least = i
            for child in [2 * i + 1, 2 * i + 2] where child < queue.count && Self.precedes(queue[child], queue[least]) { least = child }
            if least == i { return first }
            queue.swapAt(i, least)
            i = least
        }
    }
    private static func precedes(_ a: Timed, _ b: Timed) -> Bool { (a.at, a.order) < (b.at, b.order) }

    // MARK: Running

    mutating func run(_ duration: Duration) {
        let end = now + duration
        while step(until: end) {}
        now = end
    }
    /// - Returns: whether the condition came true in time.
    mutating func run(until limit: Duration, _ condition: (MembershipWorld) -> Bool) -> Bool {
        let end = now + limit
        while !condition(self) { if !step(until: end) { now = end; return condition(self) } }
        return true
    }
    mutating func expect(within limit: Duration, _ what: String = "", _ condition: (MembershipWorld) -> Bool) {
        let held = run(until: limit, condition)
        #expect(held, "\(what)")
    }
    private mutating func step(until end: Instant) -> Bool {
        var next: (name: NodeName, at: Instant)?
        for (name, node) in nodes where node.isAlive {
            let at = max(node.deadline, node.stalledUntil)
            if next == nil || (at, name) < (next!.at, next!.name) { next = (name, at) }
        }
        if let first = queue.first, next == nil || first.at <= next!.at {
            guard first.at <= end else { return false }
            let timed = pop()
            now = max(now, timed.at)
            happen(timed)
            return true
        }
        guard let next, next.at <= end else { return false }
        now = max(now, next.at)
        apply(next.name) { $0.handleTimeout(now: $1) }
        return true
    }
    mutating func apply(_ name: NodeName, _ body: (inout Membership, Instant) -> Void) {
        guard nodes[name]?.isAlive == true else { return }
        body(&nodes[name]!.core, now)
        while case let actions = nodes[name]!.core.takeActions(), !actions.isEmpty { for action in actions { carryOut(action, of: name) } }
        nodes[name]!.deadline = nodes[name]!.core.deadline
    }
    private mutating func carryOut(_ action: Membership.Action, of name: NodeName) {
        switch action {
        case .send(let message, let target): send(message, from: name, to: target)
        case .event(.up(let member)):
            #expect(!nodes[name]!.downs.contains { $0.0.name == member.name && $0.0.incarnation >= member.incarnation }, "\(name): \(member.life) came back")
            nodes[name]!.ups.insert(member.life)
        case .event(.down(let member)): nodes[name]!.downs.append((member.life, now))
        case .event(.condemned):
            nodes[name]!.condemnations += 1
            for other in names where other != name { breakLink(name, other) }
            schedule(.rejoin(name), after: .milliseconds(20))
        case .event(.changed), .rival: break
        case .cut(let life, let votes):
            schedule(.condemned(life.name, life, votes), after: isBlocked(name, life.name) ? .seconds(3600) : .milliseconds(1))
            breakLink(name, life.name)
        }
    }
    private func isBlocked(_ from: NodeName, _ to: NodeName) -> Bool { blocked.contains([from, to]) }
    private mutating func send(_ message: MembershipMessage, from: NodeName, to: NodeName) {
        guard let link = links[Pair(from, to)] else { return }
        messages += 1
        let bytes = (try? CBOREncoder.encode(message)) ?? []
        bytesMost = max(bytesMost, bytes.count)
        trace = StableHash.fnv1a(Array("\(trace) \(now.nanoseconds) \(from) \(to)".utf8) + bytes)
        if loss > 0, random.below(100) < loss { return }
        let microseconds = delay.lowerBound + random.below(delay.count)
        order += 1
        let timed = Timed(at: now + .microseconds(Int64(microseconds)), order: order, what: .message(message, from: nodes[from]!.core.me.life, to: to, link: link))
        if isBlocked(from, to) { held[[from, to], default: []].append(timed) } else { push(timed) }
    }
    private mutating func happen(_ timed: Timed) {
        switch timed.what {
        case .message(let message, let from, let to, let link):
            guard let node = nodes[to], node.isAlive, links[Pair(from.name, to)] == link else { return }
            if node.stalledUntil > now { return push(Timed(at: node.stalledUntil, order: timed.order, what: timed.what)) }
            if isBlocked(from.name, to) { held[[from.name, to], default: []].append(timed); return }
            apply(to) { $0.receive(message, from: from.name, now: $1) }
        case .linkLost(let name, let life): apply(name) { $0.linkLost(life, now: $1) }
        case .condemned(let name, let life, let votes):
            guard let node = nodes[name], node.isAlive, node.core.me.life == life else { return }
            if node.stalledUntil > now { return push(Timed(at: node.stalledUntil, order: timed.order, what: timed.what)) }
            apply(name) { core, _ in core.condemned(votes) }
        case .rejoin(let name): apply(name) { core, _ in core.rejoin(as: Incarnation(core.me.incarnation.rawValue + 1)) }
        case .relink:
            relink()
            schedule(.relink, after: .milliseconds(25))
        }
    }
    private mutating func relink() {
        let alive = alive
        for (i, a) in alive.enumerated() {
            for b in alive[(i + 1)...] where links[Pair(a, b)] == nil && !isBlocked(a, b) && !isBlocked(b, a) {
                guard nodes[a]!.stalledUntil <= now, nodes[b]!.stalledUntil <= now, !nodes[a]!.core.isCondemned, !nodes[b]!.core.isCondemned else { continue }
                greet(a, b)
            }
        }
    }
    private mutating func greet(_ a: NodeName, _ b: NodeName) {
        lastLink += 1
        links[Pair(a, b)] = lastLink
        for (here, there) in [(a, b), (b, a)] {
            let (peer, revision) = (nodes[there]!.core.me, nodes[there]!.core.revision)
            var greeting = Membership.Greeting.stale
            apply(here) { core, now in greeting = core.greeted(peer, revision: revision, now: now) }
            if case .welcome = greeting { continue }
            links[Pair(a, b)] = nil
            if case .dead(let votes) = greeting { schedule(.condemned(there, peer.life, votes), after: .milliseconds(1)) }
            // Whoever had greeted already sees the link end.
            schedule(.linkLost(of: there, to: nodes[here]!.core.me.life), after: .zero)
            return
        }
    }
    private mutating func breakLink(_ a: NodeName, _ b: NodeName) {
        guard links.removeValue(forKey: Pair(a, b)) != nil else { return }
        for (here, there) in [(a, b), (b, a)] where !isBlocked(there, here) {
            schedule(.linkLost(of: here, to: nodes[there]!.core.me.life), after: .microseconds(200))
        }
    }

    // MARK: Faults

    /// - Parameter quietly: nothing tells the peers: power loss. Otherwise every link ends, as with `kill -9`.
    mutating func kill(_ name: NodeName, quietly: Bool = false) {
        if quietly { links = links.filter { $0.key.a != name && $0.key.b != name } } else { for other in names where other != name { breakLink(name, other) } }
        nodes[name]!.isAlive = false
    }
    mutating func restart(_ name: NodeName) {
        let next = nodes[name]!.core.me.incarnation.rawValue + 1
        if nodes[name]!.isAlive { kill(name) }
        add(name, incarnation: next)
    }
    mutating func stall(_ name: NodeName, _ duration: Duration) { nodes[name]!.stalledUntil = now + duration }
    mutating func cutLink(_ a: NodeName, _ b: NodeName) { breakLink(a, b) }
    mutating func block(_ from: [NodeName], _ to: [NodeName], bothWays: Bool = true) {
        for a in from { for b in to where a != b {
            blocked.insert([a, b])
            if bothWays { blocked.insert([b, a]) }
        } }
    }
    /// What was held is delivered, as TCP does.
    mutating func heal() {
        blocked = []
        for direction in held.keys.sorted(by: { ($0[0], $0[1]) < ($1[0], $1[1]) }) {
            for timed in held[direction]! {
                order += 1
                push(Timed(at: now + .milliseconds(1), order: order, what: timed.what))
            }
        }
        held = [:]
    }

    // MARK: What is true

    /// Every node alive sees exactly the nodes alive, each up in its present life.
    var isConverged: Bool {
        let expected = alive.map { nodes[$0]!.core.me }
        return alive.allSatisfy { name in
            let core = nodes[name]!.core
            let seen = (core.members + [core.me]).sorted { $0.name < $1.name }
            return seen.map(\.life) == expected.map(\.life) && seen.allSatisfy { $0.state != .suspect && $0.state != .joining }
        }
    }
    func detected(_ life: Life, by names: [NodeName]) -> [Instant]? {
        let times = names.compactMap { name in nodes[name]!.downs.first { $0.0 == life }?.1 }
        return times.count == names.count ? times : nil
    }
    var deaths: Int { nodes.values.reduce(0) { $0 + $1.downs.count } }
    var condemnations: Int { nodes.values.reduce(0) { $0 + $1.condemnations } }
}
