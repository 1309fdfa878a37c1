"""Two functions in a row: no model, no provider, and each result is committed.

python -m examples.patterns.uppercase_reverse
"""

from perdure import Workflow, node, run_sync


@node
def upper_case(text: str) -> str:
    return text.upper()


@node
def reverse(text: str) -> str:
    return text[::-1]


flow = Workflow("uppercase_reverse", start=upper_case, end=reverse)
flow.edge(upper_case, reverse)

if __name__ == "__main__":
    print(run_sync(flow, "hello world"))
