"""Locations and rooms read back as they were written; names are unique within a location."""

import asyncio

import msgspec
import pytest
from alembic import command
from sqlalchemy import insert
from sqlalchemy.pool import NullPool

from domain.errors import Conflict, NotFound
from storage import migrate
from storage.db import make_engine
from storage.locations import LocationRecord, LocationTables, RoomRecord
from storage.models import Organization

pytestmark = pytest.mark.stack

SITE = LocationRecord(
    id="l1",
    organization_id="clinic-1",
    name="Centre",
    line1="Hauptstraße 1",
    city="Berlin",
    country="DE",
    time_zone="Europe/Berlin",
    postal_code="10115",
    opening_hours=({"day": "monday", "opens": "09:00", "closes": "17:30"},),
    categories=("injectables", "laser"),
)


@pytest.fixture
async def tables(database):
    async with database.session() as session:
        clinics = [{"id": f"clinic-{n}", "kind": "clinic", "name": f"Clinic {n}", "currency": "EUR"} for n in (1, 2)]
        await session.execute(insert(Organization).values(clinics))
    one = LocationTables(database)
    assert await one.add_location(SITE)
    return one


def at(id, **changes):
    return msgspec.structs.replace(SITE, id=id, **changes)


def room(id, name="Room 1", **changes):
    return RoomRecord(**{"id": id, "location_id": "l1", "name": name, "kind": "injection", **changes})


async def test_a_location_reads_back_as_it_was_written(tables):
    assert await tables.location("l1") == SITE
    assert await tables.location("none") is None
    assert not await tables.add_location(at("l1", name="Other"))
    moved = at("l1", line1="Nebenstraße 2", opening_hours=(), categories=())
    await tables.put_location(moved)
    assert await tables.location("l1") == moved


async def test_a_location_needs_its_organization(tables):
    with pytest.raises(NotFound):
        await tables.add_location(at("l9", organization_id="nobody"))


async def test_locations_of_organizations_are_paged_by_id(tables):
    await tables.add_location(at("l2", organization_id="clinic-2"))
    await tables.add_location(at("l3"))

    async def ids(organizations, after="", limit=10):
        return [one.id for one in await tables.locations(organizations, after, limit)]

    assert await ids(["clinic-1"]) == ["l1", "l3"]
    assert await ids(["clinic-1", "clinic-2"], "l1", 1) == ["l2"]
    assert await ids([]) == []


async def test_rooms_read_back_and_are_paged_by_id(tables):
    for number in (3, 1, 2):
        assert await tables.add_room(room(f"r{number}", f"Room {number}"))
    assert not await tables.add_room(room("r1", "Other"))
    assert await tables.room("r1") == room("r1")
    assert await tables.room("none") is None
    assert [one.id for one in await tables.rooms("l1", "", 2)] == ["r1", "r2"]
    assert [one.id for one in await tables.rooms("l1", "r2", 2)] == ["r3"]
    assert await tables.rooms("l2", "", 2) == []


async def test_a_name_belongs_to_one_room_of_a_location(tables):
    await tables.add_location(at("l2"))
    await tables.add_room(room("r1"))
    with pytest.raises(Conflict) as caught:
        await tables.add_room(room("r2"))
    assert caught.value.failure.code == "room_name_taken"
    assert await tables.add_room(room("r2", location_id="l2"))
    await tables.add_room(room("r3", "Room 3"))
    with pytest.raises(Conflict):
        await tables.put_room(room("r3", "Room 1"))
    await tables.put_room(room("r3", "Room 4", kind="laser"))
    assert await tables.room("r3") == room("r3", "Room 4", kind="laser")


async def test_of_two_that_take_a_name_at_once_one_has_it(tables):
    results = await asyncio.gather(*(tables.add_room(room(f"r{n}")) for n in range(5)), return_exceptions=True)
    assert sum(result is True for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_a_room_needs_its_location(tables):
    with pytest.raises(NotFound):
        await tables.add_room(room("r1", location_id="none"))


async def test_the_migration_goes_back_and_forth(database_url):
    def back(connection):
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")

    engine = make_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(back)
    await engine.dispose()
    assert await migrate.current_revision(database_url) == "0001"
    assert await migrate.upgrade(database_url) == migrate.head_revision()
    assert await migrate.current_revision(database_url) == migrate.head_revision()
