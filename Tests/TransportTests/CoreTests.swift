// Tables, heap, replay window and histogram against simple models.
import Primitives
import Testing
@testable import Transport

@Suite struct FlatTableTests {
    @Test func behavesLikeADictionary() {
        var random = SplitMix64(seed: 11)
        let table = FlatTable<UInt32>(emptyKey: 0)
        var model: [UInt32: Int32] = [:]
        for step in 0..<50_000 {
            let key = UInt32(random.next() % 700)
            switch random.next() % 3 {
            case 0: #expect(table.remove(key) == model.removeValue(forKey: key) ?? -1)
            case 1: #expect(table.set(key, Int32(step)) == model.updateValue(Int32(step), forKey: key) ?? -1)
            default: #expect(table.find(key) == model[key] ?? -1)
            }
        }
        #expect(table.count == model.count)
        for (key, value) in model { #expect(table.find(key) == value) }
        table.removeAll(where: { $0 % 2 == 0 })
        for (key, value) in model { #expect(table.find(key) == (value % 2 == 0 ? -1 : value)) }
    }
    @Test func addressesThatDifferInOnePlaceAreKeptApart() {
        let table = FlatTable<SocketAddress>(emptyKey: SocketAddress(ipv4: 0, port: 0))
        let all = (0..<4000).map { (number: Int) -> SocketAddress in
            let host = 0x7F00_0001 + UInt32(number / 200), port = UInt16(40_000 + number % 200)
            return SocketAddress(ipv4: host, port: port)
        }
        for (i, address) in all.enumerated() { table.set(address, Int32(i)) }
        for (i, address) in all.enumerated() { #expect(table.find(address) == Int32(i)) }
        #expect(table.find(SocketAddress(ipv4: 0, port: 0)) == -1)
    }
}

@Suite struct DeadlineHeapTests {
    @Test func randomChangesComeOutInOrder() {
        var random = SplitMix64(seed: 3)
        let heap = DeadlineHeap(capacity: 300)
        var model: [Int32: Int64] = [:]
        for _ in 0..<20_000 {
            let id = Int32(random.next() % 300)
            if random.next() % 4 == 0 {
                heap.set(id, nil)
                model[id] = nil
            } else {
                let at = Int64(random.next() % 10_000)
                heap.set(id, Instant(nanoseconds: at))
                model[id] = at
            }
            #expect(heap.earliest?.nanoseconds == model.values.min())
        }
        #expect(heap.takeDue(now: Instant(nanoseconds: -1)) == -1)
        var last: Int64 = -1
        while true {
            let id = heap.takeDue(now: Instant(nanoseconds: 5000))
            guard id >= 0 else { break }
            let at = model.removeValue(forKey: id)!
            #expect(at >= last)
            last = at
        }
        #expect(model.values.allSatisfy { $0 > 5000 })
    }
}

@Suite struct ReplayWindowTests {
    @Test(arguments: [UInt64(0), 1, 1023, 1024, UInt64.max - 2048])
    func eachCounterPassesOnce(start: UInt64) {
        var window = ReplayWindow()
        for i in 0..<2000 as Range<UInt64> where i % 3 != 0 {
            #expect(window.check(start + i) == .fresh)
            window.note(start + i)
            #expect(window.check(start + i) == .replayed)
        }
        let highest = start + 1999
        #expect(window.check(highest - 1024) == .tooOld)
        // A late one inside the window is still new, once.
        let late = start + 1998
        #expect(window.check(late) == .fresh)
        window.note(late)
        #expect(window.check(late) == .replayed)
    }
    @Test func aJumpForgetsWhatIsFarBehind() {
        var window = ReplayWindow()
        window.note(5)
        window.note(5000)
        #expect(window.check(5) == .tooOld)
        #expect(window.check(4999) == .fresh)
        #expect(window.check(5000 - 1024 + 5) == .fresh)
    }
    @Test func againstAModel() {
        var random = SplitMix64(seed: 99)
        var window = ReplayWindow(), seen: Set<UInt64> = [], highest: UInt64 = 0
        for _ in 0..<30_000 {
            let counter = max(0, Int64(highest) + Int64(random.next() % 1600) - 1400)
            let c = UInt64(counter)
            let expected: ReplayWindow.Verdict = seen.isEmpty ? .fresh : c + 1024 <= highest ? .tooOld : seen.contains(c) ? .replayed : .fresh
            #expect(window.check(c) == expected)
            if expected == .fresh { window.note(c); seen.insert(c); highest = max(highest, c) }
        }
    }
}

@Suite struct DelayHistogramTests {
    @Test func quantilesAreWithinAQuarter() {
        var histogram = DelayHistogram()
        #expect(histogram.quantile(0.5) == nil)
        for i in 1...1000 as ClosedRange<Int64> { histogram.note(microseconds: i) }
        for (q, exact) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0), (1.0, 1000.0)] {
            let value = histogram.quantile(q)!
            #expect(value >= exact && value <= exact * 1.26)
        }
        histogram.note(microseconds: -5)
        histogram.note(microseconds: .max)
        #expect(histogram.total == 1002)
        #expect(histogram.quantile(0)! == 1)
    }
}
