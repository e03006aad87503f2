// The CaptureWriter actor: one recording's packets on one recorder node, from the Routers into journals.
// Decision: docs/decisions/0034-capture-writers.md
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Forwarding
import Primitives
import RTP

/// An instance per recording and recorder node, on the control loop; the Room delivers its events here.
///
/// It follows the Room and captures whatever is published until it is closed, whoever decides meanwhile: a decider's death is none of its business.
package distributed actor CaptureWriter {
    package typealias ActorSystem = ClusterSystem
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    package enum Limits {
        package static let tracks = 1024
        /// Between two presentations to the Room: one that came back without memory learns where its events go.
        package static let follow = Duration.seconds(2)
        /// Between attempts to reach a publisher's Router.
        package static let retry = Duration.seconds(1)
        /// Without an order: the recording was decided to end and this node was not told. Longer than a store is away.
        package static let orphaned = Duration.seconds(600)
    }

    let context: ConferenceContext
    let recorder: Recorder
    let layout: RecordingLayout
    /// Of the newest order.
    private(set) var epoch: Epoch
    private(set) var view: RoomView?
    /// Everyone who was in the room since this writer began.
    private(set) var people: [ParticipantID: RecordingFacts.Person] = [:]
    /// Of them, whose tracks and words are not captured.
    private var leftOut: Set<ParticipantID> = []
    /// The Recording actor, where it lives on this node.
    weak var decider: Recording?
    /// What is being captured: the journal's tag per track.
    private var tags: [TrackID: UInt32] = [:]
    /// Of those, the ones packets have arrived from.
    private var capturing: Set<TrackID> = []
    private var failing: String?
    private var orderedAt: Instant
    private var isOpen = true
    private var areJournalsClosed = false
    private var journalsClosed: [CheckedContinuation<Void, Never>] = []

    init(context: ConferenceContext, recorder: Recorder, order: CaptureOrder) {
        actorSystem = context.system
        self.context = context
        self.recorder = recorder
        layout = RecordingLayout(room: order.room, recording: order.recording)
        epoch = order.epoch
        orderedAt = context.loop.now
    }

    // MARK: Orders

    /// Once, before anything else.
    func start(_ order: CaptureOrder) {
        context.edge.add(self, room: layout.room)
        if let snapshot = order.snapshot { see(snapshot) }
        begin(on: context.loop) { await $0.followForever() }
    }
    func obey(_ order: CaptureOrder) throws -> CaptureReport {
        try accept(order.epoch)
        orderedAt = context.loop.now
        return report
    }
    var report: CaptureReport {
        let wanted = view?.publications.values.filter { !$0.info.muted && !isLeftOut($0) }.map(\.info.trackID)
        return CaptureReport(isFollowing: wanted != nil, wanted: wanted?.count ?? 0, waiting: wanted?.filter { !capturing.contains($0) }.count ?? 0, failing: failing)
    }

    private func accept(_ order: Epoch) throws {
        guard order >= epoch else { throw ServiceError(.conflict, code: "superseded", message: "the recording is decided at another node by now") }
        guard isOpen else { throw ServiceError(.unavailable, code: "closing", message: "the writer here is ending its files; order again in a moment") }
        epoch = order
    }

    /// Takes no more packets and ends its files. - Returns: when they are closed, where they are.
    func release(epoch: Epoch) async throws -> RecordingLayout {
        if isOpen { try accept(epoch) }
        await close()
        return layout
    }
    private func close() async {
        guard isOpen else { return await journalsEnd() }
        isOpen = false
        let router = context.edge.router(for: layout.room)
        for (track, tag) in tags.sorted(by: { $0.key < $1.key }) { await router.local { $0.untap(track, tag: tag) } }
        tags = [:]
        do { try recorder.journals.close(recording: layout) } catch { areJournalsClosed = true }
        await journalsEnd()
        // Not before: the node's Router of the room goes with the last who is in it.
        context.edge.remove(self, room: layout.room)
        recorder.remove(self)
    }

    private func journalsEnd() async {
        if !areJournalsClosed { await withCheckedContinuation { journalsClosed.append($0) } }
    }

    // MARK: The room

    package distributed func deliver(_ deliveries: [RoomDelivery]) {
        for delivery in deliveries {
            switch delivery {
            case .event(let event, let publication): if view?.apply(event, publication) == true { heard(event, publication) }
            case .kept(let number): view?.kept(through: number)
            case .refreshed(let snapshot): see(snapshot)
            case .relay, .detached: break
            }
        }
    }
    private func see(_ snapshot: RoomSnapshot) {
        guard isOpen else { return }
        guard let view else {
            var fresh = RoomView(room: snapshot.room, node: snapshot.node)
            _ = fresh.replace(by: snapshot, at: context.loop.wall)
            self.view = fresh
            // First: nobody who is left out is captured for a moment.
            leave(out: snapshot.recording, at: context.loop.wall)
            // Who and what is here already is noted like who comes: another writer's notes may be all that is left of the start, and of a
            // track that was muted before, or of which no packet comes, they are all there is.
            func found(_ kind: RoomEvent.Kind, _ publication: Publication? = nil) {
                heard(RoomEvent(sequence: snapshot.sequence, epoch: snapshot.epoch, at: context.loop.wall, kind: kind), publication)
            }
            for participant in snapshot.participants { found(.participantJoined(participant)) }
            for publication in snapshot.publications { found(.trackPublished(publication.info), publication) }
            return
        }
        guard snapshot.epoch > view.epoch || snapshot.epoch == view.epoch && snapshot.sequence >= view.sequence else { return }
        for (event, publication) in self.view!.replace(by: snapshot, at: context.loop.wall) { heard(event, publication) }
    }
    private func heard(_ event: RoomEvent, _ publication: Publication?) {
        guard isOpen else { return }
        note(event)
        switch event.kind {
        case .participantJoined(let info): people[info.id] = RecordingFacts.Person(info)
        case .trackPublished: if let publication { startCapture(publication) }
        case .trackUnpublished(let track, _): endCapture(track)
        case .trackMoved: if let publication { follow(publication) }
        case .recording(let status): leave(out: status, at: event.at)
        case .participantLeft, .participantMoved, .muted, .chat, .eventsLost, .ended: break
        }
        decider?.assumeIsolated { $0.heard(event) }
    }

    /// What somebody says who is left out is not written down either.
    private func note(_ event: RoomEvent) {
        if case .chat(let message) = event.kind, leftOut.contains(message.from) { return }
        if let line = RecordedEvent(event) { try? recorder.journals.append(line, to: layout) }
    }
    private func isLeftOut(_ publication: Publication) -> Bool { leftOut.contains(publication.info.participantID) }

    /// Obeys whom the Room leaves out of this recording: ends the capture of their tracks, begins that of whoever is taken in again.
    private func leave(out status: RecordingStatus?, at: WallTime) {
        guard let status, status.recordingID == layout.recording, status.leftOut != leftOut else { return }
        let before = leftOut
        leftOut = status.leftOut
        for id in before.symmetricDifference(leftOut).sorted() {
            var line = RecordedEvent(leftOut.contains(id) ? .participantExcluded : .participantIncluded, at: at, participant: id, name: view?.participants[id]?.name ?? people[id]?.name)
            line.reason = leftOut.contains(id) ? (status.refused?.contains(id) == true ? "refused" : "host") : nil
            try? recorder.journals.append(line, to: layout)
        }
        for publication in view?.publications.values.sorted(by: { $0.info.trackID < $1.info.trackID }) ?? [] {
            if isLeftOut(publication) { endCapture(publication.info.trackID) } else { startCapture(publication) }
        }
    }

    private func followForever() async {
        while isOpen {
            await followRoom()
            try? await context.loop.sleep(for: view == nil ? Limits.retry : Limits.follow)
            if context.loop.now - orderedAt > Limits.orphaned {
                context.log(.warning, "capture_orphaned", ["recording": layout.recording.rawValue])
                await close()
            }
        }
    }
    private func followRoom() async {
        let room = context.room(layout.room), recording = layout.recording, writer = id
        let answer = try? await ClusterSystem.$deadline.withValue(Limits.follow, operation: { try await room.follow(recording, writer: writer) })
        if let snapshot = answer ?? nil { see(snapshot) }
    }
    func nodeDown(_ node: NodeName) {
        guard view?.node == node else { return }
        begin(on: context.loop) { await $0.followRoom() }
    }

    // MARK: Capture

    private func startCapture(_ publication: Publication) {
        guard tags[publication.info.trackID] == nil, tags.count < Limits.tracks, isOpen, !isLeftOut(publication) else { return }
        begin(on: context.loop) { await $0.capture(publication) }
    }

    /// Reaches the publisher's packets, opens a journal for them, and lets them in; again while the track is published.
    private func capture(_ publication: Publication) async {
        let track = publication.info.trackID
        let router = context.edge.router(for: layout.room)
        while isOpen, view?.publications[track]?.router == publication.router, tags[track] == nil, !isLeftOut(publication) {
            do {
                let configuration = try await router.local { try await $0.reach(publication) }
                guard tags[track] == nil, isOpen, !isLeftOut(publication) else { return }
                let tag = try recorder.journals.open(header(publication, configuration))
                tags[track] = tag
                try await router.local { try await $0.tap(publication, tag: tag) }
                return
            } catch {
                if let tag = tags.removeValue(forKey: track) { try? recorder.journals.close(tag) }
                context.log(.warning, "capture_retry", ["recording": layout.recording.rawValue, "track": track.rawValue, "error": "\(error)"])
                try? await context.loop.sleep(for: Limits.retry)
            }
        }
    }
    private func header(_ publication: Publication, _ configuration: InboundConfiguration) -> JournalHeader {
        JournalHeader(
            recording: layout.recording, room: layout.room, track: publication.info.trackID, participant: publication.info.participantID,
            kind: configuration.kind, source: publication.info.source.rawValue, codec: configuration.codecs[0].codec,
            payloadTypes: configuration.codecs.map { .init($0.payloadType, $0.codec) }, extensions: configuration.extensions,
            writer: actorSystem.node, epoch: epoch, wallStart: context.loop.wall, ingress: publication.router.node)
    }
    /// The publisher is attached elsewhere now. The journal goes on with that source's packets, under their SSRC.
    private func follow(_ publication: Publication) {
        let track = publication.info.trackID
        guard tags[track] != nil else { return startCapture(publication) }
        let router = context.edge.router(for: layout.room)
        begin(on: context.loop) { writer in
            while writer.tags[track] != nil, writer.view?.publications[track] == publication {
                do { return try await router.local { try await $0.move(publication) } } catch {
                    writer.context.log(.warning, "capture_follow", ["recording": writer.layout.recording.rawValue, "track": track.rawValue, "error": "\(error)"])
                    try? await writer.context.loop.sleep(for: Limits.retry)
                }
            }
        }
    }
    private func endCapture(_ track: TrackID) {
        capturing.remove(track)
        guard let tag = tags.removeValue(forKey: track) else { return }
        let router = context.edge.router(for: layout.room), journals = recorder.journals
        begin(on: context.loop) { _ in
            await router.local { $0.untap(track, tag: tag) }
            try? journals.close(tag)
        }
    }

    /// The journal thread's word, brought to the control loop by `Recorder`.
    func heard(_ report: JournalReport) {
        switch report {
        case .capturing(_, let track, _, _):
            capturing.insert(track)
            decider?.assumeIsolated { $0.packetsFlow() }
        case .failing(_, let track, let error):
            context.log(.error, "journal_failing", ["recording": layout.recording.rawValue, "track": track?.rawValue ?? "", "error": "\(error)"])
            fails("cannot write: \(error)")
        case .recovered: fails(nil)
        case .recordingClosed:
            areJournalsClosed = true
            for continuation in journalsClosed { continuation.resume() }
            journalsClosed = []
        case .trackClosed, .fileEnded: break
        }
    }
    private func fails(_ reason: String?) {
        guard failing != reason else { return }
        failing = reason
        decider?.assumeIsolated { $0.writerFails(reason) }
    }
}

extension RecordingFacts.Person {
    init(_ info: ParticipantInfo) { self.init(id: info.id, name: info.name, role: info.role.rawValue) }
}
