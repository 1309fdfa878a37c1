"""Agents in a row with a gate between them: only a good outline becomes a story.

python -m examples.patterns.story
"""

from perdure import Agent, Context, Workflow, node, run_sync
from pydantic import BaseModel


class Check(BaseModel):
    good: bool
    science_fiction: bool


outliner = Agent("outliner", model="gpt-5", instructions="Outline a very short story that fits the request.")
checker = Agent(
    "checker",
    model="gpt-5-mini",
    instructions="Judge the outline; say whether it is science fiction.",
    output=Check,
)
writer = Agent("writer", model="gpt-5", instructions="Write a short story that follows the outline.")


@writer.node
def write(verdict: Check, ctx: Context) -> str:
    return ctx.output(outliner)


@node
def refuse(verdict: Check) -> str:
    return "The outline is not good enough." if not verdict.good else "The outline is not science fiction."


flow = Workflow("story", start=outliner, end=(write, refuse))
flow.edge(outliner, checker)
flow.edge(checker, write, when=lambda verdict: verdict.good and verdict.science_fiction)
flow.edge(checker, refuse, otherwise=True)

if __name__ == "__main__":
    print(run_sync(flow, "A short story about a lighthouse on Mars."))
