"""The demo from the first cart to the verdict, against an installation that is up."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec
import psutil

from cluster.demo.baskets import Basket
from cluster.demo.counts import count_by_api, count_by_journal
from cluster.demo.floor import Floor, is_delivery
from cluster.demo.ledger import Ledger
from cluster.demo.reconcile import reconcile
from cluster.demo.report import Kill, Result
from cluster.demo.shoppers import Shoppers, Teller
from cluster.demo.stage import Stage, Victim
from cluster.demo.trackers import Trackers
from cluster.demo.world import Customers, make_world
from realtime.client.http import HttpClient

SHOPPERS: Final = 72
"""Baskets being filled at once."""
CONNECTIONS_MAX: Final = 96
PAUSE_WINDOW_S: Final = 10.0
"""A request that begins within so long after the kill may still feel it."""
TRACKER_PATIENCE_S: Final = 30.0
DEADLINE_S: Final = 120.0
"""A client that gets no acknowledgement for so long gives up, and the demo fails."""


class Scene(msgspec.Struct):
    """The state of a run, for who shows it."""

    step: str
    baskets: int
    ledger: Ledger
    floor: Floor | None = None
    trackers: Trackers | None = None
    killed: Victim | None = None


class Play:
    def __init__(self, stage: Stage, baskets: Sequence[Basket], source: str) -> None:
        self._stage = stage
        self._baskets = baskets
        self._source = source
        self._run = uuid.uuid4().hex[:12]
        self._half = max(1, len(baskets) // 2)
        self._halfway = asyncio.Event()
        self._kill: tuple[Victim, float] | None = None
        self.scene = Scene("opening the shops", len(baskets), Ledger())

    async def perform(self) -> Result:
        """Shop, deliver, kill, count, compare. Raises `HttpError` if the shops do not open or the API is gone."""
        client = HttpClient(self._stage.base_url, connections_max=CONNECTIONS_MAX, deadline_s=DEADLINE_S)
        try:
            return await self._perform(client)
        finally:
            await client.close()

    async def _perform(self, client: HttpClient) -> Result:
        scene, ledger, stage = self.scene, self.scene.ledger, self._stage
        items = {item for basket in self._baskets for item in basket.items}
        world = await make_world(client, stage.tokens, items)
        customers = Customers(stage.tokens, self._run)
        teller = Teller(client, ledger)
        floor = scene.floor = Floor(teller, ledger, world, self._run)
        trackers = scene.trackers = Trackers(stage.base_url)

        def ordered(basket: Basket, order_id: str) -> None:
            if ledger.orders >= self._half:
                self._halfway.set()
            watched = trackers.track(order_id, customers.token(basket.member)) if is_delivery(basket) else None
            floor.take(basket, order_id, watched)

        shoppers = Shoppers(teller, ledger, world, customers, self._run, ordered, is_delivery)
        scene.step = "shopping"
        client.repeats = 0
        began = time.monotonic()
        killer = asyncio.create_task(self._kill_halfway())
        await shoppers.shop(self._baskets, SHOPPERS)
        seconds = time.monotonic() - began
        scene.step = "the last deliveries"
        await floor.finish()
        watching = await trackers.finish(TRACKER_PATIENCE_S)
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        requests, repeated = len(ledger.timings), client.repeats
        scene.step = "counting by the API"
        by_api = await count_by_api(client, customers, self._baskets)
        scene.step = "counting by the journal"
        users = {customers.user_id(basket.member) for basket in self._baskets}
        keys = None if stage.keys is None else await stage.keys()
        by_journal = await count_by_journal(stage.database_url, users, keys)
        scene.step = "comparing"
        p50, p99 = ledger.timings.percentiles_ms(0.5, 0.99)
        return Result(
            source=self._source,
            baskets=len(self._baskets),
            items=sum(len(basket.items) for basket in self._baskets),
            seconds=round(seconds, 3),
            requests=requests,
            repeated=repeated,
            requests_per_s=round(ledger.timings.between(began, began + seconds) / seconds, 1),
            orders_per_s=round(ledger.orders / seconds, 1),
            p50_ms=round(p50, 2),
            p99_ms=round(p99, 2),
            kill=self._felt(began),
            accepted=len(ledger.accepted),
            delivered=len(ledger.delivered),
            watching=watching,
            verdict=reconcile(self._baskets, ledger, by_api, by_journal, unfinished=len(ledger.failures)),
            failures=(*ledger.failures, *trackers.reasons),
        )

    async def _kill_halfway(self) -> None:
        """SIGKILL to the first host, once half of the baskets are ordered."""
        if self._stage.victims is None:
            return
        victims = await self._stage.victims()
        await self._halfway.wait()
        victim = next((each for each in victims if psutil.pid_exists(each.pid)), None)
        if victim is None:
            self.scene.ledger.failures.append("there is no entity host on this machine to kill")
            return
        self._kill = (victim, time.monotonic())
        os.kill(victim.pid, signal.SIGKILL)
        self.scene.killed = victim

    def _felt(self, began: float) -> Kill | None:
        if self._kill is None:
            return None
        victim, at = self._kill
        pause = self.scene.ledger.timings.longest_ms(at, at + PAUSE_WINDOW_S)
        return Kill(victim.name, victim.pid, round(at - began, 1), round(pause, 1))
