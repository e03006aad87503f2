// Seeded lives of a room: numbers, a store that comes and goes and forgets, takeovers with edges that know more or less.
// Whatever happens, every event that was ever numbered is in the store's log or named by an `events_lost` in it.
import Conference
import Contracts
import Primitives
import Testing

/// What `EventStore.appendEvents` promises, in ten lines.
private struct ModelStore {
    var events: [LoggedEvent] = []
    var epoch = Epoch.none
    var highest: UInt64 { events.last?.sequence ?? 0 }

    mutating func append(_ batch: EventBatch) -> AppendOutcome {
        precondition(batch.mistake == nil, batch.mistake!)
        let conflict = AppendOutcome.conflict(highest: highest, epoch: epoch)
        guard epoch <= batch.epoch, highest >= batch.after else { return conflict }
        let old = Array(batch.events.prefix { $0.sequence <= highest })
        guard highest >= batch.through || (old.last?.sequence ?? batch.after) == highest else { return conflict }
        guard Array(events.filter { $0.sequence > batch.after }.prefix(old.count)) == old else { return conflict }
        epoch = batch.epoch
        events += batch.events.dropFirst(old.count)
        return .appended
    }
}

private struct Life {
    var random: SplitMix64
    var store = ModelStore()
    var log: EventLog
    var numbered: [LoggedEvent] = []
    /// What two edges saw: the highest number, and copies of what was unwritten then.
    var edges: [(epoch: Epoch, highest: UInt64, copies: [LoggedEvent])] = [(.none, 0, []), (.none, 0, [])]
    var inFlight: EventBatch?
    var now = Instant.origin
    var hasForgotten = false, mayLose = false
    let unwritten: Int

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        unwritten = seed % 2 == 0 ? 6 : 1_000
        store.epoch = Epoch(1)
        log = Self.log(1, 0, unwritten)
    }
    static func log(_ epoch: UInt64, _ stored: UInt64, _ unwritten: Int) -> EventLog {
        var limits = EventLog.Limits()
        (limits.unwritten, limits.written, limits.batch) = (unwritten, 5, 4)
        return EventLog(room: "r", epoch: Epoch(epoch), stored: stored, limits: limits)
    }
    mutating func draw(_ bound: UInt64) -> UInt64 { random.next() % bound }

    mutating func step() {
        now = now + .seconds(10)
        switch draw(20) {
        case 0..<9: number()
        case 9..<12: if inFlight == nil { inFlight = log.takeBatch(now: now) { nil } }
        case 12..<17: answer()
        case 17: edgeHears()
        case 18: if draw(8) == 0 { takeOver() }
        default: if draw(12) == 0 { forget() }
        }
        #expect(log.unwritten.count <= unwritten)
        #expect(isContiguous(log.unwritten, after: log.persisted) && (log.unwritten.last?.sequence ?? log.persisted) == log.sequence)
    }
    private mutating func number() {
        let event = log.number(type: "chat", payload: #"{"n":\#(numbered.count)}"#, at: WallTime(seconds: Int64(numbered.count)))
        numbered.append(event)
    }
    private mutating func edgeHears() {
        edges[Int(draw(2))] = (log.epoch, log.sequence, log.unwritten)
    }
    private mutating func answer() {
        guard let batch = inFlight else { return }
        inFlight = nil
        switch draw(4) {
        case 0: log.failed(now: now)                                        // never arrived
        case 1: _ = store.append(batch); log.failed(now: now)               // written, the answer lost
        default:
            switch store.append(batch) {
            case .appended: log.appended(through: batch.through)
            case .conflict(let highest, let epoch): log.conflict(highest: highest, epoch: epoch, at: WallTime(seconds: 0))
            }
        }
        #expect(!log.isSuperseded)
    }
    /// The Room's node dies; an append on its way may still arrive before the new Room fences the log.
    private mutating func takeOver() {
        if let batch = inFlight, draw(2) == 0 { _ = store.append(batch) }
        let late = inFlight
        inFlight = nil
        store.epoch = log.epoch.next
        let fresh = Self.log(store.epoch.rawValue, store.highest, unwritten)
        log = fresh
        if let late { #expect(store.append(late) == .conflict(highest: store.highest, epoch: store.epoch), "fenced") }
        mayLose = true
        // What the store has and what an edge saw of the dead Room is not to disappear; what only the dead node knew is.
        let kept = Set(store.events), reporting = (0..<2).filter { _ in draw(3) > 0 }
        let seen = reporting.filter { edges[$0].epoch.next == store.epoch }.map { edges[$0].highest }.max() ?? 0
        numbered = numbered.filter { event in
            if kept.contains(event) || isEnteredAnew(event) || isNamedLost(event) { return true }
            return event.sequence <= seen && (event.epoch.next == store.epoch || isCopied(event))
        }
        for (index, edge) in (draw(2) == 0 ? reporting : reporting.reversed()).enumerated() {
            if index == 1, draw(2) == 0 { number() }
            log.recover(epoch: edges[edge].epoch, highest: edges[edge].highest, copies: edges[edge].copies, at: WallTime(seconds: 0))
        }
        number()
    }
    private func isCopied(_ event: LoggedEvent) -> Bool { edges.contains { $0.epoch.next == store.epoch && $0.copies.contains(event) } }
    private mutating func forget() {
        guard inFlight == nil, store.events.count > 3 else { return }
        store.events.removeLast(Int(draw(UInt64(store.events.count))))
        hasForgotten = true
    }
    func isNamedLost(_ event: LoggedEvent) -> Bool {
        (store.events + log.unwritten).contains { $0.isLoss && Self.lostRange($0).contains(event.sequence) }
    }
    /// Under another number, because an edge brought it late.
    func isEnteredAnew(_ event: LoggedEvent) -> Bool { (store.events + log.unwritten).contains { $0.type == event.type && $0.payload == event.payload && $0.at == event.at } }
    static func lostRange(_ event: LoggedEvent) -> ClosedRange<UInt64> {
        let numbers = event.payload.split(whereSeparator: { !$0.isNumber }).compactMap { UInt64($0) }
        return numbers[0]...numbers[1]
    }
    func isContiguous(_ events: [LoggedEvent], after: UInt64) -> Bool {
        var last = after
        for event in events {
            guard event.first == last + 1, event.sequence >= event.first else { return false }
            last = event.sequence
        }
        return true
    }
    mutating func drain() {
        inFlight.map { _ in log.failed(now: now) }
        inFlight = nil
        for _ in 0..<10_000 where log.persisted < log.sequence {
            now = now + .seconds(10)
            guard let batch = log.takeBatch(now: now, state: { nil }) else { break }
            switch store.append(batch) {
            case .appended: log.appended(through: batch.through)
            case .conflict(let highest, let epoch): log.conflict(highest: highest, epoch: epoch, at: WallTime(seconds: 0))
            }
        }
    }
}

@Suite struct EventLogProperties {
    @Test func nothingDisappearsUnsaid() {
        var lossless = 0, lossy = 0
        for seed in UInt64(1)...400 {
            var life = Life(seed: seed)
            for _ in 0..<150 { life.step() }
            life.drain()
            let text: Comment = "seed \(seed)"
            #expect(life.store.highest == life.log.sequence, text)
            #expect(life.isContiguous(life.store.events, after: 0), text)
            let kept = Set(life.store.events)
            for event in life.numbered where !kept.contains(event) && !life.isEnteredAnew(event) { #expect(life.isNamedLost(event), "seed \(seed): \(event.sequence) of epoch \(event.epoch) is gone") }
            let losses = life.store.events.filter(\.isLoss).count
            if life.unwritten == 1_000, !life.hasForgotten, !life.mayLose {
                lossless += 1
                #expect(losses == 0, "seed \(seed): nothing was ever given up, yet losses are told")
            }
            if losses > 0 { lossy += 1 }
        }
        #expect(lossless > 20 && lossy > 100, "both kinds of lives occur: \(lossless), \(lossy)")
    }
}
