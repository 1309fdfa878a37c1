"""Small runs, transitions and changes: what the checks are made of, also for tests of a store's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar, Unpack

from ..errors import PerdureError
from ..records import (
    INLINE_LIMIT,
    NO_LABELS,
    ActivationColumns,
    ActivationKey,
    EventRecord,
    NewRun,
    OperationColumns,
    OperationKey,
    PlanRecord,
    RunRecord,
    RunStatus,
    ScopeRecord,
    SubmissionColumns,
    SubmissionKey,
    Transition,
    Value,
)
from ..store import Store
from ..view import View

T = TypeVar("T")

StoreFactory: TypeAlias = Callable[[], Store]
"""Makes a store that holds nothing."""

PLAN = PlanRecord(signature="0123456789abcdef", workflow="chain", plan=b"\x80")
SMALL = Value(b"s" * INLINE_LIMIT)
"""As large as a store keeps inline."""
LARGE = Value(b"l" * (INLINE_LIMIT + 1))
"""As small as goes into a blob."""


def same(found: object, promised: object, what: str) -> None:
    """Fail unless they are equal; `what` says what was promised."""
    assert found == promised, f"{what}: expected {promised!r}, got {found!r}"


async def raises(error: type[PerdureError], doing: Awaitable[object], what: str) -> PerdureError:
    """Fail unless it raises that error; gives the error back."""
    try:
        got = await doing
    except error as raised:
        return raised
    raise AssertionError(f"{what}: expected {error.__name__}, got {got!r}")


async def look(store: Store, work: Callable[[View], T]) -> T:
    """What `work` reads through `Store.read`; fails unless a view of its own shows the same."""
    found = await store.read(work)
    with store.view() as view:
        same(work(view), found, "a view of its own shows what the store reads")
    return found


async def look_raises(
    error: type[PerdureError], store: Store, work: Callable[[View], object], what: str
) -> PerdureError:
    """`raises` for a read, through `Store.read` and through a view of its own."""
    with store.view() as view:
        try:
            work(view)
        except error:
            pass
        else:
            raise AssertionError(f"{what}: a view of its own raised no {error.__name__}")
    return await raises(error, store.read(work), what)


def make_change(
    node: str, *, scope: int = 0, item: int = 0, **columns: Unpack[ActivationColumns]
) -> tuple[ActivationKey, ActivationColumns]:
    """A change of an activation."""
    return ActivationKey(scope=scope, node=node, item=item), columns


def make_operation(
    key: OperationKey, **columns: Unpack[OperationColumns]
) -> tuple[OperationKey, OperationColumns]:
    """A change of an operation."""
    return key, columns


def make_submission(
    operation: OperationKey, submission: int = 1, /, **columns: Unpack[SubmissionColumns]
) -> tuple[SubmissionKey, SubmissionColumns]:
    """A change of a submission."""
    return SubmissionKey(operation, submission), columns


def make_scope(
    number: int, *, scope: int = 1, parent: int = 0, path: tuple[int, ...] = (), size: int
) -> ScopeRecord:
    """A scope instance that is open."""
    return ScopeRecord(number=number, scope=scope, parent=parent, path=path, size=size, open=True)


def make_step(
    run: int,
    *,
    position: int,
    fence: int = 1,
    at: float = 1.0,
    status: RunStatus = RunStatus.RUNNING,
    outcome: RunStatus | None = None,
    error: bytes | None = None,
    events: Sequence[str] = ("step",),
    activations: Sequence[tuple[ActivationKey, ActivationColumns]] = (),
    operations: Sequence[tuple[OperationKey, OperationColumns]] = (),
    submissions: Sequence[tuple[SubmissionKey, SubmissionColumns]] = (),
    scopes: Sequence[ScopeRecord] = (),
    signals: Sequence[int] = (),
    policies: bytes | None = None,
) -> Transition:
    """A transition with events of these types."""
    return Transition(
        run=run,
        fence=fence,
        position=position,
        at=at,
        status=status,
        outcome=outcome,
        error=error,
        events=[
            EventRecord(position=position + number, at=at, type=type_, node=None, path=(), data=b"\x80")
            for number, type_ in enumerate(events, start=1)
        ],
        activations=dict(activations),
        operations=dict(operations),
        submissions=dict(submissions),
        scopes=scopes,
        signals=signals,
        policies=policies,
    )


async def make_run(
    store: Store,
    run_id: str,
    *,
    at: float = 1.0,
    workflow: str = "chain",
    nonce: str = "nonce",
    input: Value = SMALL,  # noqa: A002 the record's name
    events: Sequence[str] = ("run_created",),
    activations: Sequence[tuple[ActivationKey, ActivationColumns]] = (),
    operations: Sequence[tuple[OperationKey, OperationColumns]] = (),
    submissions: Sequence[tuple[SubmissionKey, SubmissionColumns]] = (),
    policies: bytes | None = None,
    labels: Mapping[str, str] = NO_LABELS,
    code: str | None = None,
) -> RunRecord:
    """Make a run of `PLAN` that is under way."""
    return await store.create(
        NewRun(
            id=run_id,
            workflow=workflow,
            signature=PLAN.signature,
            nonce=nonce,
            input=input,
            labels=labels,
            code=code,
        ),
        PLAN,
        make_step(
            0,
            position=0,
            at=at,
            events=events,
            activations=activations,
            operations=operations,
            submissions=submissions,
            policies=policies,
        ),
    )
