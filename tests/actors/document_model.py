"""A small model of a document's registers and facts, written from the rules, for the stateful test."""

from fractions import Fraction
from typing import Any, NamedTuple

from actors.document_values import Injection
from domain.times import to_rfc3339


class Change(NamedTuple):
    version: int
    value: Any
    hand: tuple[str, str]
    at_ms: int


class Told(NamedTuple):
    """What became of an offered value."""

    outcome: str
    value: Any


class RegisterModel:
    """Every change of one register, and every value that it did not take."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.conflicts: dict[str, tuple[Any, Any]] = {}
        self.told: list[Told] = []

    @property
    def value(self) -> Any:
        return self.changes[-1].value

    def expects(self, value: Any, base: int, hand: tuple[str, str], at_ms: int) -> str:
        """`applied`, `same` or `conflict`: fresh is who knows the register, or made all that came since."""
        if not self.changes:
            return "applied"
        last = self.changes[-1]
        if type(last.value) is type(value) and last.value == value:
            return "same"
        since = [change for change in self.changes if change.version > base]
        own = hand[1] != "" and all(change.hand == hand for change in since) and at_ms >= last.at_ms
        return "applied" if base == last.version or (since and own) else "conflict"


class Container(NamedTuple):
    product_id: str
    lot: str
    amount: str
    unit: str
    expires_on: str


def expected_alerts(
    containers: dict[str, Container], injections: dict[str, tuple[Injection, int]], wasted: dict[str, Any]
) -> set[tuple[str, str]]:
    """What does not add up, computed naively with exact fractions."""
    found = set()
    used: dict[str, Fraction] = {}
    for key, (given, at_ms) in injections.items():
        container = containers.get(given.container_id)
        if not given.container_id:
            continue
        if container is None:
            found.add(("unknown_container", given.container_id))
            continue
        other_lot = given.lot and container.lot and given.lot != container.lot
        if given.product_id != container.product_id or given.unit != container.unit or other_lot:
            found.add(("container_mismatch", key))
        if container.expires_on and to_rfc3339(at_ms)[:10] > container.expires_on:
            found.add(("expired_lot", key))
        if given.unit == container.unit:
            used[given.container_id] = used.get(given.container_id, Fraction()) + Fraction(given.dose)
    for key, waste in wasted.items():
        container = containers.get(waste.container_id)
        if container is None:
            found.add(("unknown_container", waste.container_id))
        elif waste.unit != container.unit:
            found.add(("container_mismatch", key))
        else:
            used[waste.container_id] = used.get(waste.container_id, Fraction()) + Fraction(waste.amount)
    found |= {("overdrawn", key) for key, amount in used.items() if amount > Fraction(containers[key].amount)}
    return found
