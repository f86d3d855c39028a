"""Facts of a treatment: points and what was injected, containers, wastage, notes, photos. They commute.

A fact is never refused for bookkeeping. Arriving after the signature it stands beside the signed content.
"""

import re
from datetime import date
from typing import Any, Final

from actors.document_alerts import AlertKind, changes
from actors.document_commands import (
    AddPoint,
    AppendNote,
    AttachPhoto,
    OpenContainer,
    PerformPoint,
    RecordWastage,
    StrikePoint,
)
from actors.document_edits import (
    check_name,
    check_room,
    check_text_room,
    check_uuid,
    check_writable,
    edited,
    occurred,
    other_content,
    same_fact,
    told,
)
from actors.document_events import (
    AlertRaised,
    ContainerOpened,
    Event,
    Fact,
    NoteAppended,
    PhotoAttached,
    PointAdded,
    PointPerformed,
    PointStruck,
    WastageRecorded,
)
from actors.document_registers import (
    INJECTION,
    checked_injection,
    checked_property,
    plan_dose,
    raise_conflict,
    register_name,
)
from actors.document_state import DocumentState, Item
from actors.document_values import (
    CONTAINERS_MAX,
    DETAIL_LENGTH_MAX,
    NOTES_MAX,
    PHOTO_BYTES_MAX,
    PHOTOS_MAX,
    POINTS_MAX,
    REASON_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    WASTAGE_MAX,
    Injection,
)
from actors.runtime.entity import NOTHING, Context, Decision
from domain.dose import check_dose, check_unit, dose_text
from domain.errors import NotFound, invalid_field
from domain.face_map import SCALE, region_of
from domain.text import check_id, check_text
from domain.times import from_rfc3339

MEDIA_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "image/heic")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def add_point(state: DocumentState, command: AddPoint, ctx: Context) -> Decision:
    fact = _point(command, ctx)
    known = state.points.get(fact.point_id)
    if known is not None:
        return _again(same_fact(known.added, fact), "point")
    if command.planned:
        check_writable(state)
    if state.writable:
        check_room(len(state.points), POINTS_MAX, "points")
    check_text_room(state, fact_length(fact))
    return told(state, fact, ("point", fact.point_id), ctx)


def perform_point(state: DocumentState, command: PerformPoint, ctx: Context) -> Decision:
    point_id = check_uuid(command.point_id, "point_id")
    injection = checked_injection(
        Injection(
            product_id=command.product_id,
            dose=command.dose,
            unit=command.unit,
            lot=command.lot,
            container_id=command.container_id,
        )
    )
    point = state.points.get(point_id)
    if point is None:
        raise NotFound("There is no such point.", code="unknown_point")
    performed = point.performed
    if performed is not None and performed.injection == injection:
        return NOTHING
    if performed is not None and state.writable:
        return raise_conflict(state, register_name(point_id, INJECTION), performed, injection, 0, ctx)
    fact = PointPerformed(point_id=point_id, injection=injection, **occurred(ctx))
    beside: tuple[Event, ...] = ()
    if point.struck is not None and state.writable:
        beside = (AlertRaised(kind=AlertKind.PERFORMED_AFTER_STRIKE.value, subject=point_id),)
    return told(state, fact, ("point", point_id), ctx, *beside)


def strike_point(state: DocumentState, command: StrikePoint, ctx: Context) -> Decision:
    """Struck already for another reason: the history keeps that too, the first one is shown."""
    point_id = check_uuid(command.point_id, "point_id")
    check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True)
    point = state.points.get(point_id)
    if point is None:
        raise NotFound("There is no such point.", code="unknown_point")
    if point.struck is not None and point.struck.reason == command.reason:
        return NOTHING
    check_writable(state)
    event = PointStruck(point_id=point_id, reason=command.reason, **occurred(ctx))
    if point.struck is not None:
        return Decision((event,))
    return edited(state, ctx, event, *changes(state, draws={("point", point_id): None}))


def open_container(state: DocumentState, command: OpenContainer, ctx: Context) -> Decision:
    fact = ContainerOpened(
        container_id=check_id(command.container_id, "container_id"),
        product_id=check_id(command.product_id, "product_id"),
        amount=dose_text(check_dose(command.amount, "amount")),
        unit=check_unit(command.unit, "unit"),
        lot=check_text(command.lot, "lot", length_max=DETAIL_LENGTH_MAX),
        expires_on=_checked_date(command.expires_on, "expires_on"),
        single_dose=command.single_dose,
        **occurred(ctx),
    )
    return _item(state, state.containers, fact.container_id, fact, ctx, CONTAINERS_MAX, "container")


def record_wastage(state: DocumentState, command: RecordWastage, ctx: Context) -> Decision:
    fact = WastageRecorded(
        wastage_id=check_uuid(command.wastage_id, "wastage_id"),
        container_id=check_id(command.container_id, "container_id"),
        amount=dose_text(check_dose(command.amount, "amount")),
        unit=check_unit(command.unit, "unit"),
        reason=check_text(command.reason, "reason", length_max=REASON_LENGTH_MAX, required=True),
        **occurred(ctx),
    )
    return _item(state, state.wastage, fact.wastage_id, fact, ctx, WASTAGE_MAX, "wastage")


def append_note(state: DocumentState, command: AppendNote, ctx: Context) -> Decision:
    fact = NoteAppended(
        note_id=check_uuid(command.note_id, "note_id"),
        text=check_text(command.text, "text", length_max=VALUE_LENGTH_MAX, required=True),
        section=check_name(command.section, "section") if command.section else "",
        **occurred(ctx),
    )
    return _item(state, state.notes, fact.note_id, fact, ctx, NOTES_MAX, "note")


def attach_photo(state: DocumentState, command: AttachPhoto, ctx: Context) -> Decision:
    if _SHA256.fullmatch(command.sha256) is None:
        raise invalid_field("sha256", "malformed", "Must be 64 lower-case hexadecimal digits.")
    if command.media_type not in MEDIA_TYPES:
        raise invalid_field("media_type", "unknown_media_type", f"Must be one of {', '.join(MEDIA_TYPES)}.")
    if not 0 < command.bytes <= PHOTO_BYTES_MAX:
        raise invalid_field("bytes", "out_of_range", f"Must be from 1 to {PHOTO_BYTES_MAX}.")
    fact = PhotoAttached(
        photo_id=check_uuid(command.photo_id, "photo_id"),
        view=check_text(command.view, "view", length_max=DETAIL_LENGTH_MAX, required=True),
        sha256=command.sha256,
        media_type=command.media_type,
        bytes=command.bytes,
        taken_ms=_checked_time(command.taken_at, "taken_at"),
        **occurred(ctx),
    )
    return _item(state, state.photos, fact.photo_id, fact, ctx, PHOTOS_MAX, "photo")


def _item(
    state: DocumentState, items: dict[str, Item], key: str, fact: Fact, ctx: Context, limit: int, what: str
) -> Decision:
    known = items.get(key)
    if known is not None:
        return _again(same_fact(known.fact, fact), what)
    if state.writable:
        check_room(len(items), limit, "records of wastage" if what == "wastage" else f"{what}s")
    check_text_room(state, fact_length(fact))
    return told(state, fact, (what, key), ctx)


def fact_length(fact: Fact) -> int:
    """Characters of its free text, and of a plan's registers."""
    if isinstance(fact, PointAdded):
        lot = "" if fact.injection is None else fact.injection.lot
        return sum(map(len, (fact.technique, fact.depth, lot, *fact.plan.values())))
    if isinstance(fact, NoteAppended):
        return len(fact.text)
    return len(fact.reason) if isinstance(fact, WastageRecorded) else 0


def _again(same: bool, what: str) -> Decision:
    if same:
        return NOTHING
    raise other_content(what)


def _point(command: AddPoint, ctx: Context) -> PointAdded:
    for path, position in (("x", command.x), ("y", command.y)):
        if not 0 <= position <= SCALE:
            raise invalid_field(path, "out_of_range", f"Must be from 0 to {SCALE} thousandths.")
    region = region_of(command.view, command.x, command.y)
    where: dict[str, Any] = {"view": command.view, "x": command.x, "y": command.y, "region": region}
    point_id = check_uuid(command.point_id, "point_id")
    technique = checked_property("technique", command.technique, "technique")
    depth = checked_property("depth", command.depth, "depth")
    if command.planned:
        plan = {
            "product_id": checked_property("product_id", command.product_id, "product_id"),
            "dose": plan_dose(command.dose, command.unit),
            "lot": checked_property("lot", command.lot, "lot"),
            "container_id": checked_property("container_id", command.container_id, "container_id"),
            "technique": technique,
            "depth": depth,
        }
        known = {name: value for name, value in plan.items() if value}
        return PointAdded(point_id=point_id, plan=known, **where, **occurred(ctx))
    injection = checked_injection(
        Injection(
            product_id=command.product_id,
            dose=command.dose,
            unit=command.unit,
            lot=command.lot,
            container_id=command.container_id,
        )
    )
    return PointAdded(
        point_id=point_id, technique=technique, depth=depth, injection=injection, **where, **occurred(ctx)
    )


def _checked_date(text: str, path: str) -> str:
    if text and not _is_date(text):
        raise invalid_field(path, "malformed", "Must be a date, as 2027-03-31.")
    return text


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _checked_time(text: str, path: str) -> int:
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise invalid_field(path, "malformed", "Must be an RFC 3339 date-time.") from None
