import Primitives
import Testing

@Suite struct BoundedQueueTests {
    /// Beside a plain array, at every length and wherever in the ring it begins.
    @Test(arguments: [nil, 1, 3, 8, 100]) func keepsItsOrderAndItsBoundHoweverItGrows(first: Int?) {
        var queue = BoundedQueue<Int>(capacity: 20, growingFrom: first), model: [Int] = [], random = SplitMix64(seed: 7), refused = 0
        for number in 0..<20_000 {
            // In turns mostly in and mostly out, so that it is full and empty now and then.
            if random.next() % 10 < (number / 100 % 2 == 0 ? 7 : 3) {
                let isTaken = queue.push(number)
                #expect(isTaken == (model.count < 20))
                if isTaken { model.append(number) } else { refused += 1 }
            } else {
                #expect(queue.pop() == (model.isEmpty ? nil : model.removeFirst()))
            }
            #expect(queue.count == model.count && queue.first == model.first && queue.isFull == (model.count == 20) && queue.isEmpty == model.isEmpty)
        }
        #expect(refused > 0)
    }
}
