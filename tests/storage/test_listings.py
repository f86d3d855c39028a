"""Lists of orders and carts, from rows that the journal wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.order_status import OrderStatus
from storage.carts import CartTables
from storage.journal.interface import IndexWrite
from storage.journal.postgres import PostgresJournal
from storage.orders import OrderCount, OrderFilter, OrderTables
from storage.times import from_ms, to_ms
from tests.storage.journal_rows import NOW, row

pytestmark = pytest.mark.stack


@pytest.fixture
async def journal(database_url):
    async with PostgresJournal(database_url) as one:
        yield one


def order(id, at=NOW, *, status="placed", user="u1", merchant="m1", courier=None, total=1_000, currency="EUR"):
    columns = {
        "user_id": user,
        "merchant_id": merchant,
        "courier_id": courier,
        "status": status,
        "currency": currency,
        "total_minor": total,
        "lines_count": 2,
        "cart_id": "c-" + id,
        "placed_at": at,
        "updated_at": at + 5,
    }
    return row(id, 1, kind="order", index=IndexWrite("orders", columns))


def cart(id, at=NOW, *, owner="u1", merchant="m1", status="open"):
    columns = {"owner": owner, "merchant_id": merchant, "status": status, "created_at": at, "updated_at": at + 5}
    return row(id, 1, index=IndexWrite("carts", columns))


async def _write(journal, *rows):
    await journal.commit(await journal.take_epoch("h"), rows, [])


async def test_an_order_is_listed_as_its_commit_wrote_it(journal, database):
    await _write(journal, order("o1", courier="k1"))
    (found,) = await OrderTables(database).orders(OrderFilter(user_id="u1"), None, 10)
    assert (found.id, found.version, found.courier_id, found.cart_id) == ("o1", 1, "k1", "c-o1")
    assert (found.placed_at_ms, found.updated_at_ms) == (NOW, NOW + 5)
    assert (found.total_minor, found.currency, found.lines_count) == (1_000, "EUR", 2)


async def test_orders_page_newest_first_also_within_one_millisecond(journal, database):
    await _write(journal, *(order(f"o{number}", NOW + number // 3) for number in range(8)))
    tables, after, seen = OrderTables(database), None, []
    while page := await tables.orders(OrderFilter(merchant_id="m1"), after, 3):
        seen += [one.id for one in page]
        after = (page[-1].placed_at_ms, page[-1].id)
    assert seen == ["o7", "o6", "o5", "o4", "o3", "o2", "o1", "o0"]


async def test_orders_are_filtered_by_party_status_and_time(journal, database):
    await _write(
        journal,
        order("o1", NOW, status="placed"),
        order("o2", NOW + 1, status="delivered", courier="k1"),
        order("o3", NOW + 2, user="u2"),
        order("o4", NOW + 3, merchant="m2"),
    )

    async def ids(**wanted):
        return [one.id for one in await OrderTables(database).orders(OrderFilter(**wanted), None, 10)]

    assert await ids() == ["o4", "o3", "o2", "o1"]
    assert await ids(user_id="u1", merchant_id="m1") == ["o2", "o1"]
    assert await ids(courier_id="k1") == ["o2"]
    assert await ids(statuses=(OrderStatus.DELIVERED, OrderStatus.COMPLETED)) == ["o2"]
    assert await ids(since_ms=NOW + 1, until_ms=NOW + 3) == ["o3", "o2"]


async def test_orders_are_counted_by_status_and_currency(journal, database):
    await _write(
        journal,
        order("o1", total=100),
        order("o2", total=250),
        order("o3", status="delivered", total=70),
        order("o4", currency="USD"),
        order("o5", merchant="m2"),
    )
    assert await OrderTables(database).counts(OrderFilter(merchant_id="m1")) == [
        OrderCount("delivered", "EUR", 1, 70),
        OrderCount("placed", "EUR", 2, 350),
        OrderCount("placed", "USD", 1, 1_000),
    ]
    assert await OrderTables(database).counts(OrderFilter(merchant_id="none")) == []


async def test_carts_are_listed_by_owner_merchant_and_status(journal, database):
    await _write(
        journal,
        cart("c1"),
        cart("c2", NOW + 1, status="converted"),
        cart("c3", NOW + 2, owner="guest:1", merchant=""),
        cart("c4", NOW + 3),
    )
    tables = CartTables(database)

    async def ids(**wanted):
        return [one.id for one in await tables.carts(**wanted, limit=10)]

    assert await ids(owner="u1") == ["c4", "c2", "c1"]
    assert await ids(owner="u1", statuses=("open",)) == ["c4", "c1"]
    assert await ids(merchant_id="m1", after=(NOW + 3, "c4")) == ["c2", "c1"]
    (guest,) = await tables.carts(owner="guest:1", limit=10)
    assert (guest.merchant_id, guest.created_at_ms, guest.updated_at_ms) == ("", NOW + 2, NOW + 7)


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_milliseconds_survive_the_way_through_a_moment(ms):
    assert to_ms(from_ms(ms)) == ms
