// Single-use tokens and saved compositions.
package import Contracts
package import Primitives

extension SQLStore: TokenStore {
    package func insertToken(_ hash: TokenHash, for binding: TokenBinding, scopes: [String], life: Duration) async throws -> TokenInsertion {
        if let mistake = TokenRecord.mistake(binding: binding, scopes: scopes, life: life) { throw StoreError.corrupt(mistake) }
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                // Locking the place makes the count exact.
                guard let now = try Self.lock(binding, connection) else { return .unknownPlace }
                try Self.removeEnded(now, connection)
                let (column, place, bound) = binding.recording.map { ("recording_id", $0.rawValue, TokenLimits.perRecording) } ?? ("room_id", binding.room.rawValue, TokenLimits.guestsPerRoom)
                let unused = try connection.first(
                    "SELECT count(*) FROM tokens WHERE kind = $1 AND \(column) = $2 AND burned_at IS NULL AND expires_at > $3",
                    [.text(binding.kind.rawValue), .text(place), .integer(now.microseconds)]) { (row) throws(StoreError) in row.integer(0) } ?? 0
                guard unused < bound else { return .full }
                let token = TokenRecord(hash: hash, binding: binding, scopes: scopes, createdAt: now, expiresAt: now + life)
                try connection.insert("INSERT INTO tokens (hash, kind, room_id, recording_id, scopes, created_at, expires_at)", [[
                    .bytes(hash.bytes), .text(binding.kind.rawValue), .text(binding.room.rawValue), .init(binding.recording?.rawValue),
                    .text(scopes.joined(separator: " ")), .integer(now.microseconds), .integer(token.expiresAt.microseconds),
                ]])
                return .inserted(token)
            }
        }
    }

    package func burnToken(_ hash: TokenHash, for binding: TokenBinding, scope: String?) async throws -> TokenBurn {
        try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let found = try connection.first("""
                    SELECT kind, room_id, recording_id, scopes, created_at, expires_at, burned_at, \(connection.clock) FROM tokens WHERE hash = $1 \(connection.locking)
                    """, [.bytes(hash.bytes)]) { (row) throws(StoreError) in (try Self.token(hash, row), WallTime(microseconds: row.integer(7))) }
                guard let (stored, now) = found else { return .refused(.unknown) }
                var token = stored
                let burn = token.burn(binding, scope: scope, now: now)
                if case .burned = burn { try connection.run("UPDATE tokens SET burned_at = $2 WHERE hash = $1", [.bytes(hash.bytes), .integer(now.microseconds)]) }
                return burn
            }
        }
    }

    /// - Returns: the database's time; nil where there is no such place.
    private static func lock(_ binding: TokenBinding, _ connection: any SQLConnection) throws(StoreError) -> WallTime? {
        let room = SQLValue.text(binding.room.rawValue)
        if let recording = binding.recording {
            return try connection.first(
                "SELECT \(connection.clock) FROM recordings WHERE id = $1 AND room_id = $2 \(connection.locking)",
                [.text(recording.rawValue), room]) { (row) throws(StoreError) in WallTime(microseconds: row.integer(0)) }
        }
        return try connection.first("SELECT \(connection.clock) FROM rooms WHERE id = $1 AND ended_at IS NULL \(connection.locking)", [room]) { (row) throws(StoreError) in
            WallTime(microseconds: row.integer(0))
        }
    }

    private static func removeEnded(_ now: WallTime, _ connection: any SQLConnection) throws(StoreError) {
        try connection.run("""
            DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 \(connection.lockingUnlocked))
            """, [.integer(now.microseconds - TokenLimits.endedKept.inMicroseconds), .integer(Int64(TokenLimits.removedAtOnce))])
    }

    private static func token(_ hash: TokenHash, _ row: SQLRow) throws(StoreError) -> TokenRecord {
        TokenRecord(
            hash: hash,
            binding: TokenBinding(kind: try row.word(0, TokenKind.self), room: RoomID(row.text(1)), recording: row.optionalText(2).map { RecordingID($0) }),
            scopes: row.text(3).split(separator: " ").map(String.init), createdAt: WallTime(microseconds: row.integer(4)),
            expiresAt: WallTime(microseconds: row.integer(5)), burnedAt: row.optionalInteger(6).map { WallTime(microseconds: $0) })
    }
}

extension SQLStore: CompositionStore {
    package func saveComposition(_ id: CompositionID, of recording: RecordingID, state: String, expecting: UInt64?) async throws -> CompositionSaving {
        guard id.isSafe, state.utf8.count <= CompositionLimits.stateBytes else {
            throw StoreError.corrupt("a composition has an id of plain characters and a state of at most \(CompositionLimits.stateBytes) bytes")
        }
        return try await perform { (connection) throws(StoreError) in
            try connection.transaction { () throws(StoreError) in
                let recordingID = SQLValue.text(recording.rawValue)
                // Locking the recording makes what follows one step.
                let now = try connection.first("SELECT \(connection.clock) FROM recordings WHERE id = $1 \(connection.locking)", [recordingID]) { (row) throws(StoreError) in row.integer(0) }
                guard let now else { return .noRecording }
                let known = try Self.compositions("AND composition_id = $2", recording, [.text(id.rawValue)], connection).first
                if let expecting, expecting != known?.version ?? 0 { return .conflict(known) }
                if known == nil {
                    let count = try connection.first("SELECT count(*) FROM compositions WHERE recording_id = $1", [recordingID]) { (row) throws(StoreError) in row.integer(0) } ?? 0
                    guard count < CompositionLimits.perRecording else { return .full }
                }
                let saved = CompositionRecord(recording: recording, id: id, version: (known?.version ?? 0) + 1, state: state, updatedAt: WallTime(microseconds: now))
                try connection.run("""
                    INSERT INTO compositions (recording_id, composition_id, version, state, updated_at) VALUES ($1, $2, $3, $4, $5)
                    ON CONFLICT (recording_id, composition_id) DO UPDATE SET version = $3, state = $4, updated_at = $5
                    """, [recordingID, .text(id.rawValue), .counter(saved.version), .text(state), .integer(now)])
                return .saved(saved)
            }
        }
    }

    package func composition(_ id: CompositionID, of recording: RecordingID) async throws -> CompositionRecord? {
        try await perform { (connection) throws(StoreError) in try Self.compositions("AND composition_id = $2", recording, [.text(id.rawValue)], connection).first }
    }
    package func compositions(of recording: RecordingID) async throws -> [CompositionRecord] {
        try await perform { (connection) throws(StoreError) in try Self.compositions("ORDER BY composition_id", recording, [], connection) }
    }

    /// - Parameter condition: what follows `WHERE recording_id = $1`.
    private static func compositions(_ condition: String, _ recording: RecordingID, _ values: [SQLValue], _ connection: any SQLConnection) throws(StoreError) -> [CompositionRecord] {
        try connection.rows("SELECT composition_id, version, state, updated_at FROM compositions WHERE recording_id = $1 \(condition)", [.text(recording.rawValue)] + values) { (row) throws(StoreError) in
            CompositionRecord(
                recording: recording, id: CompositionID(row.text(0)), version: try row.counter(1), state: row.text(2), updatedAt: WallTime(microseconds: row.integer(3)))
        }
    }
}
