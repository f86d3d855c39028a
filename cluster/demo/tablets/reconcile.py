"""The verdict: every edit against its outcome and its one event, every screen against the server.

An edit is *lost* where an event that it must have left is missing, *duplicated* where there are more of them than
there may be, or an event of charting that belongs to no edit at all.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from cluster.demo.tablets.evidence import CHART, QUARANTINE, ROOM, Check, Edited, Event, Evidence, Sight, Trace

SERVER: Final = "server"

OF_EDITS: Final = {
    CHART: frozenset(
        {
            *("created", "register_set", "conflict_raised", "conflict_resolved", "point_added", "point_performed"),
            *("container_opened", "note_appended", "signed"),
        }
    ),
    ROOM: frozenset({"claimed", "status_changed"}),
    QUARANTINE: frozenset({"add_point"}),
}
"""Events that come from somebody's edit and from nothing else: each must be known by one."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`edits`, `screens` and `checks` are the table's rows, in three parts."""

    edits: tuple[Check, ...]
    screens: tuple[Check, ...]
    checks: tuple[Check, ...]
    lost: int
    duplicated: int

    @property
    def rows(self) -> tuple[Check, ...]:
        return (*self.edits, *self.screens, *self.checks)

    @property
    def good(self) -> bool:
        return not self.lost and not self.duplicated and all(row.ok for row in self.rows)


def reconcile(evidence: Evidence) -> Verdict:
    lost = duplicated = 0
    rows = []
    for edit in evidence.edits:
        found = [_count(trace, edit, evidence.events) for trace in edit.traces]
        lost += sum(max(0, trace.times - times) for trace, times in zip(edit.traces, found, strict=True))
        duplicated += sum(max(0, times - trace.times) for trace, times in zip(edit.traces, found, strict=True))
        expected = _words(edit.wanted, edit.traces, [trace.times for trace in edit.traces])
        rows.append(Check(f"{edit.who}: {edit.what}", expected, _words(edit.came, edit.traces, found)))
    strays = [event for event in evidence.events if _is_stray(event, evidence.edits)]
    rows.append(Check("events that no edit explains", "none", _named(strays) or "none"))
    return Verdict(
        edits=tuple(rows),
        screens=tuple(_screens(evidence.sights)),
        checks=evidence.checks,
        lost=lost,
        duplicated=duplicated + len(strays),
    )


def digest(state: dict[str, Any]) -> str:
    """A few characters that differ when anything of the state does."""
    return hashlib.sha256(_encode(state)).hexdigest()[:8]


def _count(trace: Trace, edit: Edited, events: Iterable[Event]) -> int:
    return sum(trace.fits(event, edit.by, edit.device) for event in events)


def _words(outcome: str, traces: Sequence[Trace], times: Sequence[int]) -> str:
    found = [f"{count}x {trace.type}{_place(trace)}" for trace, count in zip(traces, times, strict=True)]
    return "; ".join((outcome, *found))


def _place(trace: Trace) -> str:
    return " in quarantine" if trace.where == QUARANTINE else ""


def _is_stray(event: Event, edits: Iterable[Edited]) -> bool:
    if event.type not in OF_EDITS[event.where] or event.by == "system":
        return False
    return not any(trace.times and trace.fits(event, edit.by, edit.device) for edit in edits for trace in edit.traces)


def _named(events: Sequence[Event]) -> str:
    return ", ".join(f"{event.type} in {event.where}" for event in events)


def _screens(sights: Iterable[Sight]) -> Iterable[Check]:
    """Each sight against the server's of the same thing; a thing without a sight of the server's is not as expected."""
    sights = list(sights)
    measures = {sight.what: _short(sight) for sight in sights if sight.where == SERVER}
    for sight in sights:
        if sight.where != SERVER:
            yield Check(f"{sight.what} on {sight.where}", measures.get(sight.what, "unknown"), _short(sight))


def _short(sight: Sight) -> str:
    state = sight.state
    return f"v{state.get('version', 0)} {state.get('status', 'unknown')}, {digest(state)}"
