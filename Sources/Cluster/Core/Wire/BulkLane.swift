// Large messages in pieces, so that small ones need not wait for them. Decision: docs/decisions/0021-wire.md
import Primitives

/// What keeps its order: calls to one actor among each other. Answers have no order.
package enum LaneKey: Hashable, Sendable {
    case calls(to: ActorAddress)
    case answer(UInt64)
}

/// Messages that leave in chunks, one chunk of each in turn. A small message whose key has a large one waiting waits
/// behind it; all others go past. Owned by one link.
package struct BulkLane: Sendable {
    package enum Limits {
        /// Larger messages are cut.
        package static let whole = 16 << 10              // bytes
        package static let chunk = 16 << 10              // bytes
        /// Messages begun and not ended at once: with their size, what the other side has to keep.
        package static let begun = 16
    }
    package struct Chunk: Sendable {
        package let message: UInt64
        package let isLast: Bool
        package let bytes: ArraySlice<UInt8>
    }
    private struct Sequence: Sendable {
        var messages: [[UInt8]]
        /// Of the first message.
        var number: UInt64?
        var offset = 0
    }
    private var sequences: [LaneKey: Sequence] = [:]
    /// Whose turn it is; those begun first.
    private var turns: [LaneKey] = []
    private var waitingTurns: [LaneKey] = []
    private var last: UInt64 = 0
    package private(set) var bytes = 0
    package init() {}

    package var isEmpty: Bool { sequences.isEmpty }
    package func holds(_ key: LaneKey) -> Bool { sequences[key] != nil }
    /// - Parameter payload: a frame without its length.
    package mutating func add(_ payload: [UInt8], _ key: LaneKey) {
        bytes += payload.count
        if sequences[key] != nil {
            sequences[key]!.messages.append(payload)
        } else {
            sequences[key] = Sequence(messages: [payload])
            if turns.count < Limits.begun { turns.append(key) } else { waitingTurns.append(key) }
        }
    }
    package mutating func next() -> Chunk? {
        guard !turns.isEmpty else { return nil }
        let key = turns.removeFirst()
        guard var sequence = sequences[key] else { return next() }
        if sequence.number == nil {
            last += 1
            sequence.number = last
        }
        let message = sequence.messages[0], end = min(message.count, sequence.offset + Limits.chunk)
        let chunk = Chunk(message: sequence.number!, isLast: end == message.count, bytes: message[sequence.offset..<end])
        bytes -= chunk.bytes.count
        if chunk.isLast {
            sequence.messages.removeFirst()
            sequence.number = nil
            sequence.offset = 0
        } else { sequence.offset = end }
        // Between two messages of a key others that wait may begin.
        if chunk.isLast, !sequence.messages.isEmpty, !waitingTurns.isEmpty {
            turns.append(waitingTurns.removeFirst())
            waitingTurns.append(key)
            sequences[key] = sequence
        } else if sequence.messages.isEmpty {
            sequences[key] = nil
            if !waitingTurns.isEmpty { turns.append(waitingTurns.removeFirst()) }
        } else {
            sequences[key] = sequence
            turns.append(key)
        }
        return chunk
    }
}

/// The other side: chunks back into payloads, bounded in number and bytes.
package struct ChunkAssembler: Sendable {
    package enum Limits {
        /// Twice what a sender of ours begins.
        package static let messages = 2 * BulkLane.Limits.begun
        package static let bytes = 24 << 20
    }
    private var parts: [UInt64: [UInt8]] = [:]
    package private(set) var bytes = 0
    package init() {}

    /// - Returns: the payload, once its last chunk is there.
    package mutating func take(_ message: UInt64, _ chunk: [UInt8], isLast: Bool) throws(FrameError) -> [UInt8]? {
        var whole = parts.removeValue(forKey: message) ?? []
        bytes -= whole.count
        guard parts.count < Limits.messages else { throw .outOfRange("number of unfinished messages") }
        let size = whole.count + chunk.count
        guard size <= FrameAssembler.Limits.payloadBytes, bytes + size <= Limits.bytes else { throw .tooLarge(bytes: bytes + size) }
        whole += chunk
        if isLast {
            guard !whole.isEmpty else { throw .empty }
            return whole
        }
        parts[message] = whole
        bytes += whole.count
        return nil
    }
}
