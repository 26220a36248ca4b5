-- Schema 1 of the journal. Things are kept as canonical JSON beside the columns that are looked up by.
-- Times are microseconds since 1970-01-01T00:00:00Z.

-- Who this journal is, and where its audit chain must end.
CREATE TABLE journal (
    only           INTEGER PRIMARY KEY CHECK (only = 1),
    journal_id     TEXT NOT NULL,
    audit_sequence INTEGER NOT NULL,
    audit_digest   TEXT NOT NULL
) STRICT;

-- One execution for each plan: its present state.
CREATE TABLE executions (
    execution_id TEXT PRIMARY KEY,
    plan_id      TEXT NOT NULL UNIQUE,
    service      TEXT NOT NULL,
    state        TEXT NOT NULL,
    sequence     INTEGER NOT NULL,
    entered_at   INTEGER NOT NULL,
    session      TEXT,
    claimed_at   INTEGER,
    plan         TEXT NOT NULL,
    decision     TEXT NOT NULL,
    dry_run      TEXT,
    approval     TEXT,
    baseline     TEXT
) STRICT;
CREATE INDEX executions_of_service ON executions (service, claimed_at);

-- Every state that every execution entered: the rows of the ledger's table of the same name.
CREATE TABLE transitions (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL REFERENCES executions,
    position     INTEGER NOT NULL,
    row          TEXT NOT NULL,
    UNIQUE (execution_id, position)
) STRICT;

-- Every approval and rejection.
CREATE TABLE approvals (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions,
    row          TEXT NOT NULL
) STRICT;

-- Every verified effect.
CREATE TABLE outcomes (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE REFERENCES executions,
    service      TEXT NOT NULL,
    row          TEXT NOT NULL
) STRICT;

-- Every call that changes the cluster: written before it is sent, settled when its result is known.
CREATE TABLE effects (
    action_id    TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL REFERENCES executions,
    direction    TEXT NOT NULL CHECK (direction IN ('apply', 'undo')),
    step         INTEGER NOT NULL,
    before       TEXT NOT NULL,
    intended_at  INTEGER NOT NULL,
    settled_at   INTEGER,
    result       TEXT CHECK (result IN ('observed', 'needless', 'rejected')),
    UNIQUE (execution_id, direction, step)
) STRICT;

-- The audit chain. Rows are only ever added.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    previous TEXT NOT NULL,
    digest   TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;

-- What moves the breaker of a service, in order: an execution ended, a probe began, a person closed it.
CREATE TABLE breaker (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    service      TEXT NOT NULL,
    at           INTEGER NOT NULL,
    event        TEXT NOT NULL CHECK (event IN ('ended', 'probe', 'reset')),
    execution_id TEXT REFERENCES executions
) STRICT;
CREATE INDEX breaker_of_service ON breaker (service);

-- Small events that were acknowledged and are not in the ledger yet.
CREATE TABLE inbox (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    content     TEXT NOT NULL
) STRICT;

-- Up to where each kind of row has reached the ledger.
CREATE TABLE outbox (
    kind TEXT PRIMARY KEY,
    upto INTEGER NOT NULL
) STRICT;

-- Who may run a job now.
CREATE TABLE leases (
    job        TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    term       INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
