"""Every SQL statement but the schema (`schema.sql`) and the writes whose columns vary (`_upserts.py`).

Lists are bound as JSON text, so that each statement has one text and is prepared once.
"""
# ruff: noqa: S608 what is put together here are our own column names

from __future__ import annotations

# -- runs ------------------------------------------------------------------------------------------------

RUN_COLUMNS = """
    runs.key, runs.id, runs.workflow, runs.signature, runs.nonce, runs.status, runs.outcome, runs.created_at,
    runs.updated_at, runs.finished_at, runs.input_digest, runs.owner, runs.fence, runs.position, runs.error,
    runs.policies, runs.labels, runs.code
"""

RUN_BY_ID = f"SELECT {RUN_COLUMNS} FROM runs WHERE id = ?"

RUN_BY_KEY = f"SELECT {RUN_COLUMNS} FROM runs WHERE key = ?"

NEWEST_RUN = f"SELECT {RUN_COLUMNS} FROM runs ORDER BY key DESC LIMIT 1"

# char(1114111) is the last code point: every id that begins with the prefix sorts below it.
RUNS_BY_PREFIX = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE id >= :prefix AND id < :prefix || char(1114111)
ORDER BY id
"""

RUNS_BY_KEY = f"SELECT {RUN_COLUMNS} FROM runs WHERE key IN (SELECT value FROM json_each(?)) ORDER BY key"

RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
AND (:workflow IS NULL OR workflow = :workflow)
AND (
    :labels IS NULL
    OR labels IS NOT NULL AND NOT EXISTS (
        SELECT key, value FROM json_each(:labels) EXCEPT SELECT key, value FROM json_each(labels)
    )
)
AND (:since IS NULL OR created_at >= :since)
ORDER BY key DESC
LIMIT :limit
"""

# INDEXED BY: for the order alone SQLite would read all runs.
UNFINISHED_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs INDEXED BY runs_unfinished WHERE finished_at IS NULL ORDER BY key
"""

# The first part is read off the index of strays; signals are nearly always few.
UNSETTLED_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE finished_at IS NOT NULL AND key IN (
    SELECT run FROM submissions WHERE fate = 'stray' UNION SELECT run FROM signals WHERE kind = 'handle'
)
ORDER BY key
"""

FENCES = "SELECT key, fence FROM runs WHERE key IN (SELECT value FROM json_each(?))"

RUN_INPUT = """
SELECT coalesce(runs.input, blobs.data), runs.input_digest
FROM runs LEFT JOIN blobs ON blobs.digest = runs.input_digest AND runs.input IS NULL
WHERE runs.key = ?
"""

INSERT_RUN = """
INSERT INTO runs (id, workflow, signature, nonce, status, outcome, created_at, updated_at, finished_at, owner, fence,
    position, error, policies, input, input_digest, labels, code)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""

# -- transitions -----------------------------------------------------------------------------------------

# The ordinary step names no indexed column. That of a finished run is written by REOPEN_RUN.
STEP_RUN = """
UPDATE runs SET position = ?, status = ?, outcome = ?, error = ?, updated_at = ?
WHERE key = ? AND fence = ? AND position = ? AND finished_at IS NULL
"""

REOPEN_RUN = """
UPDATE runs SET position = ?, status = ?, outcome = ?, error = ?, updated_at = ?, finished_at = NULL
WHERE key = ? AND fence = ? AND position = ?
"""

# A finished run has no owner; its last owner's fence still holds for what comes late (a cancel's answer).
FINISH_RUN = """
UPDATE runs SET position = ?, status = ?, outcome = ?, error = ?, updated_at = ?,
    finished_at = coalesce(finished_at, ?), owner = NULL
WHERE key = ? AND fence = ? AND position = ?
"""

SET_POLICIES = "UPDATE runs SET policies = ? WHERE key = ?"

INSERT_EVENT = "INSERT INTO events (run, position, at, type, node, path, data) VALUES (?, ?, ?, ?, ?, ?, ?)"

EVENT_AT = "SELECT position, at, type, node, path, data FROM events WHERE run = ? AND position = ?"

PUT_SCOPE = """
INSERT INTO scopes (run, number, scope, parent, path, size, open) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET size = excluded.size, open = excluded.open
"""

PUT_PLAN = """
INSERT INTO workflows (signature, workflow, plan, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""

HAS_BLOB = "SELECT 1 FROM blobs WHERE digest = ?"

INSERT_BLOB = "INSERT INTO blobs (digest, data) VALUES (?, ?)"

# -- deleting --------------------------------------------------------------------------------------------

IS_UNSETTLED = """
SELECT EXISTS (SELECT 1 FROM submissions WHERE fate = 'stray' AND run = :run)
    OR EXISTS (SELECT 1 FROM signals WHERE kind = 'handle' AND run = :run)
"""

DIGESTS_OF_RUN = """
SELECT input_digest FROM runs WHERE key = :run AND input IS NULL
UNION SELECT result_digest FROM activations WHERE run = :run AND result_digest IS NOT NULL
UNION SELECT request_digest FROM operations WHERE run = :run AND request_digest IS NOT NULL
UNION SELECT outcome_digest FROM operations WHERE run = :run AND outcome_digest IS NOT NULL
"""

DELETE_PARTS = tuple(
    f"DELETE FROM {table} WHERE run = ?"
    for table in ("signals", "claims", "events", "submissions", "operations", "activations", "scopes")
)

DELETE_RUN = "DELETE FROM runs WHERE key = ?"

# Each look is at one index of the digests that are in use.
DELETE_UNUSED_BLOB = """
DELETE FROM blobs WHERE digest = :digest
AND NOT EXISTS (SELECT 1 FROM runs WHERE input IS NULL AND input_digest = :digest)
AND NOT EXISTS (SELECT 1 FROM activations WHERE result_digest = :digest)
AND NOT EXISTS (SELECT 1 FROM operations WHERE request_digest = :digest)
AND NOT EXISTS (SELECT 1 FROM operations WHERE outcome_digest = :digest)
"""

# -- ownership -------------------------------------------------------------------------------------------

INSERT_EXECUTOR = "INSERT INTO executors (id, boot, pid, host, registered_at) VALUES (?, ?, ?, ?, ?)"

EXECUTOR = "SELECT boot, pid FROM executors WHERE id = ?"

EXECUTORS = "SELECT id, boot FROM executors"

DELETE_EXECUTOR = "DELETE FROM executors WHERE id = ?"

# One that still owns runs is kept, so that whoever takes them can say from whom.
FORGET_EXECUTOR = """
DELETE FROM executors WHERE id = :id AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = :id)
"""

CLAIMABLE_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs INDEXED BY runs_unfinished
WHERE finished_at IS NULL AND signature IN (SELECT value FROM json_each(:signatures))
AND owner IS NOT :executor
ORDER BY key
"""

TAKE_RUN = "UPDATE runs SET owner = ?, fence = fence + 1 WHERE key = ?"

RELEASE_RUN = "UPDATE runs SET owner = NULL WHERE key = ? AND fence = ? AND owner = ?"

RELEASE_ALL = "UPDATE runs SET owner = NULL WHERE owner = ?"

INSERT_CLAIM = """
INSERT INTO claims (run, fence, executor, pid, host, claimed_at)
SELECT ?, ?, id, pid, host, ? FROM executors WHERE id = ?
"""

END_CLAIM = "UPDATE claims SET ended_at = ?, end = ? WHERE run = ? AND fence = ? AND ended_at IS NULL"

END_ALL_CLAIMS = """
UPDATE claims SET ended_at = :at, end = 'released'
WHERE run IN (SELECT key FROM runs WHERE owner = :executor) AND executor = :executor AND ended_at IS NULL
"""

CLAIMS = """
SELECT run, fence, executor, pid, host, claimed_at, ended_at, end FROM claims WHERE run = ? ORDER BY fence
"""

# -- signals ---------------------------------------------------------------------------------------------

INSERT_SIGNAL = """
INSERT INTO signals (run, at, kind, node, path, data)
SELECT key, ?, ?, ?, ?, ? FROM runs WHERE key = ?
"""

DELETE_SIGNAL = "DELETE FROM signals WHERE id = ? AND run = ?"

_SIGNALS = """
SELECT signals.id, signals.run, signals.at, signals.kind, signals.node, signals.path, signals.data FROM signals
"""

SIGNALS = f"{_SIGNALS} ORDER BY id"

SIGNALS_OF_RUNS = f"{_SIGNALS} WHERE run IN (SELECT value FROM json_each(?)) ORDER BY id"

# CROSS JOIN keeps the order of the tables: signals are nearly always few, the runs are many.
SIGNALS_OF_OWNER = f"""
{_SIGNALS} CROSS JOIN runs ON runs.key = signals.run AND runs.owner = ? ORDER BY signals.id
"""

# -- activations -----------------------------------------------------------------------------------------

_ACTIVATION_COLUMNS = """
    a.run, a.scope, a.node, a.item, place.path, a.state, a.attempt, a.failures, a.wake_at, a.started_at, a.updated_at,
    a.taken, a.items, a.error, a.result IS NOT NULL OR a.result_digest IS NOT NULL
"""

_ACTIVATIONS = f"""
SELECT {_ACTIVATION_COLUMNS}
FROM activations AS a LEFT JOIN scopes AS place ON place.run = a.run AND place.number = a.scope
"""

# CROSS JOIN keeps the order of the tables: the runs are named, and few of their scopes are open.
_OPEN_SCOPES = """(
    SELECT value AS run, 0 AS number, '' AS path FROM json_each(:runs)
    UNION ALL
    SELECT scopes.run, scopes.number, scopes.path
    FROM json_each(:runs) CROSS JOIN scopes ON scopes.run = value AND scopes.open = 1
) AS place"""

ACTIVATIONS = f"{_ACTIVATIONS} WHERE a.run = ? ORDER BY a.scope, a.node, a.item"

_IN_OPEN_SCOPES = (
    f"{_OPEN_SCOPES} CROSS JOIN activations AS a ON a.run = place.run AND a.scope = place.number"
)

ACTIVATIONS_OF_OPEN_SCOPES = f"""
SELECT {_ACTIVATION_COLUMNS} FROM {_IN_OPEN_SCOPES} ORDER BY a.run, a.scope, a.node, a.item
"""

LIVE_ACTIVATIONS = f"""
{_ACTIVATIONS}
WHERE a.run IN (SELECT value FROM json_each(?))
AND a.state NOT IN ('succeeded', 'failed', 'skipped', 'cancelled', 'lost')
ORDER BY a.run, a.scope, a.node, a.item
"""

RESULT = """
SELECT coalesce(a.result, blobs.data), a.result_digest
FROM activations AS a LEFT JOIN blobs ON blobs.digest = a.result_digest
WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.item = ?
"""

OUTPUTS = """
SELECT a.item, coalesce(a.result, blobs.data), a.result_digest
FROM activations AS a LEFT JOIN blobs ON blobs.digest = a.result_digest
WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.state = 'succeeded'
ORDER BY a.item
"""

# -- operations ------------------------------------------------------------------------------------------

_OPERATION_COLUMNS = """
    o.run, o.scope, o.node, o.item, o.attempt, o.chain, o.number, place.path, o.state, o.submission, o.unknown,
    o.refused, o.trying_since, o.sent_at, o.accepted_at, o.wake_at, o.detail, o.started_at, o.updated_at, o.token, o.error,
    o.outcome IS NOT NULL OR o.outcome_digest IS NOT NULL
"""

_OPERATIONS = f"""
SELECT {_OPERATION_COLUMNS}
FROM operations AS o LEFT JOIN scopes AS place ON place.run = o.run AND place.number = o.scope
"""

_BY_KEY = "o.scope, o.node, o.item, o.attempt, o.chain, o.number"

# The condition of the index operations_open, in its words: only then SQLite uses the index.
_OPEN = """
(o.state = 'waiting' OR o.state = 'submitting' OR o.state = 'cancelling' OR o.state = 'backoff'
OR o.state = 'submit_unknown' OR o.state = 'ready' OR o.state = 'running')
"""

OPERATIONS = f"{_OPERATIONS} WHERE o.run = ? ORDER BY {_BY_KEY}"

OPERATION = f"""
{_OPERATIONS}
WHERE o.run = ? AND o.scope = ? AND o.node = ? AND o.item = ? AND o.attempt = ? AND o.chain = ? AND o.number = ?
"""

OPEN_OPERATIONS = f"""
SELECT {_OPERATION_COLUMNS}
FROM operations AS o INDEXED BY operations_open
LEFT JOIN scopes AS place ON place.run = o.run AND place.number = o.scope
WHERE {_OPEN}
ORDER BY o.started_at, o.rowid
"""

LIVE_OPERATIONS = f"""
SELECT {_OPERATION_COLUMNS}
FROM operations AS o INDEXED BY operations_open
LEFT JOIN scopes AS place ON place.run = o.run AND place.number = o.scope
WHERE o.run IN (SELECT value FROM json_each(?)) AND {_OPEN}
ORDER BY o.run, {_BY_KEY}
"""

_TO_GO_ON_WITH = f"""
{_IN_OPEN_SCOPES}
CROSS JOIN operations AS o
    ON o.run = a.run AND o.scope = a.scope AND o.node = a.node AND o.item = a.item AND o.attempt = a.attempt
    AND (a.state <> 'succeeded' OR {_OPEN})
"""

OPERATIONS_TO_GO_ON_WITH = f"SELECT {_OPERATION_COLUMNS} FROM {_TO_GO_ON_WITH} ORDER BY o.run, {_BY_KEY}"


def _operation_value(name: str) -> str:
    return f"""
    SELECT coalesce(o.{name}, blobs.data), o.{name}_digest
    FROM operations AS o LEFT JOIN blobs ON blobs.digest = o.{name}_digest
    WHERE o.run = ? AND o.scope = ? AND o.node = ? AND o.item = ? AND o.attempt = ? AND o.chain = ?
    AND o.number = ?
    """


REQUEST = _operation_value("request")

OUTCOME = _operation_value("outcome")

# -- submissions -----------------------------------------------------------------------------------------

_SUBMISSION_COLUMNS = """
    s.run, s.scope, s.node, s.item, s.attempt, s.chain, s.number, s.submission, place.path, s.fate, s.handle,
    s.token, s.source, s.sent_at, s.updated_at, s.error, s.usage
"""

_SUBMISSIONS = f"""
SELECT {_SUBMISSION_COLUMNS}
FROM submissions AS s LEFT JOIN scopes AS place ON place.run = s.run AND place.number = s.scope
"""

SUBMISSIONS = f"""
{_SUBMISSIONS} WHERE s.run = ? ORDER BY s.scope, s.node, s.item, s.attempt, s.chain, s.number, s.submission
"""

SUBMISSIONS_BY_HANDLE = f"{_SUBMISSIONS} WHERE s.handle = ? ORDER BY s.rowid"

STRAYS = f"""
{_SUBMISSIONS}
WHERE s.run IN (SELECT value FROM json_each(:runs)) AND s.fate = 'stray'
ORDER BY s.run, s.rowid
"""

SUBMISSIONS_TO_GO_ON_WITH = f"""
SELECT {_SUBMISSION_COLUMNS}
FROM {_TO_GO_ON_WITH}
CROSS JOIN submissions AS s
    ON s.run = o.run AND s.scope = o.scope AND s.node = o.node AND s.item = o.item AND s.attempt = o.attempt
    AND s.chain = o.chain AND s.number = o.number AND s.handle IS NOT NULL
ORDER BY s.run, s.scope, s.node, s.item, s.attempt, s.chain, s.number, s.submission
"""

# -- scopes, events, plans -------------------------------------------------------------------------------

_SCOPES = "SELECT run, number, scope, parent, path, size, open FROM scopes"

SCOPES = f"{_SCOPES} WHERE run = ? ORDER BY number"

# What is needed to go on: the open ones, those that an open one or the root may still collect, the newest.
SCOPES_TO_GO_ON_WITH = f"""
{_SCOPES}
WHERE run IN (SELECT value FROM json_each(:runs))
AND (
    open = 1
    OR parent = 0
    OR EXISTS (
        SELECT 1 FROM scopes AS others WHERE others.run = scopes.run AND others.number = scopes.parent AND others.open = 1
    )
    OR number = (SELECT max(number) FROM scopes AS others WHERE others.run = scopes.run)
)
ORDER BY run, number
"""

EVENTS = """
SELECT position, at, type, node, path, data FROM events WHERE run = ? AND position > ? ORDER BY position
LIMIT ?
"""

PLAN = "SELECT signature, workflow, plan FROM workflows WHERE signature = ?"

# -- the database ----------------------------------------------------------------------------------------

COUNTS = """
SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM activations), (SELECT count(*) FROM operations),
    (SELECT count(*) FROM events), (SELECT count(*) FROM blobs), (SELECT count(*) FROM signals),
    (SELECT coalesce(sum(length(data)), 0) FROM blobs)
"""

RUNS_WHOSE_JOURNAL_DIFFERS = """
SELECT runs.id, runs.position, count(events.position), coalesce(max(events.position), 0)
FROM runs LEFT JOIN events ON events.run = runs.key
GROUP BY runs.key
HAVING runs.position <> count(events.position) OR runs.position <> coalesce(max(events.position), 0)
"""

RUNS_WITHOUT_INPUT = """
SELECT id FROM runs WHERE input IS NULL AND input_digest NOT IN (SELECT digest FROM blobs)
"""

BLOBS = "SELECT digest, data FROM blobs"

ID_OF_RUN = "SELECT id FROM runs WHERE key = ?"

RUN_OF_ROW = "SELECT runs.id FROM {table} AS t JOIN runs ON runs.key = t.run WHERE t.rowid = ?"

RUNS_OF_BLOB = """
SELECT id FROM runs
WHERE input_digest = :digest
OR key IN (SELECT run FROM activations WHERE result_digest = :digest)
OR key IN (SELECT run FROM operations WHERE request_digest = :digest OR outcome_digest = :digest)
ORDER BY key
LIMIT :most
"""
