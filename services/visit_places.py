"""A visit is in at most one room. Its place is reserved before a room is asked to take it in.

Every use-case that tells a room something goes through here, so no way around it is left. The place is a row of
its own (`storage.rooms`): it is on its way until the room has answered, and then where the room's row says.
"""

from typing import Any, Protocol

import msgspec

from actors.room_commands import SetStatus, Undo
from actors.room_status import RoomStatus
from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from domain.errors import Conflict, Rejected
from services.entities import ROOM, Answered, Entities


class VisitPlaces(Protocol):
    """Where visits are. Each method is one transaction."""

    async def bring_visit(self, organization_id: str, visit_id: str, room_id: str) -> bool:
        """Reserve the visit's place; False while it is in another room, or on its way there."""

    async def visit_settled(self, organization_id: str, visit_id: str, room_id: str) -> None:
        """The room has answered: its row says whether the visit is there."""


class _Shown(msgspec.Struct):
    """The part of a room's view that says which visit an undo would bring back."""

    organization_id: str
    undo_version: int = 0
    undo_visit_id: str = ""


_shown = msgspec.json.Decoder(_Shown)


class OneRoomPerVisit:
    """`services.entities.Entities`, with rooms that take in no visit that is in another."""

    def __init__(self, entities: Entities, store: VisitPlaces) -> None:
        self._entities = entities
        self._store = store

    async def ask(self, kind: str, id: str, command: Any, *, actor: Actor, **options: Any) -> Answered:
        """Raises `Conflict` with code `visit_elsewhere`; else as the entities do."""
        if kind != ROOM or not _may_take_in(command):
            return await self._entities.ask(kind, id, command, actor=actor, **options)
        shown = _shown.decode((await self._entities.read(ROOM, id, actor=actor, want=VIEW_JSON)).view)
        if isinstance(command, SetStatus):
            visit_id = command.visit_id
        else:
            visit_id = shown.undo_visit_id if command.version == shown.undo_version else ""
        if not visit_id:
            return await self._entities.ask(kind, id, command, actor=actor, **options)
        if not await self._store.bring_visit(shown.organization_id, visit_id, id):
            raise Conflict("The visit is in another room.", code="visit_elsewhere")
        try:
            answer = await self._entities.ask(kind, id, command, actor=actor, **options)
        except Rejected:
            await self._store.visit_settled(shown.organization_id, visit_id, id)
            raise
        await self._store.visit_settled(shown.organization_id, visit_id, id)
        return answer

    async def read(self, kind: str, id: str, *, actor: Actor, want: int = VIEW_JSON, correlation: str = "") -> Answered:
        return await self._entities.read(kind, id, actor=actor, want=want, correlation=correlation)


def _may_take_in(command: Any) -> bool:
    if isinstance(command, SetStatus):
        return command.to == RoomStatus.ROOMED.value and bool(command.visit_id)
    return isinstance(command, Undo)
