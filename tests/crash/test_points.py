"""A process is killed at each point at which it can hurt, once, twice and three times: nothing is lost, nothing is
paid for twice silently.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import pytest
from perdure.simulator import Simulator

from .cast import Cast, wanted
from .kills import Step
from .nursery import Nursery
from .pipeline import SUBMISSIONS
from .scenario import Life, Scenario, at

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

SPREAD = {f"research[{item}]": 0.3 + 0.5 * item for item in range(4)}
"""Items of the map that end one after another, even for a process that comes back a little later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """Where the first, second and third process are killed, and what each crash costs at the node `review`."""

    lives: tuple[Life, Life, Life]
    before: tuple[Life, ...] = ()
    """Deaths that bring the run to where the point lies."""
    paid: int = 0
    """Submissions that a crash here adds: 1 when the provider had accepted and the handle is lost."""
    unknown: int = 0
    """How often a crash here leaves the fate of a submission unknown."""
    at_most: int = 3
    """A crash costs nothing more after so many."""
    durations: tuple[tuple[str, float], ...] = ()


def always(life: Life) -> tuple[Life, Life, Life]:
    """The same point, at its next occurrence."""
    return (life, life, life)


CLAIMED = at("after", "claim")

POINTS = {
    "before the run row": Point(lives=always(at("before", "create"))),
    "inside the run row's commit": Point(lives=always(at("inside", "create"))),
    "run row inserted": Point(lives=(at("after", "create"), CLAIMED, CLAIMED)),
    "before the intent": Point(lives=always(at("before", "submission_intended", "review"))),
    "inside the intent's commit": Point(lives=always(at("inside", "submission_intended", "review"))),
    "after the intent": Point(lives=always(at("after", "submission_intended", "review")), unknown=1),
    "reply lost": Point(lives=always(at("after", "POST", "review")), paid=1, unknown=1),
    "token not committed": Point(lives=always(at("before", "submitted", "review")), paid=1, unknown=1),
    "inside the token's commit": Point(lives=always(at("inside", "submitted", "review")), paid=1, unknown=1),
    "token committed": Point(lives=(at("after", "submitted", "review"), CLAIMED, CLAIMED)),
    "between two polls": Point(
        lives=(
            Life(steps=(Step(what="submitted", node="review"), Step(when="before", what="GET", nth=2))),
            at("before", "GET"),
            at("before", "GET"),
        ),
        durations=(("review", 2.0),),
    ),
    "result not committed": Point(lives=always(at("before", "succeeded", "review"))),
    "inside the result's commit": Point(lives=always(at("inside", "succeeded", "review"))),
    "result committed, successors not started": Point(
        lives=(
            at("after", "succeeded", "plan"),
            at("after", "succeeded", "gather"),
            at("after", "succeeded", "review"),
        )
    ),
    "in a map": Point(lives=always(at("after", "succeeded", "note")), durations=tuple(SPREAD.items())),
    "in a join": Point(
        lives=(
            at("after", "succeeded", "outline"),
            at("after", "succeeded", "gather"),
            at("after", "succeeded", "polish"),
        ),
        durations=(("outline", 0.6), *SPREAD.items()),  # all submissions have their tokens by then
    ),
    "in a backoff": Point(
        lives=(at("after", "attempt_failed", "polish"), CLAIMED, at("before", "backoff_ended", "polish"))
    ),
    "during recovery": Point(
        before=(at("before", "submitted", "review"),),
        lives=(
            at("before", "submission_unknown", "review"),
            at("after", "submission_unknown", "review"),
            CLAIMED,
        ),
        paid=1,
        unknown=1,
        at_most=1,
    ),
}
CRASHES = (1, 2, 3)
SCENARIOS = {
    f"{name}, {count}": Scenario(
        name=f"{name.replace(' ', '-').replace(chr(39), '').replace(',', '')}-{count}",
        lives=(*point.before, *point.lives[:count]),
        durations=dict(point.durations),
    )
    for name, point in POINTS.items()
    for count in CRASHES
}
UNDISTURBED = "undisturbed"


@pytest.fixture(scope="module")
def cast(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    provider: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Cast]:
    scenarios = {UNDISTURBED: Scenario(name=UNDISTURBED, lives=())}
    for point, count in wanted(request, "point", "count"):
        scenarios[f"{point}, {count}"] = SCENARIOS[f"{point}, {count}"]
    with Cast(nursery, provider, tmp_path_factory.mktemp("points"), scenarios) as cast:
        yield cast


@pytest.mark.parametrize("count", CRASHES)
@pytest.mark.parametrize("point", POINTS)
def test_killed(cast: Cast, point: str, count: int) -> None:
    ending = cast.ending(f"{point}, {count}")
    ending.assert_promises(cast.ending(UNDISTURBED).output, SUBMISSIONS)
    kind = POINTS[point]
    assert ending.crashes == len(kind.before) + count
    costly = min(count, kind.at_most)
    assert ending.accepted("review") == 1 + kind.paid * costly
    assert ending.snapshot.unknown("review") == kind.unknown * costly
    others = set(SUBMISSIONS) - {"review"}
    assert {address: ending.accepted(address) for address in others} == dict.fromkeys(others, 1)
