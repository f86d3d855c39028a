"""The other side of the counter: merchants accept some orders, couriers take some of those to their customers."""

import asyncio
import math
from typing import Final

import msgspec

from cluster.demo.baskets import Basket
from cluster.demo.ledger import Ledger
from cluster.demo.shoppers import Teller
from cluster.demo.world import World
from realtime.client.http import HttpError

ACCEPTED_EVERY: Final = 4
"""One order in so many is accepted."""
DELIVERED_EVERY: Final = 20
"""One order in so many is a delivery, and is brought to its customer."""
POSITIONS: Final = 6
POSITION_SECONDS: Final = 0.25
"""A courier reports so many positions on the way, one each quarter of a second."""
_AT_ONCE: Final = 12
_HARBOUR: Final = (53.5413, 9.9841)
_WAY_DEGREES: Final = 0.02


class _Version(msgspec.Struct):
    version: int


_version_of = msgspec.json.Decoder(_Version).decode


def is_delivery(basket: Basket) -> bool:
    return basket.number % DELIVERED_EVERY == 0


def is_accepted(basket: Basket) -> bool:
    return is_delivery(basket) or basket.number % ACCEPTED_EVERY == 0


class Floor:
    """Takes acknowledged orders and works them off beside the shoppers."""

    def __init__(self, teller: Teller, ledger: Ledger, world: World, run: str) -> None:
        self._teller = teller
        self._ledger = ledger
        self._world = world
        self._run = run
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries = 0

    def take(self, basket: Basket, order_id: str, ready: "asyncio.Future[None] | None" = None) -> None:
        """Work on this order if it is one of those. A delivery begins when `ready`: somebody watches it by then."""
        if not is_accepted(basket):
            return
        if is_delivery(basket):
            self.deliveries += 1
        task = asyncio.get_running_loop().create_task(self._work(basket, order_id, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Return when every order that was taken is worked off."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, basket: Basket, order_id: str, ready: "asyncio.Future[None] | None") -> None:
        try:
            if ready is not None:
                await ready
            async with self._gate:
                await self._status(basket, order_id, self._world.shop_of(basket.member).token, "accepted")
                self._ledger.accepted.add(order_id)
                if is_delivery(basket):
                    await self._deliver(basket, order_id)
        except HttpError:
            return  # noted by the teller

    async def _deliver(self, basket: Basket, order_id: str) -> None:
        merchant = self._world.shop_of(basket.member).token
        _, courier = self._world.couriers[basket.number // DELIVERED_EVERY % len(self._world.couriers)]
        await self._status(basket, order_id, merchant, "preparing")
        await self._status(basket, order_id, merchant, "ready")
        claim = f"{self._run}-{basket.number}-claim"
        await self._teller.send("POST", f"/api/v1/orders/{order_id}/courier", courier, claim, {})
        await self._status(basket, order_id, courier, "picked_up")
        await self._status(basket, order_id, courier, "out_for_delivery")
        for step in range(POSITIONS):
            key = f"{self._run}-{basket.number}-position-{step}"
            await self._teller.send(
                "POST", f"/api/v1/orders/{order_id}/location", courier, key, position(basket.number, step)
            )
            await asyncio.sleep(POSITION_SECONDS)
        self._ledger.delivered[order_id] = await self._status(basket, order_id, courier, "delivered")

    async def _status(self, basket: Basket, order_id: str, token: str, status: str) -> int:
        key = f"{self._run}-{basket.number}-{status}"
        response = await self._teller.send("PUT", f"/api/v1/orders/{order_id}/status", token, key, {"status": status})
        return _version_of(response.body).version


def position(number: int, step: int) -> dict[str, float]:
    """Where the courier of this basket is after so many steps: away from the harbour, each in another direction."""
    angle = number * 2.399963
    way = _WAY_DEGREES * (step + 1) / POSITIONS
    return {
        "lat": round(_HARBOUR[0] + way * math.sin(angle), 6),
        "lon": round(_HARBOUR[1] + way * math.cos(angle), 6),
        "accuracy_m": 8.0,
        "heading": round(math.degrees(angle) % 360, 1),
    }
