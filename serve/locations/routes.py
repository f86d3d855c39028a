"""Locations and their rooms over HTTP, for the people of the organization; its admins manage them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from domain.ids import derived_id, new_id
from serve.locations import schemas
from serve.platform.answers import replayed
from serve.platform.caching import CATALOG_SECONDS, cacheable
from serve.platform.call import Answer, Call, json_answer
from serve.platform.edge import API_PREFIX
from serve.platform.pages import PageOf, id_of, page
from serve.platform.routing import Id, api_router, problems, public_router
from serve.platform.schemas import PageQuery
from services.locations import Address, Location, OpenFrom, Room

router = api_router("/locations", "locations")
public = public_router("/locations", "locations")

_UNKNOWN = {"_404": "Unknown, or not your organization's."}
_BAD = {"_422": "The request is not valid: `errors` has field paths."}
_IN_USE = {"_409": "Not empty: `code` says how."}
_TAKEN = {"_409": "The location has another room of this name."}


@public.get("/countries", response_model=schemas.Countries)
@cacheable(CATALOG_SECONDS)
async def list_countries(call: Call) -> Answer:
    """Countries that have locations."""
    return json_answer(PageOf(await call.runtime.locations.countries()))


@public.get("/{country}/cities", response_model=schemas.Cities)
@cacheable(CATALOG_SECONDS)
async def list_cities(call: Call, country: str) -> Answer:
    """Cities of a country that have locations; none of a country without."""
    return json_answer(PageOf(await call.runtime.locations.cities(country.upper())))


@public.get("/{location_id}/categories", response_model=schemas.Categories, responses=problems(_404="Unknown."))
@cacheable(CATALOG_SECONDS)
async def list_categories(call: Call, location_id: Id) -> Answer:
    """What a location offers."""
    return json_answer(PageOf(await call.runtime.locations.categories(location_id)))


@router.get("", response_model=schemas.LocationPage, responses=problems(**_UNKNOWN, **_BAD))
async def list_locations(call: Call, query: Annotated[schemas.LocationList, Query()]) -> Answer:
    """Locations of your organizations."""
    after, limit = id_of(query.cursor), query.limit
    rows = await call.runtime.locations.list(call.actor, query.organization_id or "", after, limit + 1)
    return page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


@router.post("", status_code=201, response_model=schemas.Location, responses=problems(**_UNKNOWN, **_BAD))
async def create_location(call: Call, body: schemas.CreateLocation) -> Answer:
    """A new site of your organization (admins). With an `Idempotency-Key`, a repeat gives the same location."""
    key = call.idempotency_key()
    location_id = new_id() if key is None else derived_id("location", call.actor.subject, key)
    wanted = _location(location_id, body.organization_id, body)
    location, repeated = await call.runtime.locations.add(call.actor, wanted)
    header = (b"location", f"{API_PREFIX}/locations/{location.id}".encode())
    return json_answer(location, HTTPStatus.CREATED, [header, *replayed(repeated)])


@router.get("/{location_id}", response_model=schemas.Location, responses=problems(**_UNKNOWN))
async def get_location(call: Call, location_id: Id) -> Answer:
    return json_answer(await call.runtime.locations.get(call.actor, location_id))


@router.put("/{location_id}", response_model=schemas.Location, responses=problems(**_UNKNOWN, **_BAD))
async def put_location(call: Call, location_id: Id, body: schemas.PutLocation) -> Answer:
    """Replace a location (admins); it stays with its organization."""
    return json_answer(await call.runtime.locations.put(call.actor, _location(location_id, "", body)))


@router.delete("/{location_id}", status_code=204, responses=problems(**_UNKNOWN, **_IN_USE))
async def close_location(call: Call, location_id: Id) -> Answer:
    """Close a location whose rooms are all closed (admins). It is unknown from then on."""
    await call.runtime.locations.close(call.actor, location_id)
    return Answer(status=HTTPStatus.NO_CONTENT)


@router.get("/{location_id}/rooms", response_model=schemas.LocationRoomPage, responses=problems(**_UNKNOWN, **_BAD))
async def list_rooms(call: Call, location_id: Id, query: Annotated[PageQuery, Query()]) -> Answer:
    """The location's rooms as they are managed; what happens in them is on the board."""
    rows = await call.runtime.rooms.list(call.actor, location_id, id_of(query.cursor), query.limit + 1)
    return page(rows[: query.limit], rows[query.limit - 1].id if len(rows) > query.limit else None)


@router.post(
    "/{location_id}/rooms",
    status_code=201,
    response_model=schemas.LocationRoom,
    responses=problems(**_UNKNOWN, **_TAKEN, **_BAD),
)
async def create_room(call: Call, location_id: Id, body: schemas.PutRoom) -> Answer:
    """A new room (admins), available from now on. With an `Idempotency-Key`, a repeat gives the same room."""
    key = call.idempotency_key()
    room_id = new_id() if key is None else derived_id("room", call.actor.subject, location_id, key)
    room = Room(id=room_id, location_id=location_id, name=body.name, kind=body.kind)
    room, repeated = await call.runtime.rooms.add(call.actor, room, call.correlation)
    header = (b"location", f"{API_PREFIX}/locations/{location_id}/rooms/{room.id}".encode())
    return json_answer(room, HTTPStatus.CREATED, [header, *replayed(repeated)])


@router.get("/{location_id}/rooms/{room_id}", response_model=schemas.LocationRoom, responses=problems(**_UNKNOWN))
async def get_room(call: Call, location_id: Id, room_id: Id) -> Answer:
    return json_answer(await call.runtime.rooms.described(call.actor, location_id, room_id))


@router.put(
    "/{location_id}/rooms/{room_id}",
    response_model=schemas.LocationRoom,
    responses=problems(**_UNKNOWN, **_TAKEN, **_BAD),
)
async def put_room(call: Call, location_id: Id, room_id: Id, body: schemas.PutRoom) -> Answer:
    """Another name or kind (admins). Boards show it at once."""
    room = Room(id=room_id, location_id=location_id, name=body.name, kind=body.kind)
    return json_answer(await call.runtime.rooms.put(call.actor, room, call.correlation))


@router.delete("/{location_id}/rooms/{room_id}", status_code=204, responses=problems(**_UNKNOWN, **_IN_USE))
async def close_room(call: Call, location_id: Id, room_id: Id) -> Answer:
    """Close a room in which nobody is or is expected (admins). It leaves every board; its history stays."""
    await call.runtime.rooms.close(call.actor, location_id, room_id, call.correlation)
    return Answer(status=HTTPStatus.NO_CONTENT)


def _location(location_id: str, organization_id: str, body: schemas.PutLocation) -> Location:
    return Location(
        id=location_id,
        organization_id=organization_id,
        name=body.name,
        address=Address(**body.address.model_dump()),
        time_zone=body.time_zone,
        opening_hours=tuple(OpenFrom(span.day, span.opens, span.closes) for span in body.opening_hours),
        categories=tuple(body.categories),
    )
