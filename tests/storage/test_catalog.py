import msgspec
import pytest

from domain.errors import Conflict, NotFound, Unavailable
from storage.catalog import CatalogTables, MerchantRecord, ProductRecord
from storage.db import Database
from storage.settings import Settings

pytestmark = pytest.mark.stack

PIZZA = MerchantRecord(id="m1", name="Pizza", currency="EUR", city="Berlin", country="DE", delivery_fee_minor=250)
OPTIONS = (
    {"id": "size", "name": "Size", "min": 1, "max": 1, "options": [{"id": "l", "name": "L", "price_minor": 200}]},
)


def product(id="p1", **changes):
    given = {"merchant_id": "m1", "name": "Margherita", "price_minor": 900, "currency": "EUR", "sku": f"sku-{id}"}
    return ProductRecord(id=id, **{**given, **changes})


@pytest.fixture
async def catalog(database):
    one = CatalogTables(database)
    await one.add_merchant(PIZZA)
    return one


async def test_a_merchant_reads_back_as_it_was_added(catalog):
    assert await catalog.merchant("m1") == PIZZA
    assert await catalog.merchant("none") is None


async def test_a_taken_id_adds_nothing(catalog):
    assert not await catalog.add_merchant(msgspec.structs.replace(PIZZA, name="Other"))
    assert await catalog.merchant("m1") == PIZZA
    assert await catalog.add_product(product())
    assert not await catalog.add_product(product(name="Other"))
    assert (await catalog.products(["p1"]))["p1"] == product()


async def test_products_read_back_with_their_options_and_unknown_ones_are_left_out(catalog):
    chosen = product("p2", options=OPTIONS, max_quantity=3, active=False)
    await catalog.put_products([product(), chosen])
    assert await catalog.products(["p1", "p2", "p3"]) == {"p1": product(), "p2": chosen}
    assert await catalog.products([]) == {}


async def test_a_used_sku_is_a_conflict_and_no_sku_is_not(catalog):
    await catalog.add_product(product("p1", sku="x"))
    with pytest.raises(Conflict) as conflict:
        await catalog.add_product(product("p2", sku="x"))
    assert conflict.value.failure.code == "sku_taken"
    assert await catalog.add_product(product("p3", sku=""))
    assert await catalog.add_product(product("p4", sku=""))
    with pytest.raises(Conflict):
        await catalog.put_product(product("p3", sku="x"))


async def test_a_product_of_an_unknown_merchant_is_refused(catalog):
    with pytest.raises(NotFound):
        await catalog.add_product(product(merchant_id="none"))
    with pytest.raises(NotFound):
        await catalog.put_products([product(merchant_id="none")])


async def test_a_product_is_replaced(catalog):
    await catalog.add_product(product())
    changed = product(price_minor=950, options=OPTIONS)
    await catalog.put_product(changed)
    assert (await catalog.products(["p1"]))["p1"] == changed


async def test_many_are_put_at_once_and_again(catalog):
    merchants = [msgspec.structs.replace(PIZZA, id=f"n{number:04}") for number in range(1_500)]
    await catalog.put_merchants(merchants)
    await catalog.put_merchants([msgspec.structs.replace(one, name="New") for one in merchants])
    assert (await catalog.merchant("n1499")).name == "New"
    await catalog.put_merchants([])


async def test_a_menu_pages_by_id_without_inactive_products(catalog):
    await catalog.put_products([product(f"p{number}", active=number != 3) for number in range(1, 8)])
    pages, after = [], ""
    while page := await catalog.menu("m1", after, 2):
        pages.append([one.id for one in page])
        after = page[-1].id
    assert pages == [["p1", "p2"], ["p4", "p5"], ["p6", "p7"]]


async def test_merchants_page_by_id_within_city_and_country(catalog):
    others = [("m2", "Berlin", "DE", True), ("m3", "Paris", "FR", True), ("m4", "Berlin", "DE", False)]
    await catalog.put_merchants(
        [
            MerchantRecord(id=key, name=key, currency="EUR", city=city, country=country, active=active)
            for key, city, country, active in others
        ]
    )
    assert [one.id for one in await catalog.merchants("", "", "", 10)] == ["m1", "m2", "m3"]
    assert [one.id for one in await catalog.merchants("Berlin", "DE", "m1", 10)] == ["m2"]
    assert [one.id for one in await catalog.merchants("", "FR", "", 10)] == ["m3"]


async def test_a_database_that_is_away_is_unavailable():
    database = Database("postgresql://atrium@127.0.0.1:1/atrium", Settings(database_timeout_s=1.0))
    with pytest.raises(Unavailable):
        await CatalogTables(database).merchant("m1")
    await database.close()
