"""Locations and rooms on the real tables and the real journal: what was made and moved is there after a restart."""

import msgspec
import pytest
from sqlalchemy import insert

from actors.kinds import KINDS
from actors.room_commands import SetStatus
from actors.runtime.entity import Actor
from actors.runtime.local import LOCAL_KEYS, LocalRuntime
from domain.errors import Conflict, NotFound
from domain.ids import new_id
from services.entities import Sender
from services.history import History
from services.locations import Address, Location, Locations, OpenFrom, Room
from services.rooms import Rooms
from services.stores import LocationStore
from services.visit_places import OneRoomPerVisit
from storage.db import Database
from storage.journal.postgres import PostgresJournal
from storage.models import Organization

pytestmark = pytest.mark.stack

CLINIC = new_id()
ADA = Actor(new_id(), ("admin",), (CLINIC,))
PIA = Actor(new_id(), ("provider",), (CLINIC,))
SITE = Location(
    id=new_id(),
    organization_id=CLINIC,
    name="Centre",
    address=Address(line1="Hauptstraße 1", city="Berlin", country="DE"),
    time_zone="Europe/Berlin",
    opening_hours=(OpenFrom("monday", "09:00", "24:00"),),
    categories=("laser",),
)
ROOM = Room(id=new_id(), location_id=SITE.id, name="Room 1", kind="laser")


@pytest.fixture
async def store(database_url):
    database = Database(database_url)
    async with database.session() as session:
        await session.execute(insert(Organization).values(id=CLINIC, kind="clinic", name="Clinic", currency="EUR"))
    yield LocationStore(database)
    await database.close()


async def test_a_location_and_its_rooms_are_kept(store):
    locations = Locations(store)
    assert await locations.add(ADA, SITE) == (SITE, False)
    assert await locations.add(ADA, SITE) == (SITE, True)
    assert await locations.get(PIA, SITE.id) == SITE
    assert list(await locations.list(PIA, "", "", 10)) == [SITE]
    north = msgspec.structs.replace(SITE, name="North", organization_id="")
    moved = await locations.put(ADA, north)
    assert await locations.get(PIA, SITE.id) == moved == msgspec.structs.replace(SITE, name="North")
    elsewhere = msgspec.structs.replace(SITE, id=new_id(), organization_id=new_id())
    with pytest.raises(NotFound):
        await locations.add(Actor("a", ("admin",), (elsewhere.organization_id,)), elsewhere)


async def test_a_room_is_where_it_was_after_a_restart(store, database_url):
    async def lived(work):
        journal = await PostgresJournal(database_url).open()
        try:
            async with LocalRuntime(journal, journal, KINDS) as local:
                entities = OneRoomPerVisit(local.client, store)
                return await work(Rooms(entities, store, locations, History(journal, KINDS, LOCAL_KEYS)))
        finally:
            await journal.close()

    async def move_in(rooms):
        assert await rooms.add(ADA, ROOM) == (ROOM, False)
        assert await rooms.add(ADA, ROOM) == (ROOM, True)
        with pytest.raises(Conflict):
            await rooms.add(ADA, msgspec.structs.replace(ROOM, id=new_id()))
        await rooms.put(ADA, msgspec.structs.replace(ROOM, name="Room 2"))
        for command in (SetStatus(to="held"), SetStatus(to="roomed", patient_id="p-1", visit_id="v-1")):
            await rooms.set_status(Sender(PIA), ROOM.id, command)
        return msgspec.json.decode((await rooms.claim(Sender(PIA), ROOM.id)).view)

    async def look(rooms):
        assert [room.name for room in await rooms.list(PIA, SITE.id, "", 10)] == ["Room 2"]
        assert await rooms.held(PIA, PIA.subject, 10) == [ROOM.id]
        history, more = await rooms.history(PIA, ROOM.id, 0, 3)
        assert ([entry.type for entry in history], more) == (["claimed", "status_changed", "status_changed"], 3)
        return msgspec.json.decode((await rooms.get(PIA, ROOM.id)).view)

    async def leave(rooms):
        second = msgspec.structs.replace(ROOM, id=new_id(), name="Room 3")
        await rooms.add(ADA, second)
        await rooms.set_status(Sender(PIA), second.id, SetStatus(to="held"))
        there = SetStatus(to="roomed", patient_id="p-1", visit_id="v-1")
        with pytest.raises(Conflict, match="another room"):
            await rooms.set_status(Sender(PIA), second.id, there)
        await rooms.set_status(Sender(PIA), ROOM.id, SetStatus(to="turnover", token=1))
        await rooms.set_status(Sender(PIA), second.id, there)
        await rooms.close(ADA, SITE.id, ROOM.id)
        assert await rooms.held(PIA, PIA.subject, 10) == []
        assert [room.id for room in await rooms.list(PIA, SITE.id, "", 10)] == [second.id]
        with pytest.raises(Conflict):
            await locations.close(ADA, SITE.id)

    locations = Locations(store)
    await locations.add(ADA, SITE)
    before = await lived(move_in)
    assert (before["name"], before["patient_id"], before["claim"]["token"]) == ("Room 2", "p-1", 1)
    assert await lived(look) == before
    await lived(leave)
