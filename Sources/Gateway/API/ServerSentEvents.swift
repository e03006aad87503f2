// Answers without an end: what changes, as server-sent events (WHATWG HTML §9.2), by looking at it again and again.
internal import EventLoop
internal import Primitives
internal import Synchronization

/// So many streams are open at once, and no more.
final class ServerSentEvents: Sendable {
    enum Limits {
        static let look = Duration.milliseconds(500)
        /// A comment, so that a client that is gone is noticed.
        static let heartbeat = Duration.seconds(15)
        /// Looks in a row that may fail.
        static let failures = 120
    }
    /// What a look came to.
    enum Look: Sendable {
        case unchanged
        case text(String)
        /// The stream's last.
        case last(String)
    }
    private let most: Int
    private let loop: any Loop
    private let open = Atomic<Int>(0)
    init(most: Int, loop: any Loop) { self.most = most; self.loop = loop }

    /// - Parameters:
    ///   - state: what the looks keep in mind.
    ///   - look: asked until the client is gone or it says `last`; what it throws is a look that failed, but for `isFinal`.
    func answer<State: Sendable>(_ state: State, _ look: @escaping @Sendable (inout State) async throws -> Look) throws(Failure) -> HTTPResponse {
        guard open.add(1, ordering: .relaxed).newValue <= most else {
            open.subtract(1, ordering: .relaxed)
            throw Failure(503, "too_many_streams", "\(most) event streams are open at this node; use another")
        }
        let stream = Stream(self, state, look)
        return HTTPResponse(status: 200, headers: [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")], live: { await stream.next() })
    }

    /// Confined to the loop; its place is given back when the last holder lets go of it.
    private final class Stream<State: Sendable>: @unchecked Sendable {
        private let streams: ServerSentEvents
        private let look: @Sendable (inout State) async throws -> Look
        private var state: State
        private var failures = 0
        private var hasEnded = false

        init(_ streams: ServerSentEvents, _ state: State, _ look: @escaping @Sendable (inout State) async throws -> Look) {
            self.streams = streams; self.state = state; self.look = look
        }
        deinit { streams.open.subtract(1, ordering: .relaxed) }

        /// The next piece of the body; nil ends it.
        func next() async -> [UInt8]? {
            let loop = streams.loop, quiet = loop.now + Limits.heartbeat
            while !Task.isCancelled, !hasEnded {
                var state = state
                let found = try? await look(&state)
                self.state = state
                failures = found == nil ? failures + 1 : 0
                switch found {
                case .text(let text): return Array(text.utf8)
                case .last(let text):
                    hasEnded = true
                    return Array(text.utf8)
                case .unchanged, nil: break
                }
                guard failures < Limits.failures else { return nil }
                guard loop.now < quiet else { return Array(":\n\n".utf8) }
                do { try await loop.sleep(for: Limits.look) } catch { return nil }
            }
            return nil
        }
    }
}
