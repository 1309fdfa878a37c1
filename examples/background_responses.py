"""Two ways to wait for one agent run without staying connected: polls, and a stream that is resumed.

    python -m examples.background_responses

Asks the OpenAI API when OPENAI_API_KEY is set, else a simulator that is started for it.
"""

from __future__ import annotations

import asyncio
import json

from perdure.nodes import Agent, ContinuationToken

from examples.provider import provider

researcher = Agent("researcher", model="o3", instructions="You are a research assistant. Be concise.")


async def poll() -> None:
    """Start a run in the background, and ask after it until it is done."""
    print("-- polling --")
    thread = researcher.get_new_thread()
    question = "Explain the theory of relativity in two sentences."
    response = await researcher.run(question, thread=thread, background=True)
    print(f"initial status: {response.status}")
    while response.continuation_token is not None:
        await asyncio.sleep(response.retry_after or 2.0)
        response = await researcher.run(thread=thread, continuation_token=response.continuation_token)
        print(f"poll: {response.status}")
    print(f"result: {response.text}")


async def stream_and_resume() -> None:
    """Read a stream, lose it in the middle, and read on right after the last piece."""
    print("\n-- streaming, interrupted and resumed --")
    kept = await begin()
    if kept is None:
        print("\n(the answer was complete before the interruption)")
        return
    print(f"\n(interrupted; kept {len(json.dumps(kept))} bytes: {kept['handle']})")
    print("resumed stream: ", end="", flush=True)
    # In another process this would read the same: all it takes is the kept token.
    async for update in researcher.run(continuation_token=kept, stream=True):
        print(update.text, end="", flush=True)
        if update.response is not None:
            print(f"\nstatus: {update.response.status}")
            print(f"whole answer: {update.response.text}")


async def begin(pieces: int = 8) -> dict[str, object] | None:
    """Read the first pieces of a stream; the token that stands right after them, None if it has ended."""
    token: ContinuationToken | None = None
    print("first stream: ", end="", flush=True)
    question = "List three benefits of regular exercise."
    updates = researcher.run(question, background=True, stream=True)
    async for update in updates:
        print(update.text, end="", flush=True)
        token = update.continuation_token
        pieces -= bool(update.text)
        if pieces == 0:
            break
    await updates.aclose()
    return None if token is None else {**token.to_dict()}


async def main() -> None:
    await poll()
    await stream_and_resume()


if __name__ == "__main__":
    with provider():
        asyncio.run(main())
