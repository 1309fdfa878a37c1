"""Where in a run something is: activations, their operations, and the keys that go out with them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import NamedTuple

_OPERATION = re.compile(
    r"(?P<address>.*\S)\s*\((?:ask (?P<chain>\"(?:[^\"\\]|\\.)*\")(?:, turn (?P<turn>\d+))?|turn (?P<only>\d+))\)",
    re.DOTALL,
)
_ADDRESS = re.compile(r"(?P<node>[^\[\]]+?)(?:\[(?P<path>\d+(?:\s*,\s*\d+)*)\])?")


class Address(NamedTuple):
    """Which activation: a node's name and its item path, outermost map first; `()` in the root scope."""

    node: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.node}[{', '.join(map(str, self.path))}]" if self.path else self.node


class OperationAddress(NamedTuple):
    """Which operation of an activation: of which attempt, in which chain (empty: the node's own), at which place.

    Chains are independent of each other. As text: `research[3]`, `research[3] (ask "prices", turn 1)`; the attempt,
    which is the current one wherever people see it, is left out.
    """

    address: Address
    attempt: int = 1
    chain: str = ""
    number: int = 0

    def __str__(self) -> str:
        if not self.chain and not self.number:
            return str(self.address)
        ask = f"ask {json.dumps(self.chain, ensure_ascii=False)}" if self.chain else ""
        turn = f"turn {self.number}" if self.number else ""
        return f"{self.address} ({ask}{', ' if ask and turn else ''}{turn})"


def parse_address(text: str) -> Address | None:
    """The address that is written so (`research[3]`), None when it is none."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        return None
    path = match["path"]
    return Address(match["node"].strip(), tuple(map(int, path.split(","))) if path else ())


def parse_operation(text: str) -> OperationAddress | None:
    """The operation that is written so (`research[3] (ask "prices", turn 1)`), None when it is none.

    The text does not say of which attempt; the first is given.
    """
    match = _OPERATION.fullmatch(text.strip())
    address = parse_address(text if match is None else match["address"])
    if address is None:
        return None
    if match is None:
        return OperationAddress(address)
    try:
        chain = json.loads(match["chain"] or '""')
    except ValueError:
        return None
    return OperationAddress(address, 1, chain, int(match["turn"] or match["only"] or 0))


def idempotency_key(nonce: str, address: Address) -> str:
    """The same for every attempt and after every crash of an activation, different for all others.

    `nonce` is random and made with the run, so that two databases with one run id never meet at a provider.
    """
    text = f"{nonce}\0{address.node}\0{','.join(map(str, address.path))}"
    return f"perdure-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def submission_key(nonce: str, operation: OperationAddress) -> str:
    """The key that all submissions of an operation carry: a provider that honours keys makes one run of them."""
    key = f"{idempotency_key(nonce, operation.address)}-{operation.attempt}"
    if not operation.chain and not operation.number:
        return key
    chain = hashlib.sha256(operation.chain.encode("utf-8", "surrogatepass")).hexdigest()[
        :16
    ]  # a user's own text
    return f"{key}-{chain}-{operation.number}"
