"""What providers see of a document: builtins without null. Whatever changes one by one is a map by id.

Every stamp is `by`, `at` (when it happened), `device`, `recorded_at` where it arrived later than it happened, and
`device_clock`, what the device's clock said when that was too far ahead to be true.
"""

from typing import Any

import msgspec

from actors.document_content import (
    content_hash,
    fact_content,
    injection_content,
    point_content,
    signed_by,
    value_content,
    without_empty,
)
from actors.document_events import Fact, PointAdded, PointPerformed
from actors.document_state import (
    Addendum,
    Conflict,
    DocumentState,
    Item,
    Phase,
    Point,
    Register,
    Signature,
    Stamp,
)
from domain.times import to_rfc3339


def document_view(state: DocumentState, version: int) -> dict[str, Any]:
    flagged = _flagged(state)
    view: dict[str, Any] = {
        "id": state.document_id,
        "version": version,
        "organization_id": state.organization_id,
        "location_id": state.location_id,
        "patient_id": state.patient_id,
        "template": state.template,
        "author": state.author,
        "needs_cosign": state.needs_cosign,
        "status": state.status.value,
        "since": to_rfc3339(state.phase.stamp.at_ms),
        "created_at": to_rfc3339(state.created.at_ms),
        "updated_at": to_rfc3339(state.updated_ms),
        "content_hash": content_hash(state),
        "open_conflicts": len(state.open_conflicts),
        "stamps": {name: _phase(phase) for name, phase in state.phases.items()},
        "participants": {subject: {"since": to_rfc3339(one.at_ms)} for subject, one in state.participants.items()},
        "fields": {name: _register(register, flagged.get(name)) for name, register in state.fields.items()},
        "points": {key: _point(key, point, flagged) for key, point in state.points.items()},
        "containers": _items(state.containers),
        "wastage": _items(state.wastage),
        "notes": _items(state.notes),
        "photos": _items(state.photos),
        "conflicts": {key: _conflict(conflict) for key, conflict in state.conflicts.items()},
        "late_entries": {key: _late(item) for key, item in state.late.items()},
        "signatures": {key: _signature(one) for key, one in state.signatures.items()},
        "addenda": {key: _addendum(one) for key, one in state.addenda.items()},
        "alerts": {
            key: {"kind": alert.kind, "subject": alert.subject, "at": to_rfc3339(alert.at_ms)}
            for key, alert in state.alerts.items()
        },
    }
    return view | without_empty(
        visit_id=state.visit_id, title=state.title, cosigner=state.cosigner, reason=state.phase.reason
    )


def _stamped(stamp: Stamp) -> dict[str, str]:
    later = stamp.recorded_ms != stamp.at_ms
    return signed_by(stamp) | without_empty(
        device=stamp.device,
        recorded_at=to_rfc3339(stamp.recorded_ms) if later else "",
        device_clock=stamp.hlc_raw,
    )


def _phase(phase: Phase) -> dict[str, str]:
    return _stamped(phase.stamp) | without_empty(cause=phase.cause, reason=phase.reason)


def _register(register: Register, conflict_ids: dict[str, bool] | None) -> dict[str, Any]:
    """`conflicts` flags the field: the open conflicts about it, by id."""
    view = {"value": register.value, "fver": register.fver, **_stamped(register.stamp)}
    return {**view, "conflicts": conflict_ids} if conflict_ids else view


def _point(point_id: str, point: Point, flagged: dict[str, dict[str, bool]]) -> dict[str, Any]:
    """`fver` has the version of each property of the plan, and of `injection`: what `base_version` takes."""
    view = point_content(point) | _stamped(point.stamp)
    fver = {name: register.fver for name, register in point.plan.items()}
    if point.performed is not None:
        fver["injection"] = point.performed.fver
        view["injection"] |= _stamped(point.performed.stamp)
    if point.struck is not None:
        view["struck"] |= _stamped(point.struck.stamp)
    conflicts = [flagged.get(f"point/{point_id}/{name}", {}) for name in fver]
    view["fver"] = fver
    merged = {key: True for found in conflicts for key in found}
    return {**view, "conflicts": merged} if merged else view


def _items(items: dict[str, Item]) -> dict[str, Any]:
    return {key: fact_content(item.fact) | _stamped(item.stamp) for key, item in items.items()}


def _conflict(conflict: Conflict) -> dict[str, Any]:
    """`current` and `offered` with whose they are; `resolution` once somebody has decided."""
    view: dict[str, Any] = {
        "register": conflict.register,
        "status": "open" if conflict.resolution is None else "resolved",
        "current": {
            "value": value_content(conflict.current),
            "fver": conflict.current_fver,
            **_stamped(conflict.current_stamp),
        },
        "offered": {
            "value": value_content(conflict.offered),
            "fver": conflict.offered_fver,
            **_stamped(conflict.stamp),
            **without_empty(reason=conflict.reason),
        },
    }
    done = conflict.resolution
    if done is None:
        return view
    replaced = {} if done.replaced is msgspec.UNSET else {"replaced": value_content(done.replaced)}
    resolution = {"value": value_content(done.value), "reason": done.reason, **_stamped(done.stamp), **replaced}
    return {**view, "resolution": resolution}


def _late(item: Item) -> dict[str, Any]:
    """`kind` says what it is; its own fields and id stay what they would be in the content."""
    return {"kind": _kind(item.fact), **_own_id(item.fact), **_late_content(item.fact), **_stamped(item.stamp)}


def _late_content(fact: Fact) -> dict[str, Any]:
    if isinstance(fact, PointPerformed):
        return {"injection": injection_content(fact.injection)}
    return fact_content(fact)


def _own_id(fact: Fact) -> dict[str, str]:
    names = ("point_id", "wastage_id", "note_id", "photo_id")
    return {name: getattr(fact, name) for name in names if hasattr(fact, name)}


def _kind(fact: Fact) -> str:
    if isinstance(fact, PointAdded | PointPerformed):
        return "injection"
    return {"container_opened": "container", "wastage_recorded": "wastage", "note_appended": "note"}.get(
        str(fact.__struct_config__.tag), "photo"
    )


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "meaning": signature.meaning,
        "printed_name": signature.printed_name,
        "content_hash": signature.content_hash,
        "cosigner": signature.cosigner,
        **_stamped(signature.stamp),
    }


def _addendum(addendum: Addendum) -> dict[str, Any]:
    return {"label": "addendum", "text": addendum.text, "reason": addendum.reason, **_stamped(addendum.stamp)}


def _flagged(state: DocumentState) -> dict[str, dict[str, bool]]:
    """The open conflicts of every register that has any."""
    found: dict[str, dict[str, bool]] = {}
    for key in state.open_conflicts:
        found.setdefault(state.conflicts[key].register, {})[key] = True
    return found
