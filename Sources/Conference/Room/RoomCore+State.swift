// A room's memory as bytes: what goes along when the Room moves to another node.
import Cluster
import Contracts
import Primitives

/// Everything a `RoomCore` decides by. Times are what is left of them: the two nodes' clocks have nothing in common.
struct RoomState: Codable, Sendable {
    enum Limits {
        /// Events taken along for clients that come back; fewer than the room keeps, so that a chatty room's state stays small.
        static let recentEvents = 128
    }
    struct Member: Codable, Sendable {
        var info: ParticipantInfo
        var edge: ActorAddress?
        var attachment: UInt64
        var resumedFrom: UInt64
        var attempt: UInt32
        /// Milliseconds; nil where nothing runs out.
        var lostIn: Int64?
        var unconfirmed: [TrackID]
        var republishIn: Int64?
    }
    var record: RoomRecord
    var sequence: UInt64
    var attachments: UInt64
    var members: [Member]
    var publications: [Publication]
    var recording: RecordingStatus?
    var ended: Bool
    var recent: [RoomEvent]
    /// Milliseconds since the last one left; nil while somebody is here.
    var emptyFor: Int64?
}

extension RoomCore {
    func state(now: Instant) -> RoomState {
        RoomState(
            record: record, sequence: sequence, attachments: attachments,
            members: members.values.sorted { $0.info.id < $1.info.id }.map { member in
                RoomState.Member(
                    info: member.info, edge: member.edge, attachment: member.attachment, resumedFrom: member.resumedFrom, attempt: member.attempt,
                    lostIn: member.lostUntil.map { ($0 - now).inMilliseconds }, unconfirmed: member.unconfirmed.sorted(),
                    republishIn: member.republishUntil.map { ($0 - now).inMilliseconds })
            },
            publications: publications.values.sorted { $0.info.trackID < $1.info.trackID }, recording: recording, ended: ended,
            recent: Array(recent.suffix(RoomState.Limits.recentEvents)), emptyFor: emptySince.map { (now - $0).inMilliseconds })
    }

    /// The same room under the next epoch. It remembers: nobody is asked to attach again.
    init(_ state: RoomState, node: NodeName, epoch: Epoch, now: Instant) {
        self.init(record: state.record, node: node, epoch: epoch, now: now - Limits.recoveryWindow)
        sequence = state.sequence
        attachments = state.attachments
        ended = state.ended
        recording = state.recording
        recent = state.recent
        emptySince = state.emptyFor.map { now - .milliseconds($0) }
        for publication in state.publications { publications[publication.info.trackID] = publication }
        for member in state.members {
            members[member.info.id] = Member(
                info: member.info, edge: member.edge, attachment: member.attachment, resumedFrom: member.resumedFrom, attempt: member.attempt,
                lostUntil: member.lostIn.map { now + .milliseconds($0) }, unconfirmed: Set(member.unconfirmed), republishUntil: member.republishIn.map { now + .milliseconds($0) })
        }
    }
}
