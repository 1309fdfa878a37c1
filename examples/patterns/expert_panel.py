"""Fan out and in: three experts are asked the same at once, and their answers become one report.

    python -m examples.patterns.expert_panel

The agents are wired as they stand: an agent without a function of its own is asked what the edge carries.
"""

from perdure import Agent, Workflow, node, run_sync

researcher = Agent(
    "researcher", model="gpt-5", instructions="You research markets: facts, opportunities, risks."
)
marketer = Agent("marketer", model="gpt-5", instructions="You write value propositions for the audience.")
lawyer = Agent("lawyer", model="gpt-5", instructions="You name constraints, disclaimers and legal concerns.")


@node
def dispatch(prompt: str) -> str:
    return prompt


@node
def consolidate(views: tuple[str, str, str]) -> str:
    return "Findings:\n{}\n\nMarketing angle:\n{}\n\nLegal notes:\n{}".format(*views)


flow = Workflow("expert_panel", start=dispatch, end=consolidate)
flow.edge(dispatch, researcher)
flow.edge(dispatch, marketer)
flow.edge(dispatch, lawyer)
flow.join((researcher, marketer, lawyer), consolidate)

if __name__ == "__main__":
    print(run_sync(flow, "We launch a cheap electric bike for commuters in cities."))
