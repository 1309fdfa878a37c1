"""Two sides open a debate in parallel, answer each other in parallel, and a moderator concludes.

    python -m examples.patterns.debate

The pattern is "Philosophical Debate with Agent-Based Manager" of the Agent Framework:
https://github.com/microsoft/agent-framework/blob/main/python/samples/03-workflows/orchestrations/group_chat_philosophical_debate.py
Left out: the moderator picks the speakers, for as many rounds as it likes. Loops are not built yet; here two rounds are
wired. Two joins of the same sources give both openings to both sides.
"""

from perdure import Agent, Context, Workflow, node, run_sync

advocate = Agent("advocate", model="gpt-5", instructions="You argue for the motion, in one paragraph.")
skeptic = Agent("skeptic", model="gpt-5", instructions="You argue against the motion, in one paragraph.")
moderator = Agent("moderator", model="gpt-5", instructions="Say where the two sides agree and where not.")


@node
def announce(motion: str) -> str:
    return f"Motion: {motion}"


@advocate.node
def defend(openings: tuple[str, str]) -> str:
    mine, theirs = openings
    return f"You said:\n{mine}\n\nAnswer your opponent, who said:\n{theirs}"


@skeptic.node
def object_to(openings: tuple[str, str]) -> str:
    theirs, mine = openings
    return f"You said:\n{mine}\n\nAnswer your opponent, who said:\n{theirs}"


@moderator.node
def conclude(answers: tuple[str, str], ctx: Context) -> str:
    turns = (ctx.output(advocate), ctx.output(skeptic), *answers)
    return "\n\n".join((ctx.output(announce), *turns))


flow = Workflow("debate", start=announce, end=conclude)
flow.edge(announce, advocate)
flow.edge(announce, skeptic)
flow.join((advocate, skeptic), defend)
flow.join((advocate, skeptic), object_to)
flow.join((defend, object_to), conclude)

if __name__ == "__main__":
    print(run_sync(flow, "Cities should be free of cars."))
