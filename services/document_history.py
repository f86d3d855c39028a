"""A document's history as people read it: its journal, event by event."""

from typing import Any

import msgspec

from actors.runtime.entity import Meta
from domain.times import to_rfc3339


class HistoryEntry(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that happened. `type` is the event's name, `details` its fields.

    `at` is when the device says that it happened, `recorded_at` when it arrived.
    """

    version: int
    type: str
    at: str
    recorded_at: str
    by: str
    device: str = ""
    details: dict[str, Any] = {}


def history_entry(event: Any, meta: Meta) -> HistoryEntry:
    """The entry of one journaled event; `meta` is what its row says."""
    details = {name: value for name, value in msgspec.to_builtins(event).items() if value is not None}
    at_ms = details.pop("at_ms", meta.time_ms)
    return HistoryEntry(
        version=meta.version,
        type=details.pop("type"),
        at=to_rfc3339(at_ms),
        recorded_at=to_rfc3339(meta.time_ms),
        by=meta.actor,
        device=meta.device,
        details=_with_times(details),
    )


def _with_times(details: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds become RFC 3339, also in a fact within."""
    shown: dict[str, Any] = {}
    for name, value in details.items():
        if isinstance(value, dict):
            shown[name] = _with_times(value)
        elif name.endswith("_ms") and isinstance(value, int):
            shown[name.removesuffix("_ms") + "_at" if name != "at_ms" else "at"] = to_rfc3339(value)
        else:
            shown[name] = value
    return shown
