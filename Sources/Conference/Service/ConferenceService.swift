// What every wire (HTTP, WebSocket, later Socket.IO and WHIP) asks of the conference. Each wire is a codec in front of this.
import Contracts
import Primitives

/// Who calls: what the presented credential grants.
package struct Caller: Sendable, Equatable {
    /// A token's `sub`, or an admitted participant's id; nil for an anonymous caller.
    package var identity: String?
    /// The one room the credential is bound to, where it is.
    package var room: RoomID?
    /// Known by a bare participant id, without a token: good for one attachment.
    package var isBare = false
    package var canJoin = false
    package var canCreate = false
    package var canList = false
    package var canAdmin = false
    package var canRecord = false
    package var canPublish = true
    package var canSubscribe = true
    package var name: String?
    package var metadata: String?
    /// The credential is a token that works once: what it is good for the store knows.
    package var singleUse: TokenHash?
    package init() {}
}

package struct CreateSession: Sendable {
    package var title: String
    package var hostName: String
    package var mode: SessionMode
    package var maxParticipants: Int?
    package var recordingPolicy: RecordingPolicy?
    package var region: String?
    package init(title: String, hostName: String, mode: SessionMode = .sfu, maxParticipants: Int? = nil, recordingPolicy: RecordingPolicy? = nil, region: String? = nil) {
        self.title = title; self.hostName = hostName; self.mode = mode; self.maxParticipants = maxParticipants
        self.recordingPolicy = recordingPolicy; self.region = region
    }
}

package struct CreatedSession: Sendable {
    package var room: RoomRecord
    package var host: ParticipantID
    package init(room: RoomRecord, host: ParticipantID) { self.room = room; self.host = host }
}

/// A room as `GET /api/v1/sessions/{id}` shows it.
package struct SessionDescription: Codable, Sendable {
    package var room: RoomRecord
    package var participants: [ParticipantInfo]
    package var publications: [PublicationInfo]
    package var recording: RecordingStatus?
    /// Where the Room actor lives and under which claim; shown to admins.
    package var node: NodeName?
    package var epoch: Epoch?
    package init(room: RoomRecord, participants: [ParticipantInfo], publications: [PublicationInfo], recording: RecordingStatus?, node: NodeName?, epoch: Epoch?) {
        self.room = room; self.participants = participants; self.publications = publications; self.recording = recording; self.node = node; self.epoch = epoch
    }
}

/// One client's signalling connection as the conference sees it. Called on the control loop only.
package protocol SignallingConnection: AnyObject, Sendable {
    /// Sends one message; bounded behind: a client that does not read is closed with `slow_reader`.
    func send(_ message: ServerMessage)
    /// Closes after what was sent has left. `code` is a WebSocket close code (RFC 6455 §7.4).
    func close(code: UInt16, reason: String)
}

/// What a gateway hands a connection's messages to. Called on the control loop only.
package protocol SignallingSession: AnyObject, Sendable {
    func receive(_ message: ClientMessage)
    /// The connection is gone, without a `bye`.
    func connectionLost()
}

package protocol ConferenceService: Sendable {
    func createSession(_ request: CreateSession, caller: Caller) async throws -> CreatedSession
    /// By room id or meeting code.
    func session(_ idOrCode: String, caller: Caller) async throws -> SessionDescription
    func endSession(_ id: RoomID, caller: Caller) async throws
    /// Admits a participant; the returned id is what the WebSocket presents.
    /// - Parameters:
    ///   - guest: of an invitation, which the join uses up.
    ///   - recordingConsent: false where it refuses to be recorded; nil where it was not asked.
    func join(_ idOrCode: String, displayName: String, guest: TokenHash?, recordingConsent: Bool?, caller: Caller) async throws -> AdmissionRecord
    /// Keeps an invitation to the room, by its token's hash.
    func invite(to room: RoomID, _ hash: TokenHash, caller: Caller) async throws -> TokenRecord
    /// What a presented `participant_id` is worth in a room; nil when it was never admitted.
    func caller(room: RoomID, participant: ParticipantID) async throws -> Caller?
    func mute(_ participant: ParticipantID, in room: RoomID, track: TrackID?, muted: Bool, caller: Caller) async throws
    func remove(_ participant: ParticipantID, from room: RoomID, caller: Caller) async throws
    /// Answers once packets are being captured.
    /// - Parameter people: participants it leaves out, beside those who refuse.
    func startRecording(_ room: RoomID, excluding people: [ParticipantID], caller: Caller) async throws -> RecordingStatus
    /// Whom the running recording leaves out from now on, all of them.
    func excludeFromRecording(_ people: [ParticipantID], in room: RoomID, caller: Caller) async throws -> RecordingStatus
    func stopRecording(_ room: RoomID, caller: Caller) async throws -> RecordingStatus
    func recording(_ id: RecordingID, caller: Caller) async throws -> RecordingRecord
    func recordings(room: RoomID?, caller: Caller) async throws -> [RecordingRecord]
    func deleteRecording(_ id: RecordingID, caller: Caller) async throws -> RecordingRemoval
    /// A client continues at this node what it began at another; sends `resumed` before it returns.
    /// Throws `RoomCore.unknownSession` where the room does not know the session any more.
    func resume(_ connection: any SignallingConnection, _ request: ResumeRequest) async throws -> any SignallingSession
    /// Opens a participant's signalling session at this node; sends `welcome` before it returns.
    func attach(_ connection: any SignallingConnection, room: RoomID, participant: ParticipantID, caller: Caller, autoSubscribe: Bool) async throws -> any SignallingSession
}
