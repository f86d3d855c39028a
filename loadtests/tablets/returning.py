"""Everybody comes back at once, with a day's commands."""

import asyncio
import contextlib

from loadtests.tablets.fleet import Fleet, Listener, Tablet
from loadtests.tablets.ground import clock, say_ready
from loadtests.tablets.plans import Returning, TabletResult
from loadtests.wire import Message


class Return(Listener):
    """Runs a `Returning` plan: the time runs from the first connection to the last result."""

    def __init__(self, plan: Returning) -> None:
        self.plan = plan
        self.fleet = Fleet(plan.url, plan.devices, self)
        self._open = sum(len(queue) for queue in plan.queues)
        self._errors = 0
        self._last = 0.0
        self._done = asyncio.Event()
        self._acknowledged = [0] * len(plan.devices)

    async def run(self) -> TabletResult:
        for tablet, queue in zip(self.fleet.tablets, self.plan.queues, strict=True):
            for op in queue:
                tablet.issue(op)
        commands = self._open
        began = self._last = clock()
        connecting = asyncio.create_task(self.fleet.connect(at_once=len(self.fleet.tablets)))
        say_ready()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), self.plan.seconds_max)
        await connecting
        seconds = self._last - began
        result = TabletResult(
            seconds=round(seconds, 3),
            per_second=round((commands - self._open) / max(seconds, 1e-9), 1),
            connected=self.fleet.connected,
            errors=self._errors + self._open,
            outcomes=dict(self.fleet.outcomes),
            acknowledged=self._acknowledged,
        )
        await self.fleet.disband()
        return result

    def settled(self, tablet: Tablet, message: Message) -> None:
        self._open -= 1
        self._last = clock()
        self.fleet.outcomes[message.status if not message.code else f"{message.status} {message.code}"] += 1
        if message.status in {"applied", "duplicate"}:
            self._acknowledged[tablet.number] += 1
        else:
            self._errors += 1
        if not self._open:
            self._done.set()
