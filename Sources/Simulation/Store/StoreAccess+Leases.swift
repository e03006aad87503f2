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

    // MARK: Many at once, and the end of a life

    package func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        let database = database
        return try await database.perform("takeClaims", from: host, writes: true) { (rows) throws(StoreError) in
            stored.compactMap { claim in
                let identity = SimulatedDatabase.Identity(kind: claim.kind, key: claim.key)
                guard rows.claims[identity]?.epoch == claim.epoch || !database.comparesClaims else { return nil }
                let taken = Claim(kind: claim.kind, key: claim.key, node: node, incarnation: incarnation, epoch: claim.epoch.next)
                rows.claims[identity] = taken
                database.noteClaim(taken)
                return taken
            }
        }
    }
    package func releaseClaims(_ claims: [Claim]) async throws {
        let database = database
        try await database.perform("releaseClaims", from: host, writes: true) { (rows) throws(StoreError) in
            for claim in claims {
                let identity = SimulatedDatabase.Identity(kind: claim.kind, key: claim.key)
                guard rows.claims[identity]?.epoch == claim.epoch else { continue }
                rows.claims[identity]?.isReleased = true
                database.noteClaim(rows.claims[identity]!)
            }
        }
    }
    package func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await database.perform("claimsOf", from: host, writes: false) { (rows) throws(StoreError) in
            Self.ordered(rows.claims.values.filter { $0.node == node && $0.incarnation == incarnation && !$0.isReleased })
        }
    }
    package func orphans(kinds: [String], limit: Int) async throws -> [Claim] {
        try await database.perform("orphans", from: host, writes: false) { (rows) throws(StoreError) in
            let all = rows.claims.values.filter { !$0.isReleased && kinds.contains($0.kind) && rows.nodes[$0.node]?.incarnation != $0.incarnation }
            return Array(Self.ordered(all).prefix(limit))
        }
    }
    private static func ordered(_ claims: [Claim]) -> [Claim] { claims.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) } }
    package func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool {
        let database = database
        return try await database.perform("retireNode", from: host, writes: true) { (rows) throws(StoreError) in
            guard let row = rows.nodes[node], row.incarnation <= incarnation else { return true }
            guard row.incarnation == incarnation, counter == nil || counter == row.counter else { return false }
            rows.nodes[node] = NodeLease(node: node, incarnation: Incarnation(incarnation.rawValue + 1), counter: 0)
            database.noteRetirement(node, incarnation, byVote: counter == nil)
            return true
        }
    }

    // MARK: Who votes, what is pinned

    package func voters() async throws -> VoterSet {
        try await database.perform("voters", from: host, writes: false) { (rows) throws(StoreError) in rows.voters }
    }
    package func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet {
        try await database.perform("setVoters", from: host, writes: true) { (rows) throws(StoreError) in
            if rows.voters.version == version { rows.voters = VoterSet(version: version + 1, names: Set(names).sorted()) }
            return rows.voters
        }
    }
    package func pins() async throws -> [Pin] {
        try await database.perform("pins", from: host, writes: false) { (rows) throws(StoreError) in
            rows.pins.map { Pin(kind: $0.key.kind, key: $0.key.key, node: $0.value) }.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) }
        }
    }
    package func pin(kind: String, key: String) async throws -> NodeName? {
        try await database.perform("pin", from: host, writes: false) { (rows) throws(StoreError) in rows.pins[.init(kind: kind, key: key)] }
    }
    package func setPin(kind: String, key: String, to node: NodeName?) async throws {
        try await database.perform("setPin", from: host, writes: true) { (rows) throws(StoreError) in rows.pins[.init(kind: kind, key: key)] = node }
    }
}
