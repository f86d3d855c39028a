"""Rooms and locations that are closed; whose rooms are; the one room that a visit may be in."""

import asyncio

import msgspec
import pytest
from sqlalchemy import func, insert, update

from domain.errors import Conflict, NotFound
from storage.locations import CityRecord, CountryRecord, LocationTables, RoomRecord
from storage.models import Organization, RoomIndex, VisitPlace
from storage.rooms import PENDING_SECONDS_MAX, RoomTables
from storage.times import from_ms
from tests.storage.test_locations import SITE

pytestmark = pytest.mark.stack

ROOM = RoomRecord(id="r1", location_id="l1", name="Room 1")


@pytest.fixture
async def places(database):
    async with database.session() as session:
        clinic = {"id": "clinic-1", "kind": "clinic", "name": "Clinic", "currency": "EUR"}
        await session.execute(insert(Organization).values(clinic))
    one = LocationTables(database)
    assert await one.add_location(SITE)
    return one


@pytest.fixture
def rooms(database):
    return RoomTables(database)


async def lived_in(database, id, *, visit_id=None, claimed_by=None):
    row = {
        "id": id,
        "version": 1,
        "organization_id": "clinic-1",
        "location_id": "l1",
        "status": "roomed",
        "claimed_by": claimed_by,
        "visit_id": visit_id,
        "since": from_ms(0),
    }
    async with database.session() as session:
        await session.execute(insert(RoomIndex).values(row))


async def test_a_closed_room_is_in_no_list_and_its_name_is_free(places):
    await places.add_room(ROOM)
    await places.close_room("r1")
    assert await places.rooms("l1", "", 10) == []
    assert await places.room("r1") == msgspec.structs.replace(ROOM, closed=True)
    assert not await places.add_room(ROOM), "the id is taken for ever"
    again = msgspec.structs.replace(ROOM, id="r2")
    assert await places.add_room(again)
    with pytest.raises(Conflict):
        await places.add_room(msgspec.structs.replace(ROOM, id="r3"))
    assert await places.rooms("l1", "", 10) == [again]


async def test_a_location_is_closed_only_without_open_rooms(places):
    await places.add_room(ROOM)
    assert not await places.close_location("l1")
    await places.close_room("r1")
    assert await places.close_location("l1")
    assert await places.location("l1") is None
    assert await places.locations(["clinic-1"], "", 10) == []
    assert await places.countries() == []
    assert not await places.add_location(SITE)
    with pytest.raises(NotFound):
        await places.add_room(msgspec.structs.replace(ROOM, id="r2"))


async def test_a_room_that_is_made_while_its_location_is_closed_is_either_there_or_not(places):
    for number in range(10):
        site = msgspec.structs.replace(SITE, id=f"s{number}")
        await places.add_location(site)
        room = RoomRecord(id=f"q{number}", location_id=site.id, name="Room")
        added, closed = await asyncio.gather(
            places.add_room(room), places.close_location(site.id), return_exceptions=True
        )
        assert (added is True) != (closed is True), (added, closed)


async def test_where_there_are_locations(places):
    for number, (city, country) in enumerate((("Berlin", "DE"), ("Hamburg", "DE"), ("Wien", "AT"))):
        await places.add_location(msgspec.structs.replace(SITE, id=f"m{number}", city=city, country=country))
    assert await places.countries() == [CountryRecord("AT", 1), CountryRecord("DE", 3)]
    assert await places.cities("DE") == [CityRecord("Berlin", 2), CityRecord("Hamburg", 1)]
    assert await places.cities("XX") == []


async def test_rooms_are_found_by_who_holds_them(database, rooms):
    for room_id, who in (("r3", "pia"), ("r1", "pia"), ("r2", "quinn"), ("r4", None)):
        await lived_in(database, room_id, claimed_by=who)
    assert await rooms.held_by("pia", 10) == ["r1", "r3"]
    assert await rooms.held_by("pia", 1) == ["r1"]
    assert await rooms.held_by("fred", 10) == []


async def test_a_visit_on_its_way_to_one_room_goes_to_no_other(rooms):
    assert await rooms.bring_visit("clinic-1", "v1", "r1")
    assert await rooms.bring_visit("clinic-1", "v1", "r1"), "a repeat"
    assert not await rooms.bring_visit("clinic-1", "v1", "r2")
    assert await rooms.bring_visit("clinic-2", "v1", "r9"), "another clinic's visit"


async def test_where_the_room_has_answered_its_row_says_whether_the_visit_is_there(database, rooms):
    await lived_in(database, "r1", visit_id="v1")
    await rooms.bring_visit("clinic-1", "v1", "r1")
    await rooms.visit_settled("clinic-1", "v1", "r1")
    assert not await rooms.bring_visit("clinic-1", "v1", "r2")
    async with database.session() as session:
        await session.execute(update(RoomIndex).values(visit_id=None))
    assert await rooms.bring_visit("clinic-1", "v1", "r2")
    await rooms.visit_settled("clinic-1", "v1", "r1")
    assert not await rooms.bring_visit("clinic-1", "v1", "r1"), "what r1 says does not count any more"


async def test_a_way_that_nobody_ended_is_over_after_a_while(database, rooms):
    await rooms.bring_visit("clinic-1", "v1", "r1")
    for seconds, expected in ((PENDING_SECONDS_MAX - 5, False), (PENDING_SECONDS_MAX + 5, True)):
        async with database.session() as session:
            ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
            await session.execute(update(VisitPlace).values(since=ago))
        assert await rooms.bring_visit("clinic-1", "v1", "r2") is expected


async def test_of_many_rooms_at_once_one_gets_the_visit(rooms):
    got = await asyncio.gather(*(rooms.bring_visit("clinic-1", "v1", f"r{number}") for number in range(8)))
    assert sum(got) == 1
