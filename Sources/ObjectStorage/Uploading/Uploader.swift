// Brings finished files of a folder to the stores, on threads of its own.
// Decision: docs/decisions/0042-segments-stored-as-they-close.md
package import EventLoop
internal import Glibc
package import Primitives

/// Carries out an `UploadPlan`: puts, reads back, removes. All functions may be called from any thread; those marked so block on a disk or a store.
package final class Uploader: @unchecked Sendable {
    package enum Limits {
        /// Share of the disk below which stored copies go.
        package static let nearlyFull = 0.05
        /// Between two looks at the disk.
        static let look = Duration.seconds(2)
        /// Local copies removed at one look.
        static let shed = 64
    }
    package struct Store: Sendable {
        /// In the log and at `/metrics`.
        package let name: String
        package let objects: any ObjectStore
        package init(name: String, objects: any ObjectStore) { self.name = name; self.objects = objects }
    }
    package struct Settings: Sendable {
        /// Where the files are.
        package var source: LocalFolder
        /// The first is where finishing looks.
        package var stores: [Store]
        /// A file's local copy goes when all stores have it; else only when the disk is nearly full.
        package var removesStored: Bool
        /// Share of the source's disk that is free, 0...1.
        package var free: @Sendable () -> Double
        package init(source: LocalFolder, stores: [Store], removesStored: Bool, free: (@Sendable () -> Double)? = nil) {
            self.source = source; self.stores = stores; self.removesStored = removesStored
            self.free = free ?? { source.freeShare }
        }
    }
    /// Called on the uploader's threads.
    package enum Report: Sendable, Equatable {
        /// Once for each cause, until it has recovered. `detail` is what the store said of the first file.
        case failing(store: String, UploadPlan.Cause, detail: String)
        case recovered(store: String, waiting: Int)
        case settled(ObjectKey)
    }
    package struct Counters: Sendable, Equatable {
        /// Files verified, by store and file, and their bytes.
        package var stored: UInt64 = 0
        package var bytes: UInt64 = 0
        /// Attempts that failed, by cause.
        package var failures: [String: UInt64] = [:]
        /// Local copies removed because every store has them, and because the disk was nearly full.
        package var removed: UInt64 = 0
        package var shed: UInt64 = 0
        /// Files deleted while they were sent.
        package var takenBack: UInt64 = 0
        /// Files that were one too many: they are taken up when the node starts again.
        package var deferred: UInt64 = 0
        package var waiting = 0
    }
    private let settings: Settings
    private let clock: any TimeSource
    private let onReport: @Sendable (Report) -> Void
    private let monitor = Monitor()
    // Under `monitor`:
    private var plan: UploadPlan
    private var counted = Counters()
    private var isStopping = false
    private var lookAt = Instant.origin

    /// - Parameter clock: read on the uploader's threads.
    package init(_ settings: Settings, clock: any TimeSource, onReport: @escaping @Sendable (Report) -> Void) {
        self.settings = settings; self.clock = clock; self.onReport = onReport
        plan = UploadPlan(stores: settings.stores.count, removesStored: settings.removesStored)
    }

    package func start() {
        for _ in 0..<(settings.stores.count * UploadPlan.Limits.atOnce) {
            var thread = pthread_t()
            let code = pthread_create(&thread, nil, { argument in
                if let argument { Unmanaged<Uploader>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
            precondition(code == 0, "the system gives no thread for uploads: \(code)")
            pthread_detach(thread)
        }
    }
    /// Begins nothing new. What is being sent is given up with the process; its file stays.
    package func stop() {
        monitor.locked {
            isStopping = true
            monitor.wakeAll()
        }
    }

    /// A file that nobody writes any more, or one that was replaced.
    package func add(_ key: ObjectKey, of group: ObjectKey) {
        monitor.locked {
            if !plan.add(key, of: group) { counted.deferred += 1 }
            monitor.wakeAll()
        }
    }
    package func isSettled(_ group: ObjectKey) -> Bool { monitor.locked { plan.isSettled(group) } }
    package var counters: Counters {
        monitor.locked {
            counted.waiting = plan.waiting
            return counted
        }
    }
    /// Takes up every file below `rooms/{room}/{recording}`. Before anything is written there: what is found is finished. Blocks.
    /// - Returns: the groups, `rooms/{room}/{recording}` each.
    @discardableResult
    package func takeUp(under root: ObjectKey) throws(ObjectStorageError) -> Set<ObjectKey> {
        var groups: Set<ObjectKey> = []
        for object in try settings.source.list(under: root) {
            guard let group = object.key.group else { continue }
            groups.insert(group)
            add(object.key, of: group)
        }
        return groups
    }
    /// What is being sent of the group is taken back. Where local copies go with storing, those that are left are deleted; else they are
    /// somebody else's to delete. Blocks.
    package func forget(_ group: ObjectKey) throws(ObjectStorageError) -> (objects: Int, bytes: Int64) {
        monitor.locked { plan.forget(group) }
        guard settings.removesStored else { return (0, 0) }
        let found = try settings.source.list(under: group)
        try settings.source.deleteAll(under: group)
        return (found.count, found.reduce(0) { $0 + $1.size })
    }

    // MARK: The threads

    private func run() {
        while let work = nextWork() {
            let (outcome, bytes, detail) = send(work)
            let actions = monitor.locked {
                switch outcome {
                case .stored: (counted.stored, counted.bytes) = (counted.stored + 1, counted.bytes + bytes)
                case .failed(let cause): counted.failures[cause.rawValue, default: 0] += 1
                case .vanished: break
                }
                defer { monitor.wakeAll() }
                return plan.ended(work, outcome, now: clock.now)
            }
            for action in actions { carryOut(action, detail) }
        }
    }
    /// Waits for work; looks at the disk meanwhile. - Returns: nil when it is over.
    private func nextWork() -> UploadPlan.Work? {
        while true {
            var isLookDue = false
            let work: UploadPlan.Work? = monitor.locked {
                while !isStopping {
                    let now = clock.now
                    isLookDue = now >= lookAt
                    if isLookDue { lookAt = now + Limits.look; return nil }
                    if let work = plan.next(now: now) { return work }
                    monitor.wait(until: Monitor.now + max(1_000_000, (min(plan.deadline ?? lookAt, lookAt) - now).inNanoseconds))
                }
                return nil
            }
            guard isLookDue else { return work }
            makeRoom()
        }
    }
    private func send(_ work: UploadPlan.Work) -> (UploadPlan.Outcome, bytes: UInt64, detail: String) {
        let store = settings.stores[work.store].objects
        do throws(ObjectStorageError) {
            let size = try settings.source.info(work.key).size
            guard try store.putVerified(work.key, file: settings.source.file(work.key)) else { return (.failed(.differs), 0, "\(work.key) is stored with other bytes") }
            return (.stored, UInt64(size), "")
        } catch {
            if (try? settings.source.info(work.key)) == nil { return (.vanished, 0, "") }
            switch error {
            case .refused(let text): return (.failed(.refused), 0, text)
            case .away(let text): return (.failed(.away), 0, text)
            case .notFound, .badRange: return (.failed(.differs), 0, "\(work.key) was put, and is not there")
            case .badKey(let text): return (.failed(.refused), 0, text)
            }
        }
    }
    private func carryOut(_ action: UploadPlan.Action, _ detail: String) {
        switch action {
        case .failing(let store, let cause): onReport(.failing(store: settings.stores[store].name, cause, detail: detail))
        case .recovered(let store, let waiting): onReport(.recovered(store: settings.stores[store].name, waiting: waiting))
        case .settled(let group): onReport(.settled(group))
        case .remove(let key):
            try? settings.source.delete(key)
            monitor.locked { counted.removed += 1 }
        case .takeBack(let key, let store):
            try? settings.stores[store].objects.delete(key)
            monitor.locked { counted.takenBack += 1 }
        }
    }
    private func makeRoom() {
        for _ in 0..<Limits.shed where settings.free() < Limits.nearlyFull {
            guard let key = monitor.locked({ plan.shed() }) else { return }
            try? settings.source.delete(key)
            monitor.locked { counted.shed += 1 }
        }
    }
}

extension ObjectKey {
    /// `rooms/{room}/{recording}` of a key below it.
    var group: ObjectKey? {
        let parts = rawValue.split(separator: "/", maxSplits: 3)
        return parts.count == 4 ? try? ObjectKey(parts[0..<3].joined(separator: "/")) : nil
    }
}
