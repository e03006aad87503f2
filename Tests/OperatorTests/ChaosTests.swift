// What a fault may cost, and what counts as having been measured.
@testable import Operator
import Configuration
import Primitives
import Testing

@Suite struct ChaosTests {
    @Test func aReportOfTheClientsIsRead() throws {
        let found = try LoadFindings(#"{"publishers":[{"participant_id":"P_1"}],"subscribers":[{"participant_id":"P_2","media_gap_ms":120.5},{"participant_id":"P_3","media_gap_ms":null}],"failures":["P_3: gone"]}"#)
        #expect(found.gaps == [0.1205, .infinity])
        #expect(found.participants == ["P_1", "P_2", "P_3"])
        #expect(found.failures == ["P_3: gone"])
        #expect(found.gapP95 == .infinity)
        #expect(try LoadFindings("{}").gapP95 == nil)
        #expect(throws: JSONError.self) { try LoadFindings("troupe-load: no") }
    }
    /// Nearest rank: of 20 the 19th, of fewer the last.
    @Test(arguments: [(1, 1.0), (6, 6.0), (20, 19.0), (40, 38.0)]) func theGapIsANearestRank(count: Int, expected: Double) throws {
        let rows = (1...count).reversed().map { #"{"media_gap_ms":\#($0 * 1000)}"# }.joined(separator: ",")
        #expect(try LoadFindings(#"{"subscribers":[\#(rows)]}"#).gapP95 == expected)
    }
    @Test func whatWasNotMeasuredIsNotMet() {
        var verdict = ChaosVerdict(plan: .kill, node: "n2", room: "R_1")
        #expect(!verdict.isPassed)
        verdict.atMost("gap", 0.4, 1)
        verdict.holds("no event lost", true, "7 events")
        #expect(verdict.isPassed)
        #expect(verdict.text == "kill of n2: passed\n  ok   gap: 0.400 s (at most 1.0 s)\n  ok   no event lost\n")
        verdict.atMost("room", nil, 1)
        verdict.atMost("back", .infinity, 1)
        verdict.holds("roster", false, "1 ghost")
        #expect(!verdict.isPassed)
        #expect(verdict.text.hasSuffix("  MISS room: nothing measured (at most 1.0 s)\n  MISS back: never (at most 1.0 s)\n  MISS roster (1 ghost)\n"))
        #expect(verdict.json["objectives"]?.array?.map { $0["seconds"] } == [.number(0.4), nil, nil, .string("never"), nil])
        #expect(verdict.json["passed"] == false)
    }
    @Test func theCommandLineNamesWhatAndWhom() throws {
        #expect(try Invocation.parse(["chaos", "stall", "--on", "n2", "--for", "3s", "--clients", "4"]).order == .chaos(ChaosOrder(plan: .stall, node: "n2", span: .seconds(3), clients: 4)))
        #expect(try Invocation.parse(["chaos", "kill"]).order == .chaos(ChaosOrder(plan: .kill, node: nil, span: .seconds(5), clients: 6)))
        for words in [["chaos"], ["chaos", "burn"], ["chaos", "stall", "--for", "2m"], ["chaos", "kill", "--clients", "51"]] {
            #expect(throws: UsageError.self) { try Invocation.parse(words) }
        }
    }
}
