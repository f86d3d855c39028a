"""SQL in every text that reaches Postgres: stored and compared as it is."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from services.stores import CatalogStore, LocationStore
from storage.catalog import CatalogTables, MerchantRecord, ProductRecord
from storage.db import Database
from storage.locations import LocationTables

pytestmark = pytest.mark.stack

INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE products; --",
    "' UNION SELECT id, password_hash FROM users --",
    "\\'; SELECT pg_sleep(10); --",
    "$$; TRUNCATE users; $$",
    "%' ESCAPE '",
    "{0} %s :name $1 ?",
    "\u02bc OR \uff07 1=1",
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def count(database: Database, table: str) -> int:
    async with database.session() as session:
        return int((await session.execute(sa.select(sa.func.count()).select_from(sa.table(table)))).scalar_one())


async def test_text_is_stored_as_it_is_and_finds_only_itself(database: Database) -> None:
    for number, text in enumerate(INJECTIONS, 1):
        await stored_and_found(database, text)
        assert await count(database, "products") == number
    assert await count(database, "users") == 0


async def stored_and_found(database: Database, text: str) -> None:
    catalog = CatalogTables(database)
    merchant = MerchantRecord(id=new_id(), name=text, currency="EUR", city=text, country="DE")
    assert await catalog.add_merchant(merchant)
    product = ProductRecord(
        id=new_id(), merchant_id=merchant.id, name=text, sku=text, price_minor=1, currency="EUR", category=text
    )
    assert await catalog.add_product(product)
    assert await catalog.merchants(text, "", "", 10) == [merchant]
    assert (await catalog.products([product.id]))[product.id] == product
    assert await catalog.merchants("", text, "", 10) == []
    assert await catalog.menu(text, text, 10) == []
    assert await catalog.products([text]) == {}
    assert await LocationTables(database).cities(text) == []
    assert await LocationTables(database).locations([text], text, 10) == []
    assert await LocationStore(database).location(text) is None
    assert await CatalogStore(database).merchant(text) is None
