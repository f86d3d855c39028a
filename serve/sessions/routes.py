"""Provider sessions over HTTP, for the staff of the clinic. Every mutation answers with a session."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from actors.session_commands import OfferHandOff, Revoke
from domain.ids import derived_id, new_id
from serve.platform.answers import read_answer, sender_of, view_answer
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import page, place_of
from serve.platform.routing import Id, entity_router, problems
from serve.sessions import schemas
from serve.sessions.listing import listed, waiting
from services.listings import Place
from services.session_listings import SessionFilter

router = entity_router("/sessions", "sessions")

_UNKNOWN = {"_404": "Unknown, or not your organization's."}
_BAD = {"_422": "The request is not valid: `errors` has field paths."}
_MUTATION = problems(
    _403="Yours to see, not yours to do.",
    **_UNKNOWN,
    _409="The session has ended, or somebody was faster: `code` says which.",
    _412="`If-Match` is stale.",
    **_BAD,
)


@router.get("", response_model=schemas.SessionPage, responses=problems(**_UNKNOWN, **_BAD))
async def list_sessions(call: Call, query: Annotated[schemas.SessionList, Query()]) -> Answer:
    """Sessions of your organizations, newest first."""
    wanted = SessionFilter(
        location_id=query.location or "",
        user_id=query.user or "",
        statuses=() if query.status is None else (query.status.value,),
        quarantined=query.quarantined,
    )
    limit = query.limit
    rows = await call.runtime.sessions.list(call.actor, wanted, place_of(query.cursor), limit + 1)
    shown = [listed(row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return page(shown, None if last is None else Place(last.created_at_ms, last.id))


@router.get("/{session_id}", response_model=schemas.Session, responses=problems(**_UNKNOWN))
async def get_session(call: Call, session_id: Id) -> Answer:
    """Who is where, at which device, and what waits to be resolved there."""
    return read_answer(call, await call.runtime.sessions.get(call.actor, session_id, call.correlation))


@router.get("/{session_id}/quarantine", response_model=schemas.QuarantineList, responses=problems(**_UNKNOWN))
async def list_quarantine(call: Call, session_id: Id) -> Answer:
    """Commands that wait to be resolved, the oldest first."""
    answered = await call.runtime.sessions.get(call.actor, session_id, call.correlation)
    return page(waiting(answered.view), None)


@router.get(
    "/{session_id}/quarantine/{item_id}",
    response_model=schemas.QuarantineItem,
    responses=problems(_403="Yours to see, not yours to decide.", **_UNKNOWN),
)
async def get_quarantined(call: Call, session_id: Id, item_id: Id) -> Answer:
    """The whole command, for its own person, providers and admins. It is audited."""
    return json_answer(await call.runtime.quarantine.show(call.actor, session_id, item_id, call.correlation))


@router.post(
    "/{session_id}/quarantine/{item_id}/resolve",
    response_model=schemas.Session,
    responses=_MUTATION,
)
async def resolve(call: Call, session_id: Id, item_id: Id, body: schemas.ResolveItem) -> Answer:
    """Send a quarantined command again, or give it up. A retry that is refused answers with the refusal."""
    quarantine = call.runtime.quarantine
    return view_answer(await quarantine.resolve(sender_of(call), session_id, item_id, body.action, body.reason))


@router.post("/{session_id}/hand-off", status_code=201, response_model=schemas.Session, responses=_MUTATION)
async def offer_hand_off(call: Call, session_id: Id, body: schemas.OfferHandOff) -> Answer:
    """Offer what you are at to another provider, or to yourself at another device."""
    key = call.idempotency_key()
    offer_id = body.offer_id or (
        new_id() if key is None else derived_id("hand-off", call.actor.subject, session_id, key)
    )
    command = OfferHandOff(offer_id=offer_id, to=body.to, note=body.note)
    answered = await call.runtime.sessions.offer_hand_off(sender_of(call), session_id, command)
    return view_answer(answered, HTTPStatus.CREATED)


@router.delete("/{session_id}/hand-off/{offer_id}", response_model=schemas.Session, responses=_MUTATION)
async def withdraw_hand_off(call: Call, session_id: Id, offer_id: str) -> Answer:
    """Take an offer back, while nobody has taken it."""
    return view_answer(await call.runtime.sessions.withdraw_hand_off(sender_of(call), session_id, offer_id))


@router.post("/{session_id}/hand-off/{offer_id}/take", response_model=schemas.Session, responses=_MUTATION)
async def take_hand_off(call: Call, session_id: Id, offer_id: str, body: schemas.TakeHandOff) -> Answer:
    """Take what was offered to you: the room's claim, patient and documents are yours. Answers with your session."""
    return view_answer(await call.runtime.hand_offs.take(sender_of(call), session_id, offer_id, body.session))


@router.post("/{session_id}/revoke", response_model=schemas.Session, responses=_MUTATION)
async def revoke(call: Call, session_id: Id, body: schemas.RevokeSession) -> Answer:
    """Quarantine what this person sends from now on, or shut the device out (admins)."""
    command = Revoke(what=body.what, reason=body.reason)
    return view_answer(await call.runtime.sessions.revoke(sender_of(call), session_id, command))


@router.post("/{session_id}/restore", response_model=schemas.Session, responses=_MUTATION)
async def restore(call: Call, session_id: Id) -> Answer:
    """Take a revocation back (admins)."""
    return view_answer(await call.runtime.sessions.restore(sender_of(call), session_id))


@router.post("/{session_id}/sign-out", response_model=schemas.Session, responses=_MUTATION)
async def sign_out(call: Call, session_id: Id) -> Answer:
    """End your session, or somebody else's (admins)."""
    return view_answer(await call.runtime.sessions.sign_out(sender_of(call), session_id))
