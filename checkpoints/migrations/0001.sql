-- Schema 1. Times are seconds since the Unix epoch, payloads are msgpack of plain data.
-- References are declared for readers and for `perdure db check`; they are not enforced at each write, which
-- would cost more than the writes, and no statement of ours deletes what another row refers to.

CREATE TABLE workflows (
    signature TEXT NOT NULL PRIMARY KEY,
    workflow TEXT NOT NULL,
    plan BLOB NOT NULL,
    created_at REAL NOT NULL
) STRICT;

-- Values above the inline limit, by the SHA-256 of their bytes. Digest first: looking one up reads no data.
CREATE TABLE blobs (
    digest BLOB NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE executors (
    id TEXT NOT NULL PRIMARY KEY,
    boot TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    registered_at REAL NOT NULL
) STRICT;

CREATE TABLE runs (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    signature TEXT NOT NULL REFERENCES workflows (signature),
    status TEXT NOT NULL,
    outcome TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    finished_at REAL,
    owner TEXT,
    fence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    error BLOB,
    input BLOB, -- NULL: in blobs, under input_digest
    input_digest BLOB NOT NULL
) STRICT;

-- Neither index names a column that an ordinary transition sets, so transitions do not touch them.
CREATE INDEX runs_unfinished ON runs (signature) WHERE finished_at IS NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;

CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (key),
    position INTEGER NOT NULL,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    node TEXT,
    path TEXT NOT NULL, -- '1,4' for [1, 4], '' in the root scope
    data BLOB NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- With rowids: rows in the order of their making keep the pages that a group commit writes few (the commit of
-- 200 runs took a third less time than with rows clustered by run), and inline values do not spill to
-- overflow pages.
CREATE TABLE activations (
    run INTEGER NOT NULL REFERENCES runs (key),
    scope INTEGER NOT NULL,
    node TEXT NOT NULL,
    item INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    submission INTEGER NOT NULL DEFAULT 0,
    unknown INTEGER NOT NULL DEFAULT 0,
    wake_at REAL,
    started_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    items INTEGER,
    taken BLOB,
    token BLOB,
    error BLOB,
    usage BLOB,
    request BLOB,
    request_digest BLOB REFERENCES blobs (digest),
    result BLOB,
    result_digest BLOB REFERENCES blobs (digest),
    UNIQUE (run, scope, node, item)
) STRICT;

-- What is out at a provider or waits to be tried again. Written with OR because SQLite evaluates the condition
-- at every write, and a list after IN is built as a temporary table each time (13 microseconds, measured).
CREATE INDEX activations_away ON activations (state)
WHERE state = 'waiting' OR state = 'backoff' OR state = 'submitting' OR state = 'submit_unknown'
OR state = 'cancelling';

CREATE TABLE scopes (
    run INTEGER NOT NULL REFERENCES runs (key),
    number INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a message's id is never used again after the message was dealt with.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs (key),
    at REAL NOT NULL,
    type TEXT NOT NULL,
    node TEXT,
    path TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX inbox_run ON inbox (run);

-- For people with a SQLite shell.
CREATE VIEW run_list AS
SELECT
    id AS run,
    workflow,
    status,
    datetime(created_at, 'unixepoch') AS created,
    datetime(updated_at, 'unixepoch') AS updated,
    position AS checkpoints,
    owner
FROM runs
ORDER BY key DESC;

CREATE VIEW activation_list AS
SELECT
    runs.id AS run,
    activations.node AS node,
    CASE
        WHEN activations.scope = 0 THEN ''
        WHEN scopes.path = '' THEN '[' || activations.item || ']'
        ELSE '[' || scopes.path || ',' || activations.item || ']'
    END AS path,
    activations.state AS state,
    activations.attempt AS attempt,
    datetime(activations.started_at, 'unixepoch') AS started,
    datetime(activations.updated_at, 'unixepoch') AS updated
FROM activations
INNER JOIN runs ON activations.run = runs.key
LEFT JOIN scopes ON activations.run = scopes.run AND activations.scope = scopes.number
ORDER BY runs.key, activations.rowid;
