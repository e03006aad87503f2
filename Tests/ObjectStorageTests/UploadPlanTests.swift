@testable import ObjectStorage
import Primitives
import Testing

/// A plan by reference, so that expectations can ask it.
private final class Plan {
    private var plan: UploadPlan
    init(stores: Int, removesStored: Bool, files: Int = UploadPlan.Limits.files) { plan = UploadPlan(stores: stores, removesStored: removesStored, files: files) }
    func add(_ key: ObjectKey, of group: ObjectKey) -> Bool { plan.add(key, of: group) }
    func next(now: Instant) -> UploadPlan.Work? { plan.next(now: now) }
    func ended(_ work: UploadPlan.Work, _ outcome: UploadPlan.Outcome, now: Instant) -> [UploadPlan.Action] { plan.ended(work, outcome, now: now) }
    func forget(_ group: ObjectKey) { plan.forget(group) }
    func shed() -> ObjectKey? { plan.shed() }
    func isSettled(_ group: ObjectKey) -> Bool { plan.isSettled(group) }
    var waiting: Int { plan.waiting }
    var deadline: Instant? { plan.deadline }
}

/// What is sent next, when again, and what may be deleted, without a file or a clock.
@Suite struct UploadPlans {
    private let r1 = try! ObjectKey("rooms/a/r1"), r2 = try! ObjectKey("rooms/a/r2")
    private func key(_ group: ObjectKey, _ n: Int) -> ObjectKey { try! ObjectKey("\(group)/journal/t/n1-1-\(n).trj") }
    private func at(_ seconds: Double) -> Instant { .origin + .nanoseconds(Int64(seconds * 1e9)) }

    @Test func theOldestFirstAndNoMoreThanAreAllowedAtOnce() {
        let plan = Plan(stores: 1, removesStored: true)
        for n in 0..<3 { #expect(plan.add(key(r1, n), of: r1)) }
        let first = plan.next(now: at(0))!, second = plan.next(now: at(0))!
        #expect(first.key == key(r1, 0) && second.key == key(r1, 1) && plan.next(now: at(0)) == nil && plan.deadline == nil)
        #expect(plan.ended(second, .stored, now: at(1)) == [.remove(key(r1, 1))])
        let third = plan.next(now: at(1))!
        #expect(plan.ended(first, .stored, now: at(1)) == [.remove(key(r1, 0))] && !plan.isSettled(r1))
        #expect(plan.ended(third, .stored, now: at(1)) == [.settled(r1), .remove(key(r1, 2))])
        #expect(plan.isSettled(r1) && plan.waiting == 0 && plan.next(now: at(9)) == nil)
    }
    @Test func aStoreThatIsAwayIsSaidOnceAndTriedWithOneFileAndGrowingPauses() {
        let plan = Plan(stores: 1, removesStored: false)
        for n in 0..<4 { #expect(plan.add(key(r1, n), of: r1)) }
        let first = plan.next(now: at(0))!, second = plan.next(now: at(0))!
        #expect(plan.ended(first, .failed(.away), now: at(0)) == [.failing(store: 0, .away)])
        #expect(plan.ended(second, .failed(.away), now: at(0)) == [])
        var now = at(0), pauses: [Duration] = []
        for _ in 0..<8 {
            #expect(plan.next(now: now) == nil)
            pauses.append(plan.deadline! - now)
            now = plan.deadline!
            let probe = plan.next(now: now)!
            #expect(plan.next(now: now) == nil, "one is enough to find out")
            #expect(plan.ended(probe, .failed(.away), now: now) == [])
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30].map { .seconds($0) })
        let probe = plan.next(now: plan.deadline!)!
        #expect(plan.ended(probe, .failed(.refused), now: now) == [.failing(store: 0, .refused)], "another cause is another word")
        let last = plan.next(now: plan.deadline!)!
        #expect(plan.ended(last, .stored, now: now) == [.recovered(store: 0, waiting: 3)])
        #expect(plan.next(now: now) != nil && plan.next(now: now) != nil, "as many as before")
    }
    /// The first store is where finishing looks: a second one that is away keeps nobody waiting.
    @Test func storesAreOnTheirOwn() {
        let plan = Plan(stores: 2, removesStored: true)
        #expect(plan.add(key(r1, 0), of: r1))
        let works = [plan.next(now: at(0))!, plan.next(now: at(0))!]
        #expect(Set(works.map(\.store)) == [0, 1] && plan.next(now: at(0)) == nil)
        let (folder, bucket) = (works.first { $0.store == 0 }!, works.first { $0.store == 1 }!)
        #expect(plan.ended(bucket, .failed(.away), now: at(0)) == [.failing(store: 1, .away)])
        #expect(plan.ended(folder, .stored, now: at(0)) == [.settled(r1)], "the local copy stays")
        #expect(plan.add(key(r1, 1), of: r1) && plan.next(now: at(0.1))?.store == 0, "the folder takes the next one")
    }
    @Test func whatIsDeletedMeanwhileIsTakenBack() {
        let plan = Plan(stores: 1, removesStored: true)
        #expect(plan.add(key(r1, 0), of: r1) && plan.add(key(r1, 1), of: r1) && plan.add(key(r2, 0), of: r2))
        let first = plan.next(now: at(0))!
        plan.forget(r1)
        #expect(plan.waiting == 1 && plan.next(now: at(0))?.key == key(r2, 0))
        #expect(plan.ended(first, .stored, now: at(1)) == [.takeBack(key(r1, 0), store: 0)])
        #expect(plan.next(now: at(1)) == nil)
    }
    @Test func aFileThatIsReplacedWhileItIsSentIsSentAgain() {
        let plan = Plan(stores: 1, removesStored: true)
        #expect(plan.add(key(r1, 0), of: r1))
        let old = plan.next(now: at(0))!
        #expect(plan.add(key(r1, 0), of: r1) && plan.next(now: at(0)) == nil)
        #expect(plan.ended(old, .stored, now: at(0)) == [])
        let new = plan.next(now: at(0))!
        #expect(plan.ended(new, .stored, now: at(0)) == [.settled(r1), .remove(key(r1, 0))])
    }
    @Test func whatHasVanishedHoldsNobodyUp() {
        let plan = Plan(stores: 2, removesStored: false)
        #expect(plan.add(key(r1, 0), of: r1))
        let one = plan.next(now: at(0))!, other = plan.next(now: at(0))!
        let first = one.store == 0 ? one : other, second = one.store == 0 ? other : one
        #expect(plan.ended(second, .vanished, now: at(0)) == [] && !plan.isSettled(r1))
        #expect(plan.ended(first, .vanished, now: at(0)) == [.settled(r1)] && plan.waiting == 0)
    }
    @Test func moreThanAreKeptInMindAreRefused() {
        let plan = Plan(stores: 1, removesStored: true, files: 100)
        for n in 0..<100 { _ = plan.add(key(r1, n), of: r1) }
        #expect(plan.waiting == 100 && !plan.add(key(r2, 0), of: r2) && plan.add(key(r1, 0), of: r1), "what is known is no more")
        let work = plan.next(now: at(0))!
        _ = plan.ended(work, .vanished, now: at(0))
        #expect(plan.add(key(r2, 0), of: r2))
    }

    /// Any order of files, failures, wrong content, deletions and a full disk: no local copy goes that the stores lack, and all arrive in the end.
    @Test(arguments: 0..<120) func nothingGoesThatIsNotStored(seed: Int) {
        let random = SeededRandom(seed: UInt64(seed)), stores = 1 + seed % 2, removes = seed % 3 != 0
        func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }
        let plan = Plan(stores: stores, removesStored: removes)
        var local: [ObjectKey: Int] = [:], stored = Array(repeating: [ObjectKey: Int](), count: stores), sending: [(work: UploadPlan.Work, content: Int)] = []
        var away = Array(repeating: false, count: stores), forgotten = false, now = at(0), contents = 0, settled: Set<ObjectKey> = []
        func carryOut(_ actions: [UploadPlan.Action]) {
            for action in actions {
                switch action {
                case .remove(let key):
                    #expect(removes && stored.allSatisfy { $0[key] == local[key] }, "seed \(seed): \(key) was stored nowhere, or not as it is")
                    local[key] = nil
                case .settled(let group):
                    #expect(plan.isSettled(group), "seed \(seed)")
                    settled.insert(group)
                case .takeBack(let key, let store): stored[store][key] = nil
                case .failing, .recovered: break
                }
            }
        }
        func end(_ index: Int) {
            let (work, content) = sending.remove(at: index)
            let outcome: UploadPlan.Outcome = away[work.store] ? .failed(chance(20) ? .differs : .away) : local[work.key] == nil && !chance(30) ? .vanished : .stored
            if outcome == .stored { stored[work.store][work.key] = content }
            carryOut(plan.ended(work, outcome, now: now))
        }
        for step in 0..<400 {
            now = now + .milliseconds(Int64(random.next() % 2_000))
            for store in 0..<stores where chance(5) { away[store].toggle() }
            if chance(40) {
                let group = chance(70) || forgotten ? r2 : r1, key = key(group, chance(20) ? Int(random.next() % 5) : step)
                // A closed segment is new; what is replaced as a whole may be written again.
                contents += 1
                local[key] = contents
                #expect(plan.add(key, of: group))
                settled.remove(group)
            }
            while let work = plan.next(now: now) { sending.append((work, local[work.key] ?? 0)) }
            for store in 0..<stores { #expect(sending.count { $0.work.store == store } <= UploadPlan.Limits.atOnce) }
            if !sending.isEmpty, chance(70) { end(Int(random.next() % UInt64(sending.count))) }
            if chance(5), let key = plan.shed() {
                #expect(local[key] == nil || stored[0][key] == local[key], "seed \(seed): \(key) was shed, and finishing lacks it")
                local[key] = nil
            }
            if step == 200, seed % 5 == 0 {
                plan.forget(r1)
                local = local.filter { !$0.key.rawValue.hasPrefix(r1.rawValue) }
                forgotten = true
            }
        }
        away = Array(repeating: false, count: stores)
        while plan.waiting > 0 || !sending.isEmpty {
            now = now + .seconds(31)
            while let work = plan.next(now: now) { sending.append((work, local[work.key] ?? 0)) }
            guard !sending.isEmpty else { Issue.record("seed \(seed): \(plan.waiting) files wait for nothing"); return }
            end(0)
        }
        #expect(plan.isSettled(r1) && plan.isSettled(r2) && settled.contains(r2), "seed \(seed): whoever waits for it is told")
        #expect(local.allSatisfy { file in stored.allSatisfy { $0[file.key] == file.value } }, "seed \(seed): all of it is in every store")
        #expect(!removes || local.isEmpty)
    }
}
