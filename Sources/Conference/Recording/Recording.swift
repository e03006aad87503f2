// The Recording actor: decides what of a room is captured and when it ends; finishing is a child process's work.
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Forwarding
import Primitives
import RTP

/// A virtual identity (kind `Recording.kind`, key the recording id) on a node of the recorder role; lives on the control loop.
///
/// Life: `start` → starting → (packets) → recording → `stop` → stopping → (journals closed) → processing → (child) → ready or failed.
/// An activation that finds a row but was not started belongs to a writer that died: it goes on where the room still wants it, else
/// what the journals hold is finished.
package distributed actor Recording {
    package typealias ActorSystem = ClusterSystem
    package static let kind = "recording"
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }

    package enum Limits {
        /// How long `start` waits for the first packet of a room that publishes something.
        package static let firstPacket = Duration.seconds(6)
        package static let followRoom = Duration.seconds(2)
        /// How long the old recorder of a moved recording goes on: longer than the new one takes to reach every publisher.
        package static let overlap = Duration.seconds(4)
        /// Between attempts to reach a publisher's Router or the Room.
        package static let retry = Duration.seconds(1)
        /// Attempts to tell the Room how it ended; the row says it in any case.
        package static let tellAttempts = 20
        package static let tracks = 1024
        /// How long a recording whose recorder died asks for its room, which may have died with it.
        package static let roomReturn = Duration.seconds(15)
        /// Finishing is tried so often while its failure is temporary, the pauses doubling from the first: two and a half minutes in all.
        package static let finishAttempts = 6
        package static let finishRetry = Duration.seconds(5)
    }

    let context: ConferenceContext
    let recorder: Recorder
    let recordingID: RecordingID
    let epoch: Epoch
    var record: RecordingRecord?
    var view: RoomView?
    var people: [ParticipantID: RecordingFacts.Person] = [:]
    /// What is being captured: the journal's tag per track.
    var tags: [TrackID: UInt32] = [:]
    var capturing: Set<TrackID> = []
    /// Its state was taken to go along to another node (Recording+Moving).
    var isMoving = false
    private var room: RoomID?
    private var firstPacket: [CheckedContinuation<Void, Never>] = []
    private var journalsClosed: [CheckedContinuation<Void, Never>] = []

    init(context: ConferenceContext, recorder: Recorder, id recordingID: RecordingID, claim: Claim, record: RecordingRecord?) {
        actorSystem = context.system
        self.context = context
        self.recorder = recorder
        self.recordingID = recordingID
        epoch = claim.epoch
        self.record = record
        self.record?.epoch = claim.epoch
        room = record?.status.roomID
    }

    package static func activate(key: String, claim: Claim, context: ConferenceContext, recorder: Recorder) async throws -> Recording {
        let id = RecordingID(key)
        let row = try await context.recordings.recording(id)
        let recording = Recording(context: context, recorder: recorder, id: id, claim: claim, record: row)
        recorder.add(recording, id: id)
        if let row, row.status.state != .ready, row.status.state != .failed { recording.begin(on: context.loop) { await $0.goOnAfterDeath() } }
        return recording
    }

    var layout: RecordingLayout { RecordingLayout(room: room ?? "", recording: recordingID) }

    // MARK: Orders

    package distributed func start(_ order: RecordingOrder) async throws -> RecordingStatus {
        guard record == nil else { throw ServiceError(.conflict, code: "already_started", message: "this recording was started before") }
        let room = order.snapshot.room
        let now = context.loop.wall
        let fresh = RecordingRecord(
            status: RecordingStatus(recordingID: recordingID, roomID: room.id, state: .starting), recorder: actorSystem.node, epoch: epoch, startedAt: now, title: room.title)
        try await context.recordings.insert(fresh)
        record = fresh
        self.room = room.id
        note(RecordedEvent(.recordingStarted, at: now, participant: order.startedBy))
        begin(order.snapshot)
        if order.snapshot.publications.contains(where: { !$0.info.muted }) { await waitForFirstPacket() }
        await change(.recording, reason: capturing.isEmpty ? "no packet has arrived yet" : nil)
        return record!.status
    }

    /// Captures what the room publishes, and follows it from now on.
    func begin(_ snapshot: RoomSnapshot) {
        var view = RoomView(room: snapshot.room, node: snapshot.node)
        _ = view.replace(by: snapshot, at: context.loop.wall)
        self.view = view
        context.edge.add(self, id: recordingID, room: snapshot.room.id)
        for person in snapshot.participants { people[person.id] = RecordingFacts.Person(id: person.id, name: person.name, role: person.role.rawValue) }
        try? writeFacts()
        for publication in snapshot.publications { startCapture(publication) }
        begin(on: context.loop) { await $0.followForever() }
    }

    /// Answers at once; finishing goes on in the background.
    package distributed func stop() async throws -> RecordingStatus {
        guard let record else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        guard record.status.state.isActive else { return record.status }
        let now = context.loop.wall
        self.record?.stoppedAt = now
        self.record?.status.state = .stopping
        self.record?.status.duration = (now - record.startedAt).inSeconds
        begin(on: context.loop) { await $0.closeAndFinish() }
        return self.record!.status
    }

    /// Removes every file and the row.
    package distributed func erase() async throws {
        guard let record else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        guard !record.status.state.isActive else { throw ServiceError(.conflict, code: "still_recording", message: "stop the recording first") }
        try await recorder.erase(layout)
        try await context.recordings.deleteRecording(recordingID)
        leave()
        await actorSystem.deactivate(kind: Recording.kind, key: recordingID.rawValue)
    }

    /// A node found an unfinished recording of its own at its start; being activated is all it takes.
    package distributed func wake() -> RecordingStatus? { record?.status }

    // MARK: The room

    package distributed func deliver(_ deliveries: [RoomDelivery]) {
        for delivery in deliveries {
            switch delivery {
            case .event(let event, let publication): if view?.apply(event, publication) == true { heard(event, publication) }
            case .kept(let number): view?.kept(through: number)
            case .refreshed(let snapshot): catchUp(with: snapshot)
            case .relay, .detached: break
            }
        }
    }
    private func catchUp(with snapshot: RoomSnapshot) {
        guard let view, snapshot.epoch > view.epoch || snapshot.epoch == view.epoch && snapshot.sequence >= view.sequence else { return }
        for (event, publication) in self.view!.replace(by: snapshot, at: context.loop.wall) { heard(event, publication) }
    }

    private func heard(_ event: RoomEvent, _ publication: Publication?) {
        guard record?.status.state.isActive == true, !isMoving else { return }
        if let line = RecordedEvent(event) { note(line) }
        switch event.kind {
        case .participantJoined(let info):
            people[info.id] = RecordingFacts.Person(id: info.id, name: info.name, role: info.role.rawValue)
            try? writeFacts()
        case .trackPublished: if let publication { startCapture(publication) }
        case .trackUnpublished(let track, _): endCapture(track)
        case .trackMoved: if let publication { follow(publication) }
        case .ended: begin(on: context.loop) { _ = try? await $0.stop() }
        case .participantLeft, .participantMoved, .muted, .chat, .recording, .eventsLost: break
        }
    }

    /// Presents itself to the Room every now and then: one that came back under a new epoch learns that it is being recorded.
    private func followForever() async {
        while record?.status.state.isActive == true {
            try? await context.loop.sleep(for: Limits.followRoom)
            await followRoom()
        }
    }
    func followRoom() async {
        guard let record, record.status.state.isActive, !isMoving else { return }
        let room = context.room(record.status.roomID)
        guard let snapshot = try? await ClusterSystem.$deadline.withValue(.seconds(2), operation: { try await room.follow(record.status) }),
              self.record?.status.state.isActive == true, !isMoving else { return }
        catchUp(with: snapshot)
    }
    func nodeDown(_ node: NodeName) {
        guard view?.node == node else { return }
        begin(on: context.loop) { await $0.followRoom() }
    }

    // MARK: Capture

    private func startCapture(_ publication: Publication) {
        let track = publication.info.trackID
        guard tags[track] == nil, tags.count < Limits.tracks, record?.status.state.isActive == true else { return }
        begin(on: context.loop) { await $0.capture(publication) }
    }

    /// Reaches the publisher's packets, opens a journal for them, and lets them in; again while the track is published.
    private func capture(_ publication: Publication) async {
        let track = publication.info.trackID
        let router = context.edge.router(for: layout.room)
        while record?.status.state.isActive == true, view?.publications[track]?.router == publication.router, tags[track] == nil {
            do {
                let configuration = try await router.local { try await $0.reach(publication) }
                guard tags[track] == nil, record?.status.state.isActive == true else { return }
                let tag = try recorder.journals.open(header(publication, configuration))
                tags[track] = tag
                try await router.local { try await $0.tap(publication, tag: tag) }
                return
            } catch {
                if let tag = tags.removeValue(forKey: track) { try? recorder.journals.close(tag) }
                context.log(.warning, "capture_retry", ["recording": recordingID.rawValue, "track": track.rawValue, "error": "\(error)"])
                try? await context.loop.sleep(for: Limits.retry)
            }
        }
    }
    private func header(_ publication: Publication, _ configuration: InboundConfiguration) -> JournalHeader {
        JournalHeader(
            recording: recordingID, room: layout.room, track: publication.info.trackID, participant: publication.info.participantID,
            kind: configuration.kind, source: publication.info.source.rawValue, codec: configuration.codecs[0].codec,
            payloadTypes: configuration.codecs.map { .init($0.payloadType, $0.codec) }, extensions: configuration.extensions,
            writer: actorSystem.node, epoch: epoch, wallStart: context.loop.wall, ingress: publication.router.node)
    }
    /// The publisher is attached elsewhere now. The journal goes on with that source's packets, under their SSRC.
    private func follow(_ publication: Publication) {
        let track = publication.info.trackID
        guard tags[track] != nil else { return startCapture(publication) }
        let router = context.edge.router(for: layout.room)
        begin(on: context.loop) { recording in
            while recording.tags[track] != nil, recording.view?.publications[track] == publication {
                do { return try await router.local { try await $0.move(publication) } } catch {
                    recording.context.log(.warning, "capture_follow", ["recording": recording.recordingID.rawValue, "track": track.rawValue, "error": "\(error)"])
                    try? await recording.context.loop.sleep(for: Limits.retry)
                }
            }
        }
    }
    private func endCapture(_ track: TrackID) {
        guard let tag = tags.removeValue(forKey: track) else { return }
        let router = context.edge.router(for: layout.room), journals = recorder.journals
        begin(on: context.loop) { _ in
            await router.local { await $0.untap(track, tag: tag) }
            try? journals.close(tag)
        }
    }

    private func waitForFirstPacket() async {
        guard capturing.isEmpty else { return }
        context.loop.schedule(after: Limits.firstPacket) { [weak self] in self?.assumeIsolated { $0.packetsFlow() } }
        await withCheckedContinuation { firstPacket.append($0) }
    }
    private func packetsFlow() {
        for continuation in firstPacket { continuation.resume() }
        firstPacket = []
    }

    /// The journal thread's word, brought to the control loop by `Recorder`.
    func heard(_ report: JournalReport) {
        switch report {
        case .capturing(_, let track, _, _):
            capturing.insert(track)
            packetsFlow()
        case .failing(_, let track, let error):
            context.log(.error, "journal_failing", ["recording": recordingID.rawValue, "track": track?.rawValue ?? "", "error": "\(error)"])
            begin(on: context.loop) { await $0.change($0.record?.status.state ?? .failed, reason: "cannot write: \(error)") }
        case .recovered: begin(on: context.loop) { await $0.change($0.record?.status.state ?? .failed, reason: nil) }
        case .recordingClosed:
            for continuation in journalsClosed { continuation.resume() }
            journalsClosed = []
        case .trackClosed: break
        }
    }

    func closeJournals() async {
        await closeTaps()
        note(RecordedEvent(.recordingStopped, at: record?.stoppedAt ?? context.loop.wall))
        try? writeFacts()
        do { try recorder.journals.close(recording: layout) } catch { return }
        await withCheckedContinuation { journalsClosed.append($0) }
    }

    /// - Returns: the tags whose journals get no more packets.
    @discardableResult
    func closeTaps() async -> [UInt32] {
        let router = context.edge.router(for: layout.room), open = tags.sorted { $0.key < $1.key }
        tags = [:]
        for (track, tag) in open { await router.local { await $0.untap(track, tag: tag) } }
        return open.map(\.value)
    }

    func writeFacts() throws {
        guard let record else { return }
        try recorder.journals.write(RecordingFacts(
            recording: recordingID, room: layout.room, title: record.title, startedAt: record.startedAt, stoppedAt: record.stoppedAt, epoch: epoch,
            participants: people.values.sorted { $0.id < $1.id }))
    }
    func note(_ event: RecordedEvent) { try? recorder.journals.append(event, to: layout) }

    func leave() {
        context.edge.remove(self, id: recordingID, room: layout.room)
        recorder.remove(self, id: recordingID)
    }
}
