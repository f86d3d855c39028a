"""Customers who watch their order on its way, each over a WebSocket of their own."""

import asyncio
from typing import Final

from cluster.demo.report import Watching
from realtime.client.errors import LiveError
from realtime.client.live import LiveClient

_CONNECTS_AT_ONCE: Final = 32
_END: Final = "delivered"


class Trackers:
    """One socket an order, from before it is accepted until it is delivered."""

    def __init__(self, base_url: str) -> None:
        self._base = "ws" + base_url.removeprefix("http")
        self._gate = asyncio.Semaphore(_CONNECTS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched = 0
        self._changes = 0
        self._positions = 0
        self._reconnects = 0
        self._seen_through = 0
        self._reasons: list[str] = []

    def track(self, order_id: str, token: str) -> "asyncio.Future[None]":
        """Begin to watch; the future is done once the order is on the screen (or will never be)."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        self._watched += 1
        task = loop.create_task(self._track(order_id, token, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ready

    @property
    def open(self) -> int:
        """Sockets in use now."""
        return len(self._tasks)

    async def finish(self, patience_s: float) -> Watching:
        """Give those who still watch so long to see the delivery."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return Watching(
            trackers=self._watched,
            changes=self._changes,
            positions=self._positions,
            reconnects=self._reconnects,
            missed=self._watched - self._seen_through,
        )

    async def _track(self, order_id: str, token: str, ready: "asyncio.Future[None]") -> None:
        channel = f"order/{order_id}"
        try:
            client = LiveClient(f"{self._base}/api/v1/orders/{order_id}/track", token)
            subscription = client.follow(channel)
            async with self._gate:
                await client.start()
                await subscription.until(lambda one: one.current)
            ready.set_result(None)
            async for update in subscription:
                self._positions += update.what == "signal"
                self._changes += update.what == "change"
                if update.state["status"] == _END:
                    self._seen_through += 1
                    break
            self._reconnects += client.stats.connects - 1
        except LiveError as error:
            self._reasons.append(str(error))
        finally:
            if not ready.done():
                ready.set_result(None)
            await client.close()

    @property
    def reasons(self) -> list[str]:
        """Why sockets ended before their time."""
        return self._reasons
