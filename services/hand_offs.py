"""Taking what another provider hands off: a process over two sessions and a room.

1. The giving session hands over: from here on it is decided. 2. The room's claim goes to the receiver. 3. The receiving
session takes the work up. Each step has a command id of its own that a retry, and the reaction on the first step's
event, give again: whoever comes, it is finished once.
"""

from typing import Any, Final

import msgspec
import structlog

from actors.parties import is_oneself, organizations_of
from actors.room_commands import TakeOver
from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from actors.session_commands import HandOver, TakeUp
from actors.session_state import Access, HandedOver, SessionStatus
from actors.session_work import check_documents
from domain.errors import Conflict, Forbidden, NotFound, Rejected
from domain.ids import derived_command_id
from services.entities import ROOM, SESSION, Answered, Entities, Sender

HAND_OFF_REASON: Final = "hand-off"

log = structlog.get_logger()


class HandOffs:
    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    async def take(self, sender: Sender, from_session: str, offer_id: str, to_session: str) -> Answered:
        """The receiving session, with all that was handed over. `Conflict` `taken` when somebody was faster."""
        actor = sender.actor
        receiving = await self._view(SESSION, to_session, actor)
        _check_receives(receiving, actor)
        _check_fits(await self._view(SESSION, from_session, actor), receiving)
        answer = await self._entities.ask(
            SESSION,
            from_session,
            HandOver(offer_id=offer_id, to_session=to_session),
            actor=actor,
            command_id=_step("hand_over", from_session, offer_id, to_session),
            device=receiving["device_id"],
            correlation=sender.correlation,
        )
        reply = answer.data or {}
        handed = HandedOver(
            offer_id=offer_id,
            giver=reply["from"],
            to=actor.subject,
            to_session=to_session,
            to_device=receiving["device_id"],
            organizations=organizations_of(actor),
            room_id=reply["room_id"],
            patient_id=reply["patient_id"],
            visit_id=reply["visit_id"],
            documents=tuple(reply["documents"]),
        )
        return await self._go_on(from_session, handed, actor, sender.correlation)

    async def finish(self, from_session: str, handed: HandedOver, correlation: str) -> None:
        """Whatever is left to do of a hand-off that was decided. Nothing, as a rule."""
        actor = Actor(handed.to, ("provider",), handed.organizations)
        try:
            await self._go_on(from_session, handed, actor, correlation)
        except Rejected as error:
            # The receiver has ended their session since: the work waits where the room is.
            log.warning("hand_off_not_taken_up", session=handed.to_session, code=error.failure.code)

    async def _go_on(self, from_session: str, handed: HandedOver, actor: Actor, correlation: str) -> Answered:
        if handed.room_id:
            await self._take_room(from_session, handed, actor, correlation)
        return await self._entities.ask(
            SESSION,
            handed.to_session,
            TakeUp(
                offer_id=handed.offer_id,
                from_session=from_session,
                room_id=handed.room_id,
                patient_id=handed.patient_id,
                visit_id=handed.visit_id,
                documents=handed.documents,
            ),
            actor=actor,
            command_id=_step("take_up", from_session, handed.offer_id, handed.to_session),
            device=handed.to_device,
            correlation=correlation,
            want=VIEW_JSON,
        )

    async def _take_room(self, from_session: str, handed: HandedOver, actor: Actor, correlation: str) -> None:
        """The claim of a third provider is not the giver's to hand over; a room that moved on needs none."""
        try:
            claim = (await self._view(ROOM, handed.room_id, actor)).get("claim")
            if claim is not None and claim["by"] not in {handed.giver, handed.to}:
                return
            await self._entities.ask(
                ROOM,
                handed.room_id,
                TakeOver(HAND_OFF_REASON),
                actor=actor,
                command_id=_step("take_over", from_session, handed.offer_id, handed.to_session),
                device=handed.to_device,
                correlation=correlation,
            )
        except Rejected as error:
            log.info("room_not_taken_over", room=handed.room_id, code=error.failure.code)

    async def _view(self, kind: str, id: str, actor: Actor) -> dict[str, Any]:
        answer = await self._entities.read(kind, id, actor=actor, want=VIEW_JSON)
        view: dict[str, Any] = msgspec.json.decode(answer.view)
        return view


def _check_receives(receiving: dict[str, Any], actor: Actor) -> None:
    if not is_oneself(actor, receiving["subject"]):
        raise NotFound("There is no such session.")
    if receiving["status"] == SessionStatus.ENDED:
        raise Conflict("The session has ended.", code="session_ended")
    if receiving["access"] != Access.GRANTED:
        raise Forbidden("This session was revoked.")


def _check_fits(giving: dict[str, Any], receiving: dict[str, Any]) -> None:
    """Once it was handed over it is too late to refuse it."""
    if not set(giving["organizations"]) & set(receiving["organizations"]):
        raise Forbidden("That session is at another clinic.")
    check_documents(len({*giving.get("documents", ()), *receiving.get("documents", ())}))


def _step(step: str, from_session: str, offer_id: str, to_session: str) -> bytes:
    return derived_command_id("hand-off", step, from_session, offer_id, to_session)
