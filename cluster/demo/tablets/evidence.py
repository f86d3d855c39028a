"""What the play brings home to be compared: what people did and were told, and what the server has of it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from realtime.client.outcome import Result

CHART: Final = "the chart"
ROOM: Final = "the room"
QUARANTINE: Final = "quarantine"
"""Where an event is: the history of the document, that of the room, the quarantine of a provider session."""

APPLIED: Final = "applied"
KEPT: Final = "conflict, both kept"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a journal as its history over HTTP shows it, or one command in quarantine (`type` is its op)."""

    where: str
    type: str
    by: str
    device: str = ""
    details: dict[str, Any] = {}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The event by which an edit is known: it is to be found `times`. `details` are some of the event's."""

    where: str
    type: str
    details: dict[str, Any] = {}
    times: int = 1

    def fits(self, event: Event, by: str, device: str) -> bool:
        return (self.where, self.type, by, device) == (event.where, event.type, event.by, event.device) and _within(
            self.details, event.details
        )


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """One edit: who made it on which device, and what it was to come to and came to (as `outcome_of` says it)."""

    who: str
    what: str
    by: str
    device: str
    wanted: str
    came: str
    traces: tuple[Trace, ...] = ()


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """An entity as somebody has it. `where`: "server", "Pia's tablet", "board" …"""

    where: str
    what: str
    state: dict[str, Any]


class Check(msgspec.Struct, frozen=True):
    """A fact to be as expected; both as people read them."""

    what: str
    expected: str
    seen: str

    @property
    def ok(self) -> bool:
        return self.expected == self.seen


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Of `sights`, the server's of each entity is the measure of the others."""

    edits: tuple[Edited, ...]
    events: tuple[Event, ...]
    sights: tuple[Sight, ...]
    checks: tuple[Check, ...]


def outcome_of(result: Result) -> str:
    """A result in words: `applied`, `conflict, both kept`, `conflict with waiting`, `rejected: conflicts_open` …

    Whether it was quarantined as well is for its traces to say.
    """
    final = result.final
    if final == "applied":
        return APPLIED
    if result.conflict_id:
        return KEPT
    if final == "conflict":
        return f"conflict with {result.current}"
    return f"rejected: {result.errors[0]['code'] if result.errors else result.code}"


def _within(some: Mapping[str, Any], details: Mapping[str, Any]) -> bool:
    """Whether all of `some` is in `details`, also in a mapping inside."""
    for name, value in some.items():
        found = details.get(name)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            if not _within(value, found):
                return False
        elif found != value:
            return False
    return True
