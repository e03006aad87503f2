import Primitives
import Testing
@testable import Conference

@Suite struct ChunksUnderWayTests {
    @Test func eachParticipantHasSoManyTurnsInEachRoom() {
        var turns = ChunksUnderWay()
        let answers = (0..<ChunksUnderWay.Limits.chunks + 2).map { _ in turns.begin("ada", of: "r") }
        #expect(answers == [true, true, true, true, false, false])
        let others = [turns.begin("ben", of: "r"), turns.begin("ada", of: "s")]
        #expect(others == [true, true])
        turns.end("ada", of: "r")
        let again = [turns.begin("ada", of: "r"), turns.begin("ada", of: "r")]
        #expect(again == [true, false], "a refused one takes no turn and gives none back")
    }
    @Test func nothingStaysOfThoseWhoAreDone() {
        var turns = ChunksUnderWay()
        for number in 0..<100 { _ = turns.begin(ParticipantID("p\(number)"), of: "r") }
        #expect(turns.senders == 100)
        for number in 0..<100 { turns.end(ParticipantID("p\(number)"), of: "r") }
        turns.end("p1", of: "r")
        #expect(turns.senders == 0)
    }
}
