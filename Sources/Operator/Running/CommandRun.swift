// One command, from its question to what is shown of the answer.
internal import Cluster
internal import Contracts
internal import EventLoop
internal import Glibc
internal import Primitives

/// Confined to the loop.
final class CommandRun: @unchecked Sendable {
    enum Limits {
        /// Between two looks at a drain, and at the feed.
        static let look = Duration.milliseconds(300)
        /// Before a question that failed is asked again by what goes on for long.
        static let pause = Duration.seconds(1)
        /// Failures in a row that a long look outlasts.
        static let failures = 60
    }
    private let invocation: Invocation
    private let loop: UVLoop
    private let client: ClusterClient
    private var isTerminal: Bool { Console.isTerminal && !invocation.isJSON }

    init(_ invocation: Invocation, loop: UVLoop) throws {
        self.invocation = invocation
        self.loop = loop
        client = try ClusterClient(invocation, loop: loop)
    }

    func run() async -> ExitCode {
        do {
            let status = try await carryOut()
            await client.close()
            return status
        } catch {
            // Whatever the question became of it: somebody pressed Ctrl-C.
            if Task.isCancelled {
                if isTerminal { Console.out("\n") }
                return .interrupted
            }
            let failure = CommandFailure(error)
            if invocation.isJSON { Console.out(failure.json.text + "\n") }
            Console.error("troupectl: \(failure.message)\n")
            await client.close()
            return failure.status
        }
    }

    private func carryOut() async throws -> ExitCode {
        switch invocation.order {
        case .nodes:
            let nodes = try await client.ask { try await $0.nodes(.cluster) }
            show(nodes.json) { NodeViews.nodes(nodes, asked: client.asked, terminal: $0) }
        case .rooms(let query):
            let page = try await client.ask { try await $0.rooms(query, .cluster) }
            show(page.json) { RoomViews.rooms(page, now: loop.wall, terminal: $0) }
        case .room(let id):
            guard let room = try await client.ask({ try await $0.room(id, .cluster) }) else { throw CommandFailure(.failed, code: "unknown_room", "no room has this id or meeting code; `troupectl rooms` lists those that are held") }
            show(room.json) { RoomViews.room(room, terminal: $0) }
        case .move(let room, let node):
            let report = try await client.ask(within: ClusterClient.Limits.order) { try await $0.move(room, to: node) }
            show(report.json) { _ in OrderViews.move(report) }
        case .pin(let room, let node):
            let report = try await client.ask { try await $0.pin(room, to: node) }
            show(report.json) { _ in OrderViews.pin(report) }
        case .drain(let node, let seconds, let waits): return try await drain(node, seconds, waits)
        case .undrain(let node):
            let report = try await client.ask { try await $0.undrain(node) }
            show(report.json) { _ in OrderViews.drain(report) }
        case .rebalance(let order):
            let report = try await client.ask(within: ClusterClient.Limits.order) { try await $0.rebalance(order, .cluster) }
            show(report.json) { OrderViews.rebalance(report, terminal: $0) }
            if order == .begin, report.state == .running, !invocation.isJSON { Console.out("`troupectl rebalance --status` shows how far it is, `--stop` stops it\n") }
        case .recordings(let query):
            let list = try await client.ask { try await $0.recordings(query) }
            show(list.json) { RoomViews.recordings(list, terminal: $0) }
        case .jobs(let limit):
            let list = try await client.ask { try await $0.jobs(limit) }
            show(list.json) { RoomViews.jobs(list, now: loop.wall, terminal: $0) }
        case .chaos(let order):
            let verdict = try await ChaosRun(order, client: client, loop: loop) { [invocation] in if !invocation.isJSON { Console.error("troupectl: \($0)\n") } }.run()
            show(verdict.json) { _ in verdict.text }
            return verdict.isPassed ? .done : .failed
        case .top(let interval, let once): try await top(interval, once)
        case .events(let query, let follows): try await events(query, follows)
        case .names(ofRooms: false): Console.out(client.names.map { "\($0)\n" }.joined())
        case .names(ofRooms: true):
            let page = try await client.ask { try await $0.rooms(RoomQuery(limit: RoomQuery.Limits.pageMost), .cluster) }
            Console.out(page.rooms.map { "\($0.id)\n" }.joined())
        case .completion, .help, .version: break
        }
        return .done
    }
    private func show(_ json: JSON, _ text: (_ terminal: Int?) -> String) {
        Console.out(invocation.isJSON ? json.text + "\n" : text(Console.columns))
    }

    // MARK: What goes on

    private func drain(_ node: NodeName, _ seconds: Double, _ waits: Bool) async throws -> ExitCode {
        var report = try await client.ask { try await $0.drain(node, seconds: seconds) }
        guard waits else {
            show(report.json) { _ in OrderViews.drain(report) }
            return .done
        }
        var last = ""
        func progress() {
            let line = invocation.isJSON ? report.json.text : OrderViews.progress(report)
            guard line != last else { return }
            last = line
            Console.out(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
        }
        while !report.isOver {
            progress()
            try await loop.sleep(for: Limits.look)
            let nodes = try await client.ask { try await $0.nodes(.cluster) }
            guard let found = nodes.first(where: { $0.name == node }) else { throw CommandFailure(.failed, code: "node_gone", "\(node) is no part of the cluster any more") }
            if found.isAway { throw CommandFailure(.tryAgain, code: "node_away", "\(node) does not answer any more (\(found.reason ?? "away")); `troupectl nodes` shows whether it comes back") }
            guard let drain = found.drain else { throw CommandFailure(.failed, code: "undrained", "somebody let \(node) take work again before it was empty") }
            report = drain
        }
        if isTerminal, !last.isEmpty { Console.out("\r\u{1B}[K") }
        show(report.json) { _ in OrderViews.drain(report) }
        return report.state == .drained ? .done : .failed
    }

    private func top(_ interval: Duration, _ once: Bool) async throws {
        while true {
            try await enduring(once) { [self] in
                let samples = try await client.ask { try await $0.top(.cluster) }
                if isTerminal, !once { Console.out("\u{1B}[H\u{1B}[2J") }
                show(samples.json) { NodeViews.top(samples, terminal: $0) }
            }
            if once { return }
            if !isTerminal, !invocation.isJSON { Console.out("\n") }
            try await loop.sleep(for: interval)
        }
    }
    private func events(_ query: EventQuery, _ follows: Bool) async throws {
        var query = query
        while true {
            var isAtEnd = true
            try await enduring(!follows) { [self] in
                let feed = try await client.ask { [query] in try await $0.events(query) }
                if !follows { show(feed.json) { _ in RoomViews.events(feed, since: query.since) } } else if invocation.isJSON { Console.out(feed.events.map { $0.json.text + "\n" }.joined()) } else { Console.out(RoomViews.events(feed, since: query.since)) }
                query.since = feed.cursor
                isAtEnd = feed.events.count < query.rows
            }
            guard follows else { return }
            if isAtEnd { try await loop.sleep(for: Limits.look) }
        }
    }
    /// What goes on for long outlasts nodes that come and go.
    private func enduring(_ once: Bool, _ look: () async throws -> Void) async throws {
        for attempt in 1... {
            do { return try await look() } catch {
                let failure = CommandFailure(error)
                guard !once, !(error is CancellationError), failure.status == .tryAgain || failure.status == .unreachable, attempt < Limits.failures else { throw error }
                Console.error("troupectl: \(failure.message); trying again\n")
                try await loop.sleep(for: Limits.pause)
            }
        }
    }
}
