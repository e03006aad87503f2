import Capture
import Glibc
import Primitives
import RTP
import Testing
@testable import Rendering

/// What a long recording costs in memory: as much as a short one.
@Suite(.serialized, .timeLimit(.minutes(5))) struct MemoryTests {
    /// 60 ms of narrow-band Opus in each packet, by two writers, in segments of ten seconds.
    private func room(minutes: Int) throws -> RecordedRoom {
        let room = RecordedRoom(), perSegment = 167
        let payload = [0x18] + [UInt8](repeating: 0x55, count: 180)
        for writer in ["a", "b"] as [NodeName] {
            for segment in 0..<(minutes * 6) {
                let items = (0..<perSegment).map { index -> RecordedRoom.Item in
                    let number = segment * perSegment + index
                    var packet = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
                    packet.withUnsafeMutableBytes {
                        RTPHeader.write(to: $0.baseAddress!, payloadType: Codec.opus.defaultPayloadType, marker: false, sequence: UInt16(truncatingIfNeeded: number), timestamp: UInt32(truncatingIfNeeded: number * 2_880), ssrc: 7)
                    }
                    return .init(type: .rtp, at: RecordedRoom.zero + Int64(number) * 60_000, bytes: packet + payload)
                }
                room.write(room.header("mic", "ann", .opus, writer: writer, segment: UInt32(segment)), items)
            }
        }
        try room.writeFacts(seconds: Int64(minutes * 60))
        return room
    }
    /// - Returns: the most a process had in memory, in KiB, mapped files among it; as the kernel said last before it ended.
    private func peak(_ room: RecordedRoom) throws -> Int {
        var pid = pid_t(), actions = posix_spawn_file_actions_t(), status: Int32 = 0, most = 0
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        let words = ([mediaWorker, "finalise", "--dir", room.folder, "--recording", "rec"] as [String]).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        try #require(posix_spawn(&pid, mediaWorker, &actions, nil, words, environ) == 0)
        while waitpid(pid, &status, WNOHANG) == 0 {
            // Of the program itself: what `rusage` says begins with the size of whoever started it.
            let line = String(decoding: readFile("/proc/\(pid)/status"), as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            most = max(most, line.flatMap { Int($0.filter(\.isNumber)) } ?? 0)
            usleep(5_000)
        }
        try #require(status == 0 && most > 0, "\(status)")
        return most
    }

    @Test func peakMemoryDoesNotGrowWithLength() throws {
        let short = try room(minutes: 20), long = try room(minutes: 80)
        let (little, much) = (try peak(short), try peak(long))
        print("finishing 20 and 80 minutes of two writers' journals took \(little) KiB and \(much) KiB at most")
        // An index of 40 bytes a packet would be 5 MiB more, all segments mapped at once 27 MiB.
        #expect(much - little < 4 << 10, "\(little) KiB, \(much) KiB")
        let track = try #require(try long.manifest().tracks.first)
        #expect(track.integrity.packets == 80 * 6 * 167 && track.integrity.lost == 0 && track.integrity.complete && track.integrity.duplicates == 80 * 6 * 167)
    }
}
