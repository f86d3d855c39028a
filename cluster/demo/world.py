"""Who sells what in the demo, and who its people are. Made over the API, once per data folder: safe to repeat."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from cluster.demo.baskets import CURRENCY, price_minor
from domain.ids import derived_id
from realtime.client.http import HttpClient
from services.tokens import Tokens

MERCHANTS: Final = ("Corner Grocer", "Market Hall", "Harbour Deli", "Station Store")
COURIERS: Final = 8
_AT_ONCE: Final = 16
_ADMIN: Final = derived_id("demo", "admin")
_ACCEPT_WITHIN_SECONDS: Final = 24 * 3_600
"""Most of the demo's orders are left waiting: none may be rejected by its deadline while they are counted."""


class Shop(msgspec.Struct, frozen=True):
    """A merchant with its menu (item → product id) and its staff's token."""

    merchant_id: str
    name: str
    products: dict[str, str]
    token: str


class World(msgspec.Struct, frozen=True):
    """`couriers` are (id, token)."""

    shops: tuple[Shop, ...]
    couriers: tuple[tuple[str, str], ...]

    def shop_of(self, member: str) -> Shop:
        """Every member has a shop, always the same."""
        digest = hashlib.sha256(member.encode()).digest()
        return self.shops[int.from_bytes(digest[:4], "big") % len(self.shops)]


class _Created(msgspec.Struct):
    id: str


_created = msgspec.json.Decoder(_Created).decode


async def make_world(client: HttpClient, tokens: Tokens, items: Iterable[str]) -> World:
    """The merchants, with every one of `items` on every menu. Raises `HttpError`."""
    wanted = sorted(set(items))
    shops = await asyncio.gather(*(_make_shop(client, tokens, name, wanted) for name in MERCHANTS))
    couriers = [derived_id("demo", "courier", str(number)) for number in range(COURIERS)]
    return World(tuple(shops), tuple((each, tokens.issue(each, ("courier",))) for each in couriers))


async def _make_shop(client: HttpClient, tokens: Tokens, name: str, items: Sequence[str]) -> Shop:
    merchant = {
        "name": name,
        "currency": CURRENCY,
        "city": "Hamburg",
        "country": "DE",
        "time_zone": "Europe/Berlin",
        "accept_within_seconds": _ACCEPT_WITHIN_SECONDS,
    }
    admin = tokens.issue(_ADMIN, ("admin",))
    merchant_id = await _create(client, admin, "/api/v1/merchants", f"demo merchant {name}", merchant)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def product(item: str) -> str:
        digest = hashlib.sha256(item.encode()).hexdigest()[:16]
        body = {
            "merchant_id": merchant_id,
            "name": item,
            "sku": digest,
            "price": {"amount": price_minor(item), "currency": CURRENCY},
        }
        async with gate:
            return await _create(client, admin, "/api/v1/products", f"demo product {merchant_id} {digest}", body)

    ids = await asyncio.gather(*(product(item) for item in items))
    staff = derived_id("demo", "staff", merchant_id)
    token = tokens.issue(staff, ("merchant_staff",), (merchant_id,))
    return Shop(merchant_id, name, dict(zip(items, ids, strict=True)), token)


async def _create(client: HttpClient, token: str, path: str, key: str, body: dict[str, Any]) -> str:
    response = await client.send("POST", path, token=token, key=key, body=body)
    return _created(response.expect().body).id


class Customers:
    """The members of one run as users with tokens. Another run has other users, so that its orders are its own."""

    def __init__(self, tokens: Tokens, run: str) -> None:
        self._tokens = tokens
        self._run = run
        self._issued: dict[str, str] = {}

    def user_id(self, member: str) -> str:
        return derived_id("demo", "customer", self._run, member)

    def token(self, member: str) -> str:
        token = self._issued.get(member)
        if token is None:
            token = self._issued[member] = self._tokens.issue(self.user_id(member), ("customer",))
        return token
