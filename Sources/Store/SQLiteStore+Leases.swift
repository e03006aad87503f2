// Nodes' leases and the claims on what must exist once (docs/decisions: ownership is fenced by epochs).
package import Cluster
internal import Contracts
package import Primitives

extension SQLiteStore: LeaseStore {
    package func registerNode(_ node: NodeName, proposed: Incarnation) async throws -> Incarnation {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                var value = try Self.column(proposed.rawValue)
                let last = try connection.first("SELECT incarnation FROM nodes WHERE name = ?", [.text(node.rawValue)]) { (row) throws(StoreError) in row.integer(0) }
                if let last, last >= value { value = try Self.column(UInt64(clamping: last) + 1) }
                try connection.run(
                    "INSERT INTO nodes (name, incarnation, counter) VALUES (?1, ?2, 0) ON CONFLICT (name) DO UPDATE SET incarnation = ?2, counter = 0",
                    [.text(node.rawValue), .integer(value)])
                return Incarnation(UInt64(clamping: value))
            }
        }
    }

    /// Four times a second and node: not worth a wait for the disk, as a renewal means nothing after a power cut.
    package func renewNode(_ node: NodeName, incarnation: Incarnation) async throws -> Bool {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction(.process) { () throws(StoreError) in
                let changed = try connection.run(
                    "UPDATE nodes SET counter = counter + 1 WHERE name = ? AND incarnation = ?",
                    [.text(node.rawValue), .integer(try Self.column(incarnation.rawValue))])
                return changed == 1
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
            try connection.transaction { () throws(StoreError) in
                if let stored = try Self.claim(connection, kind, key), stored.epoch != expecting { return .conflict(stored) }
                let (next, overflow) = expecting.rawValue.addingReportingOverflow(1)
                if overflow { throw .corrupt("epoch \(expecting.rawValue) of \(kind)/\(key) is beyond what is ever claimed") }
                let taken = Claim(kind: kind, key: key, node: node, incarnation: incarnation, epoch: Epoch(next))
                try connection.run("""
                    INSERT INTO claims (kind, key, node, incarnation, epoch, is_released) VALUES (?1, ?2, ?3, ?4, ?5, 0)
                    ON CONFLICT (kind, key) DO UPDATE SET node = ?3, incarnation = ?4, epoch = ?5, is_released = 0
                    """, [
                        .text(kind), .text(key), .text(node.rawValue), .integer(try Self.column(incarnation.rawValue)), .integer(try Self.column(next)),
                    ])
                return .taken(taken)
            }
        }
    }

    static func claim(_ connection: SQLiteConnection, _ kind: String, _ key: String) throws(StoreError) -> Claim? {
        try connection.first("SELECT node, incarnation, epoch, is_released FROM claims WHERE kind = ? AND key = ?", [.text(kind), .text(key)]) { (row) throws(StoreError) in
            Claim(
                kind: kind, key: key, node: NodeName(row.text(0)), incarnation: Incarnation(try row.counter(1)),
                epoch: Epoch(try row.counter(2)), isReleased: row.integer(3) != 0)
        }
    }

    /// SQLite's integers are signed; a counter beyond them is not one of ours.
    static func column(_ counter: UInt64) throws(StoreError) -> Int64 {
        guard let value = Int64(exactly: counter) else { throw .corrupt("the counter \(counter) is beyond what is ever reached") }
        return value
    }
}
