import Testing
@testable import Forwarding

@Test func dropReasonsFitTheirCounters() {
    var counters = RouterCounters()
    for reason in DropReason.allCases { counters.drop(reason) }
    for reason in DropReason.allCases { #expect(counters.drops(reason) == 1) }
}
