import Primitives
import RTP
import Testing
@testable import Capture

func sampleHeader(_ track: TrackID = "cam1", codec: Codec = .vp8, segment: UInt32 = 0, writer: NodeName = "a", ingress: NodeName? = "b") -> JournalHeader {
    JournalHeader(
        recording: "rec1", room: "room1", track: track, participant: "ann", kind: codec.kind, source: codec.kind == .audio ? "microphone" : "camera", codec: codec,
        payloadTypes: [.init(codec.defaultPayloadType, codec)], extensions: ExtensionMap([.mid: 1, .audioLevel: 3]), writer: writer, epoch: Epoch(7),
        segment: segment, wallStart: WallTime(seconds: 1_700_000_000), ingress: ingress)
}

func journal(_ header: JournalHeader = sampleHeader(), records: [(Journal.RecordType, Int64, [UInt8])]) -> [UInt8] {
    var out = JournalEncoder.header(header)
    for (type, at, bytes) in records { _ = bytes.withUnsafeBytes { JournalEncoder.record(type, receivedAt: at, $0, into: &out) } }
    return out
}

/// Everything a reader gives for these bytes.
func readAll(_ bytes: [UInt8]) throws -> (header: JournalHeader, records: [(Journal.RecordType, Int64, [UInt8])], damage: JournalReader.Damage, closed: Bool) {
    try bytes.withUnsafeBytes { raw in
        var reader = try JournalReader(raw)
        var out: [(Journal.RecordType, Int64, [UInt8])] = []
        while let record = reader.next() { out.append((record.type, record.receivedAt, Array(record.bytes))) }
        return (reader.header, out, reader.damage, reader.isClosed)
    }
}

@Suite struct CRC32CVectors {
    /// RFC 3720 B.4.
    @Test(arguments: [
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ([UInt8](0...31), 0x46DD_794E),
        ([UInt8]((0...31).reversed()), 0x113F_DB5C),
        ([UInt8]("123456789".utf8), 0xE306_9283),
    ] as [([UInt8], UInt32)])
    func matches(bytes: [UInt8], expected: UInt32) { #expect(CRC32C.of(bytes) == expected) }

    @Test func inPiecesAsInOne() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
            var crc = CRC32C()
            bytes.withUnsafeBytes { crc.update(UnsafeRawBufferPointer(rebasing: $0[..<cut])); crc.update(UnsafeRawBufferPointer(rebasing: $0[cut...])) }
            #expect(crc.value == CRC32C.of(bytes))
        }
    }
}

@Suite struct JournalRoundTrip {
    @Test func headerAndRecordsComeBack() throws {
        let records: [(Journal.RecordType, Int64, [UInt8])] = [
            (.rtp, 1_700_000_000_000_001, Array(repeating: 9, count: 1200)), (.rtcp, -5, [1, 2, 3]), (.rtp, .max, []),
        ]
        let read = try readAll(journal(records: records))
        #expect(read.header == sampleHeader())
        #expect(read.records.map(\.2) == records.map(\.2))
        #expect(read.records.map(\.1) == records.map(\.1))
        #expect(read.records.map(\.0) == records.map(\.0))
        #expect(read.damage == JournalReader.Damage())
        #expect(!read.closed)
    }

    /// The mark stands in the byte that was zero before there were marks; bits that are not known yet are passed over.
    @Test(arguments: [(0, false), (1, true), (0xFE, false), (0xFF, true)] as [(UInt8, Bool)])
    func theMarkOfARetransmissionComesBack(marks: UInt8, isRecovered: Bool) throws {
        var bytes = JournalEncoder.header(sampleHeader())
        let at = bytes.count, packet: [UInt8] = [1, 2, 3]
        _ = packet.withUnsafeBytes { JournalEncoder.record(.rtp, receivedAt: 7, isRecovered: isRecovered, $0, into: &bytes) }
        #expect(bytes[at + 3] == (isRecovered ? 1 : 0))
        bytes[at + 3] = marks
        let checksum = CRC32C.of(Array(bytes[(at + 2)..<(at + 16)]) + packet)
        for i in 0..<4 { bytes[at + 16 + i] = UInt8(truncatingIfNeeded: checksum >> (24 - 8 * UInt32(i))) }
        try bytes.withUnsafeBytes { raw in
            var reader = try JournalReader(raw)
            let record = reader.next(), end = reader.next()
            #expect(record?.isRecovered == isRecovered && record.map { Array($0.bytes) } == packet && end == nil && reader.damage == JournalReader.Damage())
        }
    }

    @Test func eventsComeBack() throws {
        var bytes = JournalEncoder.header(sampleHeader())
        let events: [JournalEvent] = [.lost(.ringFull, packets: 12, from: 5, to: 9), .lost(.diskFull, packets: .max, from: -1, to: .max), .closed]
        for event in events { JournalEncoder.event(event, at: 77, into: &bytes) }
        let read = try bytes.withUnsafeBytes { raw in
            var reader = try JournalReader(raw), out: [JournalEvent] = []
            while let record = reader.next() { out.append(try #require(JournalEvent(record))) }
            #expect(reader.isClosed)
            return out
        }
        #expect(read == events)
    }

    @Test func aTooLargeRecordIsRefused() {
        var bytes: [UInt8] = []
        let large = [UInt8](repeating: 0, count: Journal.Limits.recordBytes + 1)
        #expect(!large.withUnsafeBytes { JournalEncoder.record(.rtp, receivedAt: 0, $0, into: &bytes) })
        #expect(bytes.isEmpty)
    }
}

@Suite struct JournalDamage {
    let good: [(Journal.RecordType, Int64, [UInt8])] = (0..<10).map { (.rtp, Int64($0), [UInt8](repeating: UInt8($0), count: 100)) }

    @Test func aTornTailCostsOnlyTheLastRecord() throws {
        let whole = journal(records: good)
        let lastRecord = Journal.recordHead + 100
        for cut in 1..<lastRecord {
            let read = try readAll(Array(whole.dropLast(cut)))
            #expect(read.records.count == 9)
            #expect(read.damage.tornBytes == lastRecord - cut)
            #expect(read.damage.stretches == 0)
        }
    }

    @Test func aFlippedByteCostsOnlyItsRecord() throws {
        let whole = journal(records: good)
        let start = whole.count - 10 * (Journal.recordHead + 100)
        for index in stride(from: start, to: start + Journal.recordHead + 100, by: 1) {
            var bytes = whole
            bytes[index] ^= 0x40
            let read = try readAll(bytes)
            #expect(read.records.map(\.1) == Array(1...9), "byte \(index - start)")
            #expect(read.damage.stretches == 1)
            #expect(read.damage.bytes == Journal.recordHead + 100)
        }
    }

    @Test func everyPrefixOfAHeaderIsATypedError() throws {
        let header = JournalEncoder.header(sampleHeader())
        for cut in 0..<header.count {
            #expect(throws: Journal.HeaderError.truncated) { try readAll(Array(header.prefix(cut))) }
        }
        for index in header.indices {
            var bytes = header
            bytes[index] ^= 0xFF
            #expect(throws: Journal.HeaderError.self) { try readAll(bytes) }
        }
    }

    @Test func unknownHeaderFieldsAreSkipped() throws {
        var bytes = Array(JournalEncoder.header(sampleHeader()).dropLast(4))
        bytes += [0xEE, 0, 2, 1, 2]
        let body = bytes.count - Journal.headerHead
        bytes[8..<12] = [UInt8(body >> 24 & 255), UInt8(body >> 16 & 255), UInt8(body >> 8 & 255), UInt8(body & 255)]
        let crc = CRC32C.of(bytes)
        bytes += [UInt8(crc >> 24), UInt8(crc >> 16 & 255), UInt8(crc >> 8 & 255), UInt8(crc & 255)]
        #expect(try readAll(bytes).header == sampleHeader())
    }

    @Test func namesThatAreNoPathsAreRefused() {
        for bad in ["", "../x", "a/b", ".hidden", String(repeating: "x", count: 129)] {
            let header = sampleHeader(TrackID(bad))
            #expect(throws: Journal.HeaderError.self) { try readAll(JournalEncoder.header(header)) }
        }
    }

    /// Seeded noise over a good journal: never a trap, never an invented record.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func noiseNeverInventsARecord(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var bytes = journal(records: good)
        let start = JournalEncoder.header(sampleHeader()).count
        for _ in 0..<20 {
            let at = start + Int(random.next() % UInt64(bytes.count - start))
            switch random.next() % 3 {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: at)
            default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
            }
        }
        let read = try readAll(bytes)
        for record in read.records { #expect(good.contains { $0.1 == record.1 && $0.2 == record.2 }) }
    }

    /// A file full of marks whose records all claim 64 KiB must not take quadratic time.
    @Test func aCraftedFileIsReadInBoundedWork() throws {
        var bytes = JournalEncoder.header(sampleHeader())
        var mark: [UInt8] = [0x54, 0x52, 1, 0, 0, 0, 0xFF, 0xFF]
        mark += [UInt8](repeating: 0, count: 12)
        for _ in 0..<200_000 { bytes += mark }
        let read = try readAll(bytes)
        #expect(read.records.isEmpty)
        #expect(read.damage.tornBytes == 4_000_000)
    }
}

@Suite struct RecordingNotes {
    @Test func factsRoundTripAndTolerateMissingFields() throws {
        let facts = RecordingFacts(
            recording: "rec1", room: "room1", title: "Ümläut", startedAt: WallTime(microseconds: 17), stoppedAt: nil, epoch: Epoch(3),
            participants: [.init(id: "ann", name: "Ann", role: "host")], clockOffsets: ["b": -12])
        let bytes = try CaptureJSON.encode(facts)
        #expect(try bytes.withUnsafeBytes { try CaptureJSON.decode(RecordingFacts.self, $0) } == facts)
        let small = Array(#"{"recording_id":"r","room_id":"q","started_at_us":5,"later":[1]}"#.utf8)
        #expect(try small.withUnsafeBytes { try CaptureJSON.decode(RecordingFacts.self, $0) }
            == RecordingFacts(recording: "r", room: "q", title: "", startedAt: WallTime(microseconds: 5), epoch: .none))
    }

    @Test func eventLinesToleratesATornTail() throws {
        var event = RecordedEvent(.muted, at: WallTime(microseconds: 99), participant: "ann", track: "t")
        event.muted = true
        var bytes = try CaptureJSON.line(event) + Array("{\"type\":\"from_the_future\",\"at_us\":3,\"x\":1}\nnonsense\n".utf8)
        bytes += try CaptureJSON.line(event).dropLast(5)
        let (events, bad) = bytes.withUnsafeBytes { CaptureJSON.events($0) }
        #expect(events == [event, { var e = RecordedEvent(.chat, at: WallTime(microseconds: 3)); e.type = "from_the_future"; return e }()])
        #expect(bad == 2)
    }
}
