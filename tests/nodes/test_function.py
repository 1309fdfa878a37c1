"""`@node`: a function becomes a node that still is that function."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from perdure.nodes import Context, NodeDefinitionError, node


def context() -> Context:
    def load(asked: object, default: object, /) -> object:
        raise AssertionError(f"nothing asks for {asked}, {default}")

    return Context(run_id="r", node="n", path=(), attempt=1, idempotency_key="k", load=load)


@node
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@node(name="waiter", retries=3, timeout=30)
async def wait(text: str, ctx: Context) -> str:
    await asyncio.sleep(0)
    return f"{ctx.run_id}: {text}"


def test_bare() -> None:
    assert (shout.name, shout.kind, shout.retries, shout.timeout) == ("shout", "function", 0, None)
    assert (shout.input, shout.output) == (str, str)
    assert not shout.is_async
    assert shout.__doc__ == "Say it louder."
    assert repr(shout) == "<function shout>"


def test_with_options() -> None:
    assert (wait.name, wait.retries, wait.timeout) == ("waiter", 3, 30)
    assert wait.is_async
    assert wait.wants_context


def test_it_is_called_by_invoke() -> None:
    assert shout.invoke("sea", context()) == "SEA"
    result = wait.invoke("sea", context())
    assert asyncio.iscoroutine(result)
    assert asyncio.run(result) == "r: sea"


def test_the_function_itself_stays_at_hand() -> None:
    assert shout.fn("sea") == "SEA"


def test_it_can_be_used_under_another_name() -> None:
    other = wait.named("other")
    assert (other.name, other.retries, other.timeout, other.is_async) == ("other", 3, 30, True)
    assert wait.name == "waiter"
    assert asyncio.run(other.invoke("sea", context())) == "r: sea"  # type: ignore[arg-type]


def test_codecs_are_those_of_the_types() -> None:
    assert shout.output_codec.decode(shout.output_codec.encode("sea")) == "sea"
    assert shout.input_codec.schema == "str"


def test_a_plain_function_has_no_timeout() -> None:
    def plain(text: str) -> str:
        return text

    with pytest.raises(NodeDefinitionError, match=r"plain \(.*can't be stopped.*`async def`"):
        node(timeout=1)(plain)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_time(timeout: float) -> None:
    async def later(text: str) -> str:
        return text

    with pytest.raises(NodeDefinitionError, match=r"duration above 0|from 0 on"):
        node(timeout=timeout)(later)


def test_retries_are_counted_from_zero() -> None:
    def plain(text: str) -> str:
        return text

    with pytest.raises(NodeDefinitionError, match="retries=-1"):
        node(retries=-1)(plain)
    assert node(retries=0)(plain).retries == 0


def test_a_name_must_be_one() -> None:
    def plain(text: str) -> str:
        return text

    with pytest.raises(NodeDefinitionError, match="'a b' can't be a node's name"):
        node(name="a b")(plain)


def test_a_node_is_no_function_to_decorate_again() -> None:
    again: Any = node
    with pytest.raises(NodeDefinitionError, match=r"is a node already.*shout\.named"):
        again(shout)


def test_an_awaitable_from_a_plain_function_is_an_error_and_no_warning() -> None:
    async def later(text: str) -> str:
        return text

    def sly(text: str) -> object:
        made: Awaitable[str] = later(text)
        return made

    with pytest.raises(NodeDefinitionError, match=r"sly \(.*returned an awaitable.*`async def`"):
        node(sly).invoke("sea", context())


def test_what_it_raises_comes_out_as_it_is() -> None:
    @node
    def broken(text: str) -> str:
        raise KeyError(text)

    with pytest.raises(KeyError, match="sea"):
        broken.invoke("sea", context())


def test_calling_a_node_is_calling_its_function() -> None:
    @node
    def shout(text: str) -> str:
        return text.upper()

    @node(name="other")
    async def whisper(text: str) -> str:
        return text.lower()

    @node
    def seven() -> int:
        return 7

    assert shout("sea") == "SEA"
    assert asyncio.run(whisper("SEA")) == "sea"
    assert (seven(), seven.invoke("ignored", None), seven.input) == (7, 7, object)


def test_a_function_of_the_context_alone_takes_anything() -> None:
    @node
    async def look(ctx: Context) -> str:
        return ctx.run_id

    @node(name="plain")
    def peek(ctx: Context) -> str:
        return ctx.node

    assert (look.input, look.output, look.wants_context, peek.name) == (object, str, True, "plain")
    assert asyncio.run(look(context())) == "r"
    result = look.invoke("ignored", context())
    assert asyncio.iscoroutine(result)
    assert asyncio.run(result) == "r"
    assert peek.invoke(["ignored"], context()) == "n"
