// One run: a room, its clients, the measured time, the report.
internal import EventLoop
internal import FoundationEssentials
internal import Glibc
internal import Primitives
internal import Transport
internal import WebRTC

/// Everything happens on the media loop, which is the main thread's.
final class LoadRun: @unchecked Sendable {
    enum Limits {
        static let connectTime = Duration.seconds(20)       // until everybody receives
        static let drainTime = Duration.milliseconds(500)   // for packets and repairs on their way
        static let recordingTime = Duration.seconds(60)     // until a stopped recording is finished
        static let requestTime = Duration.seconds(20)
        static let look = Duration.milliseconds(20)
        static let goodbyeTime = Duration.milliseconds(200)
        static let reportSlots = 10                         // clients report in turn, each once a second
        static let repairTurn = Duration.milliseconds(20)
        static let lead = 50                                // subscribers a room is made for beyond those that come
    }
    let options: Options
    private let media: MediaLoop
    private let random = SystemRandom()
    private var participants: [Participant] = []
    private var failures: [String] = []
    private var roomID = ""
    private var began: Int64 = 0
    private var measured: Report.Measured?
    private var recording: ServerSignal.Recording?
    private var isInterrupted = false
    private var isSending = true
    private var sentUntil: Int64?           // wall clock, µs
    private var sendTimer: TimerToken?
    private var timers: [RepeatingTimer] = []
    private var reportSlot = 0
    private(set) var status: Int32 = 1

    private var loop: UVLoop { media.loop }

    init(_ options: Options) throws {
        self.options = options
        let loopback = SocketAddress(host: "127.0.0.1", port: 0)!
        let now = WallTime(seconds: Int64(time(nil)))
        media = try MediaLoop(name: "troupe-load", bind: loopback, pipeBind: loopback, certificate: DTLSCertificate.selfSigned(now: now), random: random)
    }

    /// Runs on the calling thread until the report is printed.
    func run() -> Int32 {
        loop.post { self.begin() }
        loop.run()
        return status
    }
    private func begin() {
        for number in [SIGINT, SIGTERM] {
            do { try loop.onSignal(number) { self.isInterrupted = true } } catch { failures.append("\(error)") }
        }
        loop.spawn {
            await self.work()
            self.media.shutDown()
            self.loop.stop()
        }
    }

    private func work() async {
        began = loop.wall.microseconds
        do {
            let web = try WebClient(loop: loop, trust: Trust(authority: options.authority, insecure: options.insecure))
            do { try await meet(web) } catch { failures.append("\(error)") }
            for participant in participants { participant.leave() }
            try? await loop.sleep(for: Limits.goodbyeTime)
            await web.close()
        } catch { failures.append("\(error)") }
        print()
    }

    /// From the room to the end of the measured time.
    private func meet(_ web: WebClient) async throws {
        let files = try EncodedFiles.load(options.material)
        let host = try await openRoom(web)
        startTimers()
        for index in 0..<(options.publishers + options.subscribers) where !isInterrupted {
            try await admit(index, files, host: index == 0 ? host : nil, web)
        }
        let isComplete = await waitUntilEverybodyReceives()
        if options.records, let host = participants.first { try await record(host) { await self.measure() } } else { await measure() }
        isSending = false
        sentUntil = loop.wall.microseconds
        try? await loop.sleep(for: Limits.drainTime)
        status = isComplete && failures.isEmpty && participants.allSatisfy({ $0.failures.isEmpty }) ? 0 : 1
    }

    // MARK: Joining

    /// - Returns: the host's place in a room of our own.
    private func openRoom(_ web: WebClient) async throws -> Credentials? {
        guard let title = options.createTitle else {
            roomID = options.room ?? ""
            return nil
        }
        let body = CreateBody(title: title, host_name: "host", max_participants: options.publishers + options.subscribers + Limits.lead)
        let answer = try await web.request("POST", options.urls[0], "/api/v1/sessions/create", body: body.json).decode(CreateAnswer.self, doing: "creating a room")
        let host = Credentials(session_id: answer.session_id, participant_id: answer.host.participant_id, token: answer.host.token)
        roomID = host.session_id
        if let path = options.hostFile { try write(host.json, to: path) }
        say("room \(roomID)")
        return options.publishers > 0 ? host : nil
    }
    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw WebError("cannot write \(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw WebError("cannot write \(path)") }
    }
    private func admit(_ index: Int, _ files: EncodedFiles, host: Credentials?, _ web: WebClient) async throws {
        let publishes = index < options.publishers
        let url = publishes ? options.publishURL ?? options.urls[index % options.urls.count] : options.urls[index % options.urls.count]
        let name = publishes ? "publisher-\(index + 1)" : "subscriber-\(index + 1 - options.publishers)"
        let participant = Participant(
            name: name, sources: publishes ? options.material.sources(files) : [], url: url, media: media, bind: SocketAddress(host: options.bind, port: 0)!, random: random, resumes: options.resumes)
        participants.append(participant)
        do {
            let place = if let host { host } else {
                try await web.request("POST", url, "/api/v1/sessions/\(roomID)/join", body: JoinBody(display_name: name).json).decode(Credentials.self, doing: "joining")
            }
            roomID = place.session_id
            try await participant.join(web, with: place)
        } catch { participant.note("\(error)") }
    }
    /// - Returns: whether they all do.
    private func waitUntilEverybodyReceives() async -> Bool {
        let end = loop.now + Limits.connectTime
        while !isInterrupted {
            let waiting = participants.filter { !isReady($0) }
            if waiting.isEmpty { return true }
            guard loop.now < end else {
                for one in waiting { one.note(one.isConnected ? "received \(one.receives.count) tracks in time" : "no media connection in time") }
                return false
            }
            try? await loop.sleep(for: Limits.look)
        }
        return false
    }
    private func isReady(_ participant: Participant) -> Bool {
        if participant.publishes { return participant.isConnected }
        let expected = participants.filter(\.publishes).reduce(0) { $0 + $1.sends.count }
        return participant.isConnected && !participant.receives.isEmpty && participant.receives.count >= expected
            && participant.receives.allSatisfy { $0.firstArrival != nil }
    }

    // MARK: Measuring

    private func measure() async {
        say("measuring for \(options.seconds) s")
        let start = loop.now, before = received(), own = ProcessTime.own, server = options.watchedProcess.flatMap { ProcessTime.seconds(of: $0) }
        let end = start + .nanoseconds(Int64(options.seconds * 1e9))
        while loop.now < end, !isInterrupted { try? await loop.sleep(for: min(Limits.look, end - loop.now)) }
        let after = received()
        var result = Report.Measured(
            seconds: (loop.now - start).inSeconds, packets: after.packets - before.packets, lost: after.lost - min(before.lost, after.lost), client_cpu_seconds: ProcessTime.own - own)
        if let server, let process = options.watchedProcess, let now = ProcessTime.seconds(of: process) {
            result.server_cpu_seconds = now - server
            if result.packets > 0 { result.server_cpu_seconds_per_million_packets = (now - server) / Double(result.packets) * 1e6 }
        }
        measured = result
    }
    private func received() -> ReceivedCounts { participants.reduce(into: ReceivedCounts()) { $0 += $1.receivedCounts } }

    private func record(_ host: Participant, during body: () async -> Void) async throws {
        try await host.request("start_recording", within: Limits.requestTime)
        say("recording")
        await body()
        try await host.request("stop_recording", within: Limits.requestTime)
        let end = loop.now + Limits.recordingTime
        while loop.now < end, host.recording?.state != "ready", host.recording?.state != "failed" { try? await loop.sleep(for: Limits.look) }
        recording = host.recording
        if recording?.state != "ready" { failures.append("the recording is \(recording?.state ?? "unknown")\(recording?.reason.map { ": " + $0 } ?? "")") }
    }

    // MARK: Timers

    private func startTimers() {
        sendTimer = loop.reusableTimer { [unowned self] in sendRound() }
        sendRound()
        timers.append(loop.every(Limits.repairTurn) { [unowned self] in
            for participant in participants { participant.askAgain(now: loop.now) }
        })
        timers.append(loop.every(.milliseconds(1000 / Limits.reportSlots)) { [unowned self] in
            for index in stride(from: reportSlot, to: participants.count, by: Limits.reportSlots) { participants[index].report(now: loop.now, wall: loop.wall) }
            reportSlot = (reportSlot + 1) % Limits.reportSlots
        })
    }
    private func sendRound() {
        guard isSending else { return }
        var next = loop.now + Limits.look
        for participant in participants where participant.publishes {
            if let due = participant.sendDue(now: loop.now, wall: loop.wall) { next = min(next, due) }
        }
        if let sendTimer { loop.setTimer(sendTimer, to: next) }
    }

    // MARK: Telling

    private func print() {
        let drops = Dictionary(media.counters().allDrops.map { ("\($0.reason)", $0.count) }, uniquingKeysWith: +)
        let report = Report(
            roomID: roomID, participants: participants, began: began, ended: loop.wall.microseconds, sentUntil: sentUntil ?? loop.wall.microseconds, measured: measured, recording: recording, drops: drops, failures: failures)
        if !failures.isEmpty { status = 1 }
        Console.out((options.json ? report.json : report.text) + "\n")
    }
    private func say(_ line: String) { if !options.quiet { Console.error("troupe-load: \(line)\n") } }
}

enum Console {
    static func out(_ text: String) { put(text, STDOUT_FILENO) }
    static func error(_ text: String) { put(text, STDERR_FILENO) }
    private static func put(_ text: String, _ descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress!, $0.count) }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
