// Who is a member and how each stands: SWIM (Das, Gupta, Motivala 2002) with Lifeguard's health and suspicion (Dadgar,
// Phillips, Currey 2017), over links instead of datagrams, and with votes. Decision: docs/decisions/0020-membership.md
import Primitives

/// A pure value: messages, links' news and time in; messages, cuts and events out.
///
/// A member is *suspect* when someone gets no answer from it or loses the link to it. It hears so and refutes by a greater
/// revision. Who sees no refutation in time *votes* it down. It is *dead*, for ever, once more than half of the members
/// (the suspect counted among them) have voted so; of two members one suffices. A minority therefore declares nobody dead:
/// cut off, it goes on suspecting until the links are back and everyone refutes.
///
/// In: `greeted`, `linkLost`, `heard`, `receive`, `left`, `complain`, `handleTimeout`. Out: `takeActions`, `deadline`.
package struct Membership: Sendable {
    package enum Greeting: Equatable, Sendable {
        case welcome
        /// A later life of the node is known.
        case stale
        case dead(votes: Set<NodeName>)
        /// There is no room for more members.
        case full
    }
    package enum Action: Equatable, Sendable {
        case send(MembershipMessage, to: NodeName)
        case event(MemberEvent)
        /// The life is over: end its link and tell it who says so.
        case cut(Life, votes: Set<NodeName>)
        /// Another process runs under this node's name, and it began later.
        case rival(Member)
    }
    struct Complaint: Sendable {
        var number: UInt64
        var expires: Instant
    }
    struct Peer: Sendable {
        var member: Member
        var revision: UInt64
        var hasLink = false
        /// The last byte from it, and the last ping without an answer.
        var heard: Instant?
        var missed: Instant?
        /// When the latest question to it was sent that it has answered.
        var reached: Instant?
        var doubt: Doubt?
        var complaints: [NodeName: Complaint] = [:]
        /// The member with how it stands with us.
        var seen: Member {
            var copy = member
            if doubt != nil || !complaints.isEmpty { copy.state = .suspect }
            return copy
        }
    }

    let timing: Timing
    /// Names that may be members; nil: any.
    let listed: Set<NodeName>?
    package internal(set) var me: Member
    package internal(set) var revision: UInt64 = 0
    package internal(set) var health = LocalHealth()
    package internal(set) var isCondemned = false
    /// Members not taken in, unlisted or for want of room: for metrics.
    package internal(set) var refused: UInt64 = 0
    /// Grows with every change of what `members`, `votesDown` and the like answer.
    package internal(set) var changes: UInt64 = 0
    var random: SplitMix64
    var peers: [NodeName: Peer] = [:]
    var graves = Graves()
    var queue = GossipQueue()
    var round = ProbeRound()
    var probes: [UInt64: Probe] = [:]
    var lastNumber: UInt64 = 0
    var actions: [Action] = []
    var nextProbe: Instant
    /// When this node looks whether its own timers are late.
    var nextLook: Instant
    var nextGossip: Instant
    var nextSync: Instant
    private let lonelyUntil: Instant
    /// The end of this node's latest long stall.
    private var awake = Instant.origin

    /// - Parameters:
    ///   - me: this life of this node; it begins as `joining` and is up once it has met another or nobody is there.
    ///   - listed: names that may be members; nil lets anyone in.
    package init(_ me: Member, timing: Timing = Timing(), listed: Set<NodeName>? = nil, seed: UInt64, now: Instant) {
        self.me = me
        // Where nobody else may be, nobody is waited for.
        self.me.state = listed?.isEmpty == true ? .up : .joining
        self.timing = timing
        self.listed = listed
        random = SplitMix64(seed: seed)
        nextProbe = now + timing.probe
        nextLook = nextProbe
        nextGossip = now
        nextSync = now + timing.sync
        lonelyUntil = now + timing.lonely
    }
    package mutating func takeActions() -> [Action] {
        defer { actions.removeAll() }
        return actions
    }

    // MARK: What is known

    /// Everyone but this node that is not dead, by name, as each stands with us.
    package var members: [Member] { peers.values.map(\.seen).sorted { $0.name < $1.name } }
    package func member(_ name: NodeName) -> Member? { peers[name]?.seen }
    var size: Int { peers.count + 1 }
    /// How a node stands in one of its lives.
    package func standing(_ name: NodeName, _ incarnation: Incarnation) -> ClaimDecision.Standing {
        guard let peer = peers[name], peer.member.incarnation >= incarnation else { return graves.holds(Life(name, incarnation)) ? .down : .unmet }
        guard peer.member.incarnation == incarnation else { return .down }
        return peer.doubt == nil ? .up : .suspect
    }
    /// Who held a life for dead that is over; nil for one that is not.
    package func verdict(on life: Life) -> Set<NodeName>? { graves.holds(life) ? graves.votes(life) ?? [me.name] : nil }
    /// Which members hold this life for dead, each by its own judgement. Votes of a suspect's can be void again; once
    /// `standing` is down they are for ever.
    package func votesDown(_ name: NodeName, _ incarnation: Incarnation) -> Set<NodeName> {
        let life = Life(name, incarnation)
        if let votes = graves.votes(life) { return votes }
        if let peer = peers[name], peer.member.incarnation >= incarnation {
            return peer.member.incarnation == incarnation ? peer.doubt?.votes ?? [] : [me.name]
        }
        return graves.holds(life) ? [me.name] : []
    }
    /// Whether more than half of `voters` are this node or members it does not suspect. After a stall long enough to have been
    /// voted down in, only those count that have answered since: what lay in the sockets says how things were.
    package func seesMajority(of voters: Set<NodeName>) -> Bool {
        let seen = voters.filter { $0 == me.name ? !isCondemned : peers[$0].map { $0.doubt == nil && $0.reached ?? .origin >= awake } ?? false }
        return seen.count * 2 > voters.count
    }

    // MARK: What this node says of itself

    package mutating func setState(_ state: MemberState) { change { $0.state = state } }
    /// Changes what others know of this node: roles, capacity, tags, address. Name and incarnation stay.
    package mutating func change(_ body: (inout Member) -> Void) {
        var changed = me
        body(&changed)
        changed.name = me.name
        changed.incarnation = me.incarnation
        guard changed != me else { return }
        me = changed
        announce()
    }
    mutating func announce() {
        revision += 1
        tell(.alive(me, revision: revision))
    }
    /// Begins a new life after `condemned`. Links must be made anew: they were greeted with the old one. What the old life thought
    /// of others it thought while it was cut off or asleep: that is void.
    package mutating func rejoin(as incarnation: Incarnation) {
        precondition(incarnation > me.incarnation, "a new life has a greater incarnation")
        for name in peers.keys.sorted() {
            let before = peers[name]!.seen
            (peers[name]!.doubt, peers[name]!.complaints, peers[name]!.missed, peers[name]!.reached) = (nil, [:], nil, nil)
            noteChange(name, before)
        }
        me.formerly = (me.formerly + [me.incarnation]).suffix(Member.Limits.formerLives)
        me.incarnation = incarnation
        isCondemned = false
        announce()
    }
    /// Takes leave: everyone linked is told at once.
    package mutating func leave() {
        me.state = .leaving
        let farewell = Rumor.dead(me.life, votes: [me.name])
        for name in linked { actions.append(.send(MembershipMessage(.gossip, [farewell]), to: name)) }
    }

    // MARK: News of links

    package mutating func greeted(_ member: Member, revision: UInt64, now: Instant) -> Greeting {
        if graves.holds(member.life) { return .dead(votes: graves.votes(member.life) ?? [me.name]) }
        if let known = peers[member.name], member.incarnation < known.member.incarnation { return .stale }
        guard member.name != me.name, peers[member.name] != nil || admits(member) else { return .full }
        heard(ofAlive: member, revision, now)
        guard peers[member.name] != nil else { return .full }
        peers[member.name]?.hasLink = true
        peers[member.name]?.heard = now
        peers[member.name]?.reached = now
        peers[member.name]?.missed = nil
        actions.append(.send(MembershipMessage(.sync(wantsAnswer: false), everything), to: member.name))
        return .welcome
    }
    package mutating func heard(_ name: NodeName, now: Instant) { peers[name]?.heard = now }
    /// The link broke and has no successor: reason to suspect at once, and to ask others at once.
    package mutating func linkLost(_ life: Life, now: Instant) {
        guard let peer = peers[life.name], peer.member.incarnation == life.incarnation, peer.hasLink else { return }
        peers[life.name]?.hasLink = false
        suspect(life.name, .lostLink, now)
        probe(life.name, now)
    }
    /// The store has ended that life: it is dead, whatever this node sees of it.
    package mutating func retired(_ life: Life, now: Instant) { if life.name != me.name { bury(life, votes: [me.name], now) } }
    /// It said goodbye.
    package mutating func left(_ life: Life, now: Instant) { bury(life, votes: [life.name], now) }

    /// Calls to a node that answers pings stay without an answer. A complaint makes it suspect here, so that it gets no work;
    /// complaints of more than half of three or more members are its death, which no refutation
    /// undoes: nobody doubts that its failure detector lives. Repeat it every second while the cause lasts.
    package mutating func complain(about name: NodeName, now: Instant) {
        guard let peer = peers[name] else { return }
        let number = (peer.complaints[me.name]?.number ?? 0) + 1
        take(.complaint(peer.member.life, by: me.name, number: number), now)
    }

    /// Whether another member complains of it.
    package func isDoubtedByOthers(_ name: NodeName) -> Bool { peers[name]?.complaints.contains { $0.key != me.name } ?? false }

    // MARK: Time

    /// When to call `handleTimeout` next.
    package var deadline: Instant {
        var earliest = min(nextProbe, nextLook, nextSync)
        if me.state == .joining { earliest = min(earliest, lonelyUntil) }
        if !queue.isEmpty, peers.values.contains(where: \.hasLink) { earliest = min(earliest, nextGossip) }
        for probe in probes.values { earliest = min(earliest, probe.deadline) }
        for peer in peers.values {
            if let end = judgement(of: peer) { earliest = min(earliest, end) }
            for complaint in peer.complaints.values { earliest = min(earliest, complaint.expires) }
        }
        return earliest
    }
    package mutating func handleTimeout(now: Instant) {
        if now >= nextLook {
            if now - nextLook > timing.late { forgive(now - nextLook) }
            if now - nextLook > timing.silenceShortest { awake = now }
            nextLook = now + timing.probe
        }
        if me.state == .joining, now >= lonelyUntil { setState(.up) }
        probesDue(now)
        doubtsDue(now)
        complaintsDue(now)
        if now >= nextProbe {
            nextProbe = now + health.scaled(timing.probe)
            probeNext(now)
        }
        gossipDue(now)
        if now >= nextSync {
            nextSync = now + timing.sync
            if let name = someone() { actions.append(.send(MembershipMessage(.sync(wantsAnswer: true), everything), to: name)) }
        }
    }
    /// Who was not looking must not judge: all that was pending gets the time of our own stall again, and one answer's more.
    private mutating func forgive(_ late: Duration) {
        let more = late + timing.acknowledgement
        health.worse()
        for (number, probe) in probes { probes[number]?.deadline = probe.deadline + more }
        for (name, peer) in peers {
            peers[name]?.doubt?.extended += more
            for (by, complaint) in peer.complaints { peers[name]?.complaints[by]?.expires = complaint.expires + more }
        }
    }
    private mutating func complaintsDue(_ now: Instant) {
        for name in peers.keys.sorted() {
            let before = peers[name]!.seen
            peers[name]!.complaints = peers[name]!.complaints.filter { $0.value.expires > now }
            noteChange(name, before)
        }
    }

    // MARK: Telling

    var linked: [NodeName] { peers.filter(\.value.hasLink).keys.sorted() }
    mutating func someone() -> NodeName? {
        let all = linked
        return all.isEmpty ? nil : all[random.below(all.count)]
    }
    func admits(_ member: Member) -> Bool { listed?.contains(member.name) ?? true && peers.count < Limits.members - 1 && member.objection == nil }
    /// An event if a member looks different from before.
    mutating func noteChange(_ name: NodeName, _ before: Member) {
        guard let seen = peers[name]?.seen, seen != before else { return }
        changes += 1
        actions.append(.event(.changed(seen)))
    }
}
