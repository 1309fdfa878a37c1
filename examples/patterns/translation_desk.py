"""An orchestrator picks which workers are asked, and an editor puts together what they wrote.

    python -m examples.patterns.translation_desk

The pattern is "agents as tools" of the OpenAI Agents SDK:
https://github.com/openai/openai-agents-python/blob/main/examples/agent_patterns/agents_as_tools.py
Left out: the workers are tools that the model calls. Function tools are not built yet; here the model names languages,
and an edge with a condition leads to each worker. The join gets None for those that were not asked.
"""

from typing import Literal

from perdure import Agent, Workflow, node, run_sync
from pydantic import BaseModel


class Order(BaseModel):
    text: str
    languages: list[Literal["French", "Italian", "Spanish"]]


clerk = Agent(
    "clerk", model="gpt-5-mini", instructions="Name the text and the languages that are wanted.", output=Order
)
french = Agent("french", model="gpt-5", instructions="Translate the text to French.")
italian = Agent("italian", model="gpt-5", instructions="Translate the text to Italian.")
spanish = Agent("spanish", model="gpt-5", instructions="Translate the text to Spanish.")
editor = Agent("editor", model="gpt-5", instructions="Correct the translations and put them together.")


def text(order: Order) -> str:
    return order.text


to_french = french.node(name="to_french")(text)
to_italian = italian.node(name="to_italian")(text)
to_spanish = spanish.node(name="to_spanish")(text)


@editor.node
def edit(translations: tuple[str | None, str | None, str | None]) -> str:
    return "\n\n".join(translation for translation in translations if translation is not None)


@node
def decline(order: Order) -> str:
    return "We translate to French, Italian and Spanish."


flow = Workflow("translation_desk", start=clerk, end=(edit, decline))
flow.edge(clerk, to_french, when=lambda order: "French" in order.languages)
flow.edge(clerk, to_italian, when=lambda order: "Italian" in order.languages)
flow.edge(clerk, to_spanish, when=lambda order: "Spanish" in order.languages)
flow.edge(clerk, decline, otherwise=True)
flow.join((to_french, to_italian, to_spanish), edit)

if __name__ == "__main__":
    print(run_sync(flow, "Please translate 'The sea is calm today.' to Spanish and French."))
