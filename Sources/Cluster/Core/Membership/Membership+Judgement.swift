// What rumors and missing answers come to: suspicion, refutation, votes, death.
import Primitives

extension Membership {
    mutating func take(_ rumor: Rumor, _ now: Instant) {
        switch rumor {
        case .alive(let member, let revision): heard(ofAlive: member, revision, now)
        case .doubt(let life, let revision, let suspects, let votes): heard(ofDoubt: life, revision, suspects, votes, now)
        case .dead(let life, let votes): bury(life, votes: votes, now)
        case .complaint(let life, let by, let number): heard(ofComplaint: life, by, number, now)
        case .unknown: break
        }
    }

    // MARK: Life

    mutating func heard(ofAlive member: Member, _ revision: UInt64, _ now: Instant) {
        guard member.name != me.name else { return heard(ofMyself: member, revision) }
        guard !graves.holds(member.life) else { return }
        guard let known = peers[member.name] else {
            guard admits(member) else { return refused += 1 }
            peers[member.name] = Peer(member: member, revision: revision)
            tell(.alive(member, revision: revision))
            return actions.append(.event(.up(member)))
        }
        if member.incarnation > known.member.incarnation {
            // The later life shows that the earlier one is over.
            bury(known.member.life, votes: [me.name], now)
            heard(ofAlive: member, revision, now)
        } else if member.incarnation == known.member.incarnation, revision > known.revision, member.objection == nil {
            peers[member.name]?.member = member
            peers[member.name]?.revision = revision
            peers[member.name]?.doubt = nil
            queue.remove(about: member.name, kind: 1)
            tell(.alive(member, revision: revision))
            noteChange(member.name, known.seen)
        }
    }
    private mutating func heard(ofMyself member: Member, _ revision: UInt64) {
        if member.incarnation > me.incarnation { return actions.append(.rival(member)) }
        guard member.incarnation == me.incarnation, revision > self.revision || (revision == self.revision && member != me) else { return }
        // Nobody else speaks for this life; whatever is told of it, we say the last word.
        self.revision = max(self.revision, revision)
        announce()
    }

    // MARK: Suspicion

    private mutating func heard(ofDoubt life: Life, _ revision: UInt64, _ suspects: Set<NodeName>, _ votes: Set<NodeName>, _ now: Instant) {
        if life == me.life {
            guard revision >= self.revision, revision < .max else { return }
            // Refuted (SWIM §4.2). That it came to this may be our own slowness.
            self.revision = revision
            health.worse()
            return announce()
        }
        guard let peer = peers[life.name], peer.member.incarnation == life.incarnation, revision >= peer.revision else { return }
        let before = peer.seen
        var doubt = revision == peer.revision ? peer.doubt : nil
        let known = doubt.map { $0.suspects.count + $0.votes.count } ?? -1
        if doubt == nil { doubt = Doubt(since: now, evidence: .hearsay, suspects: [], votes: []) }
        doubt!.suspects.formUnion(suspects.prefix(Rumor.Limits.names))
        doubt!.votes.formUnion(votes.prefix(Rumor.Limits.names))
        guard doubt!.suspects.count + doubt!.votes.count > known else { return }
        peers[life.name]?.revision = revision
        peers[life.name]?.doubt = doubt
        tellDoubt(life.name)
        noteChange(life.name, before)
        if !doubt!.suspects.contains(me.name) { lookMyself(life.name, now) }
        tally(life.name, now)
    }
    /// What others suspect this node finds out for itself: from a ping that was missed a moment ago, or by one more.
    private mutating func lookMyself(_ name: NodeName, _ now: Instant) {
        guard let peer = peers[name] else { return }
        if let missed = peer.missed, now - missed <= timing.acknowledgement * 2, peer.heard ?? .origin <= missed { return suspect(name, .silence, now) }
        probe(name, now)
    }
    /// This node's own evidence.
    mutating func suspect(_ name: NodeName, _ evidence: Doubt.Evidence, _ now: Instant) {
        guard let peer = peers[name] else { return }
        let before = peer.seen
        var doubt = peer.doubt ?? Doubt(since: now, evidence: evidence, suspects: [], votes: [])
        doubt.evidence = max(doubt.evidence, evidence)
        let isNew = doubt.suspects.insert(me.name).inserted
        peers[name]?.doubt = doubt
        if isNew { tellDoubt(name) }
        noteChange(name, before)
    }
    private mutating func tellDoubt(_ name: NodeName) { if let rumor = doubt(about: name) { tell(rumor) } }

    // MARK: Votes

    /// When this node votes; nil once it has, or where there is no doubt.
    func judgement(of peer: Peer) -> Instant? {
        guard let doubt = peer.doubt, !doubt.votes.contains(me.name) else { return nil }
        return doubt.deadline(timing, members: size)
    }
    mutating func doubtsDue(_ now: Instant) {
        for name in peers.keys.sorted() {
            guard let peer = peers[name], let end = judgement(of: peer), end <= now else { continue }
            // Suspected by others, but speaking with us: its refutation is on the way. It does not get this for ever.
            if peer.hasLink, let heard = peer.heard, now - heard < timing.acknowledgement, now - peer.doubt!.since < timing.silenceLongest * 3 {
                peers[name]?.doubt?.extended += now - end + timing.acknowledgement
                continue
            }
            peers[name]?.doubt?.votes.insert(me.name)
            peers[name]?.doubt?.suspects.insert(me.name)
            tellDoubt(name)
            tally(name, now)
        }
    }
    /// Whether the votes are a death.
    private mutating func tally(_ name: NodeName, _ now: Instant) {
        guard let peer = peers[name], let doubt = peer.doubt else { return }
        let votes = doubt.votes.filter { $0 != name && ($0 == me.name || peers[$0] != nil) }
        guard size < 3 ? votes.contains(me.name) : votes.count * 2 > size else { return }
        bury(peer.member.life, votes: votes, now)
    }

    // MARK: Complaints

    private mutating func heard(ofComplaint life: Life, _ by: NodeName, _ number: UInt64, _ now: Instant) {
        guard by == me.name || peers[by] != nil, let peer = peers[life.name], peer.member.incarnation == life.incarnation, by != life.name else { return }
        guard number > peer.complaints[by]?.number ?? 0 else { return }
        let before = peer.seen
        peers[life.name]?.complaints[by] = Complaint(number: number, expires: now + timing.complaint)
        tell(.complaint(life, by: by, number: number))
        noteChange(life.name, before)
        let complainers = Set(peers[life.name]!.complaints.keys)
        if size >= 3, complainers.count * 2 > size { bury(life, votes: complainers, now) }
    }

    // MARK: Death

    /// A life is over, known from `votes`. Once is for ever.
    mutating func bury(_ life: Life, votes: Set<NodeName>, _ now: Instant) {
        guard life != me.life else { return condemned(votes) }
        guard life.name != me.name || life.incarnation < me.incarnation else { return }
        guard graves.bury(life, votes: votes.union([me.name])) else { return }
        let all = graves.votes(life) ?? votes
        queue.remove(about: life.name, kind: 1)
        tell(.dead(life, votes: all))
        if let peer = peers[life.name], peer.member.incarnation <= life.incarnation {
            peers[life.name] = nil
            queue.remove(about: life.name, kind: 0)
            queue.remove(about: life.name, kind: 3)
            for number in probes.keys where probes[number]?.target == life.name { probes[number] = nil }
            var member = peer.member
            member.state = .down
            actions.append(.event(.down(member)))
            if peer.hasLink { actions.append(.cut(peer.member.life, votes: all)) }
        }
        // With one member fewer, the votes on another may be a majority. But where only two are left and one vote is enough, it is one
        // of its own: the old one was given as one of several, and its refutation may be on the way.
        if size < 3 { for name in peers.keys { peers[name]?.doubt?.takeBack(voteOf: me.name, now) } }
        for name in peers.keys.sorted() { tally(name, now) }
    }
    /// This node was told that its own life is over.
    package mutating func condemned(_ votes: Set<NodeName>) {
        guard !isCondemned else { return }
        isCondemned = true
        actions.append(.event(.condemned(by: votes)))
    }
}
