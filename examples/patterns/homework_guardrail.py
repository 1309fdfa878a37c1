"""A guardrail and an assistant read a message at the same time, and the guardrail can withhold the answer.

    python -m examples.patterns.homework_guardrail

The pattern is "input guardrails" of the OpenAI Agents SDK:
https://github.com/openai/openai-agents-python/blob/main/examples/agent_patterns/input_guardrails.py
Left out: the assistant is stopped as soon as the guardrail trips. Races are not built yet; here a join waits for both,
and the answer is thrown away.
"""

from perdure import Agent, Workflow, node, run_sync
from pydantic import BaseModel


class Check(BaseModel):
    homework: bool
    reason: str


guardrail = Agent(
    "guardrail",
    model="gpt-5-mini",
    instructions="Decide whether the message asks to have homework done.",
    output=Check,
)
assistant = Agent("assistant", model="gpt-5", instructions="You help customers with their questions.")


@node
def receive(message: str) -> str:
    return message


@node
def reply(results: tuple[Check, str]) -> str:
    check, answer = results
    return f"Sorry, we can't do your homework: {check.reason}" if check.homework else answer


flow = Workflow("homework_guardrail", start=receive, end=reply)
flow.edge(receive, guardrail)
flow.edge(receive, assistant)
flow.join((guardrail, assistant), reply)

if __name__ == "__main__":
    print(run_sync(flow, "What is x when 3x + 4 is 19? I need it for tomorrow's lesson."))
