// What nodes say to each other on a link.
//
// A payload is one byte of type, then CBOR items:
//  1 hello    map (`Hello`)
//  2 ping     number
//  3 pong     number, the answerer's wall clock in µs when the ping came and when this left (absent in old releases)
//  4 call     id, address, method (text the first time, then its number), budget in ms, argument count, arguments…
//  5 value    id, result (absent where the method returns nothing)
//  6 failure  id, 0, reason | id, 1, name, error | id, 2, type, text | id, 3, text
//  7 goodbye  text, the highest call id taken in: later calls were certainly not executed
//  8 members  map (`MembershipMessage`)
//  9 refusal  array (`LinkRefusal`): why the sender ends the link
// 10 chunk    number of the message, 1 if it is its last chunk, bytes: pieces of a payload (capability "chunks"). A method
//             name in such a payload takes no number.
// 11 renew    nothing: whoever dialed this link makes it anew
// Types a release does not know are passed over, and so are items behind the ones it knows.
import Primitives

package enum FrameType {
    static let hello: UInt8 = 1, ping: UInt8 = 2, pong: UInt8 = 3, call: UInt8 = 4, value: UInt8 = 5, failure: UInt8 = 6, goodbye: UInt8 = 7
    static let membership: UInt8 = 8, refusal: UInt8 = 9, chunk: UInt8 = 10, renew: UInt8 = 11
}

/// How a method is named on a link: the first time by its name, which both sides then number alike.
package enum MethodReference: Equatable, Sendable {
    case name(String)
    case number(UInt64)
}

package struct CallFrame: Sendable {
    package var id: UInt64
    package var recipient: ActorAddress
    package var method: MethodReference
    /// How long the caller goes on waiting.
    package var budget: Duration
    package var argumentCount: Int
    /// The arguments' items, one behind the other.
    package var arguments: [UInt8]
}

package enum CallFailure: Equatable, Sendable {
    case notExecuted(NotExecutedReason)
    /// An error of a registered type, encoded.
    case registered(name: String, error: [UInt8])
    case other(type: String, text: String)
    /// Executed, but its result could not be sent.
    case unsendable(String)
}

package enum Frame: Sendable {
    case hello(Hello)
    case ping(UInt64)
    case pong(UInt64, received: WallTime?, sent: WallTime?)
    case call(CallFrame)
    /// `result` is empty where the method returns nothing.
    case value(id: UInt64, result: [UInt8])
    case failure(id: UInt64, CallFailure)
    case goodbye(String, lastCall: UInt64)
    case membership(MembershipMessage)
    case refusal(LinkRefusal)
    case chunk(message: UInt64, isLast: Bool, bytes: [UInt8])
    case renew
    case unknown(UInt8)

    package enum Limits {
        package static let methodNameBytes = 1024
        package static let addressBytes = 1024
        package static let arguments = 64
        /// Longer budgets are cut to this: no call waits for ever.
        package static let budget = Duration.seconds(3600)
        package static let textBytes = 4096
    }
}

// MARK: - Reading

extension Frame {
    /// Reads one payload. Never traps, whatever the bytes.
    package static func parse(_ payload: UnsafeRawBufferPointer) throws(FrameError) -> Frame {
        guard let type = payload.first else { throw .empty }
        var reader = CBORReader(payload, at: 1)
        do throws(CBORError) {
            switch type {
            case FrameType.hello: return .hello(try decode(Hello.self, &reader))
            case FrameType.ping: return .ping(try reader.unsigned())
            case FrameType.pong: return pong(try reader.unsigned(), &reader)
            case FrameType.value: return .value(id: try reader.unsigned(), result: Array(payload[reader.offset...]))
            case FrameType.failure: return .failure(id: try reader.unsigned(), try failure(&reader))
            case FrameType.goodbye: return .goodbye(try reader.text(), lastCall: try reader.unsigned())
            case FrameType.membership: return .membership(try decode(MembershipMessage.self, &reader))
            case FrameType.refusal: return .refusal(try decode(LinkRefusal.self, &reader))
            case FrameType.chunk:
                let message = try reader.unsigned(), last = try reader.unsigned()
                return .chunk(message: message, isLast: last == 1, bytes: Array(payload[reader.offset...]))
            case FrameType.renew: return .renew
            case FrameType.call: break
            default: return .unknown(type)
            }
        } catch { throw .malformed(error) }
        return .call(try call(&reader))
    }
    private static func pong(_ number: UInt64, _ reader: inout CBORReader) -> Frame {
        func time() -> WallTime? {
            guard reader.offset < reader.bytes.count, let value = try? reader.unsigned(), value <= UInt64(Int64.max) else { return nil }
            return WallTime(microseconds: Int64(value))
        }
        let received = time()
        return .pong(number, received: received, sent: received == nil ? nil : time())
    }
    private static func decode<T: Decodable>(_ type: T.Type, _ reader: inout CBORReader) throws(CBORError) -> T {
        do { return try CBORDecoder.decode(type, from: reader.bytes, at: &reader.offset) } catch let error as CBORError { throw error } catch {
            throw .mismatch(expected: "\(T.self)")
        }
    }
    private static func call(_ reader: inout CBORReader) throws(FrameError) -> CallFrame {
        do throws(CBORError) {
            let id = try reader.unsigned()
            let recipient = try address(&reader)
            let method = reader.peek.map { $0 >> 5 == CBOR.Major.text } == true ? MethodReference.name(try reader.text()) : .number(try reader.unsigned())
            if case .name(let name) = method, name.utf8.count > Limits.methodNameBytes { throw .tooLarge(bytes: name.utf8.count) }
            let milliseconds = min(try reader.unsigned(), UInt64(Limits.budget.inMilliseconds))
            let count = try reader.unsigned()
            guard count <= Limits.arguments else { throw .outOfRange(type: "argument count") }
            return CallFrame(
                id: id, recipient: recipient, method: method, budget: .milliseconds(Int64(milliseconds)),
                argumentCount: Int(count), arguments: Array(reader.bytes[reader.offset...]))
        } catch { throw .malformed(error) }
    }
    private static func address(_ reader: inout CBORReader) throws(CBORError) -> ActorAddress {
        let start = reader.offset
        let count = try reader.arrayCount()
        switch (try reader.unsigned(), count) {
        case (0, 5):
            let node = try reader.text()
            let incarnation = try reader.unsigned(), number = try reader.unsigned()
            let shard = try reader.integer(Int32.self)
            guard reader.offset - start <= Limits.addressBytes else { throw .tooLarge(bytes: reader.offset - start) }
            return .instance(node: NodeName(node), incarnation: Incarnation(incarnation), number: number, shard: Int(shard))
        case (1, 3):
            let kind = try reader.text(), key = try reader.text()
            guard reader.offset - start <= Limits.addressBytes else { throw .tooLarge(bytes: reader.offset - start) }
            return .virtual(kind: kind, key: key)
        case (2, 3):
            let node = try reader.text(), name = try reader.text()
            guard reader.offset - start <= Limits.addressBytes else { throw .tooLarge(bytes: reader.offset - start) }
            return .service(node: NodeName(node), name: name)
        default: throw .mismatch(expected: "an address")
        }
    }
    private static func failure(_ reader: inout CBORReader) throws(CBORError) -> CallFailure {
        switch try reader.unsigned() {
        case 0: return .notExecuted(try decode(NotExecutedReason.self, &reader))
        case 1: return .registered(name: try reader.text(), error: Array(reader.bytes[reader.offset...]))
        case 2: return .other(type: try reader.text(), text: try reader.text())
        case 3: return .unsendable(try reader.text())
        case let kind: return .unsendable("an answer of kind \(kind), which this release does not know")
        }
    }
}

// MARK: - Writing

/// Appends frames to a buffer. A frame whose body does not encode or is too large is taken back whole.
package struct FrameWriter {
    package let buffer: CBORBuffer
    package init(_ buffer: CBORBuffer) { self.buffer = buffer }

    package func hello(_ hello: Hello) throws { try frame(FrameType.hello) { try CBOREncoder.encode(hello, into: buffer) } }
    package func membership(_ message: MembershipMessage) throws { try frame(FrameType.membership) { try CBOREncoder.encode(message, into: buffer) } }
    package func refusal(_ refusal: LinkRefusal) { try? frame(FrameType.refusal) { try CBOREncoder.encode(refusal, into: buffer) } }
    package func ping(_ number: UInt64) { try? frame(FrameType.ping) { buffer.unsigned(number) } }
    package func pong(_ number: UInt64, received: WallTime, sent: WallTime) {
        try? frame(FrameType.pong) {
            buffer.unsigned(number)
            buffer.unsigned(UInt64(max(0, received.microseconds)))
            buffer.unsigned(UInt64(max(0, sent.microseconds)))
        }
    }
    package func chunk(_ chunk: BulkLane.Chunk) {
        try? frame(FrameType.chunk) {
            buffer.unsigned(chunk.message)
            buffer.unsigned(chunk.isLast ? 1 : 0)
            chunk.bytes.withUnsafeBytes { buffer.raw($0) }
        }
    }
    package func renew() { try? frame(FrameType.renew) {} }
    package func goodbye(_ text: String, lastCall: UInt64) {
        try? frame(FrameType.goodbye) {
            buffer.text(Self.cut(text))
            buffer.unsigned(lastCall)
        }
    }
    package func call(
        id: UInt64, recipient: ActorAddress, method: MethodReference, budget: Duration, arguments: [any Codable]
    ) throws {
        try frame(FrameType.call) {
            buffer.unsigned(id)
            address(recipient)
            switch method {
            case .name(let name): buffer.text(name)
            case .number(let number): buffer.unsigned(number)
            }
            buffer.unsigned(UInt64(max(0, min(budget, Frame.Limits.budget).inMilliseconds)))
            buffer.unsigned(UInt64(arguments.count))
            for argument in arguments { try CBOREncoder.encode(argument, into: buffer) }
        }
    }
    package func value(id: UInt64, _ result: (any Encodable)?) throws {
        try frame(FrameType.value) {
            buffer.unsigned(id)
            if let result { try CBOREncoder.encode(result, into: buffer) }
        }
    }
    package func failure(id: UInt64, _ failure: CallFailure) throws {
        try frame(FrameType.failure) {
            buffer.unsigned(id)
            switch failure {
            case .notExecuted(let reason):
                buffer.unsigned(0)
                try CBOREncoder.encode(reason, into: buffer)
            case .registered(let name, let error):
                buffer.unsigned(1)
                buffer.text(name)
                error.withUnsafeBytes { buffer.raw($0) }
            case .other(let type, let text):
                buffer.unsigned(2)
                buffer.text(Self.cut(type))
                buffer.text(Self.cut(text))
            case .unsendable(let text):
                buffer.unsigned(3)
                buffer.text(Self.cut(text))
            }
        }
    }
    private func address(_ address: ActorAddress) {
        switch address {
        case .instance(let node, let incarnation, let number, let shard):
            buffer.array(count: 5)
            buffer.unsigned(0)
            buffer.text(node.rawValue)
            buffer.unsigned(incarnation.rawValue)
            buffer.unsigned(number)
            buffer.signed(Int64(shard))
        case .virtual(let kind, let key):
            buffer.array(count: 3)
            buffer.unsigned(1)
            buffer.text(kind)
            buffer.text(key)
        case .service(let node, let name):
            buffer.array(count: 3)
            buffer.unsigned(2)
            buffer.text(node.rawValue)
            buffer.text(name)
        }
    }
    /// Texts for people; the rest of a long one helps nobody.
    static func cut(_ text: String) -> String {
        text.utf8.count <= Frame.Limits.textBytes ? text : String(text.prefix(Frame.Limits.textBytes / 4))
    }
    private func frame(_ type: UInt8, _ body: () throws -> Void) throws {
        let start = buffer.count
        buffer.u32(0)
        buffer.byte(type)
        do {
            try body()
            let length = buffer.count - start - FrameAssembler.Limits.headBytes
            guard length <= FrameAssembler.Limits.payloadBytes else { throw FrameError.tooLarge(bytes: length) }
            buffer.patchU32(UInt32(length), at: start)
        } catch {
            buffer.truncate(to: start)
            throw error
        }
    }
}
