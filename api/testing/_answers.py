"""What a fake answers with: one answer for good, a function of the prompt, or several in order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, cast, get_origin

from perdure.checkpoints.errors import ValueNotStorableError
from perdure.nodes.node import Node

from .errors import FakeError


def encoded(node: Node[Any, Any], value: object) -> bytes:
    """An answer as the node's output is stored. Raises `FakeError` for a value that is not of the node's output type."""
    codec = node.output_codec
    try:
        return codec.encode(value)
    except ValueNotStorableError as error:
        raise FakeError(
            f"The fake answer of node {node.name!r} is no {codec.name}, which the node gives: {error}. "
            f"Answer with a {codec.name}."
        ) from error


def function_of(given: object) -> Callable[[Any], object] | None:
    """The function, where an answer is given as one."""
    return given if callable(given) and not isinstance(given, type | BaseException) else None


class Answers:
    """The answers of one node. A list holds answers in order, unless it is itself what the node gives."""

    def __init__(self, node: Node[Any, Any], given: object) -> None:
        """Raises `FakeError` for an answer that the node can't give, where that can be told before it is asked."""
        self._node = node
        self._rest: Iterator[object] | None = None
        self._constant = given
        answers: list[object] = [given]
        if isinstance(given, Iterator):
            self._rest = cast("Iterator[object]", given)
            return
        if isinstance(given, list) and not self._is_whole(cast("list[object]", given)):
            answers = cast("list[object]", given)
            self._rest = iter(answers)
        for answer in answers:
            if not isinstance(answer, BaseException) and function_of(answer) is None:
                encoded(node, answer)

    async def next(self, prompt: object) -> object:
        """The answer to this prompt, encoded, or an exception that was given as one.

        Raises `FakeError`, and what a function of the user's raised that is not given as an answer.
        """
        answer = self._constant
        if self._rest is not None:
            try:
                answer = next(self._rest)
            except StopIteration:
                raise FakeError(
                    f"Node {self._node.name!r} was asked more often than its fake has answers. It was asked: {prompt!r}"
                ) from None
        function = function_of(answer)
        if function is not None:
            answer = function(prompt)
            if inspect.isawaitable(answer):
                answer = await answer
        return answer if isinstance(answer, BaseException) else encoded(self._node, answer)

    def _is_whole(self, given: list[object]) -> bool:
        """Whether a list is what the node gives."""
        output = self._node.output
        if output is not list and get_origin(output) is not list:
            return False
        try:
            encoded(self._node, given)
        except FakeError:
            return False
        return True
