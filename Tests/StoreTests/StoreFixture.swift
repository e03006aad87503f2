import Contracts
import Glibc
import Primitives
import Store

/// A folder of its own for one test, removed with it.
final class TemporaryFolder: Sendable {
    let path: String
    init() {
        var template = Array("/tmp/troupe-store-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }
    deinit {
        for name in ["troupe.db", "troupe.db-wal", "troupe.db-shm", "deep/er/troupe.db", "deep/er/troupe.db-wal", "deep/er/troupe.db-shm"] { unlink("\(path)/\(name)") }
        for name in ["deep/er", "deep", ""] { rmdir("\(path)/\(name)") }
    }
    var database: String { "\(path)/troupe.db" }
    func permissions(_ name: String) -> mode_t {
        var status = stat()
        return stat("\(path)/\(name)", &status) == 0 ? status.st_mode & 0o777 : 0
    }
}

enum Sample {
    static let start = WallTime(seconds: 1_900_000_000)
    static func room(_ id: RoomID = "room-a", code: String = "abc-def", ended: WallTime? = nil) -> RoomRecord {
        RoomRecord(id: id, meetingCode: code, title: "Übung ‘1’", hostName: "Ann", mode: .sfu, maxParticipants: 12, recordingPolicy: nil, region: "eu", createdAt: start, endedAt: ended)
    }
    static func admission(_ room: RoomID = "room-a", _ participant: ParticipantID = "p-host", role: ParticipantRole = .host) -> AdmissionRecord {
        AdmissionRecord(roomID: room, participantID: participant, name: "Ann", role: role, admittedAt: start)
    }
    static func recording(_ id: RecordingID, room: RoomID = "room-a", state: RecordingState = .recording, recorder: NodeName = "node-1", epoch: UInt64 = 1, at: Int64 = 0) -> RecordingRecord {
        RecordingRecord(status: RecordingStatus(recordingID: id, roomID: room, state: state), recorder: recorder, epoch: Epoch(epoch), startedAt: start + .seconds(at), title: "Talk")
    }
}
