// Frames and CBOR between nodes, journals on disk.
internal import Capture
internal import Cluster
internal import Contracts
internal import Primitives

extension FuzzTarget {
    /// Length-prefixed frames and their payloads.
    static let frame = FuzzTarget("frame", longest: 8_192, seeds: { [frames()] }, run: { cut($0) })

    /// One of each frame, as a link would carry them.
    private static func frames() -> [UInt8] {
        let buffer = CBORBuffer()
        let writer = FrameWriter(buffer)
        let room = ActorAddress.virtual(kind: "room", key: "a")
        let router = ActorAddress.instance(node: "node-1", incarnation: Incarnation(7), number: 3, shard: 0)
        try? writer.hello(Hello(versions: [1], capabilities: ["x"], member: Member(name: "node-1", incarnation: Incarnation(7), roles: ["edge", "room"], region: "eu")))
        writer.ping(1)
        writer.pong(1, received: WallTime(seconds: 1_700_000_000), sent: WallTime(seconds: 1_700_000_001))
        try? writer.call(id: 1, recipient: room, method: .name("join"), budget: .seconds(5), arguments: ["ann", 7])
        try? writer.call(id: 2, recipient: router, method: .number(4), budget: .seconds(5), arguments: [])
        try? writer.value(id: 1, "result")
        try? writer.failure(id: 2, .other(type: "E", text: "t"))
        writer.goodbye("stopping", lastCall: 2)
        let life = Life("node-2", Incarnation(3))
        let rumors: [Rumor] = [.doubt(life, revision: 2, suspects: ["node-1"], votes: []), .dead(life, votes: ["node-1"]), .complaint(life, by: "node-1", number: 1)]
        try? writer.membership(MembershipMessage(.pingRequest(4, target: "node-2"), rumors))
        writer.refusal(.dead("node-2", Incarnation(3), by: ["node-1"]))
        writer.renew()
        return buffer.array
    }

    private static func cut(_ bytes: UnsafeRawBufferPointer) {
        let middle = bytes.count / 2
        let whole = payloads([bytes])
        // The same bytes in two pieces give the same frames.
        let pieces = payloads([UnsafeRawBufferPointer(rebasing: bytes[..<middle]), UnsafeRawBufferPointer(rebasing: bytes[middle...])])
        check(whole == pieces, "cutting does not depend on how bytes arrive")
        _ = try? Frame.parse(bytes)
    }

    /// How many whole frames there are before the first bad one; each is read.
    private static func payloads(_ parts: [UnsafeRawBufferPointer]) -> Int {
        var assembler = FrameAssembler(), count = 0
        for part in parts {
            do throws(Cluster.FrameError) {
                try assembler.receive(part) { (payload) throws(Cluster.FrameError) in
                    count += 1
                    _ = try? Frame.parse(payload)
                    return true
                }
            } catch { break }
        }
        return count
    }

    /// RFC 8949 into the values calls carry; what decodes encodes, and decodes to the same.
    static let cbor = FuzzTarget("cbor", longest: 4_096) {
        let room = RoomRecord(
            id: "room-a", meetingCode: "abc", title: "T", hostName: "Ann", mode: .sfu, maxParticipants: 10, recordingPolicy: nil, region: "eu", createdAt: WallTime(seconds: 1))
        let info = ParticipantInfo(id: "p", name: "Ann", role: .host, node: "node-1", joinedAt: WallTime(seconds: 2))
        let events: [RoomEvent.Kind] = [.participantJoined(info), .participantLeft("p", .left), .muted("t", "p", true), .ended]
        let encoded: [[UInt8]?] = [try? CBOREncoder.encode(room)]
            + events.map { try? CBOREncoder.encode(RoomEvent(sequence: 1, epoch: Epoch(1), at: WallTime(seconds: 3), kind: $0)) }
        return encoded.compactMap { $0 } + [hex("9f01ff"), hex("fb3ff199999999999a"), hex("5f4201024103ff"), hex("a2616101616282f5f6")]
    } run: { bytes in
        let input = Array(bytes)
        roundTrip(RoomRecord.self, input)
        roundTrip(RoomEvent.self, input)
        roundTrip([String: [Int64?]].self, input)
        roundTrip([[UInt8]].self, input)
    }

    private static func roundTrip<T: Codable & Equatable>(_ type: T.Type, _ input: [UInt8]) {
        guard let value = try? CBORDecoder.decode(type, from: input) else { return }
        guard let encoded = try? CBOREncoder.encode(value) else { preconditionFailure("what was decoded encodes") }
        let again = try? CBORDecoder.decode(type, from: encoded)
        check(again == value, "encoding and decoding give the value back")
    }

    /// The packet journal, torn and damaged included.
    static let journal = FuzzTarget("journal", longest: 8_192) {
        let header = JournalHeader(
            recording: "rec", room: "room", track: "t", participant: "p", kind: .video, source: "camera", codec: .vp8, payloadTypes: [.init(96, .vp8)],
            writer: "node-1", epoch: Epoch(1), wallStart: WallTime(seconds: 1))
        var segment = JournalEncoder.header(header)
        hex("8060 0001 00000001 12345678 10 02 9d012a").withUnsafeBytes { _ = JournalEncoder.record(.rtp, receivedAt: 1_000_000, $0, into: &segment) }
        JournalEncoder.event(.lost(.ringFull, packets: 3, from: 1, to: 2), at: 2_000_000, into: &segment)
        JournalEncoder.event(.closed, at: 3_000_000, into: &segment)
        return [segment, Array(segment.dropLast(7))]
    } run: { bytes in
        guard var reader = try? JournalReader(bytes) else { return }
        var records = 0, read = 0
        while let record = reader.next() {
            records += 1
            read += record.bytes.count
        }
        check(records <= bytes.count && read <= bytes.count, "records lie in the file, each once")
        check(reader.damage.bytes + reader.damage.tornBytes <= bytes.count, "damage is a part of the file")
    }
}
