"""Every SQL statement of the store but the schema (`migrations/`) and the writes whose columns vary (`writer.py`).

Lists are bound as JSON text, so that each statement has one text and is prepared once.
"""
# ruff: noqa: S608 what is put together here are our own column names

from __future__ import annotations

# -- runs ------------------------------------------------------------------------------------------------

RUN_COLUMNS = """
    runs.key, runs.id, runs.workflow, runs.signature, runs.status, runs.outcome, runs.created_at,
    runs.updated_at, runs.finished_at, runs.input_digest, runs.owner, runs.fence, runs.position, runs.error
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
AND (:since IS NULL OR created_at >= :since)
ORDER BY key DESC
LIMIT :limit
"""

RUN_INPUT = """
SELECT runs.input_digest, coalesce(runs.input, blobs.data)
FROM runs LEFT JOIN blobs ON blobs.digest = runs.input_digest AND runs.input IS NULL
WHERE runs.key = ?
"""

INSERT_RUN = """
INSERT INTO runs (id, workflow, signature, status, created_at, updated_at, owner, fence, position, input,
    input_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?)
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

INSERT_EVENT = "INSERT INTO events (run, position, at, type, node, path, data) VALUES (?, ?, ?, ?, ?, ?, ?)"

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

# -- ownership -------------------------------------------------------------------------------------------

INSERT_EXECUTOR = "INSERT INTO executors (id, boot, pid, host, registered_at) VALUES (?, ?, ?, ?, ?)"

EXECUTOR = "SELECT boot, pid FROM executors WHERE id = ?"

EXECUTORS = "SELECT id, boot FROM executors"

DELETE_EXECUTOR = "DELETE FROM executors WHERE id = ?"

# One that still owns runs is kept, so that whoever takes them can say from whom.
FORGET_EXECUTOR = """
DELETE FROM executors WHERE id = :id AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.owner = :id)
"""

UNFINISHED_RUNS = f"""
SELECT {RUN_COLUMNS} FROM runs
WHERE finished_at IS NULL AND signature IN (SELECT value FROM json_each(?))
ORDER BY key
"""

TAKE_RUN = f"UPDATE runs SET owner = ?, fence = fence + 1 WHERE key = ? RETURNING {RUN_COLUMNS}"

RELEASE_RUN = "UPDATE runs SET owner = NULL WHERE key = ? AND fence = ? AND owner = ?"

RELEASE_ALL = "UPDATE runs SET owner = NULL WHERE owner = ?"

# -- inbox -----------------------------------------------------------------------------------------------

INSERT_MESSAGE = """
INSERT INTO inbox (run, at, type, node, path, data)
SELECT key, ?, ?, ?, ?, ? FROM runs WHERE key = ?
"""

DELETE_MESSAGE = "DELETE FROM inbox WHERE id = ? AND run = ?"

_MESSAGE_COLUMNS = "inbox.id, inbox.run, inbox.at, inbox.type, inbox.node, inbox.path, inbox.data"

MESSAGES_OF_RUNS = f"""
SELECT {_MESSAGE_COLUMNS} FROM inbox WHERE run IN (SELECT value FROM json_each(?)) ORDER BY id
"""

# CROSS JOIN keeps the order of the tables: the inbox is nearly always empty, the runs are many.
MESSAGES_OF_OWNER = f"""
SELECT {_MESSAGE_COLUMNS} FROM inbox CROSS JOIN runs ON runs.key = inbox.run AND runs.owner = ?
ORDER BY inbox.id
"""

# -- activations, scopes, events, plans --------------------------------------------------------------------

_ACTIVATIONS = """
SELECT a.run, a.scope, a.node, a.item, scopes.path, a.state, a.attempt, a.submission, a.unknown, a.wake_at,
    a.started_at, a.updated_at, a.taken, a.items, a.token, a.error, a.usage,
    a.result IS NOT NULL OR a.result_digest IS NOT NULL,
    a.request IS NOT NULL OR a.request_digest IS NOT NULL
FROM activations AS a LEFT JOIN scopes ON scopes.run = a.run AND scopes.number = a.scope
"""

ACTIVATIONS = f"{_ACTIVATIONS} WHERE a.run = :run ORDER BY a.scope, a.node, a.item"

ACTIVATIONS_OF_OPEN_SCOPES = f"""
{_ACTIVATIONS}
WHERE a.run = :run
AND a.scope IN (SELECT 0 UNION ALL SELECT number FROM scopes WHERE scopes.run = :run AND open = 1)
ORDER BY a.scope, a.node, a.item
"""

ACTIVATION = f"{_ACTIVATIONS} WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.item = ?"

# The repeated list is what lets SQLite use the index activations_away where it can.
ACTIVATIONS_AWAY = f"""
{_ACTIVATIONS}
WHERE a.state IN (SELECT value FROM json_each(?))
AND (a.state = 'waiting' OR a.state = 'backoff' OR a.state = 'submitting' OR a.state = 'submit_unknown'
    OR a.state = 'cancelling')
ORDER BY a.started_at, a.rowid
"""

ACTIVATIONS_IN_STATE = f"""
{_ACTIVATIONS} WHERE a.state IN (SELECT value FROM json_each(?)) ORDER BY a.started_at, a.rowid
"""

LIVE_ACTIVATIONS = f"""
{_ACTIVATIONS}
WHERE a.run IN (SELECT value FROM json_each(?))
AND a.state NOT IN ('succeeded', 'failed', 'skipped', 'cancelled')
ORDER BY a.run, a.scope, a.node, a.item
"""

RESULT = """
SELECT coalesce(a.result, blobs.data), a.result_digest
FROM activations AS a LEFT JOIN blobs ON blobs.digest = a.result_digest
WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.item = ?
"""

REQUEST = """
SELECT coalesce(a.request, blobs.data), a.request_digest
FROM activations AS a LEFT JOIN blobs ON blobs.digest = a.request_digest
WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.item = ?
"""

RESULTS = """
SELECT a.item, coalesce(a.result, blobs.data), a.result_digest
FROM activations AS a LEFT JOIN blobs ON blobs.digest = a.result_digest
WHERE a.run = ? AND a.scope = ? AND a.node = ? AND a.state = 'succeeded'
ORDER BY a.item
"""

_SCOPES = "SELECT number, scope, parent, path, size, open FROM scopes"

SCOPES = f"{_SCOPES} WHERE run = :run ORDER BY number"

# What is needed to go on: the open ones, those that an open one or the root may still collect, the newest.
OPEN_SCOPES = f"""
{_SCOPES}
WHERE run = :run
AND (
    open = 1
    OR parent = 0
    OR parent IN (SELECT number FROM scopes AS others WHERE others.run = :run AND others.open = 1)
    OR number = (SELECT max(number) FROM scopes AS others WHERE others.run = :run)
)
ORDER BY number
"""

EVENTS = """
SELECT position, at, type, node, path, data FROM events WHERE run = ? AND position > ? ORDER BY position
LIMIT ?
"""

PLAN = "SELECT signature, workflow, plan FROM workflows WHERE signature = ?"

# -- maintenance -----------------------------------------------------------------------------------------

RUNS_WHOSE_LOG_DIFFERS = """
SELECT runs.id, runs.position, count(events.position), coalesce(max(events.position), 0)
FROM runs LEFT JOIN events ON events.run = runs.key
GROUP BY runs.key
HAVING runs.position <> count(events.position) OR runs.position <> coalesce(max(events.position), 0)
"""

RUNS_WITHOUT_INPUT = """
SELECT id FROM runs WHERE input IS NULL AND input_digest NOT IN (SELECT digest FROM blobs)
"""

BLOBS = "SELECT digest, data FROM blobs"
