// One client: joins, talks, leaves, loses its connection, comes back; and remembers what it was told.
import Conference
import Contracts
import EventLoop
import Primitives

/// Confined to the clients' loop.
final class SimulatedClient: @unchecked Sendable {
    enum Limits {
        /// How long a client waits for `welcome` before it tries another node.
        static let attach = Duration.seconds(12)
        /// Without a word from its edge for so long it gives the connection up.
        static let silence = Duration.seconds(15)
        /// Between looks whether its edge has spoken.
        static let look = Duration.milliseconds(20)
        static let heartbeat = Duration.seconds(5)
        /// An edge's answer to one request: the Room's patience and one call more.
        static let answer: Int64 = 22_000_000_000
        /// Milliseconds between two deeds.
        static let pause: ClosedRange<Int64> = 1000...11_000
        static let goneFor: ClosedRange<Int64> = 50...4000
        /// How long it waits for `resumed` before it tries another node, and how often it tries.
        static let resume = Duration.seconds(4)
        /// Milliseconds that an impatient one waits; one try of four is.
        static let hurry: ClosedRange<Int64> = 80...800
        static let resumes = 12
        /// Nodes of a `move` it tries.
        static let moves = 4
        /// Milliseconds both connections of a move run, and until the old one is closed.
        static let overlap: ClosedRange<Int64> = 200...1500
        static let farewell: ClosedRange<Int64> = 100...4000
    }
    let name: String
    let scenario: ConferenceScenario
    let room: Int
    /// Whether it opens a PeerConnection; most only signal.
    let hasMedia: Bool
    private let random: SeededRandom
    private var loop: SimulatedLoop { scenario.clientsLoop }
    private var world: World { scenario.world }
    private(set) var participant: ParticipantID?
    private(set) var connection: SimulatedConnection?
    private(set) var view = ClientView()
    private(set) var isInside = false
    private var lastHeard = Instant.origin
    private var nextID: Int64 = 1
    private var waiting: [Int64: (body: ClientMessage.Body, since: Int64, stalled: Int64)] = [:]
    private(set) var mediaSide: ClientMedia?
    private(set) var connects = 0
    /// Of the clients most know `resume` and `move`.
    private let isModern: Bool
    private var session: SessionFacts?
    private var attempts: UInt32 = 0
    /// Tries since the session was last continued.
    private var resumes = 0
    /// It began another connection after the one it has, and gave that up.
    private(set) var hasGivenUp = false
    /// The new end of a move under way, and the old one.
    private var opening: SimulatedConnection?
    private var leaving: (connection: SimulatedConnection, media: ClientMedia?)?
    private(set) var hasSaidGoodbye = false
    /// Tracks that go on at the next connection.
    private var tracks: [String] = []
    private var words = ClientWords()
    /// What it presented when it came back.
    private var presented: SessionFacts?

    init(_ name: String, room: Int, hasMedia: Bool, _ scenario: ConferenceScenario) {
        self.hasMedia = hasMedia
        self.name = name
        self.room = room
        self.scenario = scenario
        random = SeededRandom(seed: scenario.world.random("client \(name)").state)
        isModern = random.next() % 5 != 0
    }
    private func draw(_ range: ClosedRange<Int64>) -> Int64 { range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound + 1)) }

    // MARK: Life

    func live() async {
        while !scenario.isOver {
            if isInside { await act() } else { await enter() }
        }
    }
    private func pause(_ range: ClosedRange<Int64>) async { try? await loop.sleep(for: .milliseconds(draw(range))) }
    /// Every connection that it has.
    var connections: [SimulatedConnection] { [connection, opening, leaving?.connection].compactMap(\.self) }

    private enum Entry: Sendable { case attached, unknownSession }

    private func enter() async {
        guard let life = scenario.anyEdge(random.next()), let edge = life.belongings as? SimulatedEdge, let roomID = scenario.rooms[room] else { return await pause(200...900) }
        connects += 1
        // The session it had is tried some times, then it joins as whom it was.
        if let session, resumes < Limits.resumes {
            resumes += 1
            guard await come(back: session, to: life, isMove: false) else { return await pause(100...800) }
            return
        }
        session = nil
        words.forget()
        if participant == nil {
            participant = await scenario.ask(life, within: Limits.attach) { [name] in
                try await edge.service.join(roomID.rawValue, displayName: name, guest: nil, recordingConsent: nil, caller: Caller.anyone).participantID
            }
        }
        guard let participant else { return await pause(200...1500) }
        let made = open(to: life)
        connection = made
        world.say("\(name) joins at \(life.loop.name)")
        let isAttached = await scenario.ask(life, within: Limits.attach) { [hasMedia] in
            let session = try await edge.service.attach(made, room: roomID, participant: participant, caller: .token(of: participant, in: roomID), autoSubscribe: hasMedia)
            made.attached(session)
            return true
        }
        if isAttached == true, await stands(made) { return }
        if connection === made {
            world.say("\(name) is not taken at \(life.loop.name)")
            leaveConnection()
        }
        await pause(200...1500)
    }
    /// The edge has it: now the client must hear so. A new one beside it would be a second connection.
    private func stands(_ made: SimulatedConnection) async -> Bool {
        let end = loop.now + Limits.attach
        while connection === made || opening === made, !made.isClosed, loop.now < end {
            if isInside, connection === made { return true }
            try? await loop.sleep(for: Limits.look)
        }
        return false
    }
    private func open(to life: Life) -> SimulatedConnection {
        let made = SimulatedConnection(life, scenario.cluster.wires, (scenario.clientsHost, loop))
        made.onMessage = { [unowned self] in hear($0, on: made) }
        made.onClose = { [unowned self] in lost(made, $0) }
        return made
    }
    /// Goes on with a session at another edge. - Returns: whether that edge took it.
    private func come(back session: SessionFacts, to life: Life, isMove: Bool) async -> Bool {
        guard let edge = life.belongings as? SimulatedEdge else { return false }
        attempts += 1
        presented = session
        let made = open(to: life), request = ResumeRequest(session: session, lastSeen: view.sequence, attempt: attempts, isMove: isMove, features: Set(ClientFeature.allCases))
        if isMove { opening = made } else { connection = made }
        world.say("\(name) resumes at \(life.loop.name): \(session.attachment) of epoch \(session.epoch.rawValue), try \(attempts)\(isMove ? ", moving" : "")")
        let patience = random.next() % 4 == 0 ? Duration.milliseconds(draw(Limits.hurry)) : Limits.resume
        let entry = await scenario.ask(life, within: patience) { () -> Entry in
            do { made.attached(try await edge.service.resume(made, request)) } catch let error as ServiceError where error.code == RoomCore.unknownSession.code { return .unknownSession }
            return .attached
        }
        if entry == .attached, await stands(made) { return true }
        if opening === made {
            hasGivenUp = true
            opening = nil
            made.drop()
        } else if connection === made {
            leaveConnection()
            // The room has forgotten it: it is somebody new.
            if entry == .unknownSession { forget() }
        }
        return false
    }
    /// It was told to go elsewhere: both connections run until the new one stands.
    private func move(_ order: MoveOrder) async {
        for name in order.nodes.prefix(Limits.moves) {
            guard opening == nil, leaving == nil, isInside, let session else { return }
            guard let life = scenario.edge(named: name), life !== connection?.life else { continue }
            if await come(back: session, to: life, isMove: true) { return }
        }
    }
    /// The new connection of a move stands: the old one says goodbye once the new one's media had time to flow.
    private func swap(to made: SimulatedConnection) {
        opening = nil
        if let connection { leaving = (connection, mediaSide) }
        mediaSide = nil
        connection = made
        waiting = [:]
        guard let old = leaving else { return }
        loop.spawn { [self] in
            await pause(Limits.overlap)
            old.connection.say(ClientMessage(.bye))
            await pause(Limits.farewell)
            letGo(old.connection)
        }
    }
    private func letGo(_ old: SimulatedConnection) {
        guard let leaving, leaving.connection === old else { return }
        old.drop()
        leaving.media?.close()
        self.leaving = nil
    }
    private func act() async {
        await pause(Limits.pause)
        guard isInside, let connection else { return }
        guard loop.now - lastHeard < Limits.silence else {
            world.say("\(name) gives up its silent connection")
            return leaveConnection()
        }
        checkAnswers()
        guard !scenario.isQuiet else { return say(.heartbeat, asking: false) }
        switch random.next() % 100 {
        case 0..<45: say(.chat(text: "\(name)-\(nextID)"), asking: true)
        case 45..<60: mediaSide?.publish(connection)
        case 60..<70: mediaSide?.unpublish(connection)
        case 70..<80: if let track = view.publications.values.filter({ $0.participantID == participant }).map(\.trackID).min() {
            say(.mute(trackID: track, muted: random.next() & 1 == 0), asking: true)
        }
        case 80..<86:
            world.say("\(name) drops its connection")
            leaveConnection()
            await pause(Limits.goneFor)
        case 86..<90:
            world.say("\(name) says bye")
            hasSaidGoodbye = true
            say(.bye, asking: false)
            try? await loop.sleep(for: .milliseconds(300))
            leaveConnection()
            forget()
            await pause(Limits.goneFor)
        default: say(.heartbeat, asking: false)
        }
    }
    private func say(_ body: ClientMessage.Body, asking: Bool) {
        guard let connection else { return }
        let id = nextID
        nextID += 1
        if asking { waiting[id] = (body, world.now, connection.life.loop.stalledFor) }
        world.remark("\(name) says \(body)")
        connection.say(ClientMessage(id: asking ? id : nil, body))
    }
    /// From here on it is somebody new.
    private func forget() {
        hasSaidGoodbye = false
        (participant, session, tracks) = (nil, nil, [])
        words.forget()
    }
    private func leaveConnection() {
        if session == nil { words.forget() }
        connection?.drop()
        connection = nil
        isInside = false
        waiting = [:]
        if let mediaSide { tracks = mediaSide.tracks }
        mediaSide?.close()
        mediaSide = nil
        opening?.drop()
        opening = nil
        if let leaving { letGo(leaving.connection) }
    }
    private func lost(_ ended: SimulatedConnection, _ reason: String) {
        if opening === ended { (opening, hasGivenUp) = (nil, true) }
        if leaving?.connection === ended { letGo(ended) }
        guard connection === ended else { return }
        world.say("\(name) lost its connection to \(ended.life.loop.name): \(reason)")
        leaveConnection()
    }

    // MARK: Being told

    private func hear(_ message: ServerMessage, on source: SimulatedConnection) {
        if source === opening, case .resumed = message { swap(to: source) }
        guard connection === source else { return }
        lastHeard = loop.now
        switch message {
        case .welcome(let welcome):
            view.welcome(welcome)
            tracks = []
            entered(welcome.session)
            world.note(0xE1C0, welcome.sequence)
            mediaSide?.welcomed()
        case .resumed(let resumed):
            world.say("\(name) goes on at \(source.life.loop.name)")
            for fault in view.resume(resumed) { report(fault) }
            let kept = leaving?.media?.tracks ?? tracks
            if let presented { checkEpoch(resumed.welcome.session.epoch, since: presented.epoch) }
            words.proven(by: presented)
            entered(resumed.welcome.session)
            mediaSide?.goOn(with: kept, source)
        case .move(let order): if isModern { loop.spawn { await self.move(order) } }
        case .heartbeat(let session):
            checkEpoch(session.epoch, since: view.epoch)
            if isModern { self.session = session }
        case .event(let event):
            world.note(0xE0E0, event.sequence << 16 ^ event.epoch.rawValue)
            world.remark("\(name) is told \(event.sequence) of \(event.epoch.rawValue): \(event.kind)")
            if let fault = view.apply(event) { report(fault) }
            if case .participantLeft(let id, let reason) = event.kind, reason == .left || reason == .connectionLost, let other = scenario.inside(id, before: event) {
                world.fail(.member, "\(name) is told at \(event.sequence) of epoch \(event.epoch.rawValue) that \(other) has left (\(reason)), which is inside there since before")
            }
            if case .chat(let message) = event.kind, message.from == participant { words.heard(message.text, event.epoch, event.sequence) }
        case .ok(let id, let isKept):
            if case .chat(let text)? = waiting[id]?.body {
                world.say("\(text) is acknowledged at \(source.life.loop.name)\(isKept ? "" : ", not kept"), \(view.sequence) of \(view.epoch.rawValue)")
                if isKept { scenario.acknowledged(text, in: room) } else { words.unkept(text) }
            }
            waiting[id] = nil
        case .error(let id, let code, _):
            world.remark("\(name) is refused by \(source.life.loop.name): \(code)")
            if let id { waiting[id] = nil }
        case .offer(let description):
            world.remark("\(name) is offered something")
            mediaSide?.offered(description.sdp, source)
        case .answer(let description):
            world.remark("\(name) has its answer")
            mediaSide?.answered(description.sdp, source)
        // A try it gave up may be granted all the same.
        case .bye(.replaced) where hasGivenUp: break
        case .bye(.replaced): world.fail(.newestCounts, "\(name) has made no newer connection, and that to \(source.life.loop.name) is told of one")
        default: break
        }
    }
    private func entered(_ session: SessionFacts) {
        isInside = true
        hasGivenUp = false
        resumes = 0
        if hasMedia { mediaSide = ClientMedia(self, random) }
        guard isModern else { return }
        self.session = session
        say(.hello(Set(ClientFeature.allCases)), asking: false)
    }
    private func checkEpoch(_ epoch: Epoch, since known: Epoch) {
        if epoch < known { world.fail(.staleDecision, "\(name) is told of epoch \(epoch.rawValue) of its room after \(known.rawValue)") }
    }
    /// What it was told is said, but not kept, and what must not get lost without a word all the same: it can show that, or its edge can.
    var promised: [String] { words.promised }
    private func report(_ fault: ClientView.Fault) {
        switch fault {
        case .twice(let text): world.fail(.eventTwice, "\(name) is told \(text)")
        case .hole(let text): world.fail(.eventHole, "\(name): \(text)")
        }
    }
    /// Every request has an answer in time, while the connection stands and the edge is not stalled.
    func checkAnswers() {
        guard let connection, connection.life.isAlive, connection.life.loop.state == .running, !scenario.isCut(connection.life) else { return }
        for (id, request) in waiting.sorted(by: { $0.key < $1.key }) {
            let took = world.now - request.since - (connection.life.loop.stalledFor - request.stalled)
            if took > Limits.answer { world.fail(.answered, "\(name)'s request \(id) (\(request.body)) to \(connection.life.loop.name) has no answer after \(took / 1_000_000) ms") }
        }
    }
}

extension Caller {
    static let anyone: Caller = {
        var caller = Caller()
        caller.canJoin = true
        caller.canCreate = true
        return caller
    }()
    static func token(of participant: ParticipantID, in room: RoomID) -> Caller {
        var caller = Caller()
        caller.identity = participant.rawValue
        caller.room = room
        caller.canJoin = true
        return caller
    }
}
