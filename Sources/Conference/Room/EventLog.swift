// A room's events between the moment they are numbered and the moment the store has them.
// DESIGN.md, Cluster: "While the store is away…". Decision: docs/decisions/0023-postgresql-and-events.md
import Contracts
import Primitives

/// Numbers a room's events without holes, holds the latest, and decides what to write to the store next.
///
/// In:  events as the Room decides them; what edges knew of earlier epochs; the store's answers.
/// Out: batches for `EventStore.appendEvents`, one at a time; entries since a number.
///
/// Nothing that was numbered disappears unsaid: what cannot be kept, or cannot be shown to have been kept, becomes an
/// `events_lost` entry. A pure value, owned by the Room.
package struct EventLog: Sendable {
    package struct Limits: Sendable {
        /// Entries the store does not have yet; beyond it the oldest are given up.
        package var unwritten = 4_096
        /// The same in bytes of memory.
        package var unwrittenBytes = 2 << 20
        /// Entries held although the store has them, for members that come back; up to twice as many before they are let go.
        package var written = 256
        /// Entries of one batch.
        package var batch = EventBatch.Limits.events
        /// Between attempts while the store is away; doubled each time.
        package var firstPause: Duration = .milliseconds(200)
        package var longestPause: Duration = .seconds(5)
        /// Unwritten entries handed to an edge that comes, and their bytes.
        package static let copies = 512
        package static let copiesBytes = 128 * 1024
        /// Numbers beyond it are nobody's: a report of one is ignored.
        package static let highestNumber: UInt64 = 1 << 62
        package init() {}
    }
    package struct Counters: Sendable, Equatable {
        /// Events given up unwritten because the store was away for too long.
        package var dropped: UInt64 = 0
        /// Payloads too large to be kept; the entry says so.
        package var oversized: UInt64 = 0
        /// `events_lost` entries made for what earlier epochs or the store have lost.
        package var losses: UInt64 = 0
        /// Events of an earlier epoch that an edge brought after numbering had begun anew; they stand under new numbers.
        package var recovered: UInt64 = 0
        package var batches: UInt64 = 0
        package var failures: UInt64 = 0
        package init() {}
        package mutating func add(_ now: Counters, since before: Counters) {
            dropped += now.dropped - before.dropped
            oversized += now.oversized - before.oversized
            losses += now.losses - before.losses
            recovered += now.recovered - before.recovered
            batches += now.batches - before.batches
            failures += now.failures - before.failures
        }
    }
    package enum Answer: Sendable, Equatable {
        case events([LoggedEvent])
        /// Older entries are wanted than are held: the store has them.
        case askStore
    }
    private struct Pending {
        var event: LoggedEvent
        /// The numbers whose events are lost, where this stands for lost ones.
        var lost: ClosedRange<UInt64>?
        /// Made here in place of entries the store may have got all the same.
        var isGivenUp = false
    }

    package let room: RoomID
    package let epoch: Epoch
    package let limits: Limits
    /// The last number given out or recovered.
    package private(set) var sequence: UInt64
    /// The store has every number up to this one.
    package private(set) var persisted: UInt64
    /// The last number anyone is known to have seen: the next one is above it.
    package var highest: UInt64 { max(sequence, reported, shown) }
    /// The store has everything.
    package var isWritten: Bool { pending.isEmpty && !isAwaitingAnswer }
    /// The store knows of a later epoch, or of numbers never given out here: this Room no longer decides.
    package private(set) var isSuperseded = false
    package private(set) var counters = Counters()

    /// The latest that the store has, contiguous up to `persisted`; may be empty.
    private var written: [LoggedEvent] = []
    /// What it does not have yet, contiguous from there up to `sequence`.
    private var pending: [Pending] = []
    private var pendingBytes = 0
    /// What is accounted for of earlier epochs.
    package private(set) var lineage: EventLineage
    /// The latest epoch an edge reported from, and the highest number of it that anyone knows of.
    private var latest = Epoch.none
    private var reported: UInt64
    /// What `highest` was at most: members were told of it under this epoch, and take what has a lower number for known.
    private var shown: UInt64 = 0
    /// Reports of epochs before that one: entered under new numbers once there are some.
    private var stranded: [Epoch: Report] = [:]
    /// Something reported is not among its entries yet.
    package var isHoldingReports: Bool { !stranded.isEmpty }
    private struct Report {
        var highest: UInt64 = 0
        var copies: [UInt64: LoggedEvent] = [:]
    }
    private var hasNumbered = false
    /// The last number that is not of this epoch alone: above it earlier epochs may have had other events.
    package private(set) var begins: UInt64
    /// `events_lost` entries nobody has been told of.
    private var losses: [RoomEvent] = []
    private var isAwaitingAnswer = false
    private var retryAt: Instant?
    private var pause: Duration?

    /// - Parameters:
    ///   - epoch: of the claim the Room was made under.
    ///   - stored: the store's last number, as `EventStore.openLog` gave it under this epoch.
    ///   - lineage: as the epochs before left it.
    package init(room: RoomID, epoch: Epoch, stored: UInt64, lineage: EventLineage = EventLineage(), limits: Limits = Limits()) {
        self.room = room
        self.epoch = epoch
        self.limits = limits
        sequence = stored
        persisted = stored
        self.lineage = lineage
        self.lineage.opened(epoch, at: stored)
        reported = stored
        begins = .max
    }

    // MARK: After a takeover

    /// What one edge knew of this room.
    ///
    /// Before the first new number, copies of the latest epoch anyone reports from fill the log in order. What an edge knows of
    /// another epoch beyond what the log accounts for, or reports later, is entered under new numbers, and as a loss where it has
    /// no copies.
    /// - Parameters:
    ///   - known: the epoch of the Room the edge was attached to last; earlier than this one.
    ///   - highest: the last number it saw there.
    ///   - copies: entries it holds that the store may lack (`unwritten` of that Room).
    package mutating func recover(epoch known: Epoch, highest: UInt64, copies: [LoggedEvent], at: WallTime) {
        guard highest <= Limits.highestNumber, known < epoch else { return }
        let copies = copies.filter { $0.epoch <= known && $0.sequence <= highest && $0.sequence >= $0.first && $0.payload.utf8.count <= LoggedEvent.Limits.payloadBytes }
        guard !hasNumbered else { return enter(known, highest, copies, at) }
        guard known >= latest, !lineage.hasEpoch(between: known, and: epoch) else { return strand(known, highest, copies) }
        if known > latest {
            shown = self.highest
            if latest > .none { strand(latest, reported, pending.map(\.event)) }
            latest = known
            (pending, pendingBytes, sequence, reported) = ([], 0, persisted, persisted)
        }
        for copy in copies.sorted(by: { $0.sequence < $1.sequence }) where copy.first == sequence + 1 { hold(Pending(event: copy)) }
        reported = max(reported, highest)
    }
    private mutating func strand(_ known: Epoch, _ highest: UInt64, _ copies: [LoggedEvent]) {
        let from = lineage.accounted(known)
        guard highest > from else { return }
        var report = stranded[known] ?? Report()
        report.highest = max(report.highest, highest)
        for copy in copies where copy.first > from && report.copies.count < limits.unwritten { report.copies[copy.sequence] = copy }
        stranded[known] = report
    }

    /// Their numbers may have been given out anew: what an edge still has is entered under the next ones, the rest is lost.
    private mutating func enter(_ known: Epoch, _ highest: UInt64, _ copies: [LoggedEvent], _ at: WallTime) {
        let from = lineage.accounted(known)
        guard highest > from else { return }
        var next = from + 1
        for copy in copies.sorted(by: { $0.sequence < $1.sequence }) where copy.first >= next && !copy.isLoss {
            if copy.first > next { loseLate(next...(copy.first - 1), at) }
            counters.recovered += 1
            hold(Pending(event: LoggedEvent(sequence: sequence + 1, epoch: epoch, at: copy.at, type: copy.type, payload: copy.payload)))
            lineage.entered(copy.epoch, through: copy.sequence)
            next = copy.sequence + 1
        }
        if next <= highest { loseLate(next...highest, at) }
        lineage.entered(known, through: highest)
    }
    private mutating func loseLate(_ lost: ClosedRange<UInt64>, _ at: WallTime) {
        lose(lost, occupying: (sequence + 1)...max(lost.upperBound, sequence + 1), at)
    }

    /// Enters what is known to be lost of earlier epochs. The first number does so; a Room may earlier, once nobody is left to report.
    package mutating func closeGap(_ at: WallTime) {
        guard !hasNumbered else { return }
        hasNumbered = true
        if reported > sequence { lose((sequence + 1)...reported, occupying: (sequence + 1)...reported, at) }
        begins = sequence
        for entry in pending where entry.event.epoch < epoch { lineage.entered(entry.event.epoch, through: entry.event.sequence) }
        if latest > .none { lineage.entered(latest, through: sequence) }
        // The later ones first: they tell what of the earlier ones they had.
        for (known, report) in stranded.sorted(by: { $0.key > $1.key }) { enter(known, report.highest, Array(report.copies.values), at) }
        stranded = [:]
        if shown > sequence { lose((sequence + 1)...shown, occupying: (sequence + 1)...shown, at) }
    }

    /// Numbers up to here mean the same events to whoever knew the room in that earlier epoch.
    package func isShared(_ number: UInt64, with known: Epoch) -> Bool { number <= begins && (known == latest || number <= lineage.found(after: known)) }

    private mutating func lose(_ lost: ClosedRange<UInt64>, occupying place: ClosedRange<UInt64>, _ at: WallTime) {
        counters.losses += 1
        losses.append(RoomEvent(sequence: place.upperBound, epoch: epoch, at: at, kind: .eventsLost(from: lost.lowerBound, to: lost.upperBound, first: place.lowerBound)))
        hold(Pending(event: .lost(lost, occupying: place, epoch: epoch, at: at), lost: lost))
    }

    /// Losses of earlier epochs that were entered since this was asked last: members are told as of any other event.
    package mutating func takeLosses() -> [RoomEvent] {
        defer { losses = [] }
        return losses
    }

    // MARK: Numbering

    package mutating func number(type: String, payload: String, at: WallTime) -> LoggedEvent {
        closeGap(at)
        let event = LoggedEvent(sequence: sequence + 1, epoch: epoch, at: at, type: type, payload: LoggedEvent.bounded(payload))
        if payload.utf8.count > LoggedEvent.Limits.payloadBytes { counters.oversized += 1 }
        hold(Pending(event: event))
        return event
    }

    private mutating func hold(_ entry: Pending) {
        pending.append(entry)
        pendingBytes += entry.event.byteCount
        sequence = entry.event.sequence
        giveUpOldest()
    }

    /// Of the oldest unwritten entries beyond the bound an `events_lost` entry remains; the newest is never given up.
    private mutating func giveUpOldest() {
        while pending.count > 2, pending.count > limits.unwritten || pendingBytes > limits.unwrittenBytes {
            let a = pending[0], b = pending[1]
            counters.dropped += (a.lost == nil ? 1 : 0) + (b.lost == nil ? 1 : 0)
            let (first, second) = (a.lost ?? a.event.first...a.event.sequence, b.lost ?? b.event.first...b.event.sequence)
            pending.removeFirst()
            pendingBytes -= a.event.byteCount
            replaceOldest(
                lost: min(first.lowerBound, second.lowerBound)...max(first.upperBound, second.upperBound),
                occupying: a.event.first...b.event.sequence, at: b.event.at)
        }
    }

    private mutating func replaceOldest(lost: ClosedRange<UInt64>, occupying place: ClosedRange<UInt64>, at: WallTime) {
        pendingBytes -= pending[0].event.byteCount
        pending[0] = Pending(event: .lost(lost, occupying: place, epoch: epoch, at: at), lost: lost, isGivenUp: true)
        pendingBytes += pending[0].event.byteCount
    }

    // MARK: Reading

    /// Entries that stand for numbers after `number`, where all of them are held.
    package func since(_ number: UInt64) -> Answer {
        guard number < sequence else { return .events([]) }
        guard let first = written.first ?? pending.first?.event, first.first <= number + 1 else { return .askStore }
        return .events((written + unwritten).filter { $0.sequence > number })
    }

    /// What the store does not have yet, for edges to keep a copy of; oldest first.
    package var unwritten: [LoggedEvent] { pending.map(\.event) }

    /// `unwritten`, for an edge that comes now; none where there is too much of it: edges that were there before have theirs.
    package var copies: [LoggedEvent] { pending.count <= Limits.copies && pendingBytes <= Limits.copiesBytes ? unwritten : [] }

    // MARK: Writing

    /// When `takeBatch` has something; nil while there is nothing to write or an answer is awaited.
    package var deadline: Instant? {
        guard !isAwaitingAnswer, !pending.isEmpty, !isSuperseded else { return nil }
        return retryAt ?? .origin
    }

    /// What to write now. Exactly one of `appended`, `conflict` and `failed` follows.
    /// - Parameter state: the room's state as of `sequence`; asked for only where the batch ends there.
    package mutating func takeBatch(now: Instant, state: () -> [UInt8]?) -> EventBatch? {
        guard let deadline, deadline <= now else { return nil }
        isAwaitingAnswer = true
        counters.batches += 1
        let events = pending.prefix(limits.batch).map(\.event)
        let kept = events.count == pending.count ? state() : nil
        return EventBatch(room: room, epoch: epoch, after: persisted, events: events, state: (kept?.count ?? 0) > EventBatch.Limits.stateBytes ? nil : kept)
    }

    /// - Parameter through: the batch's.
    package mutating func appended(through: UInt64) {
        settle()
        if through > persisted { reached(min(through, sequence)) }
    }

    /// The store's log does not end where this one thought it did.
    package mutating func conflict(highest: UInt64, epoch stored: Epoch, at: WallTime) {
        settle()
        guard stored <= epoch, highest <= sequence else {
            isSuperseded = true
            return
        }
        if highest >= persisted { reached(highest) } else { forgotten(after: highest, at) }
    }

    /// The store is away, or did not say whether it wrote.
    package mutating func failed(now: Instant) {
        counters.failures += 1
        isAwaitingAnswer = false
        let next = pause.map { min($0 * 2, limits.longestPause) } ?? limits.firstPause
        pause = next
        retryAt = now + next
    }

    private mutating func settle() {
        isAwaitingAnswer = false
        pause = nil
        retryAt = nil
    }

    private mutating func reached(_ number: UInt64) {
        persisted = number
        let done = pending.prefix { $0.event.sequence <= number }
        for entry in done {
            pendingBytes -= entry.event.byteCount
            // What was given up here while its writing was under way is in the store after all.
            if entry.isGivenUp { written = [] } else { written.append(entry.event) }
        }
        pending.removeFirst(done.count)
        if let front = pending.first?.event, front.first <= number {
            replaceOldest(lost: (number + 1)...front.sequence, occupying: (number + 1)...front.sequence, at: front.at)
            written = []
        }
        if written.count > 2 * limits.written { written.removeFirst(written.count - limits.written) }
    }

    /// The store has been put back to an earlier state: what is still held is written again, the rest is lost.
    private mutating func forgotten(after number: UInt64, _ at: WallTime) {
        let known = persisted
        persisted = number
        let again = written.filter { $0.sequence > number }.map { Pending(event: $0) }
        written.removeAll { $0.sequence > number }
        pending = again + pending
        pendingBytes += again.reduce(0) { $0 + $1.event.byteCount }
        let next = pending.first?.event.first ?? known + 1
        if next > number + 1 {
            counters.losses += 1
            let gone = (number + 1)...(next - 1)
            let loss = Pending(event: .lost(gone, epoch: epoch, at: at), lost: gone)
            pending.insert(loss, at: 0)
            pendingBytes += loss.event.byteCount
        }
        giveUpOldest()
    }
}
