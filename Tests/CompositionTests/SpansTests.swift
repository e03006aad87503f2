import Primitives
import Testing
@testable import Composition

@Suite struct SpansTests {
    @Test func areNormal() {
        #expect(Spans([5..<7, 0..<2, 2..<3, 6..<9, 4..<4]).ranges == [0..<3, 5..<9])
        #expect(Spans([0..<10]).subtracting(Spans([2..<3, 9..<20])).ranges == [0..<2, 3..<9])
        #expect(Spans([0..<10, 20..<30]).subtracting(Spans([5..<25])).ranges == [0..<5, 25..<30])
        #expect(Spans([0..<10, 20..<30]).clipped(to: 8..<22).ranges == [8..<10, 20..<22])
    }
    /// Beside a set of whole numbers.
    @Test(arguments: 1...50) func isWhatASetIs(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        func some() -> [Range<Int64>] { (0..<Int(random.next() % 12)).map { _ in let a = Int64(random.next() % 100); return a..<(a + Int64(random.next() % 20)) } }
        func set(_ ranges: [Range<Int64>]) -> Set<Int64> { Set(ranges.flatMap { Array($0) }) }
        let a = some(), b = some(), bounds: Range<Int64> = 10..<60
        let left = Spans(a).subtracting(Spans(b))
        #expect(set(left.ranges) == set(a).subtracting(set(b)) && left.total == Int64(set(left.ranges).count))
        #expect(set(Spans(a).clipped(to: bounds).ranges) == set(a).intersection(Array(bounds)))
        #expect((0..<120 as Range<Int64>).allSatisfy { left.contains($0) == set(left.ranges).contains($0) })
        #expect(zip(left.ranges, left.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
}
