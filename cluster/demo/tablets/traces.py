"""The event by which each sort of edit is known in a history."""

from typing import Any

from cluster.demo.tablets.evidence import CHART, QUARANTINE, ROOM, Trace


def in_chart(type_: str, times: int = 1, **details: Any) -> Trace:
    return Trace(where=CHART, type=type_, details=details, times=times)


def in_room(type_: str, times: int = 1, **details: Any) -> Trace:
    return Trace(where=ROOM, type=type_, details=details, times=times)


def in_quarantine(op: str, **args: Any) -> Trace:
    return Trace(where=QUARANTINE, type=op, details=args)


def moved(status: str, times: int = 1) -> Trace:
    """The room, to this status."""
    return in_room("status_changed", times, status=status)


def injected(point_id: str, dose: str) -> Trace:
    return in_chart("point_performed", point_id=point_id, injection={"dose": dose})


def made_ready() -> Trace:
    return in_chart("status_changed", to="ready", cause="set_status")
