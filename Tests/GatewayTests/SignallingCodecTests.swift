import Conference
import Contracts
import Glibc
import Primitives
import Testing

@testable import Gateway

/// docs/protocol and the codec say the same.
@Suite struct SignallingCodecTests {
    static let folder = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/docs/protocol"
    static let schemas: [String: JSON] = {
        var out: [String: JSON] = [:]
        for entry in StoredFiles(root: "/").list(String(folder.dropFirst())) where entry.name.hasSuffix(".json") {
            let file = OpenFile(path: folder + "/" + entry.name)!
            out[String(entry.name.dropLast(5))] = try! JSONParser.parse(file.read(at: 0, count: Int(file.size))!)
        }
        return out
    }()
    static var clientSchemas: [(String, JSON)] { schemas.filter { $0.value["x-sent-by"]?.string != "server" }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    @Test func everyTypeHasASchema() {
        #expect(Set(Self.clientSchemas.map(\.0)) == Set(ClientMessageCodec.types))
        #expect(Set(Self.schemas.filter { $0.value["x-sent-by"]?.string != "client" }.keys) == Set(Self.outgoing.map { $0.0 } + ["bye", "heartbeat"]))
    }
    @Test func examplesFitTheirSchema() throws {
        for (name, schema) in Self.schemas {
            let examples = try #require(schema["examples"]?.array)
            #expect(!examples.isEmpty)
            for example in examples { #expect(SchemaCheck.problems(example, schema) == [], "\(name): \(example.text)") }
            #expect(schema["properties"]?["type"]?["const"]?.string == name && schema["description"]?.string?.isEmpty == false)
        }
    }
    /// Whatever a client may send by its schema is read; with a required member missing neither schema nor codec takes it.
    @Test func clientExamplesAreRead() throws {
        for (name, schema) in Self.clientSchemas {
            for example in schema["examples"]?.array ?? [] where example["seq"] == nil {
                let frame = try ClientMessageCodec.decode(example.bytes)
                #expect(frame.id == example["id"]?.integer, "\(name)")
                var extended = try #require(example.object)
                extended["a_later_release"] = ["x": 1]
                #expect(try ClientMessageCodec.decode(JSON.object(extended).bytes) == frame, "unknown members are ignored")
                for member in schema["required"]?.array ?? [] {
                    var broken = try #require(example.object)
                    broken[member.string!] = nil
                    #expect(!SchemaCheck.problems(.object(broken), schema).isEmpty)
                    #expect(throws: ClientMessageError.self, "\(name) without \(member.text)") { try ClientMessageCodec.decode(JSON.object(broken).bytes) }
                }
            }
        }
    }
    @Test(arguments: [
        (#"{"type":"webrtc_offer","id":3,"sdp":"v=0","to":"p_2"}"#, ClientMessage(id: 3, .offer(SessionDescriptionMessage(to: "p_2", sdp: "v=0")))),
        (#"{"type":"webrtc_answer","sdp":"v=0"}"#, ClientMessage(.answer(SessionDescriptionMessage(sdp: "v=0")))),
        (#"{"type":"ice_candidate","candidate":"c","sdpMid":"0","sdpMLineIndex":1}"#, ClientMessage(.candidate(CandidateMessage(candidate: "c", sdpMid: "0", sdpMLineIndex: 1)))),
        (#"{"type":"ice_candidate","candidate":"","sdpMid":null}"#, ClientMessage(.candidate(CandidateMessage(candidate: "")))),
        (#"{"type":"heartbeat"}"#, ClientMessage(.heartbeat)),
        (#"{"type":"publish","track_id":"{ab}","mid":"1","source":"screen_share","muted":true}"#, ClientMessage(.publish(trackID: "{ab}", mid: "1", source: .screenShare, muted: true))),
        (#"{"type":"publish","track_id":"t","source":"microphone"}"#, ClientMessage(.publish(trackID: "t", mid: nil, source: .microphone, muted: false))),
        (#"{"type":"unpublish","track_id":"t"}"#, ClientMessage(.unpublish(trackID: "t"))), (#"{"type":"subscribe","track_ids":["a","b"]}"#, ClientMessage(.subscribe(trackIDs: ["a", "b"]))),
        (#"{"type":"unsubscribe","track_id":"a"}"#, ClientMessage(.unsubscribe(trackIDs: ["a"]))), (#"{"type":"mute","track_id":"t","muted":false}"#, ClientMessage(.mute(trackID: "t", muted: false))),
        (#"{"type":"chat","text":"hé"}"#, ClientMessage(.chat(text: "hé"))), (#"{"type":"start_recording","id":0}"#, ClientMessage(id: 0, .startRecording(excluding: []))), (#"{"type":"stop_recording"}"#, ClientMessage(.stopRecording)),
        (#"{"type":"start_recording","exclude":["p_2"]}"#, ClientMessage(.startRecording(excluding: ["p_2"]))), (#"{"type":"exclude_from_recording","exclude":[]}"#, ClientMessage(.exclude([]))),
        (#"{"type":"recording_consent","consent":false}"#, ClientMessage(.recordingConsent(false))),
        (#"{"type":"bye"}"#, ClientMessage(.bye)), (#"{"type":"hello","features":["move","fly","resume"]}"#, ClientMessage(.hello([.move, .resume]))), (#"{"type":"hello"}"#, ClientMessage(.hello([]))),
    ]) func decodes(_ text: String, _ message: ClientMessage) throws { #expect(try ClientMessageCodec.decode(Array(text.utf8)) == .message(message)) }
    @Test func aResumeIsAFrameOfItsOwn() throws {
        let text = #"{"type":"resume","id":4,"token":"t","last_seq":7,"attempt":3,"move":true,"features":["move"]}"#
        #expect(try ClientMessageCodec.decode(Array(text.utf8)) == .resume(ResumeFrame(id: 4, token: "t", lastSeen: 7, attempt: 3, isMove: true, features: [.move])))
        #expect(throws: ClientMessageError.self) { try ClientMessageCodec.decode(Array(#"{"type":"resume","token":"t","last_seq":-1}"#.utf8)) }
    }

    @Test(arguments: [
        ("", nil, "malformed"), ("[]", nil, "malformed"), ("{}", nil, "malformed"), (#"{"type":7,"id":4}"#, 4, "malformed"), (#"{"type":"dance","id":4}"#, 4, "unknown_type"), (#"{"type":"chat","id":4,"text":""}"#, 4, "malformed"),
        (#"{"type":"chat","id":-1,"text":"a"}"#, nil, "malformed"), (#"{"type":"chat","id":1.5,"text":"a"}"#, nil, "malformed"), (#"{"type":"chat","id":1e300,"text":"a"}"#, nil, "malformed"), (#"{"type":"publish","id":4,"track_id":"t","source":"kitchen"}"#, 4, "malformed"),
        (#"{"type":"subscribe","id":4,"track_ids":[]}"#, 4, "malformed"), (#"{"type":"subscribe","id":4,"track_ids":[1]}"#, 4, "malformed"), (#"{"type":"ice_candidate","id":4,"candidate":"c","sdpMLineIndex":-1}"#, 4, "malformed"), (#"{"type":"mute","id":4,"track_id":"t","muted":"yes"}"#, 4, "malformed"),
    ] as [(String, Int64?, String)]) func refuses(_ text: String, _ id: Int64?, _ code: String) {
        do throws(ClientMessageError) {
            _ = try ClientMessageCodec.decode(Array(text.utf8))
            Issue.record("\(text) was taken")
        } catch {
            #expect(error.id == id && error.code == code && !error.message.isEmpty)
        }
    }

    static let info = ParticipantInfo(id: "p_1", name: "Ada", role: .host, node: "north", joinedAt: WallTime(seconds: 1_700_000_000), metadata: "m")
    static let publication = PublicationInfo(trackID: "t", participantID: "p_1", kind: .video, source: .screenShare, codec: "vp8", muted: false)
    static let status = RecordingStatus(recordingID: "rec-1", roomID: "room-1", state: .ready, reason: "short", duration: 20.25, size: 12345, outputPath: "rooms/room-1/rec-1")
    static let refusing = ParticipantInfo(id: "p_2", name: "Ben", role: .guest, node: "north", joinedAt: WallTime(seconds: 1_700_000_000), recordingConsent: false)
    static func event(_ kind: RoomEvent.Kind) -> ServerMessage { .event(RoomEvent(sequence: 9, epoch: Epoch(2), at: WallTime(seconds: 1), kind: kind)) }
    static let session = SessionFacts(
        roomID: "room-1", mode: .sfu, participantID: "p_1", name: "Ada", role: .host, joinedAt: WallTime(seconds: 1_700_000_000), metadata: "m", autoSubscribe: true, attachment: 3,
        epoch: Epoch(2), sequence: 4)
    static let welcome = Welcome(
        roomID: "room-1", title: "T", mode: .sfu, participant: info, participants: [info], publications: [publication], recording: status, session: session, pingInterval: .milliseconds(2500),
        node: "north", nodes: ["https://north:1", "https://south:2"], maxParticipants: 5, sequence: 4)
    static let missed = RoomEvent(sequence: 3, epoch: Epoch(2), at: WallTime(seconds: 1), kind: .muted("t", "p_1", true))
    static let outgoing: [(String, ServerMessage)] = [
        ("welcome", .welcome(welcome)), ("resumed", .resumed(Resumed(welcome: welcome, missed: [missed], settles: nil))), ("resumed", .resumed(Resumed(welcome: welcome, missed: nil, settles: .seconds(6)))),
        ("move", .move(MoveOrder(reason: .draining, roomID: "room-1", nodes: ["https://south:2"], deadline: .seconds(10)))), ("unknown_session", .unknownSession("join afresh")),
        ("participant_moved", event(.participantMoved(info))), ("track_moved", event(.trackMoved("t", "p_1"))), ("events_lost", event(.eventsLost(from: 8, to: 9, first: 8))), ("bye", .bye(.moved)), ("bye", .bye(.draining)),
        ("ok", .ok(id: 7)), ("ok", .ok(id: 8, isKept: false)), ("error", .error(id: nil, code: "malformed", message: "m")), ("error", .error(id: 3, code: "a_b", message: "m")), ("webrtc_offer", .offer(SessionDescriptionMessage(from: "p_2", sdp: "v=0"))),
        ("webrtc_answer", .answer(SessionDescriptionMessage(sdp: "v=0"))), ("ice_candidate", .candidate(CandidateMessage(candidate: "c", sdpMid: "0", sdpMLineIndex: 0))),
        ("heartbeat", .heartbeat(session)), ("participant_joined", event(.participantJoined(info))), ("participant_left", event(.participantLeft("p_1", .connectionLost))), ("track_published", event(.trackPublished(publication))),
        ("track_unpublished", event(.trackUnpublished("t", "p_1"))), ("muted", event(.muted("t", "p_1", true))),
        ("chat", event(.chat(ChatMessage(id: "c", from: "p_1", name: "Ada", text: "hi", at: WallTime(seconds: 1_700_000_000))))), ("recording_status", event(.recording(status))),
        ("recording_status", event(.recording(RecordingStatus(recordingID: "rec-1", roomID: "room-1", state: .recording, excluded: ["p_9"], refused: ["p_2"])))),
        ("participant_joined", event(.participantJoined(refusing))), ("bye", event(.ended)), ("bye", .bye(.removed)),
        ("subscription_updated", .subscriptionUpdated(trackID: "t", participantID: "p_1", mid: "3", subscribed: true)),
    ]
    @Test(arguments: outgoing.indices) func whatIsWrittenFitsItsSchema(_ index: Int) throws {
        let (name, message) = Self.outgoing[index]
        let json = try JSONParser.parse(ServerMessageCodec.encode(message) { _ in "sealed" })
        #expect(json["type"]?.string == name)
        #expect(SchemaCheck.problems(json, try #require(Self.schemas[name])) == [], "\(json.text)")
    }
    static func json(_ message: ServerMessage) -> JSON { ServerMessageCodec.json(message) { _ in "sealed" } }
    @Test func namesClientsRelyOn() {
        #expect(Self.json(Self.event(.recording(Self.status))).text
            == #"{"type":"recording_status","seq":9,"recording":{"recording_id":"rec-1","room_id":"room-1","state":"ready","reason":"short","duration":20.25,"size":12345,"output_path":"rooms/room-1/rec-1"},"recordingId":"rec-1","roomId":"room-1","state":"ready","duration":20.25,"size":12345,"outputPath":"rooms/room-1/rec-1"}"#)
        #expect(Self.json(Self.event(.ended)).text == #"{"type":"bye","seq":9,"reason":"ended"}"#)
        #expect(Self.json(Self.event(.muted("t", "p", true))).text == #"{"type":"muted","seq":9,"track_id":"t","participant_id":"p","muted":true}"#)
        let welcome = Self.json(Self.outgoing[0].1)
        #expect(welcome["ping_interval"] == .number(2.5) && welcome["participant"]?["id"] == "p_1" && welcome["session_id"] == "room-1" && welcome["resume_token"] == "sealed")
        #expect(Self.json(.move(MoveOrder(reason: .frozen, roomID: "r", nodes: ["https://a:1", "http://b:2"], deadline: .seconds(1))))["ws_urls"] == ["wss://a:1/ws/r", "ws://b:2/ws/r"])
    }

    /// Seeded garbage: whatever comes, an answer and no trap.
    @Test func survivesMutations() {
        let source = Array(#"{"type":"publish","track_id":"cam-\u00e9","list":[1,-2.5e3,true,null],"nested":{"a":{"b":"c"}}}"#.utf8)
        var random = SplitMix64(seed: 42)
        for _ in 0..<20_000 {
            var bytes = source
            for _ in 0..<Int.random(in: 1...4, using: &random) { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            _ = try? ClientMessageCodec.decode(bytes)
        }
    }
}
