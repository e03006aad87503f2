// Which finished files go to which store next, when again after a failure, and which local copies may go.
// Decision: docs/decisions/0042-segments-stored-as-they-close.md
package import Primitives

/// The decisions of an `Uploader`: every file to every store, oldest first, each store on its own.
///
/// In:  `add` when a file has ended (or was replaced), `ended` for each `Work` that `next` gave, `forget`, `shed`.
/// Out: `next`, `deadline`, and what to do besides (`Action`).
/// A pure value: no clock, no files. Owned by the `Uploader`, under its lock.
package struct UploadPlan {
    package enum Limits {
        /// Files in mind at once, of about 300 bytes: a recorder's of ten hours. What is beyond stands in the folder.
        package static let files = 1 << 17
        /// Sent to one store at the same time; one alone while it is failing.
        package static let atOnce = 2
        package static let firstPause = Duration.milliseconds(500)
        package static let longestPause = Duration.seconds(30)
    }
    /// Why a store does not take files. Raw values stand in the log and at `/metrics`.
    package enum Cause: String, Sendable, CaseIterable {
        case away, refused
        /// It took the file, and holds other bytes.
        case differs
    }
    package enum Outcome: Sendable, Equatable {
        case stored
        /// There is no such local file any more.
        case vanished
        case failed(Cause)
    }
    package struct Work: Hashable, Sendable {
        package let key: ObjectKey
        package let store: Int
        /// Of the file's content.
        let version: Int
    }
    package enum Action: Equatable, Sendable {
        /// Said once for each cause until `recovered`.
        case failing(store: Int, Cause)
        /// - Parameter waiting: files it still lacks.
        case recovered(store: Int, waiting: Int)
        /// The first store has every file of the group.
        case settled(ObjectKey)
        /// Every store has it: the local copy goes.
        case remove(ObjectKey)
        /// It was deleted while it was sent.
        case takeBack(ObjectKey, store: Int)
    }
    private struct File {
        let group: ObjectKey
        let order: UInt64
        var version = 0
        /// Stores that have not verified it.
        var missing: Set<Int>
        /// Of these, those it is being sent to.
        var sending: Set<Int> = []
    }
    private struct Store {
        var waiting = BoundedQueue<ObjectKey>(capacity: Limits.files, growingFrom: 64)
        var sending = 0
        var cause: Cause?
        var failures = 0
        var retryAt = Instant.origin
        var room: Int { cause == nil ? Limits.atOnce : 1 }
    }
    private let removesStored: Bool
    private let bound: Int
    private var stores: [Store]
    private var files: [ObjectKey: File] = [:]
    /// Of each group, files the first store lacks.
    private var unsettled: [ObjectKey: Int] = [:]
    /// Stored everywhere and still here, the oldest first, with the group.
    private var kept = BoundedQueue<(key: ObjectKey, group: ObjectKey)>(capacity: Limits.files, growingFrom: 64)
    private var orders: UInt64 = 0
    private var turn = 0

    /// - Parameters:
    ///   - stores: how many there are, at least one; the first is where finishing looks.
    ///   - removesStored: local copies go when every store has them; else only when `shed` asks.
    ///   - files: kept in mind at most.
    package init(stores: Int, removesStored: Bool, files: Int = Limits.files) {
        precondition(stores > 0)
        bound = files
        self.stores = Array(repeating: Store(), count: stores)
        self.removesStored = removesStored
    }

    /// Files that some store lacks.
    package var waiting: Int { files.count }
    package func isSettled(_ group: ObjectKey) -> Bool { unsettled[group] == nil }

    /// A file that nobody writes any more, or the new content of one that is replaced as a whole.
    /// - Returns: false where it is one too many: it is found in the folder when the node starts again.
    package mutating func add(_ key: ObjectKey, of group: ObjectKey) -> Bool {
        if var file = files[key] {
            file.version += 1
            let again = Set(stores.indices).subtracting(file.missing)
            if again.contains(0) { unsettled[group, default: 0] += 1 }
            file.missing.formUnion(again)
            files[key] = file
            for store in again.sorted() { wait(key, for: store) }
            return true
        }
        guard files.count < bound else { return false }
        orders += 1
        files[key] = File(group: group, order: orders, missing: Set(stores.indices))
        unsettled[group, default: 0] += 1
        for store in stores.indices { wait(key, for: store) }
        return true
    }
    /// The next file to send; nil while there is nothing to do before `deadline`.
    package mutating func next(now: Instant) -> Work? {
        for step in stores.indices {
            let index = (turn + step) % stores.count
            guard stores[index].sending < stores[index].room, stores[index].retryAt <= now else { continue }
            // What was forgotten or shed is passed over.
            while let key = stores[index].waiting.pop() {
                guard let file = files[key], file.missing.contains(index), !file.sending.contains(index) else { continue }
                files[key]!.sending.insert(index)
                stores[index].sending += 1
                turn = index + 1
                return Work(key: key, store: index, version: file.version)
            }
        }
        return nil
    }
    /// When a store that failed is tried again; nil where nothing waits for that.
    package var deadline: Instant? {
        stores.filter { $0.cause != nil && $0.sending < $0.room && !$0.waiting.isEmpty }.map(\.retryAt).min()
    }

    package mutating func ended(_ work: Work, _ outcome: Outcome, now: Instant) -> [Action] {
        stores[work.store].sending -= 1
        var actions: [Action] = []
        if files[work.key]?.sending.remove(work.store) == nil {
            if outcome == .stored { actions.append(.takeBack(work.key, store: work.store)) }
        } else {
            switch outcome {
            case .stored where files[work.key]!.version == work.version: actions += verified(work.key, by: [work.store])
            case .stored, .failed: wait(work.key, for: work.store)
            // Others may have read it in time.
            case .vanished: actions += verified(work.key, by: files[work.key]!.missing.subtracting(files[work.key]!.sending))
            }
        }
        return judge(work.store, outcome, now) + actions
    }

    /// The group's files are being deleted, here and in the stores.
    package mutating func forget(_ group: ObjectKey) {
        for key in files.filter({ $0.value.group == group }).keys { files[key] = nil }
        unsettled[group] = nil
        var others = BoundedQueue<(key: ObjectKey, group: ObjectKey)>(capacity: Limits.files, growingFrom: 64)
        while let one = kept.pop() { if one.group != group { _ = others.push(one) } }
        kept = others
    }
    /// The disk is nearly full: the oldest local copy that finishing does not need, since the first store has it; nil where there is none.
    /// It counts as gone.
    package mutating func shed() -> ObjectKey? {
        // One that was replaced since is waiting again, and is kept anew once it is stored.
        while let oldest = kept.pop() { if files[oldest.key] == nil { return oldest.key } }
        let partly = files.filter { $0.value.sending.isEmpty && $0.value.missing.count < stores.count && !$0.value.missing.contains(0) }
        guard let oldest = partly.min(by: { $0.value.order < $1.value.order })?.key else { return nil }
        files[oldest] = nil
        return oldest
    }

    // MARK: Parts

    private mutating func wait(_ key: ObjectKey, for store: Int) {
        // Full of what is to be passed over: made anew from what is true.
        if !stores[store].waiting.push(key) { stores[store].waiting = Self.queue(files.filter { $0.value.missing.contains(store) && !$0.value.sending.contains(store) }) }
    }
    private static func queue(_ files: [ObjectKey: File]) -> BoundedQueue<ObjectKey> {
        var queue = BoundedQueue<ObjectKey>(capacity: Limits.files, growingFrom: 64)
        for key in files.sorted(by: { $0.value.order < $1.value.order }).map(\.key) { _ = queue.push(key) }
        return queue
    }
    private mutating func judge(_ store: Int, _ outcome: Outcome, _ now: Instant) -> [Action] {
        switch outcome {
        case .vanished: return []
        case .stored:
            defer { (stores[store].cause, stores[store].failures, stores[store].retryAt) = (nil, 0, .origin) }
            return stores[store].cause == nil ? [] : [.recovered(store: store, waiting: files.values.count { $0.missing.contains(store) })]
        case .failed(let cause):
            defer { stores[store].cause = cause }
            stores[store].retryAt = now + Self.pause(after: stores[store].failures)
            stores[store].failures += 1
            return stores[store].cause == cause ? [] : [.failing(store: store, cause)]
        }
    }
    /// - Parameter failures: in a row before this one.
    static func pause(after failures: Int) -> Duration { min(Limits.longestPause, Limits.firstPause * (1 << min(failures, 16))) }

    private mutating func verified(_ key: ObjectKey, by done: Set<Int>) -> [Action] {
        files[key]!.missing.subtract(done)
        let file = files[key]!
        var actions: [Action] = []
        if done.contains(0), let left = unsettled[file.group] {
            unsettled[file.group] = left > 1 ? left - 1 : nil
            if left == 1 { actions.append(.settled(file.group)) }
        }
        guard file.missing.isEmpty else { return actions }
        files[key] = nil
        if removesStored { return actions + [.remove(key)] }
        if kept.isFull { _ = kept.pop() }
        _ = kept.push((key, file.group))
        return actions
    }
}
