"""What a run was given: a workflow that starts with an agent may say that it is given text alone.

Never run: `test_face.py` shows it to the type checkers.
"""

from typing import assert_type

from perdure import Agent, Context, Prompt, Workflow, node, run_sync

guard = Agent("guard", model="gpt-5-mini", output=bool)
writer = Agent("writer", model="gpt-5")


@node
def count(safe: bool, ctx: Context) -> int:
    assert_type(ctx.input(counting), Prompt)
    return len(ctx.input(counting))


@writer.node
def reply(safe: bool, ctx: Context) -> str:
    assert_type(ctx.input(mail), str)
    return f"Answer:\n{ctx.input(mail).strip()}"


counting = Workflow("counting", start=guard, end=count)
counting.edge(guard, count)

mail: Workflow[str, str] = Workflow("mail", start=guard, end=reply)
mail.edge(guard, reply)
assert_type(run_sync(mail, "Hello"), str)
