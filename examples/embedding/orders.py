"""The orders of the web process, in its own database: what it wants to have run. `worker.py` reads them there."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import NamedTuple

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, topic TEXT NOT NULL, started INTEGER DEFAULT 0)"
)


class Order(NamedTuple):
    """What to write a briefing on. The id becomes the run's."""

    id: str
    topic: str


@contextmanager
def database() -> Generator[sqlite3.Connection]:
    """A transaction in the web application's own database."""
    with closing(sqlite3.connect("web.db")) as connection, connection:
        connection.execute(SCHEMA)
        yield connection


def place(order: Order) -> Order:
    """Store an order, and give back the one that has its id: the same, unless another was there already."""
    with database() as connection:
        connection.execute("INSERT OR IGNORE INTO orders (id, topic) VALUES (?, ?)", order)
        return Order(*connection.execute("SELECT id, topic FROM orders WHERE id = ?", (order.id,)).fetchone())


def known(order_id: str) -> bool:
    """Whether there is such an order."""
    with database() as connection:
        return connection.execute("SELECT 1 FROM orders WHERE id = ?", (order_id,)).fetchone() is not None


def to_start() -> list[Order]:
    """The orders whose runs have not been started."""
    with database() as connection:
        return [Order(*row) for row in connection.execute("SELECT id, topic FROM orders WHERE NOT started")]


def started(order: Order) -> None:
    """Note that the order's run is committed."""
    with database() as connection:
        connection.execute("UPDATE orders SET started = 1 WHERE id = ?", (order.id,))
