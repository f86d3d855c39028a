"""Rooms over HTTP. Every mutation takes `Idempotency-Key` and `If-Match` and answers with the room."""

from typing import Annotated

from fastapi import Query

from actors.room_commands import SetStatus
from serve.platform.answers import read_answer, sender_of, view_answer
from serve.platform.call import Answer, Call
from serve.platform.pages import page, version_of
from serve.platform.routing import Id, entity_router, problems
from serve.platform.schemas import PageQuery
from serve.rooms import schemas

router = entity_router("/rooms", "rooms")

_UNKNOWN = {"_404": "Unknown, or not your organization's."}
_MUTATION = problems(
    _403="Yours to see, not yours to do.",
    **_UNKNOWN,
    _409="The room is in another state, taken or fenced: `code` and `current` say which.",
    _412="`If-Match` is stale.",
    _422="The request is not valid: `errors` has field paths.",
)


@router.get("/{room_id}", response_model=schemas.Room, responses=problems(**_UNKNOWN))
async def get_room(call: Call, room_id: Id) -> Answer:
    """What happens in the room now."""
    return read_answer(call, await call.runtime.rooms.get(call.actor, room_id, call.correlation))


@router.get("/{room_id}/history", response_model=schemas.RoomHistory, responses=problems(**_UNKNOWN))
async def get_history(call: Call, room_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    """Everything that happened in the room, newest first; also of a closed one. A page is `limit` versions."""
    before = version_of(query.cursor)
    items, more = await call.runtime.rooms.history(call.actor, room_id, before, query.limit, call.correlation)
    return page(items, str(more) if more else None)


@router.post("/{room_id}/status", response_model=schemas.Room, responses=_MUTATION)
async def set_status(call: Call, room_id: Id, body: schemas.SetRoomStatus) -> Answer:
    """Move the room along. Being there already is no error."""
    command = SetStatus(
        to=body.status.value,
        from_="" if body.from_ is None else body.from_.value,
        reason=body.reason,
        waiting_for="" if body.waiting_for is None else body.waiting_for.value,
        patient_id=body.patient_id or "",
        visit_id=body.visit_id or "",
        hold_minutes=body.hold_minutes or 0,
        token=body.token or 0,
    )
    return view_answer(await call.runtime.rooms.set_status(sender_of(call), room_id, command))


@router.post("/{room_id}/undo", response_model=schemas.Room, responses=_MUTATION)
async def undo(call: Call, room_id: Id, body: schemas.UndoStatus) -> Answer:
    """Take the last status change back."""
    return view_answer(await call.runtime.rooms.undo(sender_of(call), room_id, body.version, body.token or 0))


@router.post("/{room_id}/claim", response_model=schemas.Room, responses=_MUTATION)
async def claim(call: Call, room_id: Id) -> Answer:
    """Take the room for yourself (providers): `claim.token` goes with what you do in it. The first claim wins."""
    return view_answer(await call.runtime.rooms.claim(sender_of(call), room_id))


@router.post("/{room_id}/release", response_model=schemas.Room, responses=_MUTATION)
async def release(call: Call, room_id: Id, body: schemas.ReleaseRoom) -> Answer:
    """Give your claim back."""
    return view_answer(await call.runtime.rooms.release(sender_of(call), room_id, body.token))


@router.post("/{room_id}/take-over", response_model=schemas.Room, responses=_MUTATION)
async def take_over(call: Call, room_id: Id, body: schemas.TakeOverRoom) -> Answer:
    """Take the claim from whoever has it, with a new token (providers, admins)."""
    return view_answer(await call.runtime.rooms.take_over(sender_of(call), room_id, body.reason))
