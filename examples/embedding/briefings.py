"""The workflow of the programs in this folder: research a topic, then write a briefing on it."""

from perdure import Agent, Workflow

researcher = Agent("researcher", model="o3", instructions="You are a research assistant. Be concise.")
writer = Agent("writer", model="gpt-5", instructions="You write short briefings in plain English.")


@writer.node
def write(notes: str) -> str:
    return f"Write a briefing from these notes:\n\n{notes}"


briefing = Workflow("briefing", start=researcher, end=write)
briefing.edge(researcher, write)
