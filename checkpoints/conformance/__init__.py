"""What every store and its views must do, as checks that anyone can run on a store of their own.

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_store(check): asyncio.run(check(MyStore))

or `await check_store(MyStore)` for all of them. Each check makes its stores with the factory it is given; a
failure is an `AssertionError` that says what was promised. Locks, crashes and several processes are beyond
these checks: what they mean depends on the store. `examples` has what the checks are made of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from . import _activations, _claims, _deletion, _operations, _runs, _scopes, _signals, _transitions, _views
from .examples import StoreFactory

StoreCheck: TypeAlias = Callable[[StoreFactory], Awaitable[None]]

STORE_CHECKS: tuple[StoreCheck, ...] = (
    *_runs.CHECKS,
    *_transitions.CHECKS,
    *_activations.CHECKS,
    *_operations.CHECKS,
    *_scopes.CHECKS,
    *_signals.CHECKS,
    *_claims.CHECKS,
    *_deletion.CHECKS,
    *_views.CHECKS,
)
"""One promise each; the name says which."""


async def check_store(factory: StoreFactory) -> None:
    """Run all checks. Raises the first failure."""
    for check in STORE_CHECKS:
        await check(factory)


__all__ = ["STORE_CHECKS", "StoreCheck", "StoreFactory", "check_store"]
