// Which nodes are up, from what the links say. A pure value.
import Primitives

/// Every peer of the topology is down, up or suspect.
///
///     down ──greeted──▶ up ──link lost──▶ suspect ──grace over──▶ down
///                       ▲ │                  │
///                       │ └──silent, goodbye─┼───────────────────▶ down
///                       └──────greeted───────┘
///
/// In: greetings, signs of life, lost links, time. Out: `takeEvents`; `handleTimeout` names peers whose link must be cut.
/// A peer that was stalled comes back under the same incarnation; an older incarnation than the last one seen is refused.
package struct MembershipTable: Sendable {
    package struct Timing: Sendable, Equatable {
        package var heartbeat = Duration.milliseconds(250)
        /// No byte for so long: the link is dead, its peer down.
        package var silence = Duration.milliseconds(1500)
        /// After a broken link: how long the peer may take to come back.
        package var grace = Duration.milliseconds(500)
        package init() {}
    }
    package enum Greeting: Equatable, Sendable { case welcome, stale }
    private enum State: Equatable {
        case down
        case up(heard: Instant)
        case suspect(since: Instant)
    }
    private struct Peer {
        var state = State.down
        var member: Member
    }

    private let timing: Timing
    private var peers: [NodeName: Peer] = [:]
    private var events: [MemberEvent] = []
    private var lastTick: Instant?
    package init(timing: Timing) { self.timing = timing }

    package mutating func greeted(_ member: Member, now: Instant) -> Greeting {
        if let known = peers[member.name] {
            if member.incarnation < known.member.incarnation { return .stale }
            if known.state != .down, known.member.incarnation != member.incarnation {
                events.append(.down(known.member))
                peers[member.name]?.state = .down
            }
        }
        let wasDown = peers[member.name].map { $0.state == .down } ?? true
        peers[member.name] = Peer(state: .up(heard: now), member: member)
        if wasDown { events.append(.up(member)) }
        return .welcome
    }
    package mutating func heard(_ name: NodeName, now: Instant) {
        guard case .up = peers[name]?.state else { return }
        peers[name]?.state = .up(heard: now)
    }
    package mutating func linkLost(_ name: NodeName, now: Instant) {
        guard case .up = peers[name]?.state else { return }
        peers[name]?.state = .suspect(since: now)
    }
    package mutating func saidGoodbye(_ name: NodeName) { declareDown(name) }

    private mutating func declareDown(_ name: NodeName) {
        guard let peer = peers[name], peer.state != .down else { return }
        peers[name]?.state = .down
        events.append(.down(peer.member))
    }

    /// Call it every `timing.heartbeat`.
    /// - Returns: peers that fell silent, in order of their names: cut their links.
    package mutating func handleTimeout(now: Instant) -> [NodeName] {
        defer { lastTick = now }
        // Who was not looking must not judge: after a stall of our own, everyone gets a fresh start.
        let stalled = lastTick.map { now - $0 > timing.silence / 2 } ?? false
        var silent: [NodeName] = []
        for name in peers.keys.sorted() {
            switch peers[name]!.state {
            case .up(let heard):
                if stalled { peers[name]!.state = .up(heard: now) } else if now - heard >= timing.silence { silent.append(name) }
            case .suspect(let since):
                if now - since >= timing.grace { declareDown(name) }
            case .down: break
            }
        }
        for name in silent { declareDown(name) }
        return silent
    }
    package mutating func takeEvents() -> [MemberEvent] {
        defer { events.removeAll() }
        return events
    }

    /// Peers that are up or suspect, by name.
    package var members: [Member] {
        peers.values.filter { $0.state != .down }.map(\.member).sorted { $0.name < $1.name }
    }
    package var hasDoubt: Bool { peers.values.contains { if case .up = $0.state { false } else { true } } }
    /// How a peer stands in one of its lives. One never heard of counts as down.
    package func standing(_ name: NodeName, _ incarnation: Incarnation) -> ClaimDecision.Standing {
        guard let peer = peers[name], peer.member.incarnation == incarnation else { return .down }
        switch peer.state {
        case .down: return .down
        case .up: return .up
        case .suspect: return .suspect
        }
    }
}
