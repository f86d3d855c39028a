"""Two of the three counts: what the API returns, and what the journal holds. See `reconcile.py`."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
import msgspec

from actors.kinds import KINDS
from actors.order_state import Placed
from actors.runtime.codec import KindCodec
from cluster.demo.baskets import Basket
from cluster.demo.reconcile import Found
from cluster.demo.world import Customers
from domain.lines import Line
from realtime.client.http import HttpClient
from storage.crypto import KeyRing

_PAGE: Final = 200
_AT_ONCE: Final = 48
_CURSOR_ROWS: Final = 2_000


class _Listed(msgspec.Struct):
    id: str
    cart_id: str = ""


class _Page(msgspec.Struct):
    items: list[_Listed]
    next_cursor: str = ""


class _Amount(msgspec.Struct):
    amount: int


class _Line(msgspec.Struct):
    name: str
    quantity: int


class _Order(msgspec.Struct):
    id: str
    cart_id: str
    status: str
    total: _Amount
    lines: dict[str, _Line]


_page = msgspec.json.Decoder(_Page).decode
_order = msgspec.json.Decoder(_Order).decode


async def count_by_api(client: HttpClient, customers: Customers, baskets: Sequence[Basket]) -> list[Found]:
    """Every order that each customer's list shows, read one by one by its customer. Raises `HttpError`."""
    gate = asyncio.Semaphore(_AT_ONCE)
    found: list[Found] = []

    async def of_member(member: str) -> None:
        async with gate:
            token, listed, cursor = customers.token(member), list[_Listed](), ""
            while True:
                query = f"limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
                path = f"/api/v1/orders/user/{customers.user_id(member)}?{query}"
                page = _page((await client.send("GET", path, token=token)).expect().body)
                listed += page.items
                cursor = page.next_cursor
                if not cursor:
                    break
            for entry in listed:
                raw = (await client.send("GET", f"/api/v1/orders/{entry.id}", token=token)).expect().body
                found.append(_of_view(_order(raw)))

    await asyncio.gather(*(of_member(member) for member in sorted({basket.member for basket in baskets})))
    return found


def _of_view(order: _Order) -> Found:
    items: dict[str, int] = {}
    for line in order.lines.values():
        items[line.name] = items.get(line.name, 0) + line.quantity
    return Found(order.id, order.cart_id, items, order.total.amount, order.status)


async def count_by_journal(database_url: str, users: Iterable[str], keys: KeyRing | None) -> list[Found]:
    """Every `placed` event of these users in the journal, read straight from its rows, which `keys` open."""
    wanted = frozenset(users)
    codec = KindCodec(KINDS["order"], keys)
    found: list[Found] = []
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(readonly=True):
            sql = "SELECT id, version, payload FROM journal WHERE kind = 'order'"
            async for row in connection.cursor(sql, prefetch=_CURSOR_ROWS):
                found += [
                    Found(row["id"], event.cart_id, _quantities(event.lines), event.total_minor)
                    for event in codec.events(row["id"], row["version"], row["payload"])
                    if isinstance(event, Placed) and event.user_id in wanted
                ]
    finally:
        await connection.close()
    return found


def _quantities(lines: Iterable[Line]) -> dict[str, int]:
    items: dict[str, int] = {}
    for line in lines:
        items[line.name] = items.get(line.name, 0) + line.quantity
    return items
