// Ownership beyond one claim: the end of a node's life, batches of claims, voters and pins.
package import Cluster
internal import Contracts
package import Primitives

extension SQLiteStore {
    package func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let name = SQLiteValue.text(node.rawValue), life = try Self.column(incarnation.rawValue)
                let row = try connection.first("SELECT incarnation, counter FROM nodes WHERE name = ?", [name]) { (row) throws(StoreError) in
                    (incarnation: row.integer(0), counter: try row.counter(1))
                }
                guard let row, row.incarnation <= life else { return true }
                guard row.incarnation == life, counter == nil || counter == row.counter else { return false }
                let after = SQLiteValue.integer(try Self.column(UInt64(clamping: life) + 1))
                try connection.run("UPDATE nodes SET incarnation = ?, counter = 0 WHERE name = ?", [after, name])
                return true
            }
        }
    }

    package func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                var taken: [Claim] = []
                for claim in stored {
                    let epoch = try Self.column(claim.epoch.rawValue)
                    let changed = try connection.run(
                        "UPDATE claims SET node = ?, incarnation = ?, epoch = ?, is_released = 0 WHERE kind = ? AND key = ? AND epoch = ?",
                        [
                            .text(node.rawValue), .integer(try Self.column(incarnation.rawValue)), .integer(try Self.column(UInt64(clamping: epoch) + 1)),
                            .text(claim.kind), .text(claim.key), .integer(epoch),
                        ])
                    if changed == 1 { taken.append(Claim(kind: claim.kind, key: claim.key, node: node, incarnation: incarnation, epoch: claim.epoch.next)) }
                }
                return taken
            }
        }
    }

    package func releaseClaims(_ claims: [Claim]) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                for claim in claims {
                    try connection.run(
                        "UPDATE claims SET is_released = 1 WHERE kind = ? AND key = ? AND epoch = ?",
                        [.text(claim.kind), .text(claim.key), .integer(try Self.column(claim.epoch.rawValue))])
                }
            }
        }
    }

    package func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await perform { (connection) throws(StoreError) in
            try connection.rows(
                "SELECT kind, key, node, incarnation, epoch FROM claims WHERE is_released = 0 AND node = ? AND incarnation = ? ORDER BY kind, key",
                [.text(node.rawValue), .integer(try Self.column(incarnation.rawValue))], Self.held)
        }
    }

    package func orphans(kinds: [String], limit: Int) async throws -> [Claim] {
        guard !kinds.isEmpty else { return [] }
        return try await perform { (connection) throws(StoreError) in
            let places = kinds.map { _ in "?" }.joined(separator: ", ")
            return try connection.rows("""
                SELECT kind, key, node, incarnation, epoch FROM claims WHERE is_released = 0 AND kind IN (\(places))
                AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.name = claims.node AND nodes.incarnation = claims.incarnation)
                ORDER BY kind, key LIMIT ?
                """, kinds.map { .text($0) } + [.integer(Int64(limit))], Self.held)
        }
    }
    /// A row of `kind, key, node, incarnation, epoch` that is not released.
    private static func held(_ row: SQLiteRow) throws(StoreError) -> Claim {
        Claim(kind: row.text(0), key: row.text(1), node: NodeName(row.text(2)), incarnation: Incarnation(try row.counter(3)), epoch: Epoch(try row.counter(4)))
    }

    // MARK: Voters

    package func voters() async throws -> VoterSet {
        try await perform { (connection) throws(StoreError) in try Self.voters(connection) }
    }
    package func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let stored = try Self.voters(connection)
                guard stored.version == version else { return stored }
                let next = VoterSet(version: version + 1, names: Set(names).sorted())
                try connection.run(
                    "INSERT INTO voters (only, version, names) VALUES (1, ?1, ?2) ON CONFLICT (only) DO UPDATE SET version = ?1, names = ?2",
                    [.integer(try Self.column(next.version)), .text(next.names.map(\.rawValue).joined(separator: " "))])
                return next
            }
        }
    }
    private static func voters(_ connection: SQLiteConnection) throws(StoreError) -> VoterSet {
        try connection.first("SELECT version, names FROM voters") { (row) throws(StoreError) in
            VoterSet(version: try row.counter(0), names: row.text(1).split(separator: " ").map { NodeName(String($0)) })
        } ?? VoterSet()
    }

    // MARK: Pins

    package func pins() async throws -> [Pin] {
        try await perform { (connection) throws(StoreError) in
            try connection.rows("SELECT kind, key, node FROM pins ORDER BY kind, key") { (row) throws(StoreError) in
                Pin(kind: row.text(0), key: row.text(1), node: NodeName(row.text(2)))
            }
        }
    }
    package func pin(kind: String, key: String) async throws -> NodeName? {
        try await perform { (connection) throws(StoreError) in
            try connection.first("SELECT node FROM pins WHERE kind = ? AND key = ?", [.text(kind), .text(key)]) { (row) throws(StoreError) in NodeName(row.text(0)) }
        }
    }
    package func setPin(kind: String, key: String, to node: NodeName?) async throws {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                if let node {
                    try connection.run(
                        "INSERT INTO pins (kind, key, node) VALUES (?1, ?2, ?3) ON CONFLICT (kind, key) DO UPDATE SET node = ?3",
                        [.text(kind), .text(key), .text(node.rawValue)])
                } else {
                    try connection.run("DELETE FROM pins WHERE kind = ? AND key = ?", [.text(kind), .text(key)])
                }
            }
        }
    }
}
