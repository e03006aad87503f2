// Appends of many rooms gathered into one transaction: one flush of the disk for all that arrived during the last one.
internal import Contracts
internal import EventLoop
internal import Primitives
internal import Synchronization

/// Holds batches while one transaction with earlier ones runs. At most one of its jobs is on the store's threads, so that
/// claims never stand in line behind the events of many rooms.
final class AppendGroup: Sendable {
    enum Limits {
        /// Batches waiting; one more is refused as away. The rooms keep their events and come again.
        static let waiting = 4_096
        /// Batches of one transaction.
        static let batches = 64
        /// Between looks for events that have outlived `EventRetention.age`; the shorter one while there is more to remove.
        static let retentionPause: Duration = .seconds(60)
        static let retentionHurry: Duration = .seconds(1)
    }
    private struct Entry {
        let batch: EventBatch
        let answer: Answer<AppendOutcome>
        let deadline: Int64
    }
    private struct State {
        var waiting: [Entry] = []
        /// Those of the running transaction, to be failed with it.
        var begun: [Entry] = []
        /// Grows with each transaction: an overdue one that ends late finds it is no longer the current one.
        var number = 0
        var isRunning = false
        var retentionDue: Int64 = 0
    }
    private let threads: StoreThreads
    private let answerNanoseconds: Int64
    private let state = Mutex(State())

    init(_ threads: StoreThreads, answer: Duration) {
        self.threads = threads
        answerNanoseconds = answer.inNanoseconds
    }

    func append(_ batch: EventBatch) async throws(StoreError) -> AppendOutcome {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<AppendOutcome, StoreError>, Never>) in
            let entry = Entry(batch: batch, answer: Answer(continuation), deadline: Monitor.now + answerNanoseconds)
            let taken = state.withLock { state in
                guard state.waiting.count < Limits.waiting else { return false }
                state.waiting.append(entry)
                return true
            }
            guard taken else { return entry.answer.settle(.failure(.away("the events of \(Limits.waiting) rooms wait for the store already"))) }
            proceed()
        }
        return try result.get()
    }

    /// Begins the next transaction unless one is running.
    private func proceed() {
        let number: Int? = state.withLock { state in
            guard !state.isRunning, !state.waiting.isEmpty else { return nil }
            state.isRunning = true
            state.number += 1
            return state.number
        }
        guard let number else { return }
        threads.submit(.init(run: { [self] in run(number, on: $0) }, fail: { [self] in failed(number, $0) }))
    }

    private func run(_ number: Int, on connection: any SQLConnection) {
        let entries = take(number)
        if !write(entries, to: connection) {
            // One of them is not to the database's liking: the others do not suffer for it.
            for entry in entries { _ = write([entry], to: connection) }
        }
        retain(on: connection)
        end(number)
    }

    /// - Returns: false where the transaction failed for a reason that need not concern each of several batches; none is answered then.
    private func write(_ entries: [Entry], to connection: any SQLConnection) -> Bool {
        do throws(StoreError) {
            let outcomes = try EventWriting.append(entries.map(\.batch), to: connection)
            for (entry, outcome) in zip(entries, outcomes) { entry.answer.settle(.success(outcome)) }
        } catch {
            if case .away = error {} else if entries.count > 1 { return false }
            for entry in entries { entry.answer.settle(.failure(error)) }
        }
        return true
    }

    /// Removes what has outlived its time, now and then. Failing is no harm: the next look comes.
    private func retain(on connection: any SQLConnection) {
        let now = Monitor.now
        let isDue = state.withLock { state in
            guard state.retentionDue <= now else { return false }
            state.retentionDue = now + Limits.retentionPause.inNanoseconds
            return true
        }
        guard isDue, connection.isUsable, (try? EventRetention.apply(to: connection)) == true else { return }
        state.withLock { $0.retentionDue = now + Limits.retentionHurry.inNanoseconds }
    }

    /// The batches of the next transaction, one a room, those that waited too long left out.
    private func take(_ number: Int) -> [Entry] {
        let now = Monitor.now
        var late: [Entry] = []
        let taken: [Entry] = state.withLock { state in
            guard state.number == number else { return [] }
            var rooms: Set<String> = [], taken: [Entry] = [], left: [Entry] = []
            for entry in state.waiting {
                if entry.deadline <= now { late.append(entry) }
                else if taken.count < Limits.batches, rooms.insert(entry.batch.room.rawValue).inserted { taken.append(entry) }
                else { left.append(entry) }
            }
            state.waiting = left
            state.begun = taken
            return taken
        }
        for entry in late { entry.answer.settle(.failure(.away("no answer in \(Duration.nanoseconds(answerNanoseconds)); it was not begun"))) }
        return taken
    }

    private func end(_ number: Int) {
        let isCurrent = state.withLock { state in
            guard state.number == number, state.isRunning else { return false }
            state.isRunning = false
            state.begun = []
            return true
        }
        if isCurrent { proceed() }
    }

    /// The store is away: nobody is left waiting to be told so one by one.
    private func failed(_ number: Int, _ error: StoreError) {
        let entries: [Entry] = state.withLock { state in
            guard state.number == number, state.isRunning else { return [] }
            defer { state.isRunning = false; state.begun = []; state.waiting = [] }
            return state.begun + state.waiting
        }
        for entry in entries { entry.answer.settle(.failure(error)) }
    }
}
