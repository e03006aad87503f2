// The schema of an SQLite file, as the steps that made it. The same tables for PostgreSQL: Postgres/PostgresMigrations.swift.
internal import Contracts

/// One list, only ever appended to: `PRAGMA user_version` says how many steps a file has had, `troupe_schema` how many one has to know.
enum SQLiteMigrations {
    static let all: [SchemaStep] = [
        """
        CREATE TABLE rooms (
            id TEXT PRIMARY KEY,
            meeting_code TEXT NOT NULL,
            title TEXT NOT NULL,
            host_name TEXT NOT NULL,
            mode TEXT NOT NULL,
            max_participants INTEGER NOT NULL,
            recording_policy TEXT,
            region TEXT,
            created_at INTEGER NOT NULL,                -- microseconds since 1970, like every time here
            ended_at INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX rooms_by_code ON rooms (meeting_code) WHERE ended_at IS NULL;

        CREATE TABLE admissions (
            room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            participant_id TEXT NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            admitted_at INTEGER NOT NULL,
            bare_burned INTEGER NOT NULL DEFAULT 0,     -- 1 once the bare participant id has admitted
            PRIMARY KEY (room_id, participant_id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE nodes (
            name TEXT PRIMARY KEY,
            incarnation INTEGER NOT NULL,
            counter INTEGER NOT NULL                    -- grows while the node lives
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE claims (
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            node TEXT NOT NULL,
            incarnation INTEGER NOT NULL,
            epoch INTEGER NOT NULL,                     -- only grows; the row outlives its owner
            is_released INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (kind, key)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE answers (
            idempotency_key TEXT PRIMARY KEY,
            status INTEGER NOT NULL,
            body TEXT NOT NULL,
            kept_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX answers_by_age ON answers (kept_at);

        CREATE TABLE recordings (
            id TEXT PRIMARY KEY,
            room_id TEXT NOT NULL,
            recorder TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            duration REAL,
            size INTEGER,
            output_path TEXT,
            started_at INTEGER NOT NULL,
            stopped_at INTEGER,
            title TEXT NOT NULL
        ) STRICT;
        CREATE TABLE recorded_tracks (
            recording_id TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            track_id TEXT NOT NULL,
            participant_id TEXT NOT NULL,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            source TEXT NOT NULL,
            codec TEXT NOT NULL,
            start REAL NOT NULL,                        -- seconds on the recording's time zero
            duration REAL NOT NULL,
            key TEXT NOT NULL,
            PRIMARY KEY (recording_id, position)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX recordings_by_room ON recordings (room_id, started_at);
        CREATE INDEX recordings_by_start ON recordings (started_at);
        CREATE INDEX recordings_unfinished ON recordings (recorder) WHERE state NOT IN ('ready', 'failed');
        """,
        """
        CREATE TABLE room_logs (
            room_id TEXT PRIMARY KEY,
            epoch INTEGER NOT NULL,                     -- an append under an older one is refused
            sequence INTEGER NOT NULL,                  -- the last number in the log
            state BLOB,
            state_sequence INTEGER NOT NULL DEFAULT 0,
            changed_at INTEGER NOT NULL                 -- the database's clock
        ) STRICT;
        CREATE INDEX room_logs_by_age ON room_logs (changed_at);

        CREATE TABLE room_events (
            position INTEGER PRIMARY KEY,               -- in the feed of all rooms
            room_id TEXT NOT NULL,
            first_number INTEGER NOT NULL,              -- other than sequence where numbers were lost
            sequence INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            at INTEGER NOT NULL,                        -- the Room's clock
            kept_at INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)), -- the database's clock
            type TEXT NOT NULL,
            payload TEXT NOT NULL                       -- JSON
        ) STRICT;
        CREATE UNIQUE INDEX room_events_by_number ON room_events (room_id, sequence);

        CREATE TABLE event_feed (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            position INTEGER NOT NULL,                  -- the last one given
            removed INTEGER NOT NULL                    -- the last one removed by retention
        ) STRICT;
        INSERT INTO event_feed (id, position, removed) VALUES (1, 0, 0);
        """,
        """
        CREATE INDEX claims_held ON claims (node, incarnation) WHERE is_released = 0;
        CREATE TABLE voters (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            version INTEGER NOT NULL,                   -- changes by compare-and-set
            names TEXT NOT NULL                         -- separated by spaces, in order
        ) STRICT;
        CREATE TABLE pins (
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            node TEXT NOT NULL,
            PRIMARY KEY (kind, key)
        ) STRICT, WITHOUT ROWID;
        """,
        """
        CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            recording_id TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            room_id TEXT NOT NULL,
            state TEXT NOT NULL,
            priority INTEGER NOT NULL,
            dedupe_key TEXT,
            parameters TEXT NOT NULL,                   -- JSON
            progress REAL NOT NULL,                    -- 0...1
            seconds_left REAL,
            attempt INTEGER NOT NULL,
            not_before INTEGER NOT NULL,                -- this and the times below: the database's clock
            result TEXT,                                -- JSON
            failure_code TEXT,
            failure_message TEXT,
            owner_node TEXT,
            owner_incarnation INTEGER,
            epoch INTEGER NOT NULL,                     -- grows with every claim
            heartbeat_at INTEGER,
            doubted_at INTEGER,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            finished_at INTEGER
        ) STRICT;
        CREATE UNIQUE INDEX jobs_by_key ON jobs (recording_id, kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND state IN ('queued', 'processing', 'ready');
        CREATE INDEX jobs_by_recording ON jobs (recording_id, created_at);
        CREATE INDEX jobs_by_age ON jobs (created_at, id);
        CREATE INDEX jobs_waiting ON jobs (priority DESC, created_at, id) WHERE state = 'queued';
        CREATE INDEX jobs_running ON jobs (id) WHERE state = 'processing';
        CREATE INDEX jobs_in_vain ON jobs (finished_at) WHERE state IN ('failed', 'cancelled');
        """,
        """
        CREATE TABLE tokens (
            hash BLOB PRIMARY KEY,                     -- SHA-256; the token itself is never kept
            kind TEXT NOT NULL,
            room_id TEXT NOT NULL,
            recording_id TEXT REFERENCES recordings (id) ON DELETE CASCADE,
            scopes TEXT NOT NULL,                       -- separated by spaces
            created_at INTEGER NOT NULL,                -- times: the database's clock
            expires_at INTEGER NOT NULL,
            burned_at INTEGER
        ) STRICT;
        CREATE INDEX tokens_by_room ON tokens (room_id);
        CREATE INDEX tokens_by_recording ON tokens (recording_id);
        CREATE INDEX tokens_by_end ON tokens (expires_at);

        CREATE TABLE compositions (
            recording_id TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            composition_id TEXT NOT NULL,
            version INTEGER NOT NULL,                   -- grows by one with every change
            state TEXT NOT NULL,                        -- JSON
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (recording_id, composition_id)
        ) STRICT, WITHOUT ROWID;
        """,
        // Who refuses to be recorded must not meet a recorder that does not know it.
        SchemaStep(
            """
            ALTER TABLE admissions ADD COLUMN recording_consent INTEGER;     -- 0: refuses to be recorded; NULL: was not asked
            ALTER TABLE recordings ADD COLUMN excluded TEXT;           -- participants the host leaves out, separated by spaces
            ALTER TABLE recordings ADD COLUMN refused TEXT;            -- participants who refuse, likewise
            ALTER TABLE recordings ADD COLUMN viewers TEXT NOT NULL DEFAULT 'participants';
            ALTER TABLE recordings ADD COLUMN retention_days INTEGER;     -- NULL: kept until somebody deletes it
            ALTER TABLE recordings ADD COLUMN delete_after INTEGER;       -- microseconds since 1970, once it has ended
            CREATE INDEX recordings_by_end ON recordings (delete_after) WHERE delete_after IS NOT NULL;
            """, keepsEarlier: false),
    ]

    /// Takes the steps a file has not had, in one transaction.
    static func bring(_ connection: SQLiteConnection, to steps: [SchemaStep]) throws(StoreError) {
        guard try !state(connection).missing(of: steps).isEmpty else { return }
        try connection.transaction(.disk) { () throws(StoreError) in
            // Read again inside: another node may have taken the steps meanwhile.
            let missing = try state(connection).missing(of: steps)
            guard !missing.isEmpty else { return }
            for step in missing { try connection.execute(step.script) }
            let now = SchemaState.after(steps)
            try connection.execute("PRAGMA user_version = \(now.version)")
            try connection.execute("CREATE TABLE IF NOT EXISTS troupe_schema (oldest INTEGER NOT NULL) STRICT; DELETE FROM troupe_schema; INSERT INTO troupe_schema (oldest) VALUES (\(now.oldest))")
        }
    }

    /// The table `troupe_schema` came later: a file without it is for programs that know all its steps.
    private static func state(_ connection: SQLiteConnection) throws(StoreError) -> SchemaState {
        func number(_ statement: String) throws(StoreError) -> Int? { try connection.first(statement) { (row) throws(StoreError) in Int(clamping: row.integer(0)) } }
        let version = try number("PRAGMA user_version") ?? 0
        let isTold = try number("SELECT count(*) FROM sqlite_schema WHERE name = 'troupe_schema'") == 1
        return SchemaState(version: version, oldest: isTold ? try number("SELECT oldest FROM troupe_schema") ?? version : version)
    }
}
