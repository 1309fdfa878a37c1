"""The simulator's state: one SQLite file with every response, every rule and every request received.

Each change is committed before the reply that reports it, so that a simulator that was killed continues where
it left off. What clients see of it is computed in `_wire` and `_plan`; tests read it through `_account`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from ._plan import Plan, status_at
from ._request import RefusedRequest, Submission, read_submission
from ._script import Candidate, Route, Rule, Status, matches, read_rules, write_rules
from ._wire import LoggedEvent, event_log

Row: TypeAlias = dict[str, object]

_PLAN = TypeAdapter(Plan)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, plan BLOB NOT NULL,
    cancelled_at REAL, deleted_at REAL
);
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, route TEXT, method TEXT NOT NULL, path TEXT NOT NULL,
    query TEXT NOT NULL, body TEXT NOT NULL, idempotency_key TEXT, request_id TEXT NOT NULL,
    outcome TEXT, status INTEGER, fault TEXT, response_id TEXT
);
CREATE TABLE IF NOT EXISTS rules (number INTEGER PRIMARY KEY, rule TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One accepted submission."""

    submission: Submission
    plan: Plan
    cancelled_at: float | None
    """When a cancel was accepted, seconds since the epoch."""
    deleted_at: float | None

    def status(self, now: float) -> Status:
        return status_at(self.plan, self.cancelled_at, now)


@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request and its outcome so far."""

    number: int
    epoch: int
    """How often the ledger had been reset when it arrived."""
    request_id: str
    route: Route
    outcome: str | None = None
    """`accepted` (a create that took effect, whatever the reply), `answered`, `refused`, `fault`."""
    status: int | None = None
    """The reply's HTTP status; None when there was no reply."""
    fault: str | None = None
    response_id: str | None = None


@dataclass(slots=True)
class _ScriptLine:
    """A rule of the script and how many matching requests it has seen."""

    number: int
    rule: Rule
    seen: int = field(default=0)


class Ledger:
    """The database and its queries. To be used from one thread."""

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        Path(path).touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._script = [
            _ScriptLine(number, read_rules(json.loads(rule))[0], seen)
            for number, rule, seen in self._db.execute("SELECT number, rule, seen FROM rules ORDER BY number")
        ]
        self._parsed: dict[str, tuple[Submission, Plan]] = {}
        self._logs: dict[str, list[LoggedEvent]] = {}
        self._epoch = 0

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Requests

    def receive(
        self,
        *,
        route: Route,
        method: str,
        path: str,
        query: str,
        body: bytes,
        idempotency_key: str | None,
        request_id: str,
    ) -> Exchange:
        """Record a request before it is handled."""
        cursor = self._db.execute(
            "INSERT INTO requests (at, route, method, path, query, body, idempotency_key, request_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.clock(),
                route,
                method,
                path,
                query,
                body.decode("utf-8", "replace"),
                idempotency_key,
                request_id,
            ),
        )
        return Exchange(number=cursor.lastrowid or 0, epoch=self._epoch, request_id=request_id, route=route)

    def check(self, exchange: Exchange) -> None:
        """Raises `RefusedRequest` when the ledger was reset after this request arrived."""
        if exchange.epoch != self._epoch:
            raise RefusedRequest(503, "The simulator was reset after this request arrived.")

    def note(self, exchange: Exchange) -> None:
        """Record the outcome of a request so far; does nothing if the ledger was reset after it arrived."""
        if exchange.epoch != self._epoch:
            return
        self._db.execute(
            "UPDATE requests SET outcome = ?, status = ?, fault = ?, response_id = ? WHERE number = ?",
            (exchange.outcome, exchange.status, exchange.fault, exchange.response_id, exchange.number),
        )

    def requests(self) -> list[Row]:
        """Every request received, in order."""
        return [_request_row(row) for row in self._db.execute("SELECT * FROM requests ORDER BY number")]

    # Responses

    def accept(self, exchange: Exchange, submission: Submission, raw: bytes, plan: Plan) -> Record:
        """Accept a submission, which is running from here on. Commits it together with the request's outcome."""
        exchange.outcome, exchange.response_id = "accepted", plan.response_id
        with self._transaction():
            self._db.execute(
                "INSERT INTO responses (id, body, plan) VALUES (?, ?, ?)",
                (plan.response_id, raw, _PLAN.dump_json(plan)),
            )
            self.note(exchange)
        self._parsed[plan.response_id] = (submission, plan)
        return Record(submission=submission, plan=plan, cancelled_at=None, deleted_at=None)

    def record(self, response_id: str) -> Record | None:
        """The response with that id, deleted ones included."""
        row = self._db.execute(
            "SELECT body, plan, cancelled_at, deleted_at FROM responses WHERE id = ?", (response_id,)
        ).fetchone()
        return None if row is None else self._record(response_id, row)

    def records(self) -> list[Record]:
        """Every response ever accepted, in order."""
        rows = self._db.execute(
            "SELECT id, body, plan, cancelled_at, deleted_at FROM responses ORDER BY number"
        )
        return [self._record(row["id"], row) for row in rows]

    def _record(self, response_id: str, row: sqlite3.Row) -> Record:
        known = self._parsed.get(response_id)
        if known is None:
            known = (read_submission(row["body"]), _PLAN.validate_json(row["plan"]))
            self._parsed[response_id] = known
        submission, plan = known
        return Record(
            submission=submission, plan=plan, cancelled_at=row["cancelled_at"], deleted_at=row["deleted_at"]
        )

    def events(self, record: Record) -> list[LoggedEvent]:
        """The response's event log; the latest 256 are cached."""
        response_id = record.plan.response_id
        log = self._logs.get(response_id)
        if log is None:
            log = event_log(record.submission, record.plan)
            while len(self._logs) >= 256:
                self._logs.pop(next(iter(self._logs)))
            self._logs[response_id] = log
        return log

    def history(self, response_id: str | None) -> list[str]:
        """What was candidate in the conversation that ends with this response, oldest turn first."""
        turns: list[str] = []
        while response_id is not None and (record := self.record(response_id)) is not None:
            turns.append(record.submission.text)
            response_id = record.submission.previous_response_id
        return turns[::-1]

    def cancel(self, record: Record) -> Record:
        """Accept a cancel. The first one counts; one that comes after the end changes nothing."""
        now = self.clock()
        if record.cancelled_at is not None or record.status(now) not in ("queued", "in_progress"):
            return record
        self._db.execute("UPDATE responses SET cancelled_at = ? WHERE id = ?", (now, record.plan.response_id))
        return replace(record, cancelled_at=now)

    def delete(self, record: Record) -> None:
        """Mark a response as deleted: clients get 404 for it from now on."""
        self._db.execute(
            "UPDATE responses SET deleted_at = ? WHERE id = ?", (self.clock(), record.plan.response_id)
        )

    # Script

    def add_rules(self, rules: Sequence[Rule]) -> None:
        """Append to the script."""
        with self._transaction():
            for rule in rules:
                cursor = self._db.execute(
                    "INSERT INTO rules (rule) VALUES (?)", (json.dumps(write_rules([rule])[0]),)
                )
                self._script.append(_ScriptLine(cursor.lastrowid or 0, rule))

    def rules(self) -> list[Row]:
        """The script as JSON, each rule with the number of matching requests that it has seen."""
        return [{**write_rules([line.rule])[0], "seen": line.seen} for line in self._script]

    def clear_rules(self) -> None:
        self._db.execute("DELETE FROM rules")
        self._script.clear()

    def take_fault(self, candidate: Candidate) -> Rule | None:
        """The rule whose fault is injected into this request; counts it as used."""
        return self._take(candidate, lambda rule: rule.fault is not None and rule.route == candidate.route)

    def take_answer(self, candidate: Candidate) -> Rule | None:
        """The rule that decides this submission's answer; counts it as used."""
        return self._take(candidate, lambda rule: rule.fault is None and rule.answer is not None)

    def _take(self, candidate: Candidate, applies: Callable[[Rule], bool]) -> Rule | None:
        for line in self._script:
            if applies(line.rule) and matches(line.rule.match, candidate):
                line.seen += 1
                self._db.execute("UPDATE rules SET seen = ? WHERE number = ?", (line.seen, line.number))
                if line.rule.takes(line.seen):
                    return line.rule
        return None

    def reset(self) -> None:
        """Forget everything: responses, requests and script. Requests still in flight take no effect any more."""
        self._epoch += 1
        with self._transaction():
            for table in ("responses", "requests", "rules"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608  # names from the line above
        self._script.clear()
        self._parsed.clear()
        self._logs.clear()


def _request_row(row: sqlite3.Row) -> Row:
    data: Row = dict(row)
    try:
        data["body"] = json.loads(row["body"]) if row["body"] else None
    except ValueError:
        data["body"] = row["body"]
    return data
