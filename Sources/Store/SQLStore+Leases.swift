// Nodes' leases and the claims on what must exist once (docs/decisions: ownership is fenced by epochs).
package import Cluster
internal import Contracts
package import Primitives

extension SQLStore: LeaseStore {
    package func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation {
        let incarnation = try SQLValue.counter(proposed.rawValue)
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let registered = try connection.first("""
                    INSERT INTO nodes AS known (name, incarnation, counter) VALUES ($1, $2, 0)
                    ON CONFLICT (name) DO UPDATE SET counter = 0,
                        incarnation = CASE WHEN known.incarnation >= $2 THEN known.incarnation + 1 ELSE $2 END
                    RETURNING incarnation
                    """, [.text(node.rawValue), incarnation]) { (row) throws(StoreError) in try row.counter(0) }
                guard let registered else { throw .corrupt("the database registered no node \(node)") }
                return Incarnation(registered)
            }
        }
    }

    /// Four times a second and node: not worth a wait for the disk, as a renewal means nothing after a power cut.
    package func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool {
        let values: [SQLValue] = [.text(node.rawValue), try .counter(incarnation.rawValue)]
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction(.process) { () throws(StoreError) in
                try connection.run("UPDATE nodes SET counter = counter + 1 WHERE name = $1 AND incarnation = $2", values) == 1
            }
        }
    }

    package func nodes() async throws -> [NodeLease] {
        try await perform { (connection) throws(StoreError) in
            try connection.rows("SELECT name, incarnation, counter FROM nodes ORDER BY name") { (row) throws(StoreError) in
                NodeLease(node: NodeName(row.text(0)), incarnation: Incarnation(try row.counter(1)), counter: try row.counter(2))
            }
        }
    }

    package func claim(kind: String, key: String) async throws -> Claim? {
        try await perform { (connection) throws(StoreError) in try Self.claim(connection, kind, key) }
    }

    package func takeClaim(kind: String, key: String, by node: NodeName, incarnation: Incarnation, expecting: Epoch) async throws -> ClaimOutcome {
        try await perform { (connection) throws(StoreError) in
            let (next, overflow) = expecting.rawValue.addingReportingOverflow(1)
            if overflow { throw .corrupt("epoch \(expecting.rawValue) of \(kind)/\(key) is beyond what is ever claimed") }
            let taken = Claim(kind: kind, key: key, node: node, incarnation: incarnation, epoch: Epoch(next))
            let changed = try connection.transaction { () throws(StoreError) in try Self.compareAndSet(connection, taken, expecting) }
            if changed { return .taken(taken) }
            guard let stored = try Self.claim(connection, kind, key) else { throw .away("the claim on \(kind)/\(key) was removed meanwhile; nothing was written") }
            return .conflict(stored)
        }
    }

    /// One statement, so that PostgreSQL decides races at READ COMMITTED: of two that expect the same epoch the second waits for
    /// the first one's row and then no longer finds that epoch in it.
    private static func compareAndSet(_ connection: any SQLConnection, _ taken: Claim, _ expecting: Epoch) throws(StoreError) -> Bool {
        try connection.run("""
            INSERT INTO claims AS known (kind, key, node, incarnation, epoch, is_released) VALUES ($1, $2, $3, $4, $5, 0)
            ON CONFLICT (kind, key) DO UPDATE SET node = $3, incarnation = $4, epoch = $5, is_released = 0 WHERE known.epoch = $6
            """, [
                .text(taken.kind), .text(taken.key), .text(taken.node.rawValue), .counter(taken.incarnation.rawValue), .counter(taken.epoch.rawValue),
                .counter(expecting.rawValue),
            ]) == 1
    }

    private static func claim(_ connection: any SQLConnection, _ kind: String, _ key: String) throws(StoreError) -> Claim? {
        try connection.first("SELECT node, incarnation, epoch, is_released FROM claims WHERE kind = $1 AND key = $2", [.text(kind), .text(key)]) { (row) throws(StoreError) in
            Claim(
                kind: kind, key: key, node: NodeName(row.text(0)), incarnation: Incarnation(try row.counter(1)),
                epoch: Epoch(try row.counter(2)), isReleased: row.integer(3) != 0)
        }
    }
}
