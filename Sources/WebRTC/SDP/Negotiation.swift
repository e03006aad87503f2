// The offers and answers of one peer connection, seen from the server (RFC 8829, RFC 3264, RFC 8843, RFC 9143).

/// The state of one peer connection's session description. A pure value: texts go in, texts and numbers come out.
///
/// Either side offers again at any time. The server is polite: when both offer at once it withdraws its own offer, answers the
/// peer's, and offers again afterwards (`makeOffer` after every exchange). The server is ICE-lite and always passive in DTLS.
/// What the peer offers beyond our codecs, feedback and extensions is answered without them; m=application is rejected.
package struct Negotiation: Sendable {
    package enum Limits {
        package static let encodings = 4                  // simulcast streams of one track
        /// m-lines of a session before stopped ones are used anew. Peers differ in how well they do that (aiortc 1.16 loses the
        /// new track), so that short sessions never need it.
        package static let sectionsBeforeReuse = 16
    }

    package private(set) var local: LocalTransport
    package internal(set) var remote: RemoteTransport?
    var sections: [Section] = []
    /// What we want to send, in the order it was added.
    var tracks: [OutboundTrack] = []
    /// Ids the peer refused by stopping their section; not offered again.
    var refused: Set<String> = []
    let role: Role
    private let sessionID: UInt64
    private var version: UInt64 = 0
    private var nextMid = 0
    private var restart: LocalTransport?
    private var pending: Pending?

    /// An offer of ours that waits for its answer.
    private struct Pending: Sendable {
        var sections: [Section]
        var local: LocalTransport
    }

    /// - Parameter sessionID: for the o= line, different for each peer connection (RFC 8866 §5.2).
    package init(local: LocalTransport, sessionID: UInt64) { self.init(local: local, sessionID: sessionID, role: .server) }

    /// Who we are decides a few words of the description. `ClientNegotiation` is the other side.
    enum Role: Sendable {
        /// ICE-lite, passive in DTLS.
        case server
        /// Full ICE, active in DTLS.
        case client
        var midPrefix: String { self == .server ? "s" : "c" }
        var answeredSetup: SDP.Setup { self == .server ? .passive : .active }
    }
    init(local: LocalTransport, sessionID: UInt64, role: Role) {
        self.local = local
        self.role = role
        self.sessionID = sessionID & 0x3FFF_FFFF_FFFF_FFFF   // RFC 8829 §5.2.1: at most 62 bits
    }

    package var hasOutstandingOffer: Bool { pending != nil }

    // MARK: - What we send

    /// Wants a track sent; it is offered with the next `makeOffer`. The same id again replaces its numbers.
    package mutating func addOutbound(_ track: OutboundTrack) {
        refused.remove(track.id)
        if let index = tracks.firstIndex(where: { $0.id == track.id }) { tracks[index] = track } else { tracks.append(track) }
    }
    package mutating func removeOutbound(id: String) {
        refused.remove(id)
        tracks.removeAll { $0.id == id }
    }
    /// Gives our transport new credentials with the next offer (RFC 8839 §4.4.1.1.1).
    package mutating func restartICE(local: LocalTransport) { restart = local }

    /// Whether `makeOffer` would have something to say, were no offer outstanding.
    package var needsOffer: Bool {
        if restart != nil, !sections.isEmpty { return true }
        return sections.contains { $0.outbound.map { !tracks.contains($0) } ?? false } || !unplaced(in: sections).isEmpty && hasRoom
    }
    private var hasRoom: Bool { sections.count < SDP.Limits.media || sections.contains { Self.isReusable($0, for: nil) } }

    /// The next offer, or nil: nothing to say, or one is outstanding.
    package mutating func makeOffer() -> String? {
        guard pending == nil, needsOffer else { return nil }
        var next = sections
        release(&next)
        var numbers = GroupNumbers(next)
        place(in: &next)
        guard restart != nil || next != sections else { return nil }   // no room for what is left
        let transport = restart ?? local
        let media = next.map { offer($0, transport, &numbers) }
        pending = Pending(sections: next, local: transport)
        return describe(media, bundle: next.filter { !$0.isStopped }.map(\.mid))
    }

    // MARK: - What the peer says

    /// Takes the peer's offer and answers it.
    /// - Parameter restart: credentials to answer with should the offer restart ICE; without them ours stay.
    /// - Throws: with the state as it was; an offer of ours stays outstanding.
    package mutating func receive(offer text: String, restart fresh: ICECredentials? = nil) throws(SDPError) -> Accepted {
        let session = try SDP.Session.parse(text)
        var next = sections
        try apply(offer: session, to: &next)
        let transport = try session.remoteTransport(living: living(session, next))
        guard transport.setup == .actpass || transport.setup == .active else { throw .unsupported("a=setup:\(transport.setup.rawValue) in an offer") }

        let restarted = transport.restarts(remote), rolledBack = pending != nil
        pending = nil
        if restarted { renewCredentials(fresh) }
        fillReceivers(&next)
        noteRefusals(before: sections, after: next)
        sections = next
        remote = transport
        let media = zip(session.media, next).map { answer($0, $1) }
        let group = session.bundle.map { mids in mids.filter { mid in next.contains { $0.mid == mid && !$0.isStopped } } }
        return accepted(transport, answer: describe(media, bundle: group), iceRestarted: restarted, rolledBack: rolledBack)
    }

    /// Takes the answer to our offer.
    /// - Throws: with the offer still outstanding.
    package mutating func receive(answer text: String) throws(SDPError) -> Accepted {
        guard let pending else { throw .noOfferOutstanding }
        let session = try SDP.Session.parse(text)
        var next = pending.sections
        try apply(answer: session, to: &next)
        let alive = living(session, next)
        let transport = try answeredTransport(session, alive)
        let restarted = transport.restarts(remote)
        if restart == pending.local { restart = nil }
        self.pending = nil
        local = pending.local
        noteRefusals(before: pending.sections, after: next)
        sections = next
        remote = transport
        return accepted(transport, answer: nil, iceRestarted: restarted, rolledBack: false)
    }

    // MARK: - Parts

    private mutating func renewCredentials(_ fresh: ICECredentials?) {
        if let restart {
            local = restart
            self.restart = nil
        } else if let fresh {
            local.iceUfrag = fresh.fragment
            local.icePassword = fresh.password
        }
    }

    /// A track whose section the peer stopped is not wanted there. Where the peer has sent in that section too (`addTrack` takes
    /// one of ours when it can), it may have meant its own track only: ours is offered again elsewhere.
    private mutating func noteRefusals(before: [Section], after: [Section]) {
        for (old, new) in zip(before, after) where !old.isStopped && new.isStopped && !old.hasReceived {
            if let id = old.outbound?.id { refused.insert(id) }
        }
    }

    /// RFC 8842 §5.3: our actpass leaves the choice to the peer; we can only be what our role is.
    private func answeredTransport(_ session: SDP.Session, _ living: [SDP.Media]) throws(SDPError) -> RemoteTransport {
        if living.isEmpty, let remote { return remote }
        let transport = try session.remoteTransport(living: living)
        guard transport.setup == (role == .server ? .active : .passive) else { throw .unsupported("a=setup:\(transport.setup.rawValue) in an answer") }
        return transport
    }

    private func accepted(_ transport: RemoteTransport, answer: String?, iceRestarted: Bool, rolledBack: Bool) -> Accepted {
        var inbound: [InboundMedia] = []
        for section in sections {
            if let media = section.inbound(taken: Set(inbound.map(\.trackID))) { inbound.append(media) }
        }
        let outbound = sections.compactMap { section in section.outbound.flatMap { sent in tracks.contains { $0.id == sent.id } ? section.outboundMedia : nil } }
        return Accepted(answer: answer, remote: transport, local: local, inbound: inbound, outbound: outbound, iceRestarted: iceRestarted, rolledBack: rolledBack)
    }

    private func living(_ session: SDP.Session, _ sections: [Section]) -> [SDP.Media] {
        zip(session.media, sections).compactMap { $1.isStopped ? nil : $0 }
    }

    private mutating func describe(_ media: [SDP.Media], bundle: [String]?) -> String {
        version += 1
        var session = SDP.Session()
        session.userName = "troupe"
        session.sessionID = String(sessionID)
        session.version = version
        session.iceLite = role == .server
        if let bundle, !bundle.isEmpty { session.groups = [SDP.Group(semantics: "BUNDLE", mids: bundle)] }
        session.media = media
        return session.text
    }

    /// Takes away what is no longer sent: its section is stopped, or set inactive where the peer made it, sends in it, or where it
    /// is the group's first (a stop of that one ends the whole group in some browsers).
    private func release(_ sections: inout [Section]) {
        let tag = sections.firstIndex { !$0.isStopped }
        for index in sections.indices {
            guard let sent = sections[index].outbound else { continue }
            if let current = tracks.first(where: { $0.id == sent.id }) { sections[index].outbound = current; continue }
            sections[index].outbound = nil
            if sections[index].isOurs, !sections[index].remoteDirection.sends, index != tag { sections[index].stop() }
        }
    }

    /// Gives every track without a place a section: a fresh one, or from `Limits.sectionsBeforeReuse` on one that is free.
    private mutating func place(in sections: inout [Section]) {
        for track in unplaced(in: sections) {
            let kind: SDP.Kind = track.kind == .audio ? .audio : .video
            let reuse = sections.count >= Limits.sectionsBeforeReuse ? self.sections.firstIndex { Self.isReusable($0, for: kind) && isFree($0, sections) } : nil
            if let reuse, !self.sections[reuse].isStopped {
                sections[reuse].outbound = track
            } else if let reuse {
                sections[reuse] = Section(mid: freshMid(sections), kind: kind, isOurs: true, outbound: track)
            } else if sections.count < SDP.Limits.media {
                sections.append(Section(mid: freshMid(sections), kind: kind, isOurs: true, outbound: track))
            }
        }
    }
    /// Stopped in the last completed exchange and carrying media before, or ours, idle and of the right kind.
    private static func isReusable(_ section: Section, for kind: SDP.Kind?) -> Bool {
        guard section.kind.codecKind != nil else { return false }
        return section.isStopped || section.isOurs && section.outbound == nil && !section.remoteDirection.sends && (kind == nil || section.kind == kind)
    }
    private func isFree(_ section: Section, _ next: [Section]) -> Bool { next.contains { $0.mid == section.mid && $0.outbound == nil } }

    func unplaced(in sections: [Section]) -> [OutboundTrack] {
        tracks.filter { track in !refused.contains(track.id) && !sections.contains { $0.outbound?.id == track.id } }
    }

    private mutating func freshMid(_ sections: [Section]) -> String {
        repeat { nextMid += 1 } while sections.contains { $0.mid == "\(role.midPrefix)\(nextMid)" }
        return "\(role.midPrefix)\(nextMid)"
    }
}
