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
        static let heartbeat = Duration.seconds(5)
        /// An edge's answer to one request: the Room's patience and one call more.
        static let answer: Int64 = 22_000_000_000
        /// Milliseconds between two deeds.
        static let pause: ClosedRange<Int64> = 1000...11_000
        static let goneFor: ClosedRange<Int64> = 50...4000
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
    private var waiting: [Int64: (text: String, since: Int64, stalled: Int64)] = [:]
    private(set) var mediaSide: ClientMedia?
    private(set) var connects = 0

    init(_ name: String, room: Int, hasMedia: Bool, _ scenario: ConferenceScenario) {
        self.hasMedia = hasMedia
        self.name = name
        self.room = room
        self.scenario = scenario
        random = SeededRandom(seed: scenario.world.random("client \(name)").state)
    }
    private func draw(_ range: ClosedRange<Int64>) -> Int64 { range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound + 1)) }

    // MARK: Life

    func live() async {
        while !scenario.isOver {
            if isInside { await act() } else { await enter() }
        }
    }
    private func pause(_ range: ClosedRange<Int64>) async { try? await loop.sleep(for: .milliseconds(draw(range))) }

    private func enter() async {
        guard let life = scenario.anyEdge(random.next()), let edge = life.belongings as? SimulatedEdge, let roomID = scenario.rooms[room] else { return await pause(200...900) }
        connects += 1
        if participant == nil {
            participant = await scenario.ask(life, within: Limits.attach) { [name] in
                try await edge.service.join(roomID.rawValue, displayName: name, caller: Caller.anyone).participantID
            }
        }
        guard let participant else { return await pause(200...1500) }
        let made = SimulatedConnection(life, scenario.cluster.wires, (scenario.clientsHost, loop))
        connection = made
        made.onMessage = { [unowned self] in hear($0, on: made) }
        made.onClose = { [unowned self] in lost(made, $0) }
        let isAttached = await scenario.ask(life, within: Limits.attach) { [hasMedia] in
            let session = try await edge.service.attach(made, room: roomID, participant: participant, caller: .token(of: participant, in: roomID), autoSubscribe: hasMedia)
            made.attached(session)
            return true
        }
        guard isAttached == true, connection === made, !made.isClosed else {
            leaveConnection()
            return await pause(200...1500)
        }
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
            say(.bye, asking: false)
            try? await loop.sleep(for: .milliseconds(300))
            leaveConnection()
            participant = nil
            await pause(Limits.goneFor)
        default: say(.heartbeat, asking: false)
        }
    }
    private func say(_ body: ClientMessage.Body, asking: Bool) {
        guard let connection else { return }
        let id = nextID
        nextID += 1
        if asking { waiting[id] = ("\(body)", world.now, connection.life.loop.stalledFor) }
        connection.say(ClientMessage(id: asking ? id : nil, body))
    }
    private func leaveConnection() {
        connection?.drop()
        connection = nil
        isInside = false
        waiting = [:]
        mediaSide?.close()
        mediaSide = nil
    }
    private func lost(_ ended: SimulatedConnection, _ reason: String) {
        guard connection === ended else { return }
        world.say("\(name) lost its connection to \(ended.life.loop.name): \(reason)")
        leaveConnection()
    }

    // MARK: Being told

    private func hear(_ message: ServerMessage, on source: SimulatedConnection) {
        guard connection === source else { return }
        lastHeard = loop.now
        switch message {
        case .welcome(let welcome):
            view.welcome(welcome)
            isInside = true
            world.note(0xE1C0, welcome.sequence)
            if hasMedia { mediaSide = ClientMedia(self, random) }
            mediaSide?.welcomed()
        case .event(let event):
            world.note(0xE0E0, event.sequence << 16 ^ event.epoch.rawValue)
            if let fault = view.apply(event) { report(fault) }
        case .ok(let id): waiting[id] = nil
        case .error(let id, _, _): if let id { waiting[id] = nil }
        case .offer(let description): mediaSide?.offered(description.sdp, source)
        case .answer(let description): mediaSide?.answered(description.sdp, source)
        default: break
        }
    }
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
            if took > Limits.answer { world.fail(.answered, "\(name)'s request \(id) (\(request.text)) to \(connection.life.loop.name) has no answer after \(took / 1_000_000) ms") }
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
