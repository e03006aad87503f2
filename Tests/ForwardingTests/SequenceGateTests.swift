import Testing
@testable import Forwarding

@Suite struct SequenceGateTests {
    static let edges: [UInt16] = [0, 1, 32_767, 32_768, 65_534, 65_535]

    @Test(arguments: edges)
    func extendsAcrossTheWrapInOrderAndLate(first: UInt16) {
        var gate = SequenceGate()
        let base = UInt64(65_536) + UInt64(first)
        #expect(gate.admit(first) == .newest(base))
        #expect(gate.admit(first &+ 2) == .newest(base + 2))
        #expect(gate.admit(first &+ 1) == .late(base + 1))
        #expect(gate.admit(first &- 1) == .late(base - 1))
        #expect(gate.admit(first &+ 3_002) == .newest(base + 3_002))
        #expect(gate.place(first &+ 3_002 &- 511) == base + 3_002 - 511)
        #expect(gate.place(first &+ 3_002 &- 512) == nil)
        #expect(gate.place(first &+ 3_003) == nil, "a retransmission is never ahead")
    }

    @Test(arguments: edges)
    func twoStrangeNumbersInARowAreARestart(first: UInt16) {
        var gate = SequenceGate()
        _ = gate.admit(first)
        #expect(gate.admit(first &+ 20_000) == .jump)
        #expect(gate.admit(first &+ 1) == .newest(UInt64(65_536) + UInt64(first) + 1), "one stray number changes nothing")
        #expect(gate.admit(first &+ 20_000) == .jump)
        guard case .restart(let number) = gate.admit(first &+ 20_001) else { Issue.record("no restart"); return }
        #expect(UInt16(truncatingIfNeeded: number) == first &+ 20_001)
        #expect(number > UInt64(65_536) + UInt64(first) + 20_001, "beyond all numbers of before")
        #expect(gate.admit(first &+ 20_002) == .newest(number + 1))
    }

    @Test func stragglersAreTooOldUntilThereAreTooManyOfThem() {
        var gate = SequenceGate()
        _ = gate.admit(10_000)
        for i in 0..<31 { #expect(gate.admit(UInt16(9_000 + i)) == .tooOld) }
        guard case .restart = gate.admit(9_031) else { Issue.record("no restart"); return }
    }
}
