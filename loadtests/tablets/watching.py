"""One change at a time, and a crowd that watches."""

import asyncio
import contextlib

from loadtests.tablets.fleet import Fleet, Listener, Tablet
from loadtests.tablets.ground import Place, Times, all_ready, clock
from loadtests.tablets.plans import TabletResult, Watching
from loadtests.wire import Message


class Crowd(Listener):
    """Runs a `Watching` plan."""

    def __init__(self, plan: Watching) -> None:
        self.plan = plan
        self._place = Place(plan.ward)
        self.fleet = Fleet(plan.url, [plan.mover, *plan.ward.devices], self)
        self._channel = plan.ward.devices[0].channels[0]
        self._pushes, self._commands = Times(), Times()
        self._pushes.opened = self._commands.opened = 0.0
        self._arrived = self._errors = self._missing = 0
        self._due = 0.0
        self._everywhere = asyncio.Event()

    async def run(self) -> TabletResult:
        await all_ready(self.fleet)
        mover, place, watchers = self.fleet.tablets[0], self._place, len(self.plan.ward.devices)
        began = clock()
        for _ in range(self.plan.changes):
            self._everywhere.clear()
            self._arrived = 0
            self._due = clock()
            mover.issue(place.next_op())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._everywhere.wait(), self.plan.tail_seconds)
            self._missing += watchers - self._arrived
            await asyncio.sleep(self.plan.pause_seconds)
        result = TabletResult(
            seconds=round(clock() - began, 3),
            commands=self._commands.figures(),
            pushes=self._pushes.figures(),
            connected=self.fleet.connected,
            errors=self._errors + self._missing + mover.open,
            outcomes=dict(self.fleet.outcomes),
        )
        await self.fleet.disband()
        return result

    def settled(self, tablet: Tablet, message: Message) -> None:  # noqa: ARG002 - there is one mover
        if message.status == "applied":
            self._commands.take(self._due, clock())
            self._place.version = message.ver
        else:
            self._errors += 1
            self.fleet.outcomes[f"{message.status} {message.code}"] += 1

    def changed(self, tablet: Tablet, message: Message) -> None:
        if tablet.number == 0 or message.ch != self._channel or message.ent != self._place.ward.ent:
            return
        self._pushes.take(self._due, clock())
        self._arrived += 1
        if self._arrived == len(self.plan.ward.devices):
            self._everywhere.set()
