// The actors of this node and the tables of what may be called on them.
import Distributed
import Synchronization

/// Safe from any thread. Holds actors weakly: an instance lives as long as someone on its node keeps it.
final class ActorRegistry: Sendable {
    private struct Entry {
        weak var actor: (any DistributedActor)?
        var type: ObjectIdentifier
    }
    private struct State {
        var last: UInt64 = 0
        var actors: [UInt64: Entry] = [:]
        var tables: [ObjectIdentifier: TargetTable] = [:]
        /// Kept: nobody else need hold them.
        var services: [String: any DistributedActor] = [:]
        var forOperators: [ObjectIdentifier: Set<String>] = [:]
    }
    private let state = Mutex(State())

    func nextNumber() -> UInt64 {
        state.withLock { $0.last += 1; return $0.last }
    }
    var hasGivenNumbers: Bool { state.withLock { $0.last > 0 } }
    func add(_ actor: any DistributedActor, number: UInt64) {
        let type = Swift.type(of: actor)
        _ = table(of: type)
        state.withLock { $0.actors[number] = Entry(actor: actor, type: ObjectIdentifier(type)) }
    }
    func remove(number: UInt64) { state.withLock { _ = $0.actors.removeValue(forKey: number) } }
    func actor(number: UInt64) -> (any DistributedActor)? { state.withLock { $0.actors[number]?.actor } }

    /// What may be called on actors of `type`; made at the first question.
    func table(of type: any DistributedActor.Type) -> TargetTable {
        let id = ObjectIdentifier(type)
        if let known = state.withLock({ $0.tables[id] }) { return known }
        let made = TargetTable(of: type)
        return state.withLock {
            if let known = $0.tables[id] { return known }
            $0.tables[id] = made
            return made
        }
    }
    func restrict(_ type: any DistributedActor.Type, to names: Set<String>) {
        let restricted = table(of: type).restricted(to: names)
        state.withLock { $0.tables[ObjectIdentifier(type)] = restricted }
    }

    func provide(_ actor: any DistributedActor, as name: String) {
        // The former one ends after the lock: an actor that ends gives its number back here.
        _ = state.withLock {
            precondition($0.services[name] != nil || $0.services.count < ClusterConfiguration.Limits.services, "more than \(ClusterConfiguration.Limits.services) services")
            return $0.services.updateValue(actor, forKey: name)
        }
    }
    func service(_ name: String) -> (any DistributedActor)? { state.withLock { $0.services[name] } }
    func allowOperators(_ type: any DistributedActor.Type, _ names: Set<String>) { state.withLock { $0.forOperators[ObjectIdentifier(type)] = names } }
    func operatorsMayCall(_ name: String, of type: any DistributedActor.Type) -> Bool {
        state.withLock { $0.forOperators[ObjectIdentifier(type)]?.contains(name) ?? false }
    }
}
