// One machine's connection to the database: nodes and claims.
import Cluster
import Contracts
import Primitives

/// What a node is given as its store. A killed node's requests that were under way are still executed.
package final class StoreAccess: Sendable {
    let database: SimulatedDatabase
    let host: Host
    package init(_ database: SimulatedDatabase, host: Host) { self.database = database; self.host = host }
}

extension StoreAccess: LeaseStore {
    package func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation {
        try await database.perform("registerNode", from: host, writes: true) { (rows) throws(StoreError) in
            var incarnation = proposed
            if let last = rows.nodes[node]?.incarnation, last >= proposed { incarnation = Incarnation(last.rawValue + 1) }
            rows.nodes[node] = NodeLease(node: node, incarnation: incarnation, counter: 0)
            return incarnation
        }
    }
    package func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool {
        try await database.perform("renewNode", from: host, writes: false) { (rows) throws(StoreError) in
            guard rows.nodes[node]?.incarnation == incarnation else { return false }
            rows.nodes[node]?.counter += 1
            return true
        }
    }
    package func nodes() async throws -> [NodeLease] {
        try await database.perform("nodes", from: host, writes: false) { (rows) throws(StoreError) in rows.nodes.values.sorted { $0.node < $1.node } }
    }
    package func claim(kind: String, key: String) async throws -> Claim? {
        try await database.perform("claim", from: host, writes: false) { (rows) throws(StoreError) in rows.claims[.init(kind: kind, key: key)] }
    }
    package func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome {
        let database = database
        return try await database.perform("takeClaim", from: host, writes: true) { (rows) throws(StoreError) in
            let identity = SimulatedDatabase.Identity(kind: kind, key: key)
            if let stored = rows.claims[identity], stored.epoch != expecting, database.comparesClaims { return .conflict(stored) }
            let taken = Claim(kind: kind, key: key, node: node, incarnation: incarnation, epoch: expecting.next)
            rows.claims[identity] = taken
            database.noteClaim(taken)
            return .taken(taken)
        }
    }
    package func releaseClaim(_ claim: Claim) async throws {
        let database = database
        try await database.perform("releaseClaim", from: host, writes: true) { (rows) throws(StoreError) in
            let identity = SimulatedDatabase.Identity(kind: claim.kind, key: claim.key)
            guard rows.claims[identity]?.epoch == claim.epoch else { return }
            rows.claims[identity]?.isReleased = true
            database.noteClaim(rows.claims[identity]!)
        }
    }
}
