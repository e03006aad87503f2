// Probing: is it there? Directly, then by way of others (SWIM §3.1).
import Primitives

extension Membership {
    struct Probe: Sendable {
        enum Stage: Sendable { case direct, indirect }
        let target: NodeName
        let sent: Instant
        var stage: Stage
        var deadline: Instant
        /// Whether this node wants to know, or only others do.
        var isOwn: Bool
        var requesters: [(name: NodeName, number: UInt64)] = []
        /// Others asked, and how many of them said that they get no answer either.
        var asked = 0
        var nacks = 0
    }

    package mutating func receive(_ message: MembershipMessage, from sender: NodeName, now: Instant) {
        guard peers[sender] != nil else { return }
        peers[sender]?.heard = now
        for rumor in message.rumors { take(rumor, now) }
        // What it told may have ended it.
        guard peers[sender] != nil else { return }
        switch message.kind {
        case .ping(let number): send(.ack(number), to: sender)
        case .ack(let number): answered(number)
        case .nack(let number): probes[number]?.nacks += 1
        case .pingRequest(let number, let target): probe(target, now, for: (sender, number))
        case .sync(let wantsAnswer):
            if me.state == .joining { setState(.up) }
            if wantsAnswer { actions.append(.send(MembershipMessage(.sync(wantsAnswer: false), everything), to: sender)) }
        case .gossip, .unknown: break
        }
    }

    mutating func probeNext(_ now: Instant) {
        let members = peers.keys.sorted().filter { name in !probes.values.contains { $0.target == name && $0.isOwn } }
        guard let name = round.next(of: members, random: &random) else { return }
        probe(name, now)
    }
    /// Begins to probe a member, or joins a probe under way.
    mutating func probe(_ name: NodeName, _ now: Instant, for requester: (name: NodeName, number: UInt64)? = nil) {
        guard name != me.name, let peer = peers[name], probes.count < Limits.probes else {
            if let requester { send(name == me.name ? .ack(requester.number) : .nack(requester.number), to: requester.name) }
            return
        }
        if let requester, !peer.hasLink { return send(.nack(requester.number), to: requester.name) }
        if let number = probes.keys.sorted().first(where: { probes[$0]!.target == name && probes[$0]!.stage == .direct }) {
            if let requester {
                if probes[number]!.requesters.count < Limits.requesters { probes[number]?.requesters.append(requester) }
            } else { probes[number]?.isOwn = true }
            return
        }
        lastNumber += 1
        var probe = Probe(target: name, sent: now, stage: .direct, deadline: now + health.scaled(timing.acknowledgement), isOwn: requester == nil)
        if let requester { probe.requesters = [requester] }
        probes[lastNumber] = probe
        if peer.hasLink { send(.ping(lastNumber), to: name) } else { askOthers(lastNumber, now) }
    }
    private mutating func askOthers(_ number: UInt64, _ now: Instant) {
        guard let target = probes[number]?.target else { return }
        var others = linked.filter { $0 != target && peers[$0]?.doubt == nil }
        random.shuffle(&others)
        others = Array(others.prefix(timing.indirect))
        probes[number]?.stage = .indirect
        probes[number]?.deadline = now + health.scaled(timing.acknowledgement)
        probes[number]?.asked = others.count
        for other in others { send(.pingRequest(number, target: target), to: other, about: target) }
    }
    private mutating func answered(_ number: UInt64) {
        guard let probe = probes.removeValue(forKey: number) else { return }
        if probe.isOwn { health.better() }
        if var peer = peers[probe.target] {
            peer.missed = nil
            peer.reached = max(peer.reached ?? .origin, probe.sent)
            peers[probe.target] = peer
        }
        for requester in probe.requesters { send(.ack(requester.number), to: requester.name) }
    }
    mutating func probesDue(_ now: Instant) {
        for number in probes.keys.sorted() where probes[number]!.deadline <= now { missed(number, now) }
    }
    private mutating func missed(_ number: UInt64, _ now: Instant) {
        guard let probe = probes[number], peers[probe.target] != nil else { probes[number] = nil; return }
        switch probe.stage {
        case .direct:
            for requester in probe.requesters { send(.nack(requester.number), to: requester.name) }
            probes[number]?.requesters = []
            peers[probe.target]?.missed = now
            if peers[probe.target]?.doubt != nil {
                // Someone suspects it already: this is the confirmation.
                probes[number] = nil
                suspect(probe.target, .silence, now)
            } else if probe.isOwn { askOthers(number, now) } else { probes[number] = nil }
        case .indirect:
            probes[number] = nil
            // Others that did not even say `nack` make us doubt ourselves (Lifeguard §3.2).
            if probe.asked == 0 { health.worse() } else if probe.nacks < probe.asked { health.worse(by: probe.asked - probe.nacks) }
            suspect(probe.target, .silence, now)
        }
    }

    // MARK: Gossip

    mutating func tell(_ rumor: Rumor) {
        changes += 1
        queue.add(rumor)
    }
    private var times: Int { Limits.lambda * max(1, Int.bitWidth - size.leadingZeroBitCount) }
    /// A message with what there is to tell; whoever is doubted is told so each time.
    mutating func send(_ kind: MembershipMessage.Kind, to name: NodeName, about subject: NodeName? = nil) {
        var rumors: [Rumor] = []
        for doubted in Set([name, subject].compactMap(\.self)).sorted() { if let rumor = doubt(about: doubted) { rumors.append(rumor) } }
        let known = Set(rumors.map(\.key))
        rumors += queue.take(bytes: Limits.piggyback, times: times, first: subject ?? name).filter { !known.contains($0.key) }
        actions.append(.send(MembershipMessage(kind, rumors), to: name))
    }
    mutating func gossipDue(_ now: Instant) {
        guard !queue.isEmpty, now >= nextGossip else { return }
        var others = linked
        guard !others.isEmpty else { return }
        nextGossip = now + timing.gossip
        random.shuffle(&others)
        for other in others.prefix(timing.fanout) {
            let rumors = queue.take(bytes: Limits.gossip, times: times)
            guard !rumors.isEmpty else { return }
            actions.append(.send(MembershipMessage(.gossip, rumors), to: other))
        }
    }
    func doubt(about name: NodeName) -> Rumor? {
        guard let peer = peers[name], let doubt = peer.doubt else { return nil }
        return .doubt(peer.member.life, revision: peer.revision, suspects: doubt.suspects, votes: doubt.votes)
    }
    /// All this node knows, the living first, as much as one message may hold.
    var everything: [Rumor] {
        var all: [Rumor] = [.alive(me, revision: revision)]
        for name in peers.keys.sorted() {
            let peer = peers[name]!
            all.append(.alive(peer.member, revision: peer.revision))
            if let doubt = doubt(about: name) { all.append(doubt) }
            for by in peer.complaints.keys.sorted() { all.append(.complaint(peer.member.life, by: by, number: peer.complaints[by]!.number)) }
        }
        for (life, votes) in graves.lives { all.append(.dead(life, votes: votes)) }
        var left = Limits.sync
        return Array(all.prefix { rumor in
            left -= rumor.weight
            return left >= 0
        }.prefix(Rumor.Limits.perMessage))
    }
}
