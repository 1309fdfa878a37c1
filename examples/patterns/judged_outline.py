"""A judge reads the outline of a story, and its advice improves one that does not pass.

    python -m examples.patterns.judged_outline

The pattern is "LLM as a judge" of the OpenAI Agents SDK:
https://github.com/openai/openai-agents-python/blob/main/examples/agent_patterns/llm_as_a_judge.py
Left out: the judge is asked again until the outline passes. Loops are not built yet; here it is improved once.
"""

from typing import Literal

from perdure import Agent, Context, Workflow, node, run_sync
from pydantic import BaseModel


class Judgement(BaseModel):
    verdict: Literal["pass", "improve"]
    advice: str


outliner = Agent(
    "outliner", model="gpt-5", instructions="Outline a very short story. Take advice if it is given."
)
judge = Agent("judge", model="gpt-5-mini", instructions="Judge the outline, and advise.", output=Judgement)


@node
def keep(judgement: Judgement, ctx: Context) -> str:
    return ctx.output(outliner)


@outliner.node
def improve(judgement: Judgement, ctx: Context) -> str:
    return f"{ctx.input(flow)}\n\nOutline:\n{ctx.output(outliner)}\n\nAdvice: {judgement.advice}"


flow = Workflow("judged_outline", start=outliner, end=(keep, improve))
flow.edge(outliner, judge)
flow.switch(judge, lambda judgement: judgement.verdict, {"pass": keep, "improve": improve})

if __name__ == "__main__":
    print(run_sync(flow, "A detective story under the sea."))
