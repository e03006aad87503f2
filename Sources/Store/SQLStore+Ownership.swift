// Ownership beyond one claim: the end of a node's life, batches of claims, voters and pins.
package import Cluster
internal import Contracts
package import Primitives

extension SQLStore {
    package func retireNode(_ node: NodeName, incarnation: Incarnation, counter: UInt64?) async throws -> Bool {
        let life = incarnation.rawValue, name = SQLValue.text(node.rawValue)
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                // One statement decides, so that a renewal at the same moment is either seen or refused.
                var values: [SQLValue] = [name, try .counter(life), try .counter(life + 1)]
                if let counter { values.append(try .counter(counter)) }
                let ended = try connection.run(
                    "UPDATE nodes SET incarnation = $3, counter = 0 WHERE name = $1 AND incarnation = $2" + (counter == nil ? "" : " AND counter = $4"), values)
                if ended == 1 { return true }
                let stored = try connection.first("SELECT incarnation FROM nodes WHERE name = $1", [name]) { (row) throws(StoreError) in try row.counter(0) }
                return stored.map { $0 > life } ?? true
            }
        }
    }

    package func takeClaims(_ stored: [Claim], by node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                var taken: [Claim] = []
                for claim in stored {
                    let next = Claim(kind: claim.kind, key: claim.key, node: node, incarnation: incarnation, epoch: claim.epoch.next)
                    let changed = try connection.run(
                        "UPDATE claims SET node = $3, incarnation = $4, epoch = $5, is_released = 0 WHERE kind = $1 AND key = $2 AND epoch = $6",
                        [.text(next.kind), .text(next.key), .text(node.rawValue), .counter(incarnation.rawValue), .counter(next.epoch.rawValue), .counter(claim.epoch.rawValue)])
                    if changed == 1 { taken.append(next) }
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
                        "UPDATE claims SET is_released = 1 WHERE kind = $1 AND key = $2 AND epoch = $3",
                        [.text(claim.kind), .text(claim.key), .counter(claim.epoch.rawValue)])
                }
            }
        }
    }

    package func claims(of node: NodeName, incarnation: Incarnation) async throws -> [Claim] {
        try await perform { (connection) throws(StoreError) in
            try connection.rows(
                "SELECT kind, key, node, incarnation, epoch FROM claims WHERE is_released = 0 AND node = $1 AND incarnation = $2 ORDER BY kind, key",
                [.text(node.rawValue), .counter(incarnation.rawValue)], Self.held)
        }
    }

    package func orphans(kinds: [String], limit: Int) async throws -> [Claim] {
        guard !kinds.isEmpty else { return [] }
        let places = kinds.indices.map { "$\($0 + 2)" }.joined(separator: ", ")
        return try await perform { (connection) throws(StoreError) in
            try connection.rows("""
                SELECT kind, key, node, incarnation, epoch FROM claims WHERE is_released = 0 AND kind IN (\(places))
                AND NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.name = claims.node AND nodes.incarnation = claims.incarnation)
                ORDER BY kind, key LIMIT $1
                """, [.integer(Int64(limit))] + kinds.map { .text($0) }, Self.held)
        }
    }
    /// A row of `kind, key, node, incarnation, epoch` that is not released.
    private static func held(_ row: SQLRow) throws(StoreError) -> Claim {
        Claim(kind: row.text(0), key: row.text(1), node: NodeName(row.text(2)), incarnation: Incarnation(try row.counter(3)), epoch: Epoch(try row.counter(4)))
    }

    // MARK: Voters

    package func voters() async throws -> VoterSet {
        try await perform { (connection) throws(StoreError) in try Self.voters(connection) }
    }
    package func setVoters(_ names: [NodeName], expecting version: UInt64) async throws -> VoterSet {
        let next = VoterSet(version: version + 1, names: Set(names).sorted())
        return try await perform { (connection) throws(StoreError) in
            let changed = try connection.transaction { () throws(StoreError) in
                try connection.run("""
                    INSERT INTO voters AS known (only_row, version, names) SELECT 1, $1, $2 WHERE CAST($3 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM voters)
                    ON CONFLICT (only_row) DO UPDATE SET version = $1, names = $2 WHERE known.version = $3
                    """, [.counter(next.version), .text(next.names.map(\.rawValue).joined(separator: " ")), .counter(version)])
            }
            return changed == 1 ? next : try Self.voters(connection)
        }
    }
    private static func voters(_ connection: any SQLConnection) throws(StoreError) -> VoterSet {
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
            try connection.first("SELECT node FROM pins WHERE kind = $1 AND key = $2", [.text(kind), .text(key)]) { (row) throws(StoreError) in NodeName(row.text(0)) }
        }
    }
    package func setPin(kind: String, key: String, to node: NodeName?) async throws {
        let identity: [SQLValue] = [.text(kind), .text(key)]
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                if let node {
                    _ = try connection.run("INSERT INTO pins (kind, key, node) VALUES ($1, $2, $3) ON CONFLICT (kind, key) DO UPDATE SET node = $3", identity + [.text(node.rawValue)])
                } else {
                    _ = try connection.run("DELETE FROM pins WHERE kind = $1 AND key = $2", identity)
                }
            }
        }
    }
}
