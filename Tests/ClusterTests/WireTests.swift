// Frames, their assembly, numbered method names, the greeting.
import Primitives
import Testing

@testable import Cluster

private func collect(_ assembler: inout FrameAssembler, _ bytes: [UInt8]) throws -> [[UInt8]] {
    var payloads: [[UInt8]] = []
    let result = bytes.withUnsafeBytes { raw -> Result<Void, FrameError> in
        do throws(FrameError) {
            try assembler.receive(raw) { (payload) throws(FrameError) in payloads.append(Array(payload)); return true }
            return .success(())
        } catch { return .failure(error) }
    }
    try result.get()
    return payloads
}
private func parse(_ payload: [UInt8]) throws -> Frame {
    try payload.withUnsafeBytes { raw -> Result<Frame, FrameError> in
        do throws(FrameError) { return .success(try Frame.parse(raw)) } catch { return .failure(error) }
    }.get()
}

@Suite struct FrameTests {
    private func written(_ body: (FrameWriter) throws -> Void) throws -> [UInt8] {
        let buffer = CBORBuffer()
        try body(FrameWriter(buffer))
        return buffer.array
    }

    @Test func framesSurviveAnyCutting() throws {
        let stream = try written { writer in
            writer.ping(1)
            try writer.value(id: 2, [UInt8](repeating: 7, count: 1000))
            writer.goodbye("end", lastCall: 9)
        }
        var whole = FrameAssembler()
        let expected = try collect(&whole, stream)
        #expect(expected.count == 3)
        for piece in [1, 2, 3, 4, 5, 7, 100, 1001] {
            var assembler = FrameAssembler(), seen: [[UInt8]] = []
            for start in stride(from: 0, to: stream.count, by: piece) { seen += try collect(&assembler, Array(stream[start..<min(start + piece, stream.count)])) }
            #expect(seen == expected, "pieces of \(piece)")
            #expect(assembler.pendingBytes == 0)
        }
    }
    @Test func oversizedAndEmptyFramesAreRefused() {
        var assembler = FrameAssembler()
        #expect(throws: FrameError.tooLarge(bytes: 1 << 20 + 1)) { try collect(&assembler, [0x00, 0x10, 0x00, 0x01]) }
        var other = FrameAssembler()
        #expect(throws: FrameError.empty) { try collect(&other, [0, 0, 0, 0]) }
        var third = FrameAssembler()
        #expect(throws: FrameError.tooLarge(bytes: 0xFFFF_FFFF)) { try collect(&third, [0xFF, 0xFF, 0xFF, 0xFF, 1]) }
    }
    @Test func callsComeBackAsTheyWere() throws {
        let recipient = ActorAddress.instance(node: "n2", incarnation: Incarnation(9), number: 12, shard: 3)
        let bytes = try written { try $0.call(id: 5, recipient: recipient, method: .name("join"), budget: .milliseconds(1500), arguments: ["Ada", 42]) }
        guard case .call(let call) = try parse(Array(bytes[4...])) else { Issue.record("not a call"); return }
        #expect(call.id == 5 && call.recipient == recipient && call.method == .name("join") && call.budget == .milliseconds(1500) && call.argumentCount == 2)
        var offset = 0
        try call.arguments.withUnsafeBytes { raw throws in
            #expect(try CBORDecoder.decode(String.self, from: raw, at: &offset) == "Ada")
            #expect(try CBORDecoder.decode(Int.self, from: raw, at: &offset) == 42)
            #expect(offset == raw.count)
        }
    }
    @Test(arguments: [
        CallFailure.notExecuted(.moved(to: "n3", epoch: Epoch(4))), .notExecuted(.unknownTarget), .notExecuted(.badArguments("no")), .notExecuted(.storeAway("disk")),
        .registered(name: "E", error: [0x01]), .other(type: "T", text: "x"), .unsendable("too large"),
    ])
    func failuresComeBack(failure: CallFailure) throws {
        let bytes = try written { try $0.failure(id: 3, failure) }
        guard case .failure(3, let read) = try parse(Array(bytes[4...])) else { Issue.record("not a failure"); return }
        #expect(read == failure)
    }
    @Test func whatDoesNotFitIsTakenBack() throws {
        let buffer = CBORBuffer()
        let writer = FrameWriter(buffer)
        writer.ping(1)
        let before = buffer.array
        #expect(throws: FrameError.self) { try writer.value(id: 1, [UInt8](repeating: 0, count: 1 << 20)) }
        struct Refusing: Codable { func encode(to encoder: any Encoder) throws { throw CBORError.malformed } ; init() {} ; init(from decoder: any Decoder) throws {} }
        #expect(throws: CBORError.malformed) { try writer.call(id: 1, recipient: .virtual(kind: "k", key: "v"), method: .name("m"), budget: .seconds(1), arguments: [1, Refusing()]) }
        #expect(buffer.array == before)
    }
    @Test func newerFramesArePassedOver() throws {
        guard case .unknown(99) = try parse([99, 1, 2, 3]) else { Issue.record("not unknown"); return }
        guard case .ping(7) = try parse([2, 7, 0x61, 0x61]) else { Issue.record("not a ping"); return }
        guard case .failure(1, .notExecuted(.refused)) = try parse([6, 1, 0, 0x81, 0x18, 200]) else { Issue.record("not a refusal"); return }
    }
    @Test func impossibleCallsAreRefused() throws {
        #expect(throws: FrameError.self) { try parse([4]) }
        #expect(throws: FrameError.self) { try parse([4, 1, 0x83, 3, 0x61, 0x61, 0x61, 0x61, 0, 0, 0]) }
        // 65 arguments.
        #expect(throws: FrameError.malformed(.outOfRange(type: "argument count"))) { try parse([4, 1, 0x83, 1, 0x61, 0x61, 0x61, 0x61, 0, 0, 0x18, 65]) }
        // A key of two thousand bytes.
        let long = [UInt8]([4, 1, 0x83, 1, 0x61, 0x61, 0x79, 0x07, 0xD0]) + [UInt8](repeating: 0x61, count: 2000) + [0, 0, 0]
        #expect(throws: FrameError.self) { try parse(long) }
        // A budget of 2^64 − 1 ms is cut, not overflowed.
        guard case .call(let call) = try parse([4, 1, 0x83, 1, 0x61, 0x61, 0x61, 0x61, 0, 0x1B] + [UInt8](repeating: 0xFF, count: 8) + [0]) else { Issue.record("not a call"); return }
        #expect(call.budget == Frame.Limits.budget)
    }
    @Test func damageNeverTraps() throws {
        let member = Member(name: "n1", incarnation: Incarnation(1), roles: ["edge", "room"], region: "eu")
        let seeds = [
            try written { try $0.hello(Hello(versions: [1, 2], capabilities: ["x"], member: member)) },
            try written { try $0.call(id: 5, recipient: .virtual(kind: "room", key: "R"), method: .name("join"), budget: .seconds(1), arguments: ["Ada"]) },
            try written { try $0.failure(id: 3, .notExecuted(.moved(to: "n3", epoch: Epoch(4)))) },
        ].map { Array($0[4...]) }
        var random = SplitMix64(seed: 7)
        for round in 0..<30_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0...(random.next() % 3) { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            bytes.removeLast(Int(random.next() % 4) % bytes.count)
            if let frame = try? parse(bytes), case .call(let call) = frame { #expect(call.argumentCount <= Frame.Limits.arguments) }
        }
    }
}

@Suite struct MethodNameTests {
    @Test func namesTravelOnce() {
        var sent = MethodNames.Sent(), received = MethodNames.Received()
        for name in ["a", "b", "a", "c", "b"] {
            let reference = sent.reference(name)
            sent.written(reference)
            #expect(received.name(reference) == name)
        }
        #expect(sent.reference("a") == .number(0) && sent.reference("c") == .number(2))
        #expect(received.name(.number(3)) == nil && received.name(.number(.max)) == nil)
    }
    @Test func aCallThatWasNotWrittenTakesNoNumber() {
        var sent = MethodNames.Sent()
        _ = sent.reference("lost")
        let b = sent.reference("b")
        sent.written(b)
        #expect(sent.reference("b") == .number(0) && sent.reference("lost") == .name("lost"))
    }
    @Test func bothSidesStopAtTheSameBound() {
        var sent = MethodNames.Sent(), received = MethodNames.Received()
        for i in 0..<(MethodNames.Limits.names + 10) {
            let reference = sent.reference("m\(i)")
            sent.written(reference)
            #expect(received.name(reference) == "m\(i)")
        }
        #expect(sent.reference("m\(MethodNames.Limits.names - 1)") == .number(UInt64(MethodNames.Limits.names - 1)))
        #expect(sent.reference("m\(MethodNames.Limits.names)") == .name("m\(MethodNames.Limits.names)"))
    }
}

@Suite struct HelloTests {
    @Test(arguments: [([1, 1], 1), ([1, 5], 2), ([2, 3], 2), ([3, 4], nil), ([], nil), ([5, 1], nil)] as [([UInt32], UInt32?)])
    func highestCommonVersion(versions: [UInt32], expected: UInt32?) {
        let hello = Hello(versions: versions, capabilities: [], member: Member(name: "a", incarnation: Incarnation(1)))
        #expect(hello.commonVersion(with: 1...2) == expected)
    }
    @Test func aNewerHelloIsUnderstood() throws {
        struct Newer: Codable { var versions: [UInt32] = [1, 9]; var capabilities = ["zstd"]; var member = Member(name: "n9", incarnation: Incarnation(3)); var clock = ["offset": 5] }
        let hello = try CBORDecoder.decode(Hello.self, from: try CBOREncoder.encode(Newer()))
        #expect(hello.member.name == "n9" && hello.commonVersion(with: 1...1) == 1)
    }
}
