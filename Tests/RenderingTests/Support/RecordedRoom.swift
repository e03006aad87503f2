// A recording's folder, filled as the journal thread fills it: packets with network delay, sender reports, notes.
import Capture
import Glibc
import Primitives
import RTP

final class RecordedRoom {
    static let zero: Int64 = 1_700_000_000_000_000
    let storage = TemporaryFolder()
    let layout = RecordingLayout(room: "room", recording: "rec")
    var folder: String { "\(storage.path)/\(layout.folder)" }

    /// What the network and the sender's clock do to one track.
    struct Path {
        /// µs after the recording's start at which the first frame was taken.
        var start: Int64 = 0
        var delay: Int64 = 5_000
        var jitter: Int64 = 0
        /// µs the sender's wall clock is ahead.
        var senderOffset: Int64 = -37_000_000
        var sendsReports = true
        /// Given the packet's number in the track: is it lost?
        var isLost: (Int) -> Bool = { _ in false }
        init() {}
    }
    /// A captured packet or report.
    struct Item { var type: Journal.RecordType; var at: Int64; var bytes: [UInt8] }

    init() { _ = system("mkdir -p '\(folder)'") }

    func header(_ track: TrackID, _ participant: ParticipantID, _ codec: Codec, writer: NodeName = "a", epoch: UInt64 = 1, segment: UInt32 = 0) -> JournalHeader {
        JournalHeader(
            recording: layout.recording, room: layout.room, track: track, participant: participant, kind: codec.kind,
            source: codec.kind == .audio ? "microphone" : "camera", codec: codec,
            payloadTypes: Codec.allCases.filter { $0.kind == codec.kind }.map { .init($0.defaultPayloadType, $0) },
            writer: writer, epoch: Epoch(epoch), segment: segment, wallStart: WallTime(microseconds: Self.zero + Int64(segment)))
    }
    /// Packets and reports in the order in which they arrive.
    func items(_ frames: [EncodedFrame], _ packetiser: inout Packetiser, _ path: Path = Path(), seed: UInt64 = 1) -> [Item] {
        var random = SplitMix64(seed: seed), out: [Item] = [], number = 0, lastReport: Int64 = -1_000_000
        for frame in frames {
            let taken = Self.zero + path.start + frame.time
            if path.sendsReports, frame.time - lastReport >= 1_000_000 {
                lastReport = frame.time
                let report = senderReport(ssrc: packetiser.ssrc, sentAt: taken + path.senderOffset, timestamp: packetiser.timestamp(frame.time))
                out.append(Item(type: .rtcp, at: taken + path.delay, bytes: report))
            }
            for packet in packetiser.packets(frame) {
                defer { number += 1 }
                if path.isLost(number) { continue }
                let jitter = path.jitter > 0 ? Int64(random.next() % UInt64(path.jitter)) : 0
                out.append(Item(type: .rtp, at: taken + path.delay + jitter, bytes: packet))
            }
        }
        return out.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }
    @discardableResult
    func write(_ header: JournalHeader, _ items: some Sequence<Item>, closed: Bool = true) -> String {
        var bytes = JournalEncoder.header(header), last: Int64 = 0
        for item in items {
            _ = item.bytes.withUnsafeBytes { JournalEncoder.record(item.type, receivedAt: item.at, $0, into: &bytes) }
            last = item.at
        }
        if closed { JournalEncoder.event(.closed, at: last, into: &bytes) }
        let path = "\(storage.path)/\(layout.segment(header.track, writer: header.writer, epoch: header.epoch, number: header.segment))"
        _ = system("mkdir -p '\(storage.path)/\(layout.journals(header.track))'")
        writeFile(path, bytes)
        return path
    }
    /// A segment to which packets are added as time passes.
    func open(_ header: JournalHeader) -> String {
        write(header, [], closed: false)
    }
    func append(_ items: some Sequence<Item>, closed: Bool = false, to path: String) {
        var bytes: [UInt8] = [], last: Int64 = 0
        for item in items {
            _ = item.bytes.withUnsafeBytes { JournalEncoder.record(item.type, receivedAt: item.at, $0, into: &bytes) }
            last = item.at
        }
        if closed { JournalEncoder.event(.closed, at: last, into: &bytes) }
        guard let file = fopen(path, "a") else { fatalError("cannot append to \(path)") }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
    func writeFacts(seconds: Int64?, participants: [RecordingFacts.Person] = []) throws {
        let facts = RecordingFacts(
            recording: layout.recording, room: layout.room, title: "A meeting", startedAt: WallTime(microseconds: Self.zero),
            stoppedAt: seconds.map { WallTime(microseconds: Self.zero + $0 * 1_000_000) }, epoch: Epoch(1), participants: participants)
        writeFile("\(storage.path)/\(layout.facts(Epoch(1)))", try CaptureJSON.encode(facts))
    }
    func writeEvents(_ events: [RecordedEvent], by writer: NodeName = "n1") throws {
        writeFile("\(storage.path)/\(layout.events(writer, number: 0))", try events.flatMap { try CaptureJSON.line($0) })
    }
    func manifest() throws -> Manifest { try readFile("\(storage.path)/\(layout.metadata)").withUnsafeBytes { try CaptureJSON.decode(Manifest.self, $0) } }
    func timeline() throws -> Timeline { try readFile("\(storage.path)/\(layout.timeline)").withUnsafeBytes { try CaptureJSON.decode(Timeline.self, $0) } }
    func file(_ name: String) -> String { "\(folder)/\(name)" }
}
