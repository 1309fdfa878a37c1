"""One agent is asked three times at once, and another picks the best answer.

python -m examples.patterns.best_translation
"""

from perdure import Agent, Context, Workflow, node, run_sync

translator = Agent("translator", model="gpt-5-mini", instructions="Translate the message to Spanish.")
picker = Agent("picker", model="gpt-5", instructions="Pick the best Spanish translation of those given.")


@node
def three_times(message: str) -> list[str]:
    return [message] * 3


@picker.node
def pick(translations: list[str], ctx: Context) -> str:
    return f"Message: {ctx.input(flow)}\n\nTranslations:\n" + "\n\n".join(translations)


flow = Workflow("best_translation", start=three_times, end=pick)
flow.map(three_times, translator)
flow.collect(translator, pick)

if __name__ == "__main__":
    print(run_sync(flow, "Good morning!"))
