// The Recording actor: decides what of a room is captured and when it ends; finishing is a child process's work.
import Capture
import Cluster
import Contracts
import Distributed
import EventLoop
import Primitives

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
        /// Between two looks at the Room and at who captures.
        package static let look = Duration.seconds(2)
        /// How long a writer that is not wanted any more goes on while another has not yet had packets of every track.
        package static let overlap = Duration.seconds(8)
        /// For a writer's answer to an order, and for its files to be closed.
        package static let order = Duration.seconds(2)
        package static let release = Duration.seconds(10)
        /// Between attempts to reach the Room.
        package static let retry = Duration.seconds(1)
        /// Attempts to tell the Room how it ended; the row says it in any case.
        package static let tellAttempts = 20
        /// How long a recording whose recorder died asks for its room, which may have died with it.
        package static let roomReturn = Duration.seconds(15)
        /// Finishing is tried so often while its failure is temporary, the pauses doubling from the first: two and a half minutes in all.
        package static let finishAttempts = 6
        package static let finishRetry = Duration.seconds(5)
        /// Between the last upload that became whole and finishing with it, and how long that waits for more.
        package static let uploadsSettle = Duration.seconds(3)
        package static let uploadsWait = Duration.seconds(30)
    }

    let context: ConferenceContext
    let recorder: Recorder
    let recordingID: RecordingID
    let epoch: Epoch
    var record: RecordingRecord?
    /// Everyone who was in the room while it was recorded, as far as this decider knows.
    var people: [ParticipantID: RecordingFacts.Person] = [:]
    /// The writer beside it.
    var writer: CaptureWriter?
    /// Other nodes that may be capturing (Recording+Writers), and since when one that is not wanted any more was kept for another's sake.
    var writing: Set<NodeName> = []
    var keptSince: Instant?
    var isLooking = false
    /// Its state was taken to go along to another node (Recording+Moving).
    var isMoving = false
    /// Its files are being removed (Recording+Removal).
    var isErasing = false
    /// When an upload became whole that no finish has seen, and whether files are being made with it (Recording+Uploads).
    var newUploads: Instant?
    var isFinishingAgain = false
    var isMakingFiles = false
    private var room: RoomID?
    private var isFlowing = false
    private var firstPacket: [CheckedContinuation<Void, Never>] = []

    init(context: ConferenceContext, recorder: Recorder, id recordingID: RecordingID, claim: Claim, record: RecordingRecord?) {
        actorSystem = context.system
        self.context = context
        self.recorder = recorder
        self.recordingID = recordingID
        epoch = claim.epoch
        self.record = record
        self.record?.epoch = claim.epoch
        if let record, record.status.state.isActive, record.status.startAt == nil { self.record?.status.startAt = record.startedAt }
        room = record?.status.roomID
    }

    package static func activate(key: String, claim: Claim, context: ConferenceContext, recorder: Recorder) async throws -> Recording {
        let id = RecordingID(key)
        let row = try await context.recordings.recording(id)
        let recording = Recording(context: context, recorder: recorder, id: id, claim: claim, record: row)
        if let row, row.status.state != .ready, row.status.state != .failed { recording.begin(on: context.loop) { await $0.goOnAfterDeath() } }
        return recording
    }

    var layout: RecordingLayout { RecordingLayout(room: room ?? "", recording: recordingID) }

    // MARK: Orders

    package distributed func start(_ order: RecordingOrder) async throws -> RecordingStatus {
        guard record == nil else { throw ServiceError(.conflict, code: "already_started", message: "this recording was started before") }
        let room = order.snapshot.room
        let now = context.loop.wall
        let told = order.snapshot.recording
        let fresh = RecordingRecord(
            status: RecordingStatus(recordingID: recordingID, roomID: room.id, state: .starting, excluded: told?.excluded, refused: told?.refused, startAt: told?.startAt), recorder: actorSystem.node, epoch: epoch,
            startedAt: now, title: room.title, policy: room.recordingPolicy)
        try await context.recordings.insert(fresh)
        record = fresh
        self.room = room.id
        note(RecordedEvent(.recordingStarted, at: now, participant: order.startedBy))
        try begin(with: order.snapshot)
        writePolicy()
        let leftOut = fresh.status.leftOut
        if order.snapshot.publications.contains(where: { !$0.info.muted && !leftOut.contains($0.info.participantID) }) { await waitForFirstPacket() }
        await change(.recording, reason: isFlowing ? nil : "no packet has arrived yet")
        return record!.status
    }

    /// Captures here from now on, and has a standby capture too.
    func begin(with snapshot: RoomSnapshot?) throws {
        let writer = try recorder.writer(order(snapshot), context: context)
        self.writer = writer
        let known = writer.assumeIsolated { writer in
            writer.decider = self
            return writer.people
        }
        people.merge(known) { $1 }
        try? writeFacts()
        begin(on: context.loop) { await $0.lookForever() }
    }
    func order(_ snapshot: RoomSnapshot? = nil) -> CaptureOrder {
        CaptureOrder(recording: recordingID, room: layout.room, epoch: epoch, snapshot: snapshot)
    }

    /// Answers at once; finishing goes on in the background.
    package distributed func stop() async throws -> RecordingStatus {
        guard let record else { throw ServiceError(.notFound, code: "unknown_recording", message: "no recording has this id") }
        guard record.status.state.isActive else { return record.status }
        let now = context.loop.wall
        self.record?.stoppedAt = now
        self.record?.status.state = .stopping
        self.record?.status.startAt = nil
        self.record?.status.duration = (now - record.startedAt).inSeconds
        begin(on: context.loop) { await $0.closeAndFinish() }
        return self.record!.status
    }

    /// A node found an unfinished recording of its own at its start; being activated is all it takes.
    package distributed func wake() -> RecordingStatus? { record?.status }

    // MARK: The room, by the writer beside it

    func heard(_ event: RoomEvent) {
        guard record?.status.state.isActive == true, !isMoving else { return }
        switch event.kind {
        case .participantJoined(let info):
            people[info.id] = RecordingFacts.Person(info)
            try? writeFacts()
        case .ended: begin(on: context.loop) { _ = try? await $0.stop() }
        case .recording(let status): consentChanged(status)
        case .participantLeft, .participantMoved, .trackPublished, .trackUnpublished, .trackMoved, .muted, .chat, .eventsLost: break
        }
    }

    /// The Room decides who is left out. Kept here and in the row too: a Room that comes back without memory learns it from there, and no node
    /// takes chunks from whoever it names. A store that is away is told again.
    private func consentChanged(_ status: RecordingStatus) {
        guard let mine = record?.status, status.recordingID == recordingID, status.excluded != mine.excluded || status.refused != mine.refused else { return }
        record?.status.excluded = status.excluded
        record?.status.refused = status.refused
        begin(on: context.loop) { recording in
            for _ in 0..<Limits.tellAttempts {
                // A newer choice is told by its own.
                guard let record = recording.record, record.status.excluded == status.excluded, record.status.refused == status.refused else { return }
                do { return try await recording.context.recordings.update(record) } catch StoreError.conflict { return } catch {
                    try? await recording.context.loop.sleep(for: Limits.retry)
                }
            }
        }
    }

    /// Presents itself to the Room every now and then: one that came back under a new epoch learns that it is being recorded.
    private func lookForever() async {
        while record?.status.state.isActive == true {
            await look()
            try? await context.loop.sleep(for: Limits.look)
        }
    }
    func look() async {
        guard let record, record.status.state.isActive, !isMoving, !isLooking else { return }
        isLooking = true
        defer { isLooking = false }
        let room = context.room(record.status.roomID)
        await keepWriters()
        guard self.record?.status.state.isActive == true, !isMoving, let status = self.record?.status else { return }
        _ = try? await ClusterSystem.$deadline.withValue(Limits.look, operation: { try await room.present(status) })
    }

    private func waitForFirstPacket() async {
        guard !isFlowing else { return }
        context.loop.schedule(after: Limits.firstPacket) { [weak self] in self?.assumeIsolated { $0.goOn() } }
        await withCheckedContinuation { firstPacket.append($0) }
    }
    func packetsFlow() {
        isFlowing = true
        goOn()
    }
    private func goOn() {
        for continuation in firstPacket { continuation.resume() }
        firstPacket = []
    }
    /// The disk of the writer beside it; nil when it is well again.
    func writerFails(_ reason: String?) {
        guard record?.status.state.isActive == true else { return }
        let others = writing.sorted().map(\.rawValue).joined(separator: ", ")
        let text = reason.map { others.isEmpty ? $0 : "\($0); \(others) captures too" }
        begin(on: context.loop) { await $0.change($0.record?.status.state ?? .failed, reason: text) }
    }

    func writeFacts() throws {
        guard let record else { return }
        try recorder.journals.write(RecordingFacts(
            recording: recordingID, room: layout.room, title: record.title, startedAt: record.startedAt, stoppedAt: record.stoppedAt, epoch: epoch,
            participants: people.values.sorted { $0.id < $1.id }, clockOffsets: clockOffsets))
    }
    /// What to add to another node's clock to get this one's, as far as the links have measured.
    private var clockOffsets: [String: Int64] {
        var offsets: [String: Int64] = [:]
        for link in actorSystem.linksNow { if let offset = link.clockOffset { offsets[link.peer.rawValue] = -offset.inMicroseconds } }
        return offsets
    }
    func note(_ event: RecordedEvent) { try? recorder.journals.append(event, to: layout) }
}
