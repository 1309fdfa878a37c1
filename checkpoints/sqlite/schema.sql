-- Schema 1. Times are seconds since the Unix epoch, payloads are msgpack of plain data.
-- References are declared for readers and for `perdure db check`; they are not enforced at each write, which
-- would cost more than the writes, and no transaction of ours deletes what another row refers to.

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

-- AUTOINCREMENT: the key of a run that was deleted is never used again, so that whoever still knows it meets nothing.
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    signature TEXT NOT NULL REFERENCES workflows (signature),
    nonce TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    finished_at REAL,
    owner TEXT,
    fence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    error BLOB,
    policies BLOB,
    input BLOB, -- NULL: in blobs, under input_digest
    input_digest BLOB NOT NULL,
    labels TEXT, -- a JSON object of texts, NULL: none
    code TEXT -- hash of the code of the workflow's functions, NULL: not known
) STRICT;

-- Neither index names a column that an ordinary transition sets, so transitions do not touch them. The owner is in
-- the first one so that an executor that looks for runs to take passes over its own without reading them.
CREATE INDEX runs_unfinished ON runs (signature, owner) WHERE finished_at IS NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;

-- The digests in use are indexed, here and below, so that deleting a run finds out which blobs no other run needs.
CREATE INDEX runs_input ON runs (input_digest) WHERE input IS NULL;

-- Who drove a run: a row for each fence. A claim that lasts has no end yet.
CREATE TABLE claims (
    run INTEGER NOT NULL REFERENCES runs (key),
    fence INTEGER NOT NULL,
    executor TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    claimed_at REAL NOT NULL,
    ended_at REAL,
    end TEXT, -- 'finished', 'released' or 'lost'
    PRIMARY KEY (run, fence)
) STRICT, WITHOUT ROWID;

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
-- overflow pages. The same holds for operations and submissions.
CREATE TABLE activations (
    run INTEGER NOT NULL REFERENCES runs (key),
    scope INTEGER NOT NULL,
    node TEXT NOT NULL,
    item INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1,
    failures INTEGER NOT NULL DEFAULT 0,
    wake_at REAL,
    started_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    items INTEGER,
    taken TEXT, -- '0,3' for the edges with these indices, '' for none, NULL: not decided
    error BLOB,
    result BLOB,
    result_digest BLOB REFERENCES blobs (digest),
    UNIQUE (run, scope, node, item)
) STRICT;

CREATE INDEX activations_result ON activations (result_digest) WHERE result_digest IS NOT NULL;

CREATE TABLE operations (
    run INTEGER NOT NULL REFERENCES runs (key),
    scope INTEGER NOT NULL,
    node TEXT NOT NULL,
    item INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    chain TEXT NOT NULL, -- '' for the node's own operations
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    submission INTEGER NOT NULL DEFAULT 0,
    unknown INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    trying_since REAL,
    sent_at REAL,
    accepted_at REAL,
    wake_at REAL,
    detail TEXT,
    started_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    token BLOB,
    error BLOB,
    request BLOB,
    request_digest BLOB REFERENCES blobs (digest),
    outcome BLOB,
    outcome_digest BLOB REFERENCES blobs (digest),
    UNIQUE (run, scope, node, item, attempt, chain, number),
    FOREIGN KEY (run, scope, node, item) REFERENCES activations (run, scope, node, item)
) STRICT;

CREATE INDEX operations_request ON operations (request_digest) WHERE request_digest IS NOT NULL;
CREATE INDEX operations_outcome ON operations (outcome_digest) WHERE outcome_digest IS NOT NULL;

-- What has not ended. Written with OR because SQLite evaluates the condition at every write, and a list after
-- IN is built as a temporary table each time (13 microseconds, measured).
CREATE INDEX operations_open ON operations (run)
WHERE state = 'waiting' OR state = 'submitting' OR state = 'cancelling' OR state = 'backoff'
OR state = 'submit_unknown' OR state = 'ready' OR state = 'running';

CREATE TABLE submissions (
    run INTEGER NOT NULL REFERENCES runs (key),
    scope INTEGER NOT NULL,
    node TEXT NOT NULL,
    item INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    submission INTEGER NOT NULL,
    fate TEXT NOT NULL,
    handle TEXT,
    source TEXT,
    sent_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    token BLOB,
    error BLOB,
    usage BLOB,
    UNIQUE (run, scope, node, item, attempt, chain, number, submission),
    FOREIGN KEY (run, scope, node, item, attempt, chain, number)
    REFERENCES operations (run, scope, node, item, attempt, chain, number)
) STRICT;

CREATE INDEX submissions_handle ON submissions (handle) WHERE handle IS NOT NULL;

-- Those that are still to be cancelled.
CREATE INDEX submissions_stray ON submissions (run) WHERE fate = 'stray';

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

-- AUTOINCREMENT: a signal's id is never used again after the signal was dealt with.
CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs (key),
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    node TEXT,
    path TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX signals_run ON signals (run);

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

CREATE VIEW operation_list AS
SELECT
    runs.id AS run,
    operations.node AS node,
    CASE
        WHEN operations.scope = 0 THEN ''
        WHEN scopes.path = '' THEN '[' || operations.item || ']'
        ELSE '[' || scopes.path || ',' || operations.item || ']'
    END AS path,
    operations.attempt AS attempt,
    operations.chain AS chain,
    operations.number AS number,
    operations.state AS state,
    submissions.handle AS handle,
    datetime(operations.started_at, 'unixepoch') AS started,
    datetime(operations.wake_at, 'unixepoch') AS wakes,
    datetime(operations.updated_at, 'unixepoch') AS updated
FROM operations
INNER JOIN runs ON operations.run = runs.key
LEFT JOIN scopes ON operations.run = scopes.run AND operations.scope = scopes.number
LEFT JOIN submissions
    ON
        operations.run = submissions.run
        AND operations.scope = submissions.scope
        AND operations.node = submissions.node
        AND operations.item = submissions.item
        AND operations.attempt = submissions.attempt
        AND operations.chain = submissions.chain
        AND operations.number = submissions.number
        AND operations.submission = submissions.submission
ORDER BY runs.key, operations.rowid;
