"""What every edit of a document has in common: whether it may still be made, and where a fact goes that is late."""

import re
from typing import Any, Final

import msgspec

from actors.document_alerts import AlertKind, Draw, Key, changes, draw_of
from actors.document_events import (
    AlertRaised,
    ContainerOpened,
    Event,
    Fact,
    LateEntered,
    NoteAppended,
    PhotoAttached,
    PointAdded,
    PointPerformed,
    StatusChanged,
    WastageRecorded,
)
from actors.document_state import DocumentState
from actors.document_status import Cause, DocumentStatus, after_late_entry
from actors.document_values import LATE_ENTRIES_MAX, TEXT_LENGTH_MAX
from actors.runtime.entity import NOTHING, Context, Decision
from domain.errors import Conflict, invalid_field
from domain.ids import is_uuid

_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")


def check_uuid(text: str, path: str) -> str:
    """An item's id: a UUID in lower case, so that one id has one spelling."""
    if not is_uuid(text) or text != text.lower():
        raise invalid_field(path, "malformed" if text else "required", "Must be a UUID in lower case.")
    return text


def check_name(text: str, path: str) -> str:
    if _NAME.fullmatch(text) is None:
        message = "Must be a lower-case name of at most 64 characters, as section.field."
        raise invalid_field(path, "malformed" if text else "required", message)
    return text


def check_writable(state: DocumentState) -> None:
    """Edits, other than facts, end with the signature. No `current` goes with the refusal: the edit is quarantined."""
    if state.status is DocumentStatus.ENTERED_IN_ERROR:
        raise Conflict("The document was entered in error.", code="entered_in_error")
    if not state.writable:
        raise Conflict("The document is signed: add an addendum.", code="document_signed")


def check_room(count: int, limit: int, what: str) -> None:
    """Whether one more fits beside `count`."""
    if count >= limit:
        raise Conflict(f"A document has at most {limit} {what}.", code="document_full", extra={"limit": limit})


def check_text_room(state: DocumentState, added: int) -> None:
    if added > 0 and state.text_length + added > TEXT_LENGTH_MAX:
        message = f"A document has at most {TEXT_LENGTH_MAX} characters of text."
        raise Conflict(message, code="document_full", extra={"limit": TEXT_LENGTH_MAX})


def occurred(ctx: Context) -> dict[str, Any]:
    """The fields of `Occurred`: when it happened on the device."""
    return {"at_ms": ctx.occurred_ms, "hlc_raw": ctx.hlc_raw}


def moved(state: DocumentState, to: DocumentStatus, cause: Cause, ctx: Context, reason: str = "") -> StatusChanged:
    return StatusChanged(from_=state.status, to=to, cause=cause.value, reason=reason, **occurred(ctx))


def edited(state: DocumentState, ctx: Context, *events: Event, reply: dict[str, Any] | None = None) -> Decision:
    """An accepted edit: what was ready to be signed is a draft again."""
    if state.status is DocumentStatus.READY:
        events += (moved(state, DocumentStatus.DRAFT, Cause.EDIT, ctx),)
    return Decision(events, reply)


def told(state: DocumentState, fact: Fact, key: Key, ctx: Context, *beside: Event) -> Decision:
    """A fact: into the content while that can change, beside it after. `key` is what it is as a draw."""
    opened = fact if isinstance(fact, ContainerOpened) else None
    draw = draw_of(fact)
    if state.writable:
        return edited(state, ctx, fact, *beside, *_alerts(state, key, draw, opened))
    if any(_same_told(item.fact, fact) for item in state.late.values()):
        return NOTHING
    check_room(len(state.late), LATE_ENTRIES_MAX, "late entries")
    entry_id = ctx.new_id("late")
    alert = AlertRaised(kind=AlertKind.LATE_ENTRY.value, subject=entry_id)
    events: tuple[Event, ...] = (LateEntered(entry_id=entry_id, fact=fact), alert)
    events += _alerts(state, ("late", entry_id), draw, opened)
    to = after_late_entry(state.status)
    if to is not state.status:
        events += (moved(state, to, Cause.LATE_ENTRY, ctx),)
    return Decision(events, {"late": True, "entry_id": entry_id})


def same_fact(one: Fact, other: Fact) -> bool:
    """Whether two facts say the same, whoever tells them and whenever."""
    return type(one) is type(other) and msgspec.structs.replace(one, at_ms=0, hlc_raw="") == msgspec.structs.replace(
        other, at_ms=0, hlc_raw=""
    )


def other_content(what: str) -> Conflict:
    return Conflict(f"Another {what} has this id.", code="item_exists")


def _alerts(state: DocumentState, key: Key, draw: Draw | None, opened: ContainerOpened | None) -> tuple[Event, ...]:
    if opened is None and (draw is None or not draw.container_id):
        return ()
    return changes(state, draws={key: draw}, opened=opened)


def _same_told(told_before: Fact, fact: Fact) -> bool:
    """Raises `item_exists` when it is another fact with the same id. One point can have been injected twice."""
    if same_fact(told_before, fact):
        return True
    if type(told_before) is type(fact) and not isinstance(fact, PointPerformed) and _id(told_before) == _id(fact):
        raise other_content("late entry")
    return False


def _id(fact: Fact) -> str:
    return str(getattr(fact, _IDS[type(fact)]))


_IDS: Final[dict[type, str]] = {
    PointAdded: "point_id",
    ContainerOpened: "container_id",
    WastageRecorded: "wastage_id",
    NoteAppended: "note_id",
    PhotoAttached: "photo_id",
}
