"""The demo's customers: each basket becomes a cart, filled row by row and ordered, over HTTP.

Every request carries an idempotency key of its own and is repeated under it until it is acknowledged, whatever
happens to the servers meanwhile. That nothing is lost or doubled by this is what the demo proves.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from cluster.demo.baskets import CURRENCY, Basket
from cluster.demo.ledger import Bought, Ledger
from cluster.demo.world import Customers, World
from realtime.client.http import HttpClient, HttpError, Response

FAILURES_MAX: Final = 50
"""After so many failures the rest is not tried: the installation is gone."""
ADDRESS: Final = {"line1": "Beispielweg 1", "city": "Hamburg", "country": "DE", "postal_code": "20095"}


class _Id(msgspec.Struct):
    id: str


class _Amount(msgspec.Struct):
    amount: int


class _Order(msgspec.Struct):
    id: str
    cart_id: str
    total: _Amount


_id_of = msgspec.json.Decoder(_Id).decode
_order_of = msgspec.json.Decoder(_Order).decode


class Teller:
    """Sends a request and notes how long it took. Shared by all who act in the demo."""

    def __init__(self, client: HttpClient, ledger: Ledger) -> None:
        self._client = client
        self._ledger = ledger

    async def send(self, method: str, path: str, token: str, key: str, body: Any = None) -> Response:
        """Until acknowledged. Raises `HttpError`, noted, for an answer that is no success or none in time."""
        begin = time.monotonic()
        try:
            return (await self._client.send(method, path, token=token, key=key, body=body)).expect()
        except HttpError as error:
            self._ledger.failures.append(f"{method} {path}: {error}")
            raise
        finally:
            self._ledger.timings.add(begin, time.monotonic())


class Shoppers:
    """`on_order(basket, order_id)` is called at each acknowledged order."""

    def __init__(
        self,
        teller: Teller,
        ledger: Ledger,
        world: World,
        customers: Customers,
        run: str,
        on_order: Callable[[Basket, str], None],
        delivered: Callable[[Basket], bool],
    ) -> None:
        self._teller = teller
        self._ledger = ledger
        self._world = world
        self._customers = customers
        self._run = run
        self._on_order = on_order
        self._delivered = delivered

    async def shop(self, baskets: Sequence[Basket], at_once: int) -> None:
        """Buy all baskets, `at_once` of them at a time; one that fails is noted and the others go on."""
        queue = iter(baskets)
        await asyncio.gather(*(self._work(queue) for _ in range(at_once)))

    async def _work(self, queue: Iterator[Basket]) -> None:
        for basket in queue:
            if len(self._ledger.failures) >= FAILURES_MAX:
                return
            try:
                await self._buy(basket)
            except HttpError:
                continue  # noted; the count will miss it

    async def _buy(self, basket: Basket) -> None:
        shop = self._world.shop_of(basket.member)
        token = self._customers.token(basket.member)
        key = f"{self._run}-{basket.number}"
        send = self._teller.send
        created = await send("POST", "/api/v1/carts/create", token, f"{key}-cart", {"merchant_id": shop.merchant_id})
        cart_id = _id_of(created.body).id
        self._ledger.bought[basket.number] = Bought(cart_id)
        for row, item in enumerate(basket.items):
            body = {"product_id": shop.products[item], "quantity": 1}
            await send("POST", f"/api/v1/carts/{cart_id}/items", token, f"{key}-{row}", body)
            self._ledger.line(basket.number, item)
        order = {"cart_id": cart_id, "expected_total": {"amount": basket.total_minor, "currency": CURRENCY}}
        if self._delivered(basket):
            order |= {"fulfilment": "delivery", "address": ADDRESS}
        else:
            order |= {"fulfilment": "collection"}
        placed = _order_of((await send("POST", "/api/v1/orders/create", token, f"{key}-order", order)).body)
        self._ledger.order(basket.number, placed.id, placed.total.amount)
        self._on_order(basket, placed.id)
