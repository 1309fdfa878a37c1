"""`Views`: a view of the store beside its writer, for what is read without awaiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ...checkpoints.store import Store
from ...checkpoints.view import View

T = TypeVar("T")


class Views:
    """A view for `ctx.output`, made when it is first needed. May be used from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._view: View | None = None

    def read(self, work: Callable[[View], T]) -> T:
        """What `work` reads; no writer blocks it."""
        with self._lock:
            if self._view is None:
                self._view = self._store.view()
            return work(self._view)

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            view, self._view = self._view, None
            if view is not None:
                view.close()
