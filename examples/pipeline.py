import perdure
from perdure import Agent, Context, Workflow, node
from pydantic import BaseModel


class Plan(BaseModel):
    questions: list[str]


planner = Agent("planner", model="gpt-5", output=Plan)  # takes a prompt, gives a Plan
researcher = Agent("researcher", model="o3", tools=[{"type": "web_search"}])
editor = Agent("editor", model="gpt-5")


@editor.node
def edit(findings: list[str], ctx: Context) -> str:  # what to ask the editor
    return f"Answer {ctx.input(briefing)!r} from these notes:\n\n" + "\n\n".join(findings)


@node
def publish(text: str) -> str:  # plain Python
    return text.strip()


briefing = Workflow("briefing", start=planner, end=publish)
briefing.map(planner, researcher, each=lambda plan: plan.questions, concurrency=8)
briefing.collect(researcher, edit)
briefing.edge(edit, publish)

if __name__ == "__main__":
    print(perdure.run_sync(briefing, "How do sea otters sleep?", run_id="otters-1"))
