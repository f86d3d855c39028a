"""Rooms: made and named here, lived in as entities.

The table's row is written first, then the entity is told. If that second step was lost, the next read or
update of the room makes up for it.
"""

from collections.abc import Sequence
from typing import Any

from actors.room_commands import Claim, Create, Describe, Release, SetStatus, TakeOver, Undo
from actors.room_status import parties
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.wire import VIEW_JSON
from domain.errors import NotFound
from services.entities import ROOM, Answered, Entities, Sender, send
from services.locations import Location, Locations, LocationStore, Room, reused


class Rooms:
    def __init__(self, entities: Entities, store: LocationStore, locations: Locations) -> None:
        self._entities = entities
        self._store = store
        self._locations = locations

    # -- as they are managed ----------------------------------------------------------------------

    async def list(self, actor: Actor, location_id: str, after_id: str, limit: int) -> Sequence[Room]:
        """Of one location, by id."""
        await self._locations.get(actor, location_id)
        return await self._store.rooms(location_id, after_id, limit)

    async def described(self, actor: Actor, location_id: str, room_id: str) -> Room:
        await self._locations.get(actor, location_id)
        return await self._of_location(location_id, room_id)

    async def add(self, actor: Actor, room: Room, correlation: str = "") -> tuple[Room, bool]:
        """The room, and whether this very one was there before. For admins of the location's organization."""
        location = await self._locations.managed(actor, room.location_id)
        repeated = not await self._store.add_room(room)
        if repeated and await self._store.room(room.id) != room:
            raise reused()
        await self._make(location, room, correlation)
        return room, repeated

    async def put(self, actor: Actor, room: Room, correlation: str = "") -> Room:
        """Another name or kind; the room stays in its location. For admins of the organization."""
        location = await self._locations.managed(actor, room.location_id)
        await self._of_location(room.location_id, room.id)
        await self._store.put_room(room)
        await self._make(location, room, correlation)
        describe = Describe(name=room.name, kind=room.kind)
        await self._entities.ask(ROOM, room.id, describe, actor=SYSTEM, correlation=correlation)
        return room

    # -- as they are lived in ---------------------------------------------------------------------

    async def get(self, actor: Actor, room_id: str, correlation: str = "") -> Answered:
        try:
            return await self._read(actor, room_id, correlation)
        except NotFound:
            if not await self._made_up(actor, room_id, correlation):
                raise
        return await self._read(actor, room_id, correlation)

    async def set_status(self, sender: Sender, room_id: str, command: SetStatus) -> Answered:
        return await self._ask(sender, room_id, command)

    async def undo(self, sender: Sender, room_id: str, version: int, token: int) -> Answered:
        return await self._ask(sender, room_id, Undo(version, token))

    async def claim(self, sender: Sender, room_id: str) -> Answered:
        return await self._ask(sender, room_id, Claim())

    async def release(self, sender: Sender, room_id: str, token: int) -> Answered:
        return await self._ask(sender, room_id, Release(token))

    async def take_over(self, sender: Sender, room_id: str, reason: str) -> Answered:
        return await self._ask(sender, room_id, TakeOver(reason))

    async def _of_location(self, location_id: str, room_id: str) -> Room:
        room = await self._store.room(room_id)
        if room is None or room.location_id != location_id:
            raise NotFound("There is no such room.")
        return room

    async def _make(self, location: Location, room: Room, correlation: str) -> None:
        create = Create(
            organization_id=location.organization_id, location_id=location.id, name=room.name, kind=room.kind
        )
        await self._entities.ask(ROOM, room.id, create, actor=SYSTEM, correlation=correlation)

    async def _made_up(self, actor: Actor, room_id: str, correlation: str) -> bool:
        """Make the entity of a room that has only its row, if it is the actor's to see."""
        room = await self._store.room(room_id)
        location = None if room is None else await self._store.location(room.location_id)
        if room is None or location is None or not parties(actor, location.organization_id):
            return False
        await self._make(location, room, correlation)
        return True

    async def _read(self, actor: Actor, room_id: str, correlation: str) -> Answered:
        return await self._entities.read(ROOM, room_id, actor=actor, want=VIEW_JSON, correlation=correlation)

    async def _ask(self, sender: Sender, room_id: str, command: Any) -> Answered:
        return await send(self._entities, ROOM, room_id, sender, command)
