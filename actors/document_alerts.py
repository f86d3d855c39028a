"""What does not add up in a document. Never a reason to refuse a fact; always visible.

A container's amount is compared with what was drawn from it in its own unit: nothing is converted (C3, C5).
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from actors.document_events import (
    AlertCleared,
    AlertRaised,
    ContainerOpened,
    Fact,
    PointAdded,
    PointPerformed,
    WastageRecorded,
)
from actors.document_state import DocumentState
from actors.document_values import Injection
from domain.dose import thousandths_of
from domain.times import to_rfc3339


class AlertKind(StrEnum):
    OVERDRAWN = "overdrawn"
    EXPIRED_LOT = "expired_lot"
    UNKNOWN_CONTAINER = "unknown_container"
    CONTAINER_MISMATCH = "container_mismatch"
    PERFORMED_AFTER_STRIKE = "performed_after_strike"
    LATE_ENTRY = "late_entry"


LASTING: Final = frozenset((AlertKind.PERFORMED_AFTER_STRIKE, AlertKind.LATE_ENTRY))
"""About an event: nothing makes it undone. The others go when the document adds up again."""


class Draw(msgspec.Struct, frozen=True):
    """An amount taken from a container, injected or wasted (then without a product)."""

    container_id: str
    thousandths: int
    unit: str
    at_ms: int
    product_id: str = ""
    lot: str = ""


Key = tuple[str, str]
"""What sort of thing it is (`point`, `wastage`, `late`), and its id."""


def changes(
    state: DocumentState, *, draws: Mapping[Key, Draw | None] | None = None, opened: ContainerOpened | None = None
) -> tuple[AlertRaised | AlertCleared, ...]:
    """The alerts that come and go when these draws are made, or unmade (None), or when a container is opened."""
    containers = containers_of(state)
    if opened is not None:
        containers[opened.container_id] = opened
    merged: dict[Key, Draw | None] = {**draws_of(state), **(draws or {})}
    wanted = discrepancies(containers, {key: draw for key, draw in merged.items() if draw is not None})
    present = {(alert.kind, alert.subject) for alert in state.alerts.values() if alert.kind not in LASTING}
    raised = [AlertRaised(kind=kind, subject=subject) for kind, subject in sorted(wanted - present)]
    cleared = [AlertCleared(kind=kind, subject=subject) for kind, subject in sorted(present - wanted)]
    return (*raised, *cleared)


def discrepancies(containers: Mapping[str, ContainerOpened], draws: Mapping[Key, Draw]) -> set[tuple[str, str]]:
    """(kind, subject) of all that does not add up: subjects are containers, or points, wastage and late entries."""
    found: set[tuple[str, str]] = set()
    drawn: dict[str, int] = {}
    for (_, subject), draw in draws.items():
        if not draw.container_id:
            continue
        container = containers.get(draw.container_id)
        if container is None:
            found.add((AlertKind.UNKNOWN_CONTAINER.value, draw.container_id))
            continue
        if draw.unit == container.unit:
            drawn[draw.container_id] = drawn.get(draw.container_id, 0) + draw.thousandths
        if not _fits(draw, container):
            found.add((AlertKind.CONTAINER_MISMATCH.value, subject))
        if draw.product_id and container.expires_on and to_rfc3339(draw.at_ms)[:10] > container.expires_on:
            found.add((AlertKind.EXPIRED_LOT.value, subject))
    for container_id, thousandths in drawn.items():
        if thousandths > thousandths_of(containers[container_id].amount):
            found.add((AlertKind.OVERDRAWN.value, container_id))
    return found


def containers_of(state: DocumentState) -> dict[str, ContainerOpened]:
    """All that were opened, also those told late."""
    late = (item.fact for item in state.late.values())
    facts: Iterable[Fact] = (*late, *(item.fact for item in state.containers.values()))
    return {fact.container_id: fact for fact in facts if isinstance(fact, ContainerOpened)}


def draws_of(state: DocumentState) -> dict[Key, Draw]:
    """All that was injected and wasted, also what was told late; not what was entered in error."""
    found: dict[Key, Draw] = {}
    for key, point in state.points.items():
        if point.performed is not None and point.struck is None:
            found["point", key] = injected(point.performed.injection, point.performed.stamp.at_ms)
    for sort, items in (("wastage", state.wastage), ("late", state.late)):
        for key, item in items.items():
            draw = draw_of(item.fact)
            if draw is not None:
                found[sort, key] = draw
    return found


def draw_of(fact: Fact) -> Draw | None:
    if isinstance(fact, PointAdded | PointPerformed):
        return None if fact.injection is None else injected(fact.injection, fact.at_ms)
    if isinstance(fact, WastageRecorded):
        return Draw(fact.container_id, thousandths_of(fact.amount), fact.unit, fact.at_ms)
    return None


def injected(injection: Injection, at_ms: int) -> Draw:
    dose = thousandths_of(injection.dose)
    return Draw(injection.container_id, dose, injection.unit, at_ms, injection.product_id, injection.lot)


def _fits(draw: Draw, container: ContainerOpened) -> bool:
    """Whether it can have come out of this container: its unit, its product, its lot as far as both are named."""
    return (
        draw.unit == container.unit
        and draw.product_id in {"", container.product_id}
        and (not draw.lot or not container.lot or draw.lot == container.lot)
    )
