// Actors that do nothing but write down that they were called.
import Cluster
import Distributed
import EventLoop
import Primitives

/// A virtual actor: a counter under one epoch.
package distributed actor Tally {
    package typealias ActorSystem = ClusterSystem
    package static let kind = "tally"
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let claim: Claim
    private let ledger: Ledger
    private var value = 0

    init(_ system: ClusterSystem, _ claim: Claim, _ ledger: Ledger) {
        actorSystem = system
        self.claim = claim
        self.ledger = ledger
    }
    package struct Reading: Codable, Sendable {
        package var epoch: Epoch
        package var value: Int
    }
    package distributed func add(_ call: UInt64) -> Reading {
        decide(call)
        return Reading(epoch: claim.epoch, value: value)
    }
    /// Decides, then asks another: a call inside a call.
    package distributed func pass(_ call: UInt64, to other: String, inner: UInt64) async throws -> Reading {
        decide(call)
        let next = actorSystem.reference(Tally.self, kind: Tally.kind, key: other)
        do {
            _ = try await next.add(inner)
            ledger.told(inner, .value)
        } catch { ledger.told(inner, Ledger.Told(error)) }
        return Reading(epoch: claim.epoch, value: value)
    }
    package distributed func leave() async { await actorSystem.deactivate(kind: Self.kind, key: claim.key) }

    private func decide(_ call: UInt64) {
        value += 1
        ledger.executed(call, at: actorSystem.node)
        ledger.decided(claim)
    }
}

/// An instance: of one life of one node, and of no other.
package distributed actor Bell {
    package typealias ActorSystem = ClusterSystem
    package nonisolated var unownedExecutor: UnownedSerialExecutor { actorSystem.executor(of: id) }
    private let ledger: Ledger
    private let world: World
    init(_ system: ClusterSystem, _ ledger: Ledger, _ world: World) {
        actorSystem = system
        self.ledger = ledger
        self.world = world
    }
    /// - Parameter meant: the life the caller means.
    package distributed func ring(_ call: UInt64, meant: Incarnation) {
        ledger.executed(call, at: actorSystem.node)
        if meant != id.incarnation {
            world.fail(.executedOnce, "a call to an actor of incarnation \(meant.rawValue) of \(actorSystem.node) runs on one of \(id.incarnation.rawValue)")
        }
    }
}

extension Ledger.Told {
    init(_ error: any Error) {
        switch error as? ClusterError {
        case .notExecuted(let reason): self = .notExecuted("\(reason)")
        case .unknownOutcome: self = .unknown
        case .remote(let type, let text): self = .failed("\(type) \(text)")
        case nil: self = .failed("\(error)")
        }
    }
}
