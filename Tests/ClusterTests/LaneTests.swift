// Large messages in chunks, clocks from pings, causes told once: the pure parts of a link.
import Primitives
import Testing

@testable import Cluster

private func key(_ number: Int) -> LaneKey { .calls(to: .virtual(kind: "k", key: "\(number)")) }

@Suite struct LaneTests {
    private func drain(_ lane: inout BulkLane) -> [BulkLane.Chunk] {
        var all: [BulkLane.Chunk] = []
        while let chunk = lane.next() { all.append(chunk) }
        return all
    }
    @Test func messagesTakeTurns() {
        var lane = BulkLane()
        let size = BulkLane.Limits.chunk * 3
        for i in 0..<3 { lane.add([UInt8](repeating: UInt8(i), count: size), key(i)) }
        #expect(lane.bytes == 3 * size && lane.holds(key(1)) && !lane.holds(key(7)))
        let chunks = drain(&lane)
        #expect(chunks.map(\.message) == [1, 2, 3, 1, 2, 3, 1, 2, 3])
        #expect(chunks.map(\.isLast) == [false, false, false, false, false, false, true, true, true])
        #expect(lane.isEmpty && lane.bytes == 0 && !lane.holds(key(1)))
    }
    @Test func whatIsCutIsPutTogether() throws {
        var random = SplitMix64(seed: 4), lane = BulkLane(), assembler = ChunkAssembler(), sent: [LaneKey: [[UInt8]]] = [:], got: [LaneKey: [[UInt8]]] = [:]
        for i in 0..<120 {
            let key = key(i % 37), size = 1 + random.below(random.below(4) == 0 ? 300_000 : 200)
            var payload = [UInt8](repeating: UInt8(truncatingIfNeeded: i), count: size)
            payload[0] = UInt8(i % 37)
            sent[key, default: []].append(payload)
            lane.add(payload, key)
        }
        var begun: Set<UInt64> = [], most = 0
        while let chunk = lane.next() {
            begun.insert(chunk.message)
            most = max(most, begun.count)
            if chunk.isLast { begun.remove(chunk.message) }
            if let whole = try assembler.take(chunk.message, Array(chunk.bytes), isLast: chunk.isLast) { got[key(Int(whole[0])), default: []].append(whole) }
        }
        #expect(got == sent, "whole, and each key's in order")
        #expect(most <= BulkLane.Limits.begun && assembler.bytes == 0 && lane.bytes == 0)
    }
    @Test func aReceiverKeepsNoMoreThanItsBounds() throws {
        var assembler = ChunkAssembler()
        for i in 0..<ChunkAssembler.Limits.messages { _ = try assembler.take(UInt64(i), [1], isLast: false) }
        #expect(throws: FrameError.outOfRange("number of unfinished messages")) { try assembler.take(1 << 40, [1], isLast: false) }
        var other = ChunkAssembler()
        _ = try other.take(1, [UInt8](repeating: 0, count: 1 << 20), isLast: false)
        #expect(throws: FrameError.self) { try other.take(1, [0], isLast: true) }
        var third = ChunkAssembler()
        #expect(throws: FrameError.tooLarge(bytes: 25 << 20)) {
            for i in 0..<UInt64(25) { _ = try third.take(i, [UInt8](repeating: 0, count: 1 << 20), isLast: false) }
        }
        #expect(throws: FrameError.empty) { _ = try ChunkAssembler.empty() }
    }
    @Test func aSmallMessageWaitsOnlyBehindItsOwn() {
        var lane = BulkLane()
        lane.add([UInt8](repeating: 1, count: 100_000), key(1))
        lane.add([2], key(1))
        lane.add([UInt8](repeating: 3, count: 20_000), .answer(9))
        let chunks = drain(&lane)
        #expect(chunks.last?.bytes.first == 2 && chunks.filter(\.isLast).compactMap(\.bytes.first) == [3, 1, 2])
    }
}
extension ChunkAssembler {
    fileprivate static func empty() throws(FrameError) -> [UInt8]? {
        var assembler = ChunkAssembler()
        return try assembler.take(1, [], isLast: true)
    }
}

@Suite struct PeerClockTests {
    /// The peer's clock is `offset` ahead; a ping takes `out`, its answer `back`.
    private func sample(_ clock: inout PeerClock, at milliseconds: Int64, offset: Duration, out: Duration, back: Duration) {
        let now = Instant(nanoseconds: milliseconds * 1_000_000), wall = WallTime(seconds: 1_700_000_000) + .milliseconds(milliseconds)
        let number = clock.pinged(now: now, wall: wall)
        let there = wall + out + offset
        clock.ponged(number, received: there, sent: there + .microseconds(300), now: now + out + back + .microseconds(300))
    }
    @Test func theQuickestRoundTripTellsTheOffset() throws {
        var clock = PeerClock(), random = SplitMix64(seed: 2)
        #expect(clock.offset == nil && clock.medianRoundTrip == nil)
        for i in 0..<40 {
            let slow = Duration.microseconds(Int64(random.below(40_000)))
            sample(&clock, at: Int64(i) * 1000, offset: .milliseconds(-1234), out: .microseconds(200) + (i % 5 == 0 ? .zero : slow), back: .microseconds(200))
        }
        #expect(clock.offset == .milliseconds(-1234))
        #expect(clock.uncertainty == .microseconds(200))
        #expect(clock.lastRoundTrip! >= .microseconds(400) && !clock.isAlarming)
    }
    @Test func aSkewedPathErrsByAtMostHalfOfIt() throws {
        var clock = PeerClock()
        sample(&clock, at: 0, offset: .seconds(5), out: .milliseconds(80), back: .milliseconds(20))
        let offset = try #require(clock.offset), uncertainty = try #require(clock.uncertainty)
        #expect(offset - .seconds(5) <= uncertainty && .seconds(5) - offset <= uncertainty)
    }
    @Test func aClockTenMinutesOffAlarms() {
        var clock = PeerClock()
        sample(&clock, at: 0, offset: .seconds(-601), out: .milliseconds(1), back: .milliseconds(1))
        #expect(clock.isAlarming)
        for i in 1...PeerClock.Limits.samples { sample(&clock, at: Int64(i) * 1000, offset: .zero, out: .microseconds(900), back: .microseconds(900)) }
        #expect(!clock.isAlarming && clock.offset == .zero)
    }
    @Test func nonsenseIsPassedOver() {
        var clock = PeerClock()
        let now = Instant(nanoseconds: 0), wall = WallTime(seconds: 1_700_000_000)
        clock.ponged(1, received: wall, sent: wall, now: now)
        #expect(clock.lastRoundTrip == nil)
        let number = clock.pinged(now: now, wall: wall)
        clock.ponged(number, received: WallTime(microseconds: .max), sent: WallTime(microseconds: 5), now: now + .milliseconds(3))
        #expect(clock.offset == nil && clock.lastRoundTrip == .milliseconds(3))
        for _ in 0..<100 { _ = clock.pinged(now: now, wall: wall) }
        clock.ponged(2, received: wall, sent: wall, now: now + .seconds(1))
        #expect(clock.lastRoundTrip == .milliseconds(3), "forgotten long ago")
    }
}

@Suite struct OncePerCauseTests {
    @Test func aCauseIsToldOnceAndTheirNumberIsBounded() {
        var once = OncePerCause(interval: .seconds(60), most: 3)
        func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
        // The last: the oldest was forgotten.
        let asked: [(String, Int64, Bool)] = [("a", 0, true), ("a", 59, false), ("a", 60, true), ("b", 61, true), ("c", 62, true), ("d", 63, true), ("d", 64, false), ("a", 64, true)]
        for (cause, second, expected) in asked {
            let passed = once.passes(cause, now: at(second))
            #expect(passed == expected, "\(cause) at \(second)")
        }
    }
}

@Suite struct MemberCodingTests {
    private let full = Member(
        name: "n1", incarnation: Incarnation(7), roles: ["edge", "room"], region: "eu", capacity: 2.5, state: .draining, tags: ["http": "https://a", "b": "c"],
        address: SocketAddress(host: "192.0.2.1", port: 7101), formerly: [Incarnation(5), Incarnation(6)])

    @Test func membersAndMessagesComeBack() throws {
        #expect(try CBORDecoder.decode(Member.self, from: try CBOREncoder.encode(full)) == full)
        let rumors: [Rumor] = [
            .alive(full, revision: 9), .doubt(full.life, revision: 3, suspects: ["a", "b"], votes: ["a"]), .dead(full.life, votes: ["c"]),
            .complaint(full.life, by: "d", number: 4),
        ]
        for kind in [.ping(1), .ack(2), .pingRequest(3, target: "x"), .nack(4), .gossip, .sync(wantsAnswer: true), .sync(wantsAnswer: false)] as [MembershipMessage.Kind] {
            let message = MembershipMessage(kind, rumors)
            #expect(try CBORDecoder.decode(MembershipMessage.self, from: try CBOREncoder.encode(message)) == message)
        }
    }
    @Test func anOlderMemberMeansWhatItMeant() throws {
        struct Older: Codable { var name = NodeName("n1"); var incarnation = Incarnation(7); var roles: Set<String> = ["edge"]; var region: String? }
        #expect(try CBORDecoder.decode(Member.self, from: try CBOREncoder.encode(Older())) == Member(name: "n1", incarnation: Incarnation(7), roles: ["edge"]))
    }
    @Test func aNewerReleasesRumorsAreSkipped() throws {
        struct Newer: Encodable {
            func encode(to encoder: any Encoder) throws {
                var map = encoder.container(keyedBy: Key.self)
                try map.encode(9, forKey: .k)
                try map.encode(["zone": 3], forKey: .z)
                var list = map.nestedUnkeyedContainer(forKey: .r)
                try list.encode(Odd())
                try list.encode(Rumor.dead(Life("n1", Incarnation(2)), votes: ["a"]))
            }
            enum Key: String, CodingKey { case k, z, r }
            struct Odd: Encodable {
                func encode(to encoder: any Encoder) throws {
                    var list = encoder.unkeyedContainer()
                    try list.encode(77)
                    try list.encode("later")
                }
            }
        }
        let message = try CBORDecoder.decode(MembershipMessage.self, from: try CBOREncoder.encode(Newer()))
        #expect(message == MembershipMessage(.unknown, [.unknown, .dead(Life("n1", Incarnation(2)), votes: ["a"])]))
    }
    @Test(arguments: [
        ["name": "../x"], ["name": ""], ["region": String(repeating: "r", count: 65)], ["role": String(repeating: "r", count: 65)], ["tag": String(repeating: "t", count: 1100)],
    ])
    func whatIsTooLargeIsRefused(change: [String: String]) throws {
        var member = full
        if let name = change["name"] { member.name = NodeName(name) }
        if let region = change["region"] { member.region = region }
        if let role = change["role"] { member.roles = [role] }
        if let tag = change["tag"] { member.tags = ["x": tag] }
        #expect(member.objection != nil)
        let bytes = try CBOREncoder.encode(member)
        #expect(throws: (any Error).self) { try CBORDecoder.decode(Member.self, from: bytes) }
        for capacity in [-1, .nan, .infinity, 1e9] {
            member = full
            member.capacity = capacity
            #expect(member.objection != nil)
        }
    }
    @Test func refusalsComeBack() throws {
        let all: [LinkRefusal] = [
            .versions(theirs: [1, 2], ours: [3, 3]), .wrongName("x"), .notListed("a"), .wrongDirection("a"), .notDialed(expected: "a", "b"), .nameTaken("a"),
            .staleLife("a", Incarnation(1)), .dead("a", Incarnation(2), by: ["b", "c"]), .full, .operatorsFull, .protocolBreach("p"), .other("o"),
        ]
        for refusal in all { #expect(try CBORDecoder.decode(LinkRefusal.self, from: try CBOREncoder.encode(refusal)) == refusal) }
        #expect(Set(all.map(\.cause)).count == all.count)
    }
}
