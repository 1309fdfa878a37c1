"""A triage agent picks who answers, by the language of the message.

    python -m examples.patterns.language_routing

The pattern is "handoffs/routing" of the OpenAI Agents SDK:
https://github.com/openai/openai-agents-python/blob/main/examples/agent_patterns/routing.py
Left out: the answer is streamed, and the conversation goes on. Text from inside a run is not built yet; here the answer
is printed when it is complete, and a run answers one message.
"""

from typing import Literal

from perdure import Agent, Context, Prompt, Workflow, run_sync
from pydantic import BaseModel


class Route(BaseModel):
    language: Literal["french", "spanish", "english"]


triage = Agent("triage", model="gpt-5-mini", instructions="Name the language of the message.", output=Route)
french = Agent("french", model="gpt-5", instructions="You only speak French.")
spanish = Agent("spanish", model="gpt-5", instructions="You only speak Spanish.")
english = Agent("english", model="gpt-5", instructions="You only speak English.")


def question(route: Route, ctx: Context) -> Prompt:
    return ctx.input(flow)


in_french = french.node(name="in_french")(question)
in_spanish = spanish.node(name="in_spanish")(question)
in_english = english.node(name="in_english")(question)

flow = Workflow("language_routing", start=triage, end=(in_french, in_spanish, in_english))
flow.switch(
    triage,
    lambda route: route.language,
    {"french": in_french, "spanish": in_spanish, "english": in_english},
)

if __name__ == "__main__":
    print(run_sync(flow, "Hello, how do I say good evening in French?"))
