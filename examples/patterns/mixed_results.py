"""Two branches give results of different types, and the join keeps the type of each.

python -m examples.patterns.mixed_results
"""

import random

from perdure import Workflow, node, run_sync


@node
def dispatch(numbers: list[int]) -> list[int]:
    if not numbers:
        raise ValueError("There are no numbers.")
    return numbers


@node
def average(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers)


@node
def total(numbers: list[int]) -> int:
    return sum(numbers)


@node
def aggregate(results: tuple[float, int]) -> tuple[float, int]:
    return results


flow = Workflow("mixed_results", start=dispatch, end=aggregate)
flow.edge(dispatch, average)
flow.edge(dispatch, total)
flow.join((average, total), aggregate)

if __name__ == "__main__":
    print(run_sync(flow, [random.randint(1, 100) for _ in range(10)]))
