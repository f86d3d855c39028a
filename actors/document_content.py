"""The content of a document: what is signed, hashed and printed. No status, conflict, alert or late entry is in it."""

import hashlib
from typing import Any

import msgspec

from actors.document_events import AddendumAdded, Fact, Occurred, PhotoAttached, PointAdded
from actors.document_state import DocumentState, Item, Point, Stamp
from actors.document_values import Injection, Value
from domain.times import to_rfc3339

_ENCODER = msgspec.json.Encoder(order="sorted")


def content_of(state: DocumentState) -> dict[str, Any]:
    """The content as builtins without null: fields by name, everything else by id, times in RFC 3339."""
    content: dict[str, Any] = {
        "document_id": state.document_id,
        "organization_id": state.organization_id,
        "location_id": state.location_id,
        "patient_id": state.patient_id,
        "template": state.template,
        "author": state.author,
        "created_at": to_rfc3339(state.created.at_ms),
        "fields": {name: register.value for name, register in state.fields.items()},
        "points": {key: point_content(point) for key, point in state.points.items()},
        "containers": _items(state.containers),
        "wastage": _items(state.wastage),
        "notes": _items(state.notes),
        "photos": _items(state.photos),
    }
    return content | without_empty(visit_id=state.visit_id, title=state.title)


def content_hash(state: DocumentState) -> str:
    """SHA-256, in hexadecimal, of the content as JSON: UTF-8, keys sorted, no blanks, nothing escaped needlessly."""
    return hashlib.sha256(_ENCODER.encode(content_of(state))).hexdigest()


def point_content(point: Point) -> dict[str, Any]:
    """`plan` of a planned point, `injection` of a performed one (both, if it was planned first), `struck` if it was."""
    content = {**_position(point.added), **signed_by(point.stamp)}
    if point.added.injection is None:
        content["plan"] = plan_content({name: str(register.value) for name, register in point.plan.items()})
    if point.performed is not None:
        content["injection"] = injection_content(point.performed.injection) | signed_by(point.performed.stamp)
    if point.struck is not None:
        content["struck"] = {"reason": point.struck.reason, **signed_by(point.struck.stamp)}
    return content


def fact_content(fact: Fact | AddendumAdded) -> dict[str, Any]:
    """What a fact says, without its own id and its stamp."""
    if isinstance(fact, PointAdded):
        content = _position(fact)
        if fact.injection is not None:
            content["injection"] = injection_content(fact.injection)
        return content
    content = {name: value for name, value in msgspec.to_builtins(fact).items() if name not in _NOT_SAID}
    if isinstance(fact, PhotoAttached):
        content["taken_at"] = to_rfc3339(fact.taken_ms)
    return content


def injection_content(injection: Injection) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(injection)
    return content


def value_content(value: Value) -> Any:
    return injection_content(value) if isinstance(value, Injection) else value


def plan_content(plan: dict[str, str]) -> dict[str, str]:
    """Properties by name, the dose and its unit apart."""
    content = {name: value for name, value in plan.items() if value}
    if "dose" in content:
        content["dose"], _, content["unit"] = content["dose"].partition(" ")
    return content


def signed_by(stamp: Stamp) -> dict[str, str]:
    """Who and when it happened: the part of a stamp that is content."""
    return {"by": stamp.by, "at": to_rfc3339(stamp.at_ms)}


def without_empty(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _items(items: dict[str, Item]) -> dict[str, Any]:
    return {key: fact_content(item.fact) | signed_by(item.stamp) for key, item in items.items()}


def _position(added: PointAdded) -> dict[str, Any]:
    where = {"view": added.view, "x": added.x, "y": added.y}
    return where | without_empty(region=added.region, technique=added.technique, depth=added.depth)


_NOT_SAID = frozenset(
    {"type", "taken_ms", "wastage_id", "note_id", "photo_id", "addendum_id", *Occurred.__struct_fields__}
)
"""Of a fact's fields: its tag, its stamp, and the id by which it is listed."""
