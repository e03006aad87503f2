// The old end of a move: the client has a newer attachment elsewhere; this one carries its media until that does.
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

/// How far a client has left this edge.
struct Handover: Sendable {
    enum Limits {
        /// From the newer attachment until this one ends, whatever the client does.
        static let longest = Duration.seconds(12)
        /// From the client's word that it receives elsewhere until its own tracks are let go, read or not.
        static let readers = Duration.seconds(3)
        static let look = Duration.milliseconds(50)
    }
    let since: Instant
    /// The client said goodbye here or closed: its new connection carries what it receives.
    var clientDone: Instant?
}

extension Participant {
    /// The Room granted the client an attachment at another edge; from here on this one decides nothing.
    func handOver() {
        guard handover == nil, !finished else { return }
        handover = Handover(since: context.loop.now)
        begin(on: context.loop) { await $0.watchHandover() }
    }
    /// What the client still says on the old connection.
    func handleLeaving(_ message: ClientMessage) {
        switch message.body {
        case .bye: clientIsDone()
        case .heartbeat: send(.heartbeat(session))
        default: send(.error(id: message.id, code: RoomCore.superseded.code, message: RoomCore.superseded.message))
        }
    }
    func clientIsDone() {
        guard handover != nil, handover?.clientDone == nil else { return }
        handover?.clientDone = context.loop.now
        guard let media else { return }
        // What it received here keeps other moving publishers' sources in use.
        begin(on: context.loop) { _ in await media.router.local { $0.unsubscribeAll(media.transport) } }
    }

    private func watchHandover() async {
        while !finished, let handover {
            let now = context.loop.now
            guard now - handover.since < Handover.Limits.longest else { break }
            if connection == nil { clientIsDone() }
            if let done = handover.clientDone {
                let readers = await readersOfOwnTracks()
                if readers == 0 || now - done >= Handover.Limits.readers { break }
            }
            try? await context.loop.sleep(for: Handover.Limits.look)
        }
        await finish(.moved, tellRoom: false)
    }
    private func readersOfOwnTracks() async -> Int {
        guard let media else { return 0 }
        let tracks = published.values.map { ($0.info.trackID, $0.attachment) }
        return await media.router.local { router in tracks.reduce(0) { $0 + router.readers(of: $1.0, attachment: $1.1) } }
    }
}
