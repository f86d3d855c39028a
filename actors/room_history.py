"""A room's history as its people read it: its journal, event by event."""

import msgspec

from actors.room_state import (
    AlertRaised,
    Claimed,
    ClaimEnded,
    Created,
    Described,
    Event,
    StatusChanged,
    StatusUndone,
)
from actors.runtime.entity import Meta
from domain.times import SECOND_MS, to_rfc3339


class HistoryEntry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that happened: when, by whom, on which device. `type` is the event's name; ids only, never a name.

    `threshold_seconds` belongs to an alert, `instead_of` to a claim that was taken over, `undone` to an undo: the
    version that it took back.
    """

    version: int
    at: str
    type: str
    by: str
    device: str = ""
    status: str = ""
    previous: str = ""
    reason: str = ""
    waiting_for: str = ""
    patient_id: str = ""
    visit_id: str = ""
    token: int = 0
    instead_of: str = ""
    undone: int = 0
    threshold_seconds: int = 0
    name: str = ""
    kind: str = ""


def history_entry(event: Event, meta: Meta) -> HistoryEntry:
    """The entry of one journaled event; `meta` is what its row says."""
    entry = HistoryEntry(
        version=meta.version,
        at=to_rfc3339(meta.time_ms),
        type=str(event.__struct_config__.tag),
        by=meta.actor,
        device=meta.device,
    )
    match event:
        case Created() | Described():
            entry.name, entry.kind = event.name, event.kind
        case StatusChanged():
            entry.status, entry.previous = event.to.value, event.from_.value
            entry.reason, entry.waiting_for = event.reason, event.waiting_for
            entry.patient_id, entry.visit_id = event.patient_id, event.visit_id
        case StatusUndone():
            entry.status, entry.previous, entry.undone = event.to.value, event.from_.value, event.version
        case Claimed():
            entry.token, entry.instead_of, entry.reason = event.token, event.instead_of, event.reason
        case ClaimEnded():
            entry.token, entry.reason = event.token, "expired" if event.expired else ""
        case AlertRaised():
            entry.status, entry.waiting_for = event.status.value, event.waiting_for
            entry.threshold_seconds = event.threshold_ms // SECOND_MS
    return entry
