// Words of one client that its Room has taken, until the store has them: then they are acknowledged.
// Decision: docs/decisions/0023-postgresql-and-events.md
import Cluster
import Primitives

/// When to tell a client that its word is taken, and whether it is kept.
///
/// In:  words the Room took; the same words as they come back as the room's events; how far the store's log goes.
/// Out: answers that are due. A word is kept once the store has it. One of which that is not heard in time is answered
/// all the same: a room goes on while its store is away, but what it says then may be lost with its node.
/// A pure value, owned by `Participant`.
struct SpokenWords {
    enum Limits {
        /// How long an answer waits for the store: longer than a node that was cut off takes to freeze, shorter than people wait.
        static let patience = Duration.seconds(3)
        /// Words without an answer; beyond it the oldest is answered as not kept.
        static let words = 64
    }
    struct Answer: Equatable {
        var id: Int64
        var isKept: Bool
    }
    private struct Word {
        /// Nil where the client wants no answer.
        var id: Int64?
        var text: String
        var due: Instant
        /// Its number under the epoch it was said in; nil until it comes back.
        var sequence: UInt64?
    }
    private var words: [Word] = []
    private var epoch = Epoch.none
    private var persisted: UInt64 = 0

    /// The Room took a word.
    /// - Returns: what is to be answered now.
    mutating func taken(_ id: Int64?, _ text: String, now: Instant) -> [Answer] {
        words.append(Word(id: id, text: text, due: now + Limits.patience))
        return giveUp(words.count - Limits.words)
    }
    /// It came back as an event.
    /// - Returns: what is to be answered now.
    mutating func heard(_ text: String, at sequence: UInt64, under epoch: Epoch) -> [Answer] {
        follow(epoch)
        if let place = words.firstIndex(where: { $0.sequence == nil && $0.text == text }) { words[place].sequence = sequence }
        return takeKept()
    }
    /// The store has every number up to this one. What an overtaken Room says of itself holds for its successors as well.
    mutating func kept(through number: UInt64, under epoch: Epoch) -> [Answer] {
        follow(epoch)
        persisted = max(persisted, number)
        return takeKept()
    }
    /// What has waited long enough.
    mutating func takeDue(now: Instant) -> [Answer] { giveUp(words.prefix { $0.due <= now }.count) }
    private mutating func giveUp(_ count: Int) -> [Answer] {
        guard count > 0 else { return [] }
        defer { words.removeFirst(count) }
        return words.prefix(count).compactMap { word in word.id.map { Answer(id: $0, isKept: false) } }
    }
    /// Under another epoch numbers may be another's: of what was said before nothing can be shown here any more.
    private mutating func follow(_ now: Epoch) {
        guard now != epoch else { return }
        epoch = now
        persisted = 0
        for place in words.indices where words[place].sequence != nil { words[place].sequence = .max }
    }
    private mutating func takeKept() -> [Answer] {
        let done = words.filter { $0.sequence.map { $0 <= persisted } ?? false }
        guard !done.isEmpty else { return [] }
        words.removeAll { $0.sequence.map { $0 <= persisted } ?? false }
        return done.compactMap { word in word.id.map { Answer(id: $0, isKept: true) } }
    }
}
