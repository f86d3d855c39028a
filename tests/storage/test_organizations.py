"""Organizations read back as they were written; changes check the version, and what must not change any more."""

import msgspec
import pytest

from domain.errors import Conflict, Invalid, PreconditionFailed
from storage.accounts.revocations import Ending, RevocationTables
from storage.catalog import CatalogTables, MerchantRecord, ProductRecord
from storage.locations import LocationTables
from storage.organizations import OrganizationFilter, OrganizationRecord, OrganizationTables
from tests.storage.crowding import at_once
from tests.storage.test_locations import SITE

pytestmark = pytest.mark.stack

STUDIO = OrganizationRecord(id="clinic-1", kind="clinic", name="Skin_Studio 100%", currency="EUR", city="Berlin")
SHOP = OrganizationRecord(id="shop-1", kind="merchant", name="Corner", currency="EUR", country="DE")
TOXIN = ProductRecord(id="p1", merchant_id="clinic-1", name="Toxin", price_minor=900, currency="EUR")
HELD = "SELECT FROM organizations WHERE id = 'clinic-1' FOR UPDATE"


@pytest.fixture
async def tables(database):
    one = OrganizationTables(database)
    for each in (STUDIO, SHOP):
        assert await one.add(each)
    return one


async def ids(tables, after="", limit=10, **wanted):
    return [one.id for one in await tables.organizations(OrganizationFilter(**wanted), after, limit)]


async def test_they_are_listed_by_id_and_by_what_is_wanted(tables):
    assert await ids(tables) == ["clinic-1", "shop-1"]
    assert await ids(tables, limit=1) == ["clinic-1"]
    assert await ids(tables, after="clinic-1") == ["shop-1"]
    assert await ids(tables, kind="merchant") == ["shop-1"]
    assert await ids(tables, ids=("clinic-1",)) == ["clinic-1"]
    assert await ids(tables, ids=()) == []
    await tables.set_active("shop-1", active=False, now_ms=1_000)
    assert await ids(tables, active=True) == ["clinic-1"]
    assert await ids(tables, active=False) == ["shop-1"]


async def test_a_name_is_found_by_any_part_of_it_taken_literally(tables):
    assert await ids(tables, text="sTUD") == ["clinic-1"]
    assert await ids(tables, text="100%") == ["clinic-1"]
    assert await ids(tables, text="%") == ["clinic-1"]
    assert await ids(tables, text="_") == ["clinic-1"]
    assert await ids(tables, text="n_s") == ["clinic-1"]
    assert await ids(tables, text="nXs") == []


async def test_a_change_makes_the_next_version_and_a_stale_one_nothing(tables):
    was, now = await tables.change("clinic-1", {"name": "Studio", "city": "Bern"}, expected=1)
    assert was == STUDIO
    assert now == msgspec.structs.replace(STUDIO, name="Studio", city="Bern", version=2)
    with pytest.raises(PreconditionFailed) as stale:
        await tables.change("clinic-1", {"name": "Other"}, expected=1)
    assert stale.value.failure.extra == {"current_version": 2}
    assert await tables.organization("clinic-1") == now
    assert await tables.change("none", {"name": "Other"}, expected=-1) is None


async def test_of_two_changes_to_one_version_one_is_made(tables, database_url):
    changes = (tables.change("clinic-1", {"name": name}, expected=1) for name in "ab")
    done = await at_once(database_url, HELD, *changes)
    assert [type(one) for one in done if isinstance(one, Exception)] == [PreconditionFailed]


async def test_kind_and_currency_are_fixed_once_something_was_made_there(tables, database):
    catalog, locations = CatalogTables(database), LocationTables(database)
    changed = {"kind": "organizer", "currency": "CHF"}
    assert (await tables.change("clinic-1", changed, expected=-1))[1].currency == "CHF"
    await tables.change("clinic-1", {"kind": "clinic", "currency": "EUR"}, expected=-1)
    await catalog.add_product(TOXIN)
    await locations.add_location(msgspec.structs.replace(SITE, organization_id="shop-1"))
    await catalog.add_merchant(MerchantRecord(id="shop-2", name="Other", currency="EUR", delivery_fee_minor=1))
    for id_ in ("clinic-1", "shop-1", "shop-2"):
        for one in ({"kind": "organizer"}, {"currency": "CHF"}):
            with pytest.raises(Conflict, match="organization_in_use"):
                await tables.change(id_, one, expected=-1)
    was = await tables.organization("clinic-1")
    same = {"kind": was.kind, "currency": was.currency, "name": "Studio"}
    assert (await tables.change("clinic-1", same, expected=-1))[1].name == "Studio"


async def test_a_product_and_another_currency_at_once_never_both_come_to_be(tables, database, database_url):
    catalog = CatalogTables(database)
    change = tables.change("clinic-1", {"currency": "CHF"}, expected=-1)
    done = await at_once(database_url, HELD, change, catalog.add_product(TOXIN))
    assert [type(one) for one in done if isinstance(one, Exception)] in ([Invalid], [Conflict])
    products = await catalog.products(["p1"])
    assert (await tables.organization("clinic-1")).currency == ("EUR" if products else "CHF")


async def test_a_product_in_the_currency_of_before_is_refused(tables, database):
    await tables.change("clinic-1", {"currency": "CHF"}, expected=-1)
    with pytest.raises(Invalid, match="sells in CHF"):
        await CatalogTables(database).add_product(TOXIN)


async def test_deactivating_outdates_the_tokens_for_it_in_the_same_transaction(tables, database):
    revocations = RevocationTables(database)
    done = await tables.set_active("clinic-1", active=False, now_ms=5_000)
    assert (done.active, done.version) == (False, 2)
    assert await tables.set_active("clinic-1", active=False, now_ms=6_000) is None
    assert await tables.set_active("none", active=False, now_ms=6_000) is None
    assert [(one.id, one.kind, one.cutoff_ms) for one in await revocations.recent()] == [
        ("clinic-1", Ending.OUTDATED, 5_000)
    ]
    again = await tables.set_active("clinic-1", active=True, now_ms=7_000)
    assert (again.active, again.version) == (True, 3)


async def test_locations_of_an_inactive_organization_are_not_counted_in_public(tables, database):
    locations = LocationTables(database)
    await locations.add_location(SITE)
    assert [one.country for one in await locations.countries()] == ["DE"]
    assert [one.city for one in await locations.cities("DE")] == ["Berlin"]
    await tables.set_active("clinic-1", active=False, now_ms=1_000)
    assert (await locations.countries(), await locations.cities("DE")) == ([], [])
