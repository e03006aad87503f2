import Conference
import Contracts
import Primitives
import Testing

private let wall = WallTime(seconds: 1_900_000_000)

private func log(epoch: UInt64 = 1, stored: UInt64 = 0, unwritten: Int = 100) -> EventLog {
    var limits = EventLog.Limits()
    limits.unwritten = unwritten
    limits.written = 4
    limits.batch = 5
    return EventLog(room: "room-a", epoch: Epoch(epoch), stored: stored, limits: limits)
}
private extension EventLog {
    @discardableResult mutating func say(_ text: String = "x") -> LoggedEvent { number(type: "chat", payload: #"{"text":"\#(text)"}"#, at: wall) }
    mutating func take(_ seconds: Int64 = 0) -> EventBatch? { takeBatch(now: .origin + .seconds(seconds)) { [7] } }
    var numbers: [ClosedRange<UInt64>] { unwritten.map { $0.first...$0.sequence } }
}

@Suite struct EventLogs {
    @Test func oneBatchIsUnderWayAtATimeAndTheLastCarriesTheState() {
        var log = log()
        #expect(log.deadline == nil && log.take() == nil)
        let events = (1...7).map { log.say("\($0)") }
        #expect(events.map(\.sequence) == [1, 2, 3, 4, 5, 6, 7] && log.deadline == .origin)
        #expect(log.take() == EventBatch(room: "room-a", epoch: Epoch(1), after: 0, events: Array(events[..<5]), state: nil))
        #expect(log.take() == nil && log.deadline == nil, "an answer is awaited")
        log.appended(through: 5)
        #expect(log.take() == EventBatch(room: "room-a", epoch: Epoch(1), after: 5, events: Array(events[5...]), state: [7]))
        log.appended(through: 7)
        #expect(log.persisted == 7 && log.unwritten.isEmpty && log.deadline == nil)
        #expect(log.since(3) == .events(Array(events[3...])) && log.since(7) == .events([]) && log.since(.max) == .events([]))
    }

    @Test func whatTheStoreHasIsLetGo() {
        var log = log()
        for _ in 0..<30 {
            let event = log.say()
            _ = log.take()
            log.appended(through: event.sequence)
        }
        #expect(log.since(0) == .askStore)
        guard case .events(let last) = log.since(27) else { Issue.record("the last ones are held"); return }
        #expect(last.map(\.sequence) == [28, 29, 30])
    }

    @Test func aStoreThatIsAwayIsAskedLessAndLess() {
        var log = log()
        log.say()
        var now = Instant.origin, pauses: [Int64] = []
        for _ in 0..<7 {
            #expect(log.takeBatch(now: now) { nil } != nil)
            log.failed(now: now)
            let next = log.deadline!
            #expect(log.takeBatch(now: next - .nanoseconds(1)) { nil } == nil)
            pauses.append((next - now).inMilliseconds)
            now = next
        }
        #expect(pauses == [200, 400, 800, 1_600, 3_200, 5_000, 5_000])
        _ = log.takeBatch(now: now) { nil }
        log.appended(through: 1)
        log.say()
        #expect(log.deadline == .origin, "an answer ends the waiting")
    }

    @Test func beyondTheBoundTheOldestBecomeOneStatementOfLoss() {
        var log = log(unwritten: 4)
        for _ in 0..<9 { log.say() }
        #expect(log.numbers == [1...6, 7...7, 8...8, 9...9])
        #expect(log.unwritten[0].payload == #"{"from":1,"to":6}"# && log.unwritten[0].isLoss && log.counters.dropped == 6)
        guard case .events(let all) = log.since(2) else { Issue.record("a loss is told from memory"); return }
        #expect(all.map(\.sequence) == [6, 7, 8, 9])
        #expect(log.take()?.events.map(\.sequence) == [6, 7, 8, 9])
    }

    @Test func bytesAreBoundedToo() {
        var limits = EventLog.Limits()
        limits.unwrittenBytes = 10_000
        var log = EventLog(room: "room-a", epoch: Epoch(1), stored: 0, limits: limits)
        for _ in 0..<20 { log.say(String(repeating: "y", count: 2_000)) }
        #expect(log.unwritten.reduce(0) { $0 + $1.byteCount } <= 10_000 && log.unwritten.count > 3)
        #expect(log.unwritten.last?.sequence == 20 && log.numbers.first?.lowerBound == 1)
    }

    @Test func whatWasGivenUpWhileItsWritingSucceededIsNotLost() {
        var log = log(unwritten: 4)
        for _ in 0..<4 { log.say() }
        let batch = log.take()!
        for _ in 0..<5 { log.say() }
        #expect(log.numbers.first == 1...6)
        log.appended(through: batch.through)
        #expect(log.numbers == [5...6, 7...7, 8...8, 9...9] && log.unwritten[0].payload == #"{"from":5,"to":6}"#)
        #expect(log.since(4) == .events(log.unwritten) && log.since(3) == .askStore, "the store has them as they were")
    }

    @Test func anAnswerThatGotLostIsFoundOutByTheConflict() {
        var log = log(unwritten: 4)
        for _ in 0..<4 { log.say() }
        _ = log.take()
        log.failed(now: .origin)
        for _ in 0..<2 { log.say() }
        #expect(log.take(10)?.after == 0)
        log.conflict(highest: 4, epoch: Epoch(1), at: wall)
        #expect(log.persisted == 4 && log.numbers == [5...5, 6...6] && !log.isSuperseded)
    }

    @Test func whatIsTooLargeIsLeftOut() {
        var log = log()
        log.say(String(repeating: "z", count: LoggedEvent.Limits.payloadBytes))
        log.say()
        #expect(log.unwritten[0].payload.hasPrefix(#"{"omitted_bytes":655"#) && log.counters.oversized == 1)
        let batch = log.takeBatch(now: .origin) { Array(repeating: 0, count: EventBatch.Limits.stateBytes + 1) }
        #expect(batch?.mistake == nil && batch?.state == nil && batch?.events.count == 2)
    }

    @Test func aLaterEpochOrAStrangersNumbersEndIt() {
        for (highest, epoch) in [(0, 2), (9, 1)] as [(UInt64, UInt64)] {
            var log = log()
            log.say()
            _ = log.take()
            log.conflict(highest: highest, epoch: Epoch(epoch), at: wall)
            #expect(log.isSuperseded && log.deadline == nil && log.take(10) == nil)
        }
    }

    @Test func aStoreThatForgotIsGivenWhatIsHeldAndToldOfTheRest() {
        var log = log()
        for _ in 0..<30 {
            let event = log.say()
            _ = log.take()
            log.appended(through: event.sequence)
        }
        log.say()
        _ = log.take()
        log.conflict(highest: 10, epoch: Epoch(1), at: wall)
        #expect(log.persisted == 10 && log.numbers.first?.lowerBound == 11 && log.unwritten[0].isLoss && log.unwritten.last?.sequence == 31)
        #expect(log.numbers.dropFirst().allSatisfy { $0.count == 1 })
    }
}

@Suite struct Takeovers {
    private func old(_ numbers: ClosedRange<UInt64>) -> [LoggedEvent] {
        numbers.map { LoggedEvent(sequence: $0, epoch: Epoch(1), at: wall, type: "chat", payload: "{}") }
    }

    @Test func copiesOfEdgesFillTheLog() {
        var log = log(epoch: 2, stored: 5)
        log.recover(epoch: Epoch(1), highest: 7, copies: old(6...7), at: wall)
        log.recover(epoch: Epoch(1), highest: 9, copies: old(4...9), at: wall)
        #expect(log.say().sequence == 10 && log.counters.losses == 0)
        #expect(log.unwritten.map(\.epoch.rawValue) == [1, 1, 1, 1, 2])
        #expect(log.take()?.after == 5)
    }

    @Test func whatNobodyHasACopyOfIsSaidToBeLost() {
        var log = log(epoch: 2, stored: 5)
        log.recover(epoch: Epoch(1), highest: 9, copies: old(8...9), at: wall)
        #expect(log.sequence == 5, "another edge may have them")
        #expect(log.say().sequence == 10)
        #expect(log.numbers == [6...9, 10...10] && log.unwritten[0].payload == #"{"from":6,"to":9}"#)
    }

    @Test func whatAnEdgeThatComesLateHasIsEnteredUnderNewNumbers() {
        var log = log(epoch: 2, stored: 5)
        #expect(log.say().sequence == 6)
        log.recover(epoch: Epoch(1), highest: 8, copies: old(6...8), at: wall)
        #expect(log.numbers == [6...6, 7...7, 8...8, 9...9] && log.counters.recovered == 3 && log.counters.losses == 0)
        #expect(log.unwritten.dropFirst().map(\.payload) == old(6...8).map(\.payload) && log.unwritten.allSatisfy { $0.epoch == Epoch(2) })
        log.recover(epoch: Epoch(1), highest: 8, copies: old(6...8), at: wall)
        #expect(log.sequence == 9, "once")
        for _ in 0..<3 { log.say() }
        log.recover(epoch: Epoch(1), highest: 10, copies: old(10...10), at: wall)
        #expect(log.numbers.suffix(2) == [13...13, 14...14] && log.unwritten.suffix(2).first?.payload == #"{"from":9,"to":9}"#, "of 9 nobody has a copy")
    }
    @Test func anEdgeThatComesLateProvesALossEvenOfNumbersGivenAnew() {
        var log = log(epoch: 2, stored: 5)
        #expect(log.say().sequence == 6)
        log.recover(epoch: Epoch(1), highest: 8, copies: [], at: wall)
        #expect(log.numbers == [6...6, 7...8] && log.unwritten[1].payload == #"{"from":6,"to":8}"#)
        log.recover(epoch: Epoch(1), highest: 8, copies: [], at: wall)
        #expect(log.sequence == 8, "told once")
    }

    @Test func theLatestEpochsCopiesCount() {
        let newer = [LoggedEvent(sequence: 6, epoch: Epoch(2), at: wall, type: "chat", payload: "{}")]
        for order in [[1, 2], [2, 1]] as [[UInt64]] {
            var log = log(epoch: 3, stored: 5)
            for epoch in order { log.recover(epoch: Epoch(epoch), highest: epoch == 1 ? 7 : 6, copies: epoch == 1 ? old(6...7) : newer, at: wall) }
            #expect(log.unwritten == newer && log.say().sequence == 9, "what the later epoch had not is entered before the next")
            #expect(log.unwritten.map(\.sequence) == [6, 7, 8, 9] && log.unwritten[1...2].map(\.payload) == old(6...7).map(\.payload) && log.counters.losses == 0)
        }
        var late = log(epoch: 3, stored: 5)
        late.recover(epoch: Epoch(1), highest: 7, copies: old(6...7), at: wall)
        late.say()
        late.recover(epoch: Epoch(2), highest: 6, copies: newer, at: wall)
        #expect(late.unwritten.last == LoggedEvent(sequence: late.sequence, epoch: Epoch(3), at: wall, type: "chat", payload: "{}"))
    }

    /// An edge was told of 12 when all that was reported was of epoch 1; then one of epoch 2 came, which had gone on from less.
    @Test func noNumberIsGivenOutThatAMemberTakesForKnown() {
        var lineage = EventLineage()
        lineage.opened(Epoch(1), at: 0)
        lineage.entered(Epoch(1), through: 12)
        var log = EventLog(room: "room-a", epoch: Epoch(3), stored: 9, lineage: lineage)
        log.recover(epoch: Epoch(1), highest: 12, copies: [], at: wall)
        #expect(log.highest == 12)
        log.recover(epoch: Epoch(2), highest: 10, copies: [LoggedEvent(sequence: 10, epoch: Epoch(2), at: wall, type: "chat", payload: "{}")], at: wall)
        #expect(log.highest == 12 && log.sequence == 10)
        #expect(log.say().sequence == 13 && log.numbers == [10...10, 11...12, 13...13])
    }

    /// Epoch 1 numbered 6 and 7 after epoch 2 had opened the log; the edge that has them was cut off until epoch 3.
    @Test func whatAnEdgeHasFromBeforeTheLastEpochIsEnteredOnce() {
        for isLate in [false, true] {
            var second = log(epoch: 2, stored: 5)
            second.say()
            second.appended(through: second.take()!.through)
            var third = EventLog(room: "room-a", epoch: Epoch(3), stored: 6, lineage: second.lineage)
            if isLate { third.say() }
            for _ in 0..<2 { third.recover(epoch: Epoch(1), highest: 7, copies: old(6...7), at: wall) }
            third.recover(epoch: Epoch(2), highest: 6, copies: [], at: wall)
            third.say()
            #expect(third.sequence == (isLate ? 10 : 9))
            #expect(third.counters.recovered == 2)
            #expect(third.counters.losses == 0)
            #expect(third.unwritten.count { $0.payload == "{}" } == 2)
            var fourth = EventLog(room: "room-a", epoch: Epoch(4), stored: third.sequence, lineage: third.lineage)
            fourth.recover(epoch: Epoch(1), highest: 7, copies: old(6...7), at: wall)
            fourth.say()
            #expect(fourth.counters.recovered == 0 && fourth.unwritten.count == 1, "the epoch before has entered them")
        }
    }
    @Test func aLineageFindsWhatTheNextEpochFound() {
        var lineage = EventLineage()
        for (epoch, number) in [(1, 0), (4, 20), (2, 9)] as [(UInt64, UInt64)] { lineage.opened(Epoch(epoch), at: number) }
        #expect(lineage.accounted(Epoch(1)) == 9 && lineage.accounted(Epoch(2)) == 20 && lineage.accounted(Epoch(3)) == 20 && lineage.accounted(Epoch(4)) == 0)
        lineage.entered(Epoch(1), through: 12)
        lineage.entered(Epoch(1), through: 11)
        #expect(lineage.accounted(Epoch(1)) == 12 && lineage.found(after: Epoch(1)) == 9)
        #expect(lineage.hasEpoch(between: Epoch(1), and: Epoch(4)) && !lineage.hasEpoch(between: Epoch(2), and: Epoch(4)))
        for epoch in 5..<200 { lineage.opened(Epoch(UInt64(epoch)), at: UInt64(epoch) * 10) }
        #expect(lineage.accounted(Epoch(1)) == 199 * 10 - 630, "its marks are gone: the oldest opening left counts")
    }

    @Test func aRoomNobodyReportsOnGoesOnFromTheStore() {
        var log = log(epoch: 2, stored: 5)
        log.closeGap(wall)
        #expect(log.say().sequence == 6 && log.counters.losses == 0)
        log.recover(epoch: Epoch(1), highest: .max, copies: [], at: wall)
        #expect(log.sequence == 6, "no room has such numbers")
    }
}
