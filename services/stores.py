"""Use-cases' interfaces on the tables of `storage`: the same content, in this floor's terms.

A database that is away is `Unavailable` here: the caller may try again.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import Unavailable
from domain.money import Money
from services.listings import CartEntry, OrderEntry, OrderFilter, Place, StatusCount
from services.locations import Address, City, Country, Location, OpenFrom, Room
from services.merchants import Merchant
from services.products import OptionGroup, Product
from storage.carts import CartTables
from storage.catalog import CatalogTables, MerchantRecord, ProductRecord
from storage.db import Database
from storage.locations import LocationRecord, LocationTables, RoomRecord
from storage.orders import OrderTables
from storage.reactions import DeadLetterRecord, ReactionTables
from storage.rooms import RoomTables

_AWAY = (OperationalError, InterfaceError, PoolTimeoutError, OSError)


@asynccontextmanager
async def reachable() -> AsyncIterator[None]:
    try:
        yield
    except _AWAY as error:
        raise Unavailable("The database does not answer.", code="database_away", retry_after_ms=1_000) from error


class CatalogStore:
    """`services.catalog.CatalogStore`."""

    def __init__(self, database: Database) -> None:
        self._tables = CatalogTables(database)

    async def products(self, ids: Sequence[str]) -> dict[str, Product]:
        async with reachable():
            found = await self._tables.products(ids)
        return {product_id: _product(record) for product_id, record in found.items()}

    async def merchant(self, merchant_id: str) -> Merchant | None:
        async with reachable():
            found = await self._tables.merchant(merchant_id)
        return None if found is None else _merchant(found)

    async def currency(self, organization_id: str) -> str:
        async with reachable():
            return await self._tables.currency(organization_id)

    async def merchants(self, city: str, country: str, after_id: str, limit: int) -> Sequence[Merchant]:
        async with reachable():
            return [_merchant(record) for record in await self._tables.merchants(city, country, after_id, limit)]

    async def menu(self, merchant_id: str, after_id: str, limit: int) -> Sequence[Product]:
        async with reachable():
            return [_product(record) for record in await self._tables.menu(merchant_id, after_id, limit)]

    async def add_merchant(self, merchant: Merchant) -> bool:
        record = MerchantRecord(**msgspec.structs.asdict(merchant))
        async with reachable():
            return await self._tables.add_merchant(record)

    async def add_product(self, product: Product) -> bool:
        async with reachable():
            return await self._tables.add_product(_product_record(product))

    async def put_product(self, product: Product) -> None:
        async with reachable():
            await self._tables.put_product(_product_record(product))


class Listings:
    """`services.listings.Listings`."""

    def __init__(self, database: Database) -> None:
        self._orders = OrderTables(database)
        self._carts = CartTables(database)

    async def orders(self, wanted: OrderFilter, after: Place | None, limit: int) -> Sequence[OrderEntry]:
        async with reachable():
            return await self._orders.orders(wanted, place(after), limit)

    async def carts(self, owner: str, statuses: Sequence[str], after: Place | None, limit: int) -> Sequence[CartEntry]:
        async with reachable():
            found = await self._carts.carts(owner=owner, statuses=statuses, after=place(after), limit=limit)
        return [
            CartEntry(
                id=record.id,
                status=record.status,
                created_at_ms=record.created_at_ms,
                updated_at_ms=record.updated_at_ms,
                merchant_id=record.merchant_id,
            )
            for record in found
        ]

    async def order_counts(self, wanted: OrderFilter) -> Sequence[StatusCount]:
        async with reachable():
            found = await self._orders.counts(wanted)
        return [StatusCount(each.status, each.count, Money(each.total_minor, each.currency)) for each in found]


class LocationStore:
    """`services.locations.LocationStore` and `services.visit_places.VisitPlaces`."""

    def __init__(self, database: Database) -> None:
        self._tables = LocationTables(database)
        self._live_rooms = RoomTables(database)

    async def location(self, location_id: str) -> Location | None:
        async with reachable():
            found = await self._tables.location(location_id)
        return None if found is None else _location(found)

    async def locations(self, organization_ids: Sequence[str], after_id: str, limit: int) -> Sequence[Location]:
        async with reachable():
            return [_location(record) for record in await self._tables.locations(organization_ids, after_id, limit)]

    async def add_location(self, location: Location) -> bool:
        async with reachable():
            return await self._tables.add_location(_location_record(location))

    async def put_location(self, location: Location) -> None:
        async with reachable():
            await self._tables.put_location(_location_record(location))

    async def close_location(self, location_id: str) -> bool:
        async with reachable():
            return await self._tables.close_location(location_id)

    async def countries(self) -> Sequence[Country]:
        async with reachable():
            return [Country(each.country, each.locations) for each in await self._tables.countries()]

    async def cities(self, country: str) -> Sequence[City]:
        async with reachable():
            return [City(each.city, each.locations) for each in await self._tables.cities(country)]

    async def bring_visit(self, organization_id: str, visit_id: str, room_id: str) -> bool:
        async with reachable():
            return await self._live_rooms.bring_visit(organization_id, visit_id, room_id)

    async def visit_settled(self, organization_id: str, visit_id: str, room_id: str) -> None:
        async with reachable():
            await self._live_rooms.visit_settled(organization_id, visit_id, room_id)

    async def room(self, room_id: str) -> Room | None:
        async with reachable():
            found = await self._tables.room(room_id)
        return None if found is None else Room(**msgspec.structs.asdict(found))

    async def rooms(self, location_id: str, after_id: str, limit: int) -> Sequence[Room]:
        async with reachable():
            found = await self._tables.rooms(location_id, after_id, limit)
        return [Room(**msgspec.structs.asdict(record)) for record in found]

    async def held_rooms(self, subject: str, limit: int) -> Sequence[str]:
        async with reachable():
            return await self._live_rooms.held_by(subject, limit)

    async def add_room(self, room: Room) -> bool:
        async with reachable():
            return await self._tables.add_room(RoomRecord(**msgspec.structs.asdict(room)))

    async def put_room(self, room: Room) -> None:
        async with reachable():
            await self._tables.put_room(RoomRecord(**msgspec.structs.asdict(room)))

    async def close_room(self, room_id: str) -> None:
        async with reachable():
            await self._tables.close_room(room_id)


class DeadLetters:
    """`services.health.DeadLetters`."""

    def __init__(self, database: Database) -> None:
        self._tables = ReactionTables(database)

    async def list(self, after_id: str, limit: int) -> Sequence[DeadLetterRecord]:
        async with reachable():
            return await self._tables.list(after_id, limit)

    async def retry(self, letter_id: str) -> bool:
        async with reachable():
            return await self._tables.retry(letter_id)


def _merchant(record: MerchantRecord) -> Merchant:
    return Merchant(**{name: getattr(record, name) for name in Merchant.__struct_fields__})


def _product(record: ProductRecord) -> Product:
    fields = msgspec.structs.asdict(record) | {"options": msgspec.convert(record.options, tuple[OptionGroup, ...])}
    return Product(**fields)


def _product_record(product: Product) -> ProductRecord:
    groups = tuple(
        {
            "id": group.id,
            "name": group.name,
            "min": group.min,
            "max": group.max,
            "options": [
                {"id": option.id, "name": option.name, "price_minor": option.price_minor} for option in group.options
            ],
        }
        for group in product.options
    )
    return ProductRecord(**(msgspec.structs.asdict(product) | {"options": groups}))


def _location(record: LocationRecord) -> Location:
    return Location(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        address=Address(**{name: getattr(record, name) for name in Address.__struct_fields__}),
        time_zone=record.time_zone,
        opening_hours=msgspec.convert(record.opening_hours, tuple[OpenFrom, ...]),
        categories=record.categories,
    )


def _location_record(location: Location) -> LocationRecord:
    fields = msgspec.structs.asdict(location)
    address = msgspec.structs.asdict(fields.pop("address"))
    hours = tuple(msgspec.structs.asdict(span) for span in location.opening_hours)
    return LocationRecord(**(fields | address | {"opening_hours": hours}))


def place(after: Place | None) -> tuple[int, str] | None:
    """Where a page begins, as tables take it."""
    return None if after is None else (after.at_ms, after.id)
