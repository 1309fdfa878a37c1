"""What a function may look like to become a node, and what each refusal says."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import pytest
from perdure.nodes import Context, Node, NodeDefinitionError
from perdure.nodes._signature import Signature, read_signature

if TYPE_CHECKING:
    from decimal import Decimal

    from perdure.nodes import Context as Hidden

T = TypeVar("T")


def refusal(fn: Any) -> str:
    with pytest.raises(NodeDefinitionError) as caught:
        read_signature(fn)
    return str(caught.value)


def late_refusal(signature: Signature) -> str:
    """What a node says that is asked for a type which is still not defined."""
    node: Node[Any, Any] = Node("n", input=signature.input, output=signature.output)
    with pytest.raises(NodeDefinitionError) as caught:
        _ = (node.input, node.output)
    return str(caught.value)


# -- what is read -------------------------------------------------------------------------------------------


def test_a_plain_and_an_async_function() -> None:
    def plain(text: str) -> int:
        return len(text)

    async def later(number: int) -> list[str]:
        return [str(number)]

    read = read_signature(plain)
    assert (read.name, read.input, read.output, read.wants_context, read.is_async) == (
        "plain",
        str,
        int,
        False,
        False,
    )
    assert "test_function_signature.py:" in read.where
    read = read_signature(later)
    assert (read.input, read.output, read.is_async) == (int, list[str], True)


def test_the_context_is_known_by_its_annotation() -> None:
    def with_context(text: str, anything: Context) -> str:
        return anything.run_id + text

    def annotated(text: str, context: Annotated[Context, "mine"]) -> str:
        return context.run_id + text

    def optional_second(text: str, ctx: str = "x") -> str:
        return ctx + text

    def optional_third(text: str, context: Context, more: int = 3) -> str:
        return context.run_id + text * more

    assert read_signature(with_context).wants_context
    assert read_signature(annotated).wants_context
    assert not read_signature(optional_second).wants_context
    assert read_signature(optional_third).wants_context


def test_a_function_of_the_context_alone_or_of_nothing_takes_anything() -> None:
    def nothing() -> str:
        return ""

    read = read_signature(only_context)
    assert (read.input, read.takes_input, read.wants_context) == (object, False, True)
    read = read_signature(nothing)
    assert (read.input, read.takes_input, read.wants_context) == (object, False, False)


def test_what_annotated_says_is_kept_for_the_codec() -> None:
    def plain(text: Annotated[str, "short"]) -> None:
        print(text)

    read = read_signature(plain)
    assert read.input == Annotated[str, "short"]
    assert read.output is type(None)


class Thing:
    def method(self, text: str) -> int:
        return len(text)

    async def __call__(self, text: str, context: Context) -> int:
        return len(text + context.run_id)


def power(base: int, exponent: int) -> int:
    return base**exponent


def test_methods_partials_and_callable_objects() -> None:
    read = read_signature(Thing().method)
    assert (read.name, read.input, read.output, read.is_async) == ("method", str, int, False)
    read = read_signature(Thing())
    assert (read.name, read.wants_context, read.is_async) == ("Thing", True, True)
    read = read_signature(functools.partial(power, exponent=2))
    assert (read.name, read.input) == ("power", int)
    assert read_signature(functools.partial(power, 2)).input is int


def test_a_decorator_that_keeps_the_wrapped_function() -> None:
    def loud(fn: Callable[[str], Coroutine[Any, Any, int]]) -> Callable[[str], Coroutine[Any, Any, int]]:
        @functools.wraps(fn)
        async def wrapper(*args: Any) -> int:
            return await fn(*args)

        return wrapper

    @loud
    async def length(text: str) -> int:
        return len(text)

    read = read_signature(length)
    assert (read.name, read.input, read.output, read.is_async) == ("length", str, int, True)


def test_a_type_that_is_defined_later_in_the_module_is_read_later() -> None:
    namespace: dict[str, Any] = {"read_signature": read_signature, "__name__": "later"}
    exec(
        "from __future__ import annotations\n"
        "def build(text: Later) -> Later: return text\n"
        "signature = read_signature(build)\n",
        namespace,
    )
    node: Node[Any, Any] = Node("n", input=namespace["signature"].input, output=namespace["signature"].output)
    exec("class Later: pass", namespace)
    assert node.input is namespace["Later"]
    assert node.output is namespace["Later"]


def test_a_type_of_the_function_around_it_is_found() -> None:
    class Local:
        pass

    def plain(value: Local) -> list[Local]:
        return [value]

    read = read_signature(plain)
    assert read.input is Local
    assert read.output == list[Local]


def test_a_name_of_another_caller_is_not_mistaken_for_the_functions_own() -> None:
    class Thing:  # pyright: ignore[reportUnusedClass]  # the decorated function means the module's
        pass

    read = read_signature(of_thing)
    assert read.input is globals()["Thing"]


def of_thing(value: Thing) -> None:
    print(value)


# -- what is refused ------------------------------------------------------------------------------------------


def unannotated(text) -> int:  # type: ignore[no-untyped-def]  # pyright: ignore
    return len(text)  # pyright: ignore[reportUnknownArgumentType]


def no_return(text: str):  # type: ignore[no-untyped-def]
    return text


def takes_any(value: Any) -> int:
    return value


def gives_any(value: int) -> Any:
    return value


def generic(value: list[T]) -> T:
    return value[0]


def gives_generic(value: str) -> list[T]:  # pyright: ignore[reportInvalidTypeVarUse]
    return []


def generator(text: str) -> Iterator[str]:
    yield text


async def async_generator(text: str) -> AsyncIterator[str]:
    yield text


def gives_awaitable(text: str) -> Awaitable[str]:
    return asyncio.sleep(0, text)


def gives_coroutine(text: str) -> Coroutine[Any, Any, str]:
    return asyncio.sleep(0, text)


def two(text: str, number: int) -> str:
    return text * number


def variadic(*texts: str) -> str:
    return "".join(texts)


def options(text: str, **more: str) -> str:
    return text + str(more)


def by_name(text: str, *, number: int) -> str:
    return text * number


def only_context(context: Context) -> str:
    return context.run_id


def context_first(context: Context, text: str) -> str:
    return context.run_id + text


def context_third(text: str, number: int, context: Context) -> str:
    return context.run_id + text * number


def hidden_context(text: str, context: Hidden) -> str:
    return context.run_id + text


def no_type(text: "1 +") -> str:  # type: ignore  # noqa: F722  # pyright: ignore
    return ""


def hides_async(fn: Callable[[str], Coroutine[Any, Any, int]]) -> Callable[[str], Coroutine[Any, Any, int]]:
    @functools.wraps(fn)
    def wrapper(text: str) -> Coroutine[Any, Any, int]:
        return fn(text)

    return wrapper


@hides_async
async def hidden_async(text: str) -> int:
    return len(text)


REFUSED: list[tuple[Any, str]] = [
    (unannotated, "'text' has no annotation. Name the type"),
    (no_return, "does not say what it returns. Annotate it"),
    (takes_any, "its input 'value' is annotated Any.*name its type"),
    (gives_any, "its return value is annotated Any.*name its type"),
    (generic, "holds the type variable ~T.*name the type itself"),
    (gives_generic, "its return value holds the type variable ~T"),
    (generator, "a generator can't be a node.*Return a list"),
    (async_generator, "a generator can't be a node.*Return a list"),
    (gives_awaitable, "write `async def`"),
    (gives_coroutine, "write `async def`"),
    (two, "'number' is neither.*join.*dataclass"),
    (variadic, r"can't have \*texts. Take a tuple"),
    (options, r"can't have \*\*more"),
    (by_name, "'number' can only be given by name.*default"),
    (context_first, "put the Context second"),
    (context_third, "'number' is neither"),
    (hidden_context, "'context' is neither.*annotate it `Context`.*not under `if TYPE_CHECKING`"),
    (no_type, "is no type"),
    (hidden_async, "a decorator hides that this function is async"),
    (Thing.method, "Make a node of the bound method"),
]


@pytest.mark.parametrize(("fn", "words"), REFUSED)
def test_a_function_that_cannot_be_a_node(fn: Any, words: str) -> None:
    with pytest.raises(NodeDefinitionError, match=words) as caught:
        read_signature(fn)
    assert str(caught.value).startswith(f"{fn.__name__} (")
    assert "test_function_signature.py:" in str(caught.value)


def test_a_lambda() -> None:
    assert "Write it as a function with `def`" in refusal(lambda text: text)  # pyright: ignore


@pytest.mark.parametrize("thing", [len, str.upper, Thing, 3, None])
def test_what_is_no_python_function(thing: Any) -> None:
    assert "it is no Python function with annotations. Write a function that calls it" in refusal(thing)


def test_a_type_under_type_checking_is_told_to_be_imported() -> None:
    def priced(price: Decimal) -> str:
        return str(price)

    told = late_refusal(read_signature(priced))
    assert told.startswith("priced (")
    assert "its input 'price', 'Decimal', can't be read at run time" in told
    assert "outside of `if TYPE_CHECKING`" in told


def test_a_local_type_of_a_function_further_out_is_told_to_move() -> None:
    class Local:
        pass

    def inner() -> Signature:
        def plain(value: Local) -> str:
            return repr(value)

        return read_signature(plain)

    assert "move it to module level" in late_refusal(inner())
