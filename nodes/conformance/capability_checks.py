"""The checks of capabilities, one class for each. Take them beside `OperationChecks`."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from typing import ClassVar

import pytest

from ...checkpoints.codec import pack, unpack
from ..context import Context
from ..errors import OperationError
from ..operations.capabilities import (
    Absent,
    Adoptable,
    Cancellable,
    Conversational,
    Fetched,
    Findable,
    Found,
    Idempotent,
    Local,
    Once,
    Paced,
    PerContext,
    Receiving,
    Streamable,
    Unavailable,
)
from ..operations.outcomes import Cancelled, Running, Succeeded
from ..operations.protocol import Operation
from ._walk import finished, walk
from .checks import (
    CAPABILITIES,
    Checks,
    check_kills,
    end_of,
    new_key,
    run,
    stored,
    submit,
    told,
    until_not_running,
)
from .subject import Subject


class LocalChecks(Checks):
    """`Local`: nothing leaves the process."""

    capability: ClassVar[type | None] = Local

    def test_opening_is_pure(self, subject: Subject) -> None:
        async def check() -> None:
            at = subject.now()
            async with subject.process() as operation:
                assert isinstance(operation, Local)
                assert not inspect.iscoroutinefunction(operation.open)
                token = operation.open(subject.request, "key", at)
                assert token.created_at == at
            await subject.sleep(subject.spacing)
            async with subject.process() as operation:
                assert isinstance(operation, Local)
                assert operation.open(subject.request, "key", at) == token

        run(check())


class CancellableChecks(Checks):
    """`Cancellable`: asked until acknowledged, by whichever process is there."""

    capability: ClassVar[type | None] = Cancellable

    def test_a_cancel_is_asked_until_it_is_acknowledged_and_stays(self, subject: Subject) -> None:
        async def check() -> None:
            assert subject.long_request is not None, "Subject.long_request is missing"
            async with subject.process() as operation:
                assert isinstance(operation, Cancellable)
                token = await submit(operation, subject, new_key(), subject.long_request)
                first = await operation.cancel(token)
            async with subject.process() as operation:  # the first process died with the answer
                assert isinstance(operation, Cancellable)
                end = await until_not_running(operation.cancel, subject, stored(token))
                assert isinstance(end, Cancelled)
                assert isinstance(first, Running | Cancelled)
                assert isinstance(await operation.cancel(token), Cancelled)
                if not isinstance(operation, Local):  # who is cancelled here is not asked any more
                    assert isinstance(await operation.poll(token), Cancelled)

        run(check())

    def test_a_cancel_after_the_end_changes_nothing(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Cancellable)
                token = await submit(operation, subject, new_key())
                end = await end_of(operation, subject, token)
                assert told(await operation.cancel(token)) == told(end)
                assert told(await operation.poll(token)) == told(end)

        run(check())


class FindableChecks(Checks):
    """`Findable`: looked for before anything is submitted again."""

    capability: ClassVar[type | None] = Findable

    def test_what_was_accepted_is_found_once_it_is_settled(self, subject: Subject) -> None:
        async def check() -> None:
            key = new_key()
            async with subject.process() as operation:
                token = await operation.submit(subject.request, key)
            async with subject.process() as operation:
                assert isinstance(operation, Findable)
                await subject.sleep(operation.submit_takes + operation.settles_within)
                finding = await self._conclusive(operation, subject, key)
                assert isinstance(finding, Found)
                assert [found.handle for found in finding.tokens] == [token.handle]
                assert isinstance(operation, Operation)
                assert told(await end_of(operation, subject, finding.tokens[0])) == told(
                    await end_of(operation, subject, token)
                )
                assert isinstance(await self._conclusive(operation, subject, key), Found)
            assert subject.accepted is not None, "Subject.accepted is missing"
            assert subject.accepted(key) == 1

        run(check())

    def test_what_was_never_submitted_is_absent(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Findable)
                assert isinstance(await self._conclusive(operation, subject, new_key()), Absent)

        run(check())

    async def _conclusive(self, operation: Findable, subject: Subject, key: str) -> Found | Absent:
        while isinstance(finding := await operation.find(subject.request, key), Unavailable):
            await subject.sleep(finding.retry_after or subject.spacing)
        return finding


class IdempotentChecks(Checks):
    """`Idempotent`: the same key is the same operation, for a while. `Subject.sleep` should not take real time."""

    capability: ClassVar[type | None] = Idempotent

    def test_a_key_that_is_sent_again_is_the_same_operation(self, subject: Subject) -> None:
        async def check() -> None:
            key = new_key()
            async with subject.process() as operation:
                assert isinstance(operation, Idempotent)
                assert operation.idempotent_for > 0
                token = await operation.submit(subject.request, key)
            async with subject.process() as operation:
                assert isinstance(operation, Idempotent)
                await subject.sleep(operation.idempotent_for * 0.9)
                assert (await operation.submit(subject.request, key)).handle == token.handle
                assert (await operation.submit(subject.request, new_key())).handle != token.handle
            assert subject.accepted is not None, "Subject.accepted is missing"
            assert subject.accepted(key) == 1

        run(check())


class OnceChecks(Checks):
    """`Once`: a result that is taken is kept before it is read."""

    capability: ClassVar[type | None] = Once

    def test_a_result_is_taken_once_and_read_as_often_as_needed(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Once)
                token = await operation.submit(subject.request, new_key())
                while isinstance(answer := await operation.fetch(token), Running):
                    await subject.sleep(answer.retry_after or subject.spacing)
                raw = unpack(pack(answer.raw))
                assert raw == answer.raw
                end = operation.read(answer.raw)
                assert isinstance(end, Succeeded)
            async with subject.process() as operation:
                assert isinstance(operation, Once)
                assert told(operation.read(raw)) == told(operation.read(raw)) == told(end)
                gone = await operation.fetch(token)
                assert isinstance(gone, Fetched)
                assert not isinstance(operation.read(gone.raw), Succeeded | Running)

        run(check())


class StreamableChecks(Checks):
    """`Streamable`: every character once, whoever reads on."""

    capability: ClassVar[type | None] = Streamable

    def test_cut_at_any_piece_the_stream_goes_on_right_there(self, subject: Subject) -> None:
        async def check() -> None:
            assert subject.text is not None, "Subject.text is missing"
            async with subject.process() as operation:
                token = await submit(operation, subject, new_key())
            pieces, end = 0, None
            text = ""
            while end is None:  # each process reads one piece
                pieces += 1
                async with subject.process() as operation:
                    assert isinstance(operation, Streamable)
                    async with aclosing(operation.stream(stored(token))) as stream:
                        piece = await anext(stream)
                text, token, end = text + piece.text, piece.token, piece.end
            assert isinstance(end, Succeeded)
            assert text == subject.text(end.value)
            async with subject.process() as operation:  # read without a cut, and after the end
                assert isinstance(operation, Streamable)
                async with aclosing(operation.stream(token.at(None))) as stream:
                    again = [piece async for piece in stream]
            assert "".join(piece.text for piece in again) == text
            assert [piece.end is None for piece in again] == [True] * (len(again) - 1) + [False]

        run(check())


class ConversationalChecks(Checks):
    """`Conversational`: calls and questions are answered once, and the next operation goes on with that."""

    capability: ClassVar[type | None] = Conversational

    def test_killed_at_any_instant_the_conversation_comes_to_the_same_end(self, subject: Subject) -> None:
        async def check() -> None:
            assert subject.conversation is not None, "Subject.conversation is missing"
            alive = await check_kills(subject, subject.conversation, 1)
            assert len(alive.operations) > 1, "Subject.conversation must ask for something"

        run(check())

    def test_the_next_request_is_the_same_each_time(self, subject: Subject) -> None:
        async def check() -> None:
            assert subject.conversation is not None, "Subject.conversation is missing"
            walked = await walk(subject, subject.conversation, new_key())
            for number in range(1, len(walked.operations)):
                done = [finished(operation) for operation in walked.operations[:number]]
                async with subject.process() as operation:
                    assert isinstance(operation, Conversational)
                    assert operation.proceed(done) == walked.operations[number]["request"]

        run(check())


class ReceivingChecks(Checks):
    """`Receiving`: a signal names its operation and says no more than a poll would."""

    capability: ClassVar[type | None] = Receiving

    def test_a_signal_says_what_a_poll_says(self, subject: Subject) -> None:
        async def check() -> None:
            assert subject.signals is not None, "Subject.signals is missing"
            async with subject.process() as operation:
                token = await submit(operation, subject, new_key())
                end = await end_of(operation, subject, token)
                signals = subject.signals()
            async with subject.process() as operation:
                assert isinstance(operation, Receiving)
                received = [operation.receive(unpack(pack(dict(signal)))) for signal in (*signals, *signals)]
                ours = [signal for signal in received if dict(signal.handle) == dict(token.handle)]
                assert ours, "no signal names the handle of the operation's token"
                for signal in ours:
                    assert signal.outcome is None or told(signal.outcome) == told(end)

        run(check())

    def test_a_signal_of_something_else_is_refused(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Receiving)
                with pytest.raises(OperationError):
                    operation.receive({"type": "conformance.of-something-else"})

        run(check())


class PacedChecks(Checks):
    """`Paced`: a fresh token is polled when that is worth it."""

    capability: ClassVar[type | None] = Paced

    def test_the_first_poll_has_a_time(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, Paced)
                token = await submit(operation, subject, new_key())
                assert 0 <= operation.poll_after(token) <= 3600

        run(check())


class AdoptableChecks(Checks):
    """`Adoptable`: a handle that a person copied is as good as the one that was replied."""

    capability: ClassVar[type | None] = Adoptable

    def test_a_handle_in_one_word_is_enough(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                token = await submit(operation, subject, new_key())
                [word] = [part for part in token.handle.values() if isinstance(part, str)]
            async with subject.process() as operation:
                assert isinstance(operation, Adoptable)
                adopted = operation.adopt(word)
                assert (adopted.provider, adopted.handle) == (token.provider, token.handle)
                assert told(await end_of(operation, subject, adopted)) == told(
                    await end_of(operation, subject, token)
                )

        run(check())


class PerContextChecks(Checks):
    """`PerContext`: every process gets the same account for a context.

    For a class of its own, whose `Subject.process` makes the adapter as a node has it. What it gives takes
    `OperationChecks` and the rest.
    """

    capability = PerContext

    def test_it_can_do_what_the_adapters_can_that_it_gives(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, PerContext)
                given = operation.in_context(_context(subject))
                assert isinstance(given, Operation)
                assert not isinstance(given, PerContext)
                assert given.provider == operation.provider
                for capability in CAPABILITIES:
                    assert isinstance(given, capability) == isinstance(operation, capability), capability

        run(check())

    def test_another_process_goes_on_in_the_same_context(self, subject: Subject) -> None:
        async def check() -> None:
            async with subject.process() as operation:
                assert isinstance(operation, PerContext)
                token = await submit(operation.in_context(_context(subject)), subject, new_key())
            async with subject.process() as operation:
                assert isinstance(operation, PerContext)
                again = operation.in_context(_context(subject))
                assert isinstance(await end_of(again, subject, stored(token)), Succeeded)

        run(check())

    def test_without_a_context_nothing_is_sent(self, subject: Subject) -> None:
        async def check() -> None:
            key = new_key()
            async with subject.process() as operation:
                with pytest.raises(OperationError):
                    await operation.submit(subject.request, key)
            assert subject.accepted is not None, "Subject.accepted is missing"
            assert subject.accepted(key) == 0

        run(check())


def _context(subject: Subject) -> Context:
    assert subject.context is not None, "Subject.context is missing"
    return subject.context
