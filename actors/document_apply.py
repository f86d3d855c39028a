"""How a document's events change its state: the same live and on replay."""

from collections.abc import Callable
from typing import Any, Final

from actors.document_events import (
    AddendumAdded,
    AlertCleared,
    AlertRaised,
    ConflictRaised,
    ConflictResolved,
    ContainerOpened,
    Created,
    Event,
    Joined,
    LateEntered,
    LeftOff,
    NoteAppended,
    Occurred,
    PhotoAttached,
    PointAdded,
    PointPerformed,
    PointStruck,
    RegisterSet,
    Signed,
    StatusChanged,
    WastageRecorded,
)
from actors.document_facts import fact_length
from actors.document_registers import LINKED, register_at, resolved_stamp
from actors.document_state import (
    Addendum,
    Alert,
    Conflict,
    DocumentState,
    Item,
    Performed,
    Phase,
    Point,
    Register,
    Resolution,
    Signature,
    Stamp,
    Strike,
)
from actors.document_status import Cause, DocumentStatus
from actors.document_values import PARTICIPANTS_MAX, Injection, text_length
from actors.runtime.entity import Meta

_NO_AUTHORSHIP: Final = frozenset((Cause.ENTER_IN_ERROR.value, Cause.REJECT_COSIGN.value))
"""Ways to move a document that do not make the mover one of those who write in it."""


def created(event: Created, meta: Meta) -> DocumentState:
    stamp = _stamp(event, meta)
    phase = Phase(status=DocumentStatus.DRAFT, stamp=stamp)
    return DocumentState(
        document_id=event.document_id,
        organization_id=event.organization_id,
        location_id=event.location_id,
        patient_id=event.patient_id,
        template=event.template,
        visit_id=event.visit_id,
        title=event.title,
        needs_cosign=event.needs_cosign,
        cosigner=event.cosigner,
        created=stamp,
        phase=phase,
        phases={phase.status.value: phase},
        participants={meta.actor: stamp},
        updated_ms=meta.time_ms,
    )


def applied(state: DocumentState, event: Event, meta: Meta) -> DocumentState:
    state.updated_ms = meta.time_ms
    _APPLIERS[type(event)](state, event, meta)
    if _writes(event):
        told = event.fact if isinstance(event, LateEntered) else event
        _take_part(state, _stamp(told, meta))
    return state


def _stamp(event: Any, meta: Meta) -> Stamp:
    return Stamp(by=meta.actor, at_ms=event.at_ms, recorded_ms=meta.time_ms, device=meta.device, hlc_raw=event.hlc_raw)


def _writes(event: Event) -> bool:
    """Whether its author takes part in the encounter by it."""
    if isinstance(event, StatusChanged):
        return event.cause not in _NO_AUTHORSHIP
    return isinstance(event, Occurred | LateEntered) and not isinstance(event, LeftOff)


def _take_part(state: DocumentState, stamp: Stamp) -> None:
    if len(state.participants) < PARTICIPANTS_MAX:
        state.participants.setdefault(stamp.by, stamp)


def _register_set(state: DocumentState, event: RegisterSet, meta: Meta) -> None:
    _put(state, event.register, event.value, _stamp(event, meta), meta.version)


def _put(state: DocumentState, name: str, value: str | int | bool, stamp: Stamp, version: int) -> None:
    before = register_at(state, name)
    state.text_length += text_length(value)
    if isinstance(before, Register):
        state.text_length -= text_length(before.value)
    register = _next(before if isinstance(before, Register) else None, value, stamp, version)
    if not name.startswith("point/"):
        state.fields[name] = register
        return
    _, point_id, name_in_point = name.split("/")
    plan = state.points[point_id].plan
    plan[name_in_point] = register
    linked = LINKED.get(name_in_point, "")
    if linked in plan:
        plan[linked] = _next(plan[linked], plan[linked].value, stamp, version)


def _next(before: Register | None, value: str | int | bool, stamp: Stamp, version: int) -> Register:
    """A run of changes by one person on one device keeps the version it began from."""
    base_fver = 0
    if before is not None:
        same_hand = stamp.device != "" and (before.stamp.by, before.stamp.device) == (stamp.by, stamp.device)
        base_fver = before.base_fver if same_hand else before.fver
    return Register(value=value, fver=version, stamp=stamp, base_fver=base_fver)


def _conflict_raised(state: DocumentState, event: ConflictRaised, meta: Meta) -> None:
    register = register_at(state, event.register)
    if register is None:
        raise ValueError("a conflict is about a register that holds a value")
    state.conflicts[event.conflict_id] = Conflict(
        register=event.register,
        current=event.current,
        current_fver=event.current_fver,
        current_stamp=register.stamp,
        offered=event.offered,
        offered_fver=event.offered_fver,
        stamp=_stamp(event, meta),
        reason=event.reason,
    )
    state.text_length += text_length(event.current) + text_length(event.offered) + len(event.reason)


def _conflict_resolved(state: DocumentState, event: ConflictResolved, meta: Meta) -> None:
    conflict = state.conflicts[event.conflict_id]
    stamp = _stamp(event, meta)
    conflict.resolution = Resolution(value=event.value, reason=event.reason, stamp=stamp, replaced=event.replaced)
    state.text_length += len(event.reason)
    if isinstance(event.value, Injection):
        _, point_id, _ = conflict.register.split("/")
        point = state.points[point_id]
        if point.performed is None:
            raise ValueError("two accounts of an injection are about a performed one")
        of = resolved_stamp(conflict, point.performed, event.value)
        point.performed = Performed(injection=event.value, fver=meta.version, stamp=of)
    else:
        state.text_length += text_length(event.value)
        _put(state, conflict.register, event.value, stamp, meta.version)


def _point_added(state: DocumentState, event: PointAdded, meta: Meta) -> None:
    stamp = _stamp(event, meta)
    plan = {name: Register(value=value, fver=meta.version, stamp=stamp) for name, value in event.plan.items()}
    performed = None
    if event.injection is not None:
        performed = Performed(injection=event.injection, fver=meta.version, stamp=stamp)
    state.points[event.point_id] = Point(added=event, stamp=stamp, plan=plan, performed=performed)
    state.text_length += fact_length(event)


def _point_performed(state: DocumentState, event: PointPerformed, meta: Meta) -> None:
    """A point that was struck and then turns out to have been injected is not struck any more."""
    point = state.points[event.point_id]
    point.performed = Performed(injection=event.injection, fver=meta.version, stamp=_stamp(event, meta))
    point.struck = None


def _point_struck(state: DocumentState, event: PointStruck, meta: Meta) -> None:
    point = state.points[event.point_id]
    if point.struck is None:
        point.struck = Strike(reason=event.reason, stamp=_stamp(event, meta))


def _container_opened(state: DocumentState, event: ContainerOpened, meta: Meta) -> None:
    state.containers[event.container_id] = Item(fact=event, stamp=_stamp(event, meta))


def _wastage_recorded(state: DocumentState, event: WastageRecorded, meta: Meta) -> None:
    state.wastage[event.wastage_id] = Item(fact=event, stamp=_stamp(event, meta))
    state.text_length += fact_length(event)


def _note_appended(state: DocumentState, event: NoteAppended, meta: Meta) -> None:
    state.notes[event.note_id] = Item(fact=event, stamp=_stamp(event, meta))
    state.text_length += fact_length(event)


def _photo_attached(state: DocumentState, event: PhotoAttached, meta: Meta) -> None:
    state.photos[event.photo_id] = Item(fact=event, stamp=_stamp(event, meta))


def _late_entered(state: DocumentState, event: LateEntered, meta: Meta) -> None:
    state.late[event.entry_id] = Item(fact=event.fact, stamp=_stamp(event.fact, meta))
    state.text_length += fact_length(event.fact)


def _joined(state: DocumentState, event: Joined, meta: Meta) -> None:
    state.participants[meta.actor] = _stamp(event, meta)


def _left_off(state: DocumentState, _event: LeftOff, meta: Meta) -> None:
    state.participants.pop(meta.actor, None)


def _status_changed(state: DocumentState, event: StatusChanged, meta: Meta) -> None:
    state.phase = Phase(status=event.to, stamp=_stamp(event, meta), cause=event.cause, reason=event.reason)
    state.phases[event.to.value] = state.phase


def _signed(state: DocumentState, event: Signed, meta: Meta) -> None:
    state.signatures[event.signature_id] = Signature(
        meaning=event.meaning,
        printed_name=event.printed_name,
        content_hash=event.content_hash,
        stamp=_stamp(event, meta),
        cosigner=event.cosigner,
    )


def _addendum_added(state: DocumentState, event: AddendumAdded, meta: Meta) -> None:
    state.addenda[event.addendum_id] = Addendum(text=event.text, reason=event.reason, stamp=_stamp(event, meta))
    state.text_length += len(event.text) + len(event.reason)


def _alert_raised(state: DocumentState, event: AlertRaised, meta: Meta) -> None:
    alert = Alert(event.kind, event.subject, meta.time_ms)
    state.alerts.setdefault(f"{event.kind}/{event.subject}", alert)


def _alert_cleared(state: DocumentState, event: AlertCleared, _meta: Meta) -> None:
    state.alerts.pop(f"{event.kind}/{event.subject}", None)


_APPLIERS: Final[dict[type, Callable[[DocumentState, Any, Meta], None]]] = {
    RegisterSet: _register_set,
    ConflictRaised: _conflict_raised,
    ConflictResolved: _conflict_resolved,
    PointAdded: _point_added,
    PointPerformed: _point_performed,
    PointStruck: _point_struck,
    ContainerOpened: _container_opened,
    WastageRecorded: _wastage_recorded,
    NoteAppended: _note_appended,
    PhotoAttached: _photo_attached,
    LateEntered: _late_entered,
    Joined: _joined,
    LeftOff: _left_off,
    StatusChanged: _status_changed,
    Signed: _signed,
    AddendumAdded: _addendum_added,
    AlertRaised: _alert_raised,
    AlertCleared: _alert_cleared,
}
