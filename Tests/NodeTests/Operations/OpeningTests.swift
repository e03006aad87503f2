// A client that comes while others begin to publish.
import Contracts
import EventLoop
import Glibc
import Primitives
import Synchronization
import Testing

@testable import Conference

/// What a client is sent.
private final class Told: SignallingConnection {
    private let messages = Mutex<[ServerMessage]>([])
    func send(_ message: ServerMessage) { messages.withLock { $0.append(message) } }
    func close(code: UInt16, reason: String) {}
    var isWelcome: Bool { messages.withLock { $0.contains { if case .welcome = $0 { true } else { false } } } }
    var offers: Int { messages.withLock { $0.count { if case .offer = $0 { true } else { false } } } }
}

extension Edge {
    private func session(_ id: ParticipantID) -> Participant? { sessions.first { $0.assumeIsolated { $0.info.id == id } } }
    fileprivate func attachment(of id: ParticipantID) -> UInt64? { session(id)?.assumeIsolated { $0.attachment } }
    fileprivate func subscriptions(of id: ParticipantID) -> Int? { session(id)?.assumeIsolated { $0.media?.subscriptions.count } }
}

@Suite(.serialized, .timeLimit(.minutes(1))) struct OpeningTests {
    /// While its PeerConnection is being made, a track is published: it waits for the first offer to be answered, and makes no second
    /// PeerConnection with an offer of its own. The media loop is held up, so that there is time for it.
    @Test func aTrackPublishedMeanwhileWaits() async throws {
        try await withOperatedCluster(["n1"]) { cluster in
            let node = cluster["n1"], context = node.context, room: RoomID = "R_1"
            try await cluster.wake(room, from: "n1")
            func attach(_ name: ParticipantID, _ connection: Told, autoSubscribe: Bool) async throws {
                try await node.run { _ in
                    var caller = Caller()
                    (caller.identity, caller.room, caller.canJoin) = (name.rawValue, room, true)
                    _ = try await LocalConference(context: context).attach(connection, room: room, participant: name, caller: caller, autoSubscribe: autoSubscribe)
                }
            }
            func publish(_ track: TrackID) async throws {
                try await node.run { _ in
                    let info = PublicationInfo(trackID: track, participantID: "P_a", kind: .audio, source: .microphone, codec: "opus", muted: false)
                    let router = context.edge.router(for: room).address(of: context.edge.plane(of: room))
                    let number = try #require(context.edge.attachment(of: "P_a"))
                    try await context.room(room).publish(Publication(info: info, router: router, attachment: number), by: "P_a", attachment: number)
                }
            }
            try await attach("P_a", Told(), autoSubscribe: false)
            try await publish("T_1")
            let told = Told(), isHeld = Atomic<Bool>(true)
            node.media.uvLoop.post { while isHeld.load(ordering: .acquiring) { usleep(1000) } }
            async let attached: Void = attach("P_b", told, autoSubscribe: true)
            try await until("P_b is in the room") { told.isWelcome }
            try await publish("T_2")
            isHeld.store(false, ordering: .releasing)
            try await attached
            try await until("both tracks are subscribed to, by one PeerConnection", within: .seconds(5)) {
                try await node.run { _ in context.edge.subscriptions(of: "P_b") == 2 }
            }
            #expect(told.offers == 1, "the second track is offered when the first offer is answered")
        }
    }
}
