"""The ground a measurement stands on: stores of its own, a schema, one merchant and its products."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from domain.ids import derived_id
from storage.db import Database
from storage.embedded.postgres import EmbeddedPostgres
from storage.embedded.redis import EmbeddedRedis
from storage.migrate import upgrade
from storage.models.catalog import Organization, Product

CURRENCY: Final = "EUR"
LINE_QUANTITY_MAX: Final = 999
"""Of the seeded products, high enough that no load meets it."""


class Item(msgspec.Struct, frozen=True):
    """One product of the seeded merchant; the price is in minor units."""

    id: str
    name: str
    price_minor: int


class Catalog(msgspec.Struct, frozen=True):
    merchant_id: str
    items: tuple[Item, ...]


def make_catalog(count: int = 16) -> Catalog:
    """The same merchant and products every time."""
    items = tuple(
        Item(derived_id("loadtests", "product", str(number)), f"Product {number}", 100 + 35 * number)
        for number in range(count)
    )
    return Catalog(derived_id("loadtests", "merchant"), items)


@asynccontextmanager
async def temporary_redis() -> AsyncIterator[str]:
    """The URL of an embedded Redis, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="atrium-load-"))
    server = EmbeddedRedis(folder / "redis")
    try:
        await asyncio.to_thread(server.start)
        yield server.url
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def temporary_postgres() -> AsyncIterator[str]:
    """The URL of an embedded Postgres with the project's own settings (fsync on), empty, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="atrium-load-"))
    server = EmbeddedPostgres(folder / "postgres")
    try:
        await asyncio.to_thread(server.start)
        yield server.url
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


async def migrate_and_seed(database_url: str, catalog: Catalog) -> None:
    """Bring the schema up and put the merchant and its products into it, unless they are there."""
    await upgrade(database_url)
    await seed_catalog(database_url, catalog)


async def seed_catalog(database_url: str, catalog: Catalog) -> None:
    database = Database(database_url)
    try:
        async with database.session() as session:
            await session.merge(
                Organization(id=catalog.merchant_id, kind="merchant", name="Load merchant", currency=CURRENCY)
            )
            await session.flush()
            for number, item in enumerate(catalog.items):
                product = Product(
                    id=item.id,
                    merchant_id=catalog.merchant_id,
                    name=item.name,
                    sku=f"load-{number}",
                    price_minor=item.price_minor,
                    currency=CURRENCY,
                    max_quantity=LINE_QUANTITY_MAX,
                )
                await session.merge(product)
    finally:
        await database.close()
