"""How a room's events change its state: the same live and on replay."""

import msgspec

from actors.room_state import (
    AlertRaised,
    Claimed,
    Created,
    Described,
    Event,
    Holder,
    Phase,
    RoomState,
    StatusChanged,
    StatusUndone,
)
from actors.room_status import CLAIMABLE, RoomStatus
from actors.runtime.entity import Meta


def created(event: Created, meta: Meta) -> RoomState:
    phase = Phase(status=RoomStatus.AVAILABLE, since_ms=meta.time_ms, by=meta.actor, device=meta.device)
    return RoomState(
        room_id=event.room_id,
        organization_id=event.organization_id,
        location_id=event.location_id,
        name=event.name,
        kind=event.kind,
        phase=phase,
        phase_version=meta.version,
    )


def applied(state: RoomState, event: Event, meta: Meta) -> RoomState:
    if isinstance(event, StatusChanged):
        undo = None if event.to is RoomStatus.CLOSED else state.phase
        _enter(state, _next_phase(state.phase, event, meta), meta, event.lease_ms, undo=undo)
    elif isinstance(event, StatusUndone):
        if state.previous is None:
            raise ValueError("an undo follows a status change")
        _enter(state, _restored(state.previous, meta), meta, event.lease_ms, undo=None)
    elif isinstance(event, Claimed):
        since_ms = meta.time_ms
        if state.holder is not None and state.holder.token == event.token:
            since_ms = state.holder.since_ms
        state.holder = Holder(meta.actor, event.token, since_ms, meta.time_ms + event.lease_ms, meta.device)
        state.last_token = event.token
    elif isinstance(event, AlertRaised):
        state.alert = event
        state.alert_at_ms = meta.time_ms
    elif isinstance(event, Described):
        state.name = event.name
        state.kind = event.kind
    else:
        state.holder = None
    return state


def _next_phase(was: Phase, event: StatusChanged, meta: Meta) -> Phase:
    """Patient and visit come with `roomed`, stay as long as the session lasts and go with `turnover`."""
    phase = Phase(status=event.to, since_ms=meta.time_ms, by=meta.actor, device=meta.device, reason=event.reason)
    if event.to is RoomStatus.HELD:
        until_ms = meta.time_ms + event.hold_ms
        return msgspec.structs.replace(phase, held_for=event.visit_id, hold_ms=event.hold_ms, hold_until_ms=until_ms)
    if event.to is RoomStatus.ROOMED:
        return msgspec.structs.replace(phase, patient_id=event.patient_id, visit_id=event.visit_id)
    if phase.occupied:
        return msgspec.structs.replace(
            phase, patient_id=was.patient_id, visit_id=was.visit_id, waiting_for=event.waiting_for
        )
    return phase


def _restored(previous: Phase, meta: Meta) -> Phase:
    """As if the change had not been made; only a hold begins anew, else it could end at once."""
    if previous.status is not RoomStatus.HELD:
        return previous
    return msgspec.structs.replace(previous, hold_until_ms=meta.time_ms + previous.hold_ms)


def _enter(state: RoomState, phase: Phase, meta: Meta, lease_ms: int, *, undo: Phase | None) -> None:
    state.phase = phase
    state.phase_version = meta.version
    state.previous = undo
    state.alert = None
    state.alert_at_ms = 0
    if phase.status not in CLAIMABLE:
        state.holder = None
    elif lease_ms and state.holder is not None:
        state.holder = msgspec.structs.replace(state.holder, until_ms=meta.time_ms + lease_ms)
