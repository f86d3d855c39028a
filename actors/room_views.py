"""What people see of a room. No nulls; ids only, never a patient's name."""

import msgspec

from actors.room_state import RoomState
from actors.room_status import RoomStatus
from domain.times import to_rfc3339


class ClaimView(msgspec.Struct, gc=False, omit_defaults=True):
    """`token` goes with every command under the claim; only its holder can use it."""

    by: str
    token: int
    since: str
    until: str
    device: str = ""


class AlertView(msgspec.Struct, gc=False, omit_defaults=True):
    """`type` is `long_wait`. The threshold is in seconds."""

    type: str
    status: RoomStatus
    since: str
    raised_at: str
    threshold_seconds: int


class RoomView(msgspec.Struct, gc=False, omit_defaults=True, kw_only=True):
    """`since`, `by` and `device` stamp the status. `undo_version` is what `undo` takes, if it can be undone;
    `undo_visit_id` the visit that it would bring back into the room."""

    id: str
    version: int
    organization_id: str
    location_id: str
    name: str
    kind: str = ""
    status: RoomStatus
    since: str
    by: str
    device: str = ""
    occupied: bool
    reason: str = ""
    waiting_for: str = ""
    patient_id: str = ""
    visit_id: str = ""
    held_for: str = ""
    hold_until: str = ""
    claim: ClaimView | msgspec.UnsetType = msgspec.UNSET
    alert: AlertView | msgspec.UnsetType = msgspec.UNSET
    undo_version: int = 0
    undo_visit_id: str = ""


def room_view(state: RoomState, version: int) -> RoomView:
    phase, previous = state.phase, state.previous
    return RoomView(
        id=state.room_id,
        version=version,
        organization_id=state.organization_id,
        location_id=state.location_id,
        name=state.name,
        kind=state.kind,
        status=phase.status,
        since=to_rfc3339(phase.since_ms),
        by=phase.by,
        device=phase.device,
        occupied=phase.occupied,
        reason=phase.reason,
        waiting_for=phase.waiting_for,
        patient_id=phase.patient_id,
        visit_id=phase.visit_id,
        held_for=phase.held_for,
        hold_until=to_rfc3339(phase.hold_until_ms) if phase.hold_until_ms else "",
        claim=_claim(state),
        alert=_alert(state),
        undo_version=0 if previous is None else state.phase_version,
        undo_visit_id="" if previous is None or phase.occupied else previous.visit_id,
    )


def _claim(state: RoomState) -> ClaimView | msgspec.UnsetType:
    holder = state.holder
    if holder is None:
        return msgspec.UNSET
    since, until = to_rfc3339(holder.since_ms), to_rfc3339(holder.until_ms)
    return ClaimView(holder.by, holder.token, since, until, holder.device)


def _alert(state: RoomState) -> AlertView | msgspec.UnsetType:
    alert = state.alert
    if alert is None:
        return msgspec.UNSET
    return AlertView(
        "long_wait",
        alert.status,
        to_rfc3339(alert.since_ms),
        to_rfc3339(state.alert_at_ms),
        alert.threshold_ms // 1_000,
    )
