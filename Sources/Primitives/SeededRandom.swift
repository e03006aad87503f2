import Synchronization

/// A seeded `RandomSource` for tests and the simulator. The lock is uncontended there; production uses `SystemRandom`.
package final class SeededRandom: RandomSource {
    private let generator: Mutex<SplitMix64>
    package init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }
    package func next() -> UInt64 { generator.withLock { $0.next() } }
}
