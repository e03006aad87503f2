import Cluster
import Primitives
import Testing

@testable import Conference

/// When a client is told that its word is taken, as a transcript.
@Suite struct SpokenWordsTests {
    private let start = Instant(nanoseconds: 1_000_000_000), one = Epoch(1), two = Epoch(2)
    private typealias Answer = SpokenWords.Answer
    /// The value under test, where an expectation can change it.
    private final class Words {
        private var words = SpokenWords()
        func taken(_ id: Int64?, _ text: String, now: Instant) -> [Answer] { words.taken(id, text, now: now) }
        func heard(_ text: String, at sequence: UInt64, under epoch: Epoch) -> [Answer] { words.heard(text, at: sequence, under: epoch) }
        func kept(through number: UInt64, under epoch: Epoch) -> [Answer] { words.kept(through: number, under: epoch) }
        func takeDue(now: Instant) -> [Answer] { words.takeDue(now: now) }
    }

    @Test func aWordIsAnsweredOnceTheStoreHasIt() {
        let words = Words()
        #expect(words.taken(7, "hi", now: start) == [])
        #expect(words.kept(through: 4, under: one) == [])
        #expect(words.heard("hi", at: 5, under: one) == [])
        #expect(words.kept(through: 5, under: one) == [Answer(id: 7, isKept: true)])
        #expect(words.takeDue(now: start + .seconds(60)) == [])
    }
    @Test func theStoreMayBeFasterThanTheEvent() {
        let words = Words()
        #expect(words.taken(7, "hi", now: start) == [])
        #expect(words.kept(through: 5, under: one) == [])
        #expect(words.heard("hi", at: 5, under: one) == [Answer(id: 7, isKept: true)])
    }
    @Test func oneOfWhichNothingIsHeardIsAnsweredAsNotKept() {
        let words = Words()
        #expect(words.taken(7, "hi", now: start) == [] && words.taken(8, "there", now: start + .seconds(1)) == [])
        #expect(words.heard("hi", at: 5, under: one) == [])
        #expect(words.takeDue(now: start + SpokenWords.Limits.patience - .nanoseconds(1)) == [])
        #expect(words.takeDue(now: start + SpokenWords.Limits.patience) == [Answer(id: 7, isKept: false)])
        #expect(words.heard("there", at: 6, under: one) == [] && words.kept(through: 6, under: one) == [Answer(id: 8, isKept: true)])
    }
    /// A Room that was overtaken numbered it; its successor gave the number to another event, and the store has that.
    @Test func aNumberOfAnotherEpochKeepsNothing() {
        let words = Words()
        #expect(words.taken(7, "hi", now: start) == [] && words.heard("hi", at: 5, under: one) == [])
        #expect(words.kept(through: 9, under: two) == [])
        #expect(words.takeDue(now: start + SpokenWords.Limits.patience) == [Answer(id: 7, isKept: false)])
    }
    @Test func equalWordsAreAnsweredInTheirOrder() {
        let words = Words()
        for id in [7, 8] as [Int64] { #expect(words.taken(id, "hi", now: start) == []) }
        #expect(words.heard("hi", at: 5, under: one) == [] && words.heard("hi", at: 6, under: one) == [])
        #expect(words.kept(through: 5, under: one) == [Answer(id: 7, isKept: true)])
        #expect(words.kept(through: 6, under: one) == [Answer(id: 8, isKept: true)])
    }
    @Test func whatWantsNoAnswerGetsNoneAndHoldsUpNobody() {
        let words = Words()
        #expect(words.taken(nil, "hi", now: start) == [] && words.taken(8, "hi", now: start) == [])
        #expect(words.heard("hi", at: 5, under: one) == [] && words.heard("hi", at: 6, under: one) == [])
        #expect(words.kept(through: 6, under: one) == [Answer(id: 8, isKept: true)])
    }
    @Test func noMoreWaitThanTheBound() {
        let words = Words()
        for id in 0..<Int64(SpokenWords.Limits.words) { #expect(words.taken(id, "hi", now: start) == []) }
        #expect(words.taken(1000, "hi", now: start) == [Answer(id: 0, isKept: false)])
    }
}
