// The schema of a PostgreSQL database, as the steps that made it. The same tables for SQLite: SQLite/SQLiteMigrations.swift.
internal import Contracts
internal import Primitives

/// One list, only ever appended to: `troupe_schema` says how many steps a database has had, and how many one has to know.
enum PostgresMigrations {
    /// Names of the lock that nodes which start at once stand in line for; "troupe" in ASCII.
    private static let lock: Int64 = 0x7472_6F75_7065

    /// Takes the steps a database has not had, in one transaction.
    static func bring(_ connection: PostgresConnection, to steps: [SchemaStep]) throws(StoreError) {
        let exists = try connection.first("SELECT to_regclass('troupe_schema') IS NOT NULL") { (row) throws(StoreError) in row.integer(0) == 1 }
        if exists == true, try state(connection).missing(of: steps).isEmpty { return }
        try connection.transaction(.disk) { () throws(StoreError) in
            try connection.run("SELECT pg_advisory_xact_lock($1)", [.integer(lock)])
            try connection.run("CREATE TABLE IF NOT EXISTS troupe_schema (version BIGINT NOT NULL, oldest BIGINT)")
            // Read again inside: another node may have taken the steps meanwhile.
            let missing = try state(connection).missing(of: steps)
            guard !missing.isEmpty else { return }
            for step in missing { try connection.script(step.script) }
            let now = SchemaState.after(steps)
            try connection.run("ALTER TABLE troupe_schema ADD COLUMN IF NOT EXISTS oldest BIGINT")
            try connection.run("DELETE FROM troupe_schema")
            try connection.run("INSERT INTO troupe_schema (version, oldest) VALUES ($1, $2)", [.integer(Int64(now.version)), .integer(Int64(now.oldest))])
        }
    }

    /// The column `oldest` came later: a database without it is for programs that know all its steps.
    private static func state(_ connection: PostgresConnection) throws(StoreError) -> SchemaState {
        try connection.first("SELECT version, (to_jsonb(s) ->> 'oldest')::bigint FROM troupe_schema s") { (row) throws(StoreError) in
            SchemaState(version: Int(clamping: row.integer(0)), oldest: Int(clamping: row.optionalInteger(1) ?? row.integer(0)))
        } ?? SchemaState(version: 0, oldest: 0)
    }

    /// Text compares byte by byte, as in SQLite. Times are microseconds since 1970.
    static let all: [SchemaStep] = [
        """
        CREATE TABLE rooms (
            id TEXT COLLATE "C" PRIMARY KEY,
            meeting_code TEXT COLLATE "C" NOT NULL,
            title TEXT NOT NULL,
            host_name TEXT NOT NULL,
            mode TEXT NOT NULL,
            max_participants BIGINT NOT NULL,
            recording_policy TEXT,
            region TEXT,
            created_at BIGINT NOT NULL,
            ended_at BIGINT
        );
        CREATE UNIQUE INDEX rooms_by_code ON rooms (meeting_code) WHERE ended_at IS NULL;

        CREATE TABLE admissions (
            room_id TEXT COLLATE "C" NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
            participant_id TEXT COLLATE "C" NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            admitted_at BIGINT NOT NULL,
            bare_burned BIGINT NOT NULL DEFAULT 0,      -- 1 once the bare participant id has admitted
            PRIMARY KEY (room_id, participant_id)
        );

        -- Four updates a second and node: room on the page keeps them from touching the index.
        CREATE TABLE nodes (
            name TEXT COLLATE "C" PRIMARY KEY,
            incarnation BIGINT NOT NULL,
            counter BIGINT NOT NULL
        ) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);

        CREATE TABLE claims (
            kind TEXT COLLATE "C" NOT NULL,
            key TEXT COLLATE "C" NOT NULL,
            node TEXT COLLATE "C" NOT NULL,
            incarnation BIGINT NOT NULL,
            epoch BIGINT NOT NULL,                      -- only grows; the row outlives its owner
            is_released BIGINT NOT NULL DEFAULT 0,
            PRIMARY KEY (kind, key)
        );

        CREATE TABLE answers (
            idempotency_key TEXT COLLATE "C" PRIMARY KEY,
            status BIGINT NOT NULL,
            body TEXT NOT NULL,
            kept_at BIGINT NOT NULL
        );
        CREATE INDEX answers_by_age ON answers (kept_at);

        CREATE TABLE recordings (
            id TEXT COLLATE "C" PRIMARY KEY,
            room_id TEXT COLLATE "C" NOT NULL,
            recorder TEXT COLLATE "C" NOT NULL,
            epoch BIGINT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            duration DOUBLE PRECISION,
            size BIGINT,
            output_path TEXT,
            started_at BIGINT NOT NULL,
            stopped_at BIGINT,
            title TEXT NOT NULL
        );
        CREATE TABLE recorded_tracks (
            recording_id TEXT COLLATE "C" NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            position BIGINT NOT NULL,
            track_id TEXT NOT NULL,
            participant_id TEXT NOT NULL,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            source TEXT NOT NULL,
            codec TEXT NOT NULL,
            start DOUBLE PRECISION NOT NULL,            -- seconds on the recording's time zero
            duration DOUBLE PRECISION NOT NULL,
            key TEXT NOT NULL,
            PRIMARY KEY (recording_id, position)
        );
        CREATE INDEX recordings_by_room ON recordings (room_id, started_at);
        CREATE INDEX recordings_by_start ON recordings (started_at);
        CREATE INDEX recordings_unfinished ON recordings (recorder) WHERE state NOT IN ('ready', 'failed');
        """,
        """
        CREATE TABLE room_logs (
            room_id TEXT COLLATE "C" PRIMARY KEY,
            epoch BIGINT NOT NULL,                      -- an append under an older one is refused
            sequence BIGINT NOT NULL,                   -- the last number in the log
            state BYTEA,
            state_sequence BIGINT NOT NULL DEFAULT 0,
            changed_at BIGINT NOT NULL                  -- the database's clock
        ) WITH (fillfactor = 70);
        CREATE INDEX room_logs_by_age ON room_logs (changed_at);

        CREATE TABLE room_events (
            position BIGINT PRIMARY KEY,                -- in the feed of all rooms
            room_id TEXT COLLATE "C" NOT NULL,
            first_number BIGINT NOT NULL,               -- other than sequence where numbers were lost
            sequence BIGINT NOT NULL,
            epoch BIGINT NOT NULL,
            at BIGINT NOT NULL,                         -- the Room's clock
            kept_at BIGINT NOT NULL DEFAULT ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
            type TEXT NOT NULL,
            payload TEXT NOT NULL                       -- JSON
        );
        CREATE UNIQUE INDEX room_events_by_number ON room_events (room_id, sequence);

        -- One row, locked to the end of every append: positions become visible in their order.
        CREATE TABLE event_feed (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            position BIGINT NOT NULL,                   -- the last one given
            removed BIGINT NOT NULL                     -- the last one removed by retention
        ) WITH (fillfactor = 10);
        INSERT INTO event_feed (id, position, removed) VALUES (1, 0, 0);
        """,
        """
        CREATE INDEX claims_held ON claims (node, incarnation) WHERE is_released = 0;
        CREATE TABLE voters (
            only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
            version BIGINT NOT NULL,                    -- changes by compare-and-set
            names TEXT NOT NULL                         -- separated by spaces, in order
        );
        CREATE TABLE pins (
            kind TEXT COLLATE "C" NOT NULL,
            key TEXT COLLATE "C" NOT NULL,
            node TEXT NOT NULL,
            PRIMARY KEY (kind, key)
        );
        """,
        """
        CREATE TABLE jobs (
            id TEXT COLLATE "C" PRIMARY KEY,
            kind TEXT NOT NULL,
            recording_id TEXT COLLATE "C" NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            room_id TEXT NOT NULL,
            state TEXT NOT NULL,
            priority BIGINT NOT NULL,
            dedupe_key TEXT COLLATE "C",
            parameters TEXT NOT NULL,                   -- JSON
            progress DOUBLE PRECISION NOT NULL,                    -- 0...1
            seconds_left DOUBLE PRECISION,
            attempt BIGINT NOT NULL,
            not_before BIGINT NOT NULL,                -- this and the times below: the database's clock
            result TEXT,                                -- JSON
            failure_code TEXT,
            failure_message TEXT,
            owner_node TEXT COLLATE "C",
            owner_incarnation BIGINT,
            epoch BIGINT NOT NULL,                     -- grows with every claim
            heartbeat_at BIGINT,
            doubted_at BIGINT,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            finished_at BIGINT
        ) WITH (fillfactor = 70);
        CREATE UNIQUE INDEX jobs_by_key ON jobs (recording_id, kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND state IN ('queued', 'processing', 'ready');
        CREATE INDEX jobs_by_recording ON jobs (recording_id, created_at);
        CREATE INDEX jobs_by_age ON jobs (created_at, id);
        CREATE INDEX jobs_waiting ON jobs (priority DESC, created_at, id) WHERE state = 'queued';
        CREATE INDEX jobs_running ON jobs (id) WHERE state = 'processing';
        CREATE INDEX jobs_in_vain ON jobs (finished_at) WHERE state IN ('failed', 'cancelled');
        """,
        """
        CREATE TABLE tokens (
            hash BYTEA PRIMARY KEY,                     -- SHA-256; the token itself is never kept
            kind TEXT NOT NULL,
            room_id TEXT COLLATE "C" NOT NULL,
            recording_id TEXT COLLATE "C" REFERENCES recordings (id) ON DELETE CASCADE,
            scopes TEXT NOT NULL,                       -- separated by spaces
            created_at BIGINT NOT NULL,                -- times: the database's clock
            expires_at BIGINT NOT NULL,
            burned_at BIGINT
        );
        CREATE INDEX tokens_by_room ON tokens (room_id);
        CREATE INDEX tokens_by_recording ON tokens (recording_id);
        CREATE INDEX tokens_by_end ON tokens (expires_at);

        CREATE TABLE compositions (
            recording_id TEXT COLLATE "C" NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
            composition_id TEXT COLLATE "C" NOT NULL,
            version BIGINT NOT NULL,                   -- grows by one with every change
            state TEXT NOT NULL,                        -- JSON
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (recording_id, composition_id)
        );
        """,
        // Who refuses to be recorded must not meet a recorder that does not know it.
        SchemaStep(
            """
            ALTER TABLE admissions ADD COLUMN recording_consent BIGINT;     -- 0: refuses to be recorded; NULL: was not asked
            ALTER TABLE recordings ADD COLUMN excluded TEXT;           -- participants the host leaves out, separated by spaces
            ALTER TABLE recordings ADD COLUMN refused TEXT;            -- participants who refuse, likewise
            ALTER TABLE recordings ADD COLUMN viewers TEXT NOT NULL DEFAULT 'participants';
            ALTER TABLE recordings ADD COLUMN retention_days BIGINT;     -- NULL: kept until somebody deletes it
            ALTER TABLE recordings ADD COLUMN delete_after BIGINT;       -- microseconds since 1970, once it has ended
            CREATE INDEX recordings_by_end ON recordings (delete_after) WHERE delete_after IS NOT NULL;
            """, keepsEarlier: false),
    ]
}
