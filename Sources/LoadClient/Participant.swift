// One client: who it is in the room, what it sends, and its attachment to a node, one after the other or two at a time.
internal import EventLoop
internal import Forwarding
internal import Primitives
internal import RTP
internal import Transport
internal import WebRTC

/// Confined to the media loop, on which everything of the load client runs.
final class Participant: @unchecked Sendable {
    let name: String
    let publishes: Bool
    let url: NodeURL
    let media: MediaLoop
    let random: any RandomSource
    /// Comes back elsewhere when its node goes; else that is a failure.
    let resumes: Bool
    let bind: SocketAddress
    private(set) var credentials: Credentials?
    /// What went wrong; the first is the reason.
    private(set) var failures: [String] = []
    private(set) var recording: ServerSignal.Recording?
    private(set) var isLeaving = false
    var web: WebClient?
    /// The newest attachment, those still in use while it takes over, and all there were.
    var current: Attachment?
    var leaving: [Attachment] = []
    private(set) var attachments: [Attachment] = []

    // What lets it come back (Participant+Resume)
    var token: String?
    var sequence: UInt64 = 0
    var attempt: UInt32 = 0
    var nodes: [NodeURL] = []
    var isRecovering = false
    var isMoving = false
    var tally = HandoverTally()
    /// The room let it go for good.
    var isGone = false

    var sends: [SendStream]
    /// By track: what arrived of it, whichever connection brought it.
    private(set) var continuity: [String: TrackContinuity] = [:]
    private(set) var socketOpenedAt: Int64?        // wall clock, µs

    init(name: String, sources: [any FrameSource], url: NodeURL, media: MediaLoop, bind: SocketAddress, random: any RandomSource, resumes: Bool) {
        self.name = name
        self.url = url
        self.media = media
        self.random = random
        self.bind = bind
        self.resumes = resumes
        publishes = !sources.isEmpty
        nodes = [url]
        sends = sources.map { SendStream(trackID: "load-\($0.codec.kind.rawValue)-\(random.token(10))", source: $0, random: random) }
    }

    var isConnected: Bool { current?.isConnected ?? false }
    var node: String { current?.node ?? "" }
    /// Of every attachment there was.
    var receives: [ReceiveStream] { attachments.flatMap { $0.receives.values } }

    // MARK: Joining and leaving

    /// Opens the signalling; media follows by itself.
    func join(_ web: WebClient, with credentials: Credentials) async throws {
        self.web = web
        self.credentials = credentials
        socketOpenedAt = media.loop.wall.microseconds
        let path = "/ws/\(credentials.session_id)?participant_id=\(credentials.participant_id)&token=\(credentials.token)"
        let attachment = try await open(url, path, within: WebClient.Limits.answerTime)
        current = attachment
        if resumes { attachment.say(ClientSignal(hello: HandoverTally.features)) }
    }
    /// A fresh attachment on an open socket; nothing was said on it yet.
    func open(_ url: NodeURL, _ path: String, within time: Duration) async throws -> Attachment {
        guard let web else { throw WebError("not joined") }
        let number = attachments.count
        if number > 0 { for index in sends.indices { sends[index].addOutlet(number, random: random) } }
        let attachment = try Attachment(number: number, url: url, owner: self, bind: bind)
        attachments.append(attachment)
        do {
            attachment.socket = try await web.openSocket(
                url, path, within: time, onMessage: { [weak attachment] in attachment?.receive($0) }, onClosed: { [weak attachment] in attachment?.closed($0) })
            return attachment
        } catch {
            drop(attachment)
            throw error
        }
    }
    func drop(_ attachment: Attachment) {
        attachment.end()
        leaving.removeAll { $0 === attachment }
        for index in sends.indices { sends[index].removeOutlet(attachment.number) }
    }
    func leave() {
        isLeaving = true
        for attachment in attachments where !attachment.isOver {
            attachment.say(ClientSignal("bye"))
            attachment.end()
        }
    }
    func note(_ failure: String) { if failures.count < 20 { failures.append("\(name): \(failure)") } }

    func request(_ type: String, within time: Duration) async throws {
        guard let current else { throw WebError("not joined") }
        try await current.request(type, within: time)
    }
    /// What concerns the session and not one connection.
    func heard(_ signal: ServerSignal, on attachment: Attachment) {
        if let token = signal.resumeToken, attachment === current || signal.type != "heartbeat" { self.token = token }
        if let sequence = signal.seq { self.sequence = max(self.sequence, sequence) }
        switch signal.type {
        case "welcome", "resumed":
            recording = signal.recording ?? recording
            let known = (signal.nodes ?? []).compactMap { NodeURL($0) }
            if !known.isEmpty { nodes = known }
        case "recording_status": recording = signal.recording ?? recording
        case "move": if attachment === current { move(to: signal.wsURLs ?? [], within: .milliseconds(signal.deadline ?? 0)) }
        case "bye": farewell(signal.reason ?? "", on: attachment)
        default: break
        }
    }

    // MARK: Packets

    /// Sends the frames due; all tracks begin together, once the node listens.
    /// - Returns: when to come again.
    func sendDue(now: Instant, wall: WallTime) -> Instant? {
        guard attachments.contains(where: \.isConnected) else { return nil }
        var next: Instant?
        for index in sends.indices {
            if !sends[index].isStarted { sends[index].begin(now: now) }
            for packet in sends[index].takeDue(now: now, wall: wall) { attachments[packet.outlet].transmit(packet, track: index) }
            if let due = sends[index].due { next = min(next ?? due, due) }
        }
        return next
    }
    func report(now: Instant, wall: WallTime) { for attachment in [current].compactMap({ $0 }) + leaving { attachment.report(now: now, wall: wall) } }
    func askAgain(now: Instant) { for attachment in [current].compactMap({ $0 }) + leaving { attachment.askAgain(now: now) } }

    func arrived(_ payload: UnsafeRawBufferPointer, of stream: ReceiveStream, endsFrame: Bool, at: Int64) {
        continuity[stream.trackID, default: TrackContinuity(kind: stream.codec.kind)].note(Stamp(endOf: payload), endsFrame: endsFrame, at: at)
    }
}
