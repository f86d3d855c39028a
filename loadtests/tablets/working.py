"""A working day: every tablet has a command due so often, and all of its ward see what came of it."""

import asyncio

from loadtests.tablets.fleet import Fleet, Listener, Tablet
from loadtests.tablets.ground import Place, Times, all_ready, clock
from loadtests.tablets.plans import TabletResult, Working
from loadtests.wire import Message


class Day(Listener):
    """Runs a `Working` plan."""

    def __init__(self, plan: Working) -> None:
        self.plan = plan
        self._places = [Place(ward) for ward in plan.wards]
        self._at: list[Place] = [place for place in self._places for _ in place.ward.devices]
        self.fleet = Fleet(plan.url, [device for ward in plan.wards for device in ward.devices], self)
        self._commands, self._pushes = Times(), Times()
        self._settled_in_window = self._applied = self._heard = self._errors = 0
        self._issuing = False
        self._acknowledged = [0] * len(self.fleet.tablets)

    async def run(self) -> TabletResult:
        await all_ready(self.fleet)
        plan = self.plan
        self._issuing = True
        self._start()
        await asyncio.sleep(plan.warmup_seconds)
        self._commands.opened = self._pushes.opened = opened = clock()
        await asyncio.sleep(plan.seconds)
        self._commands.closed = self._pushes.closed = closed = clock()
        self._issuing = False
        await self._tail()
        seconds = closed - opened
        missing = self._applied * len(self._places[0].ward.devices) - self._heard
        if missing:
            self.fleet.outcomes["pushes missing"] += missing
        result = TabletResult(
            seconds=round(seconds, 3),
            per_second=round(self._settled_in_window / seconds, 1),
            commands=self._commands.figures(),
            pushes=self._pushes.figures(),
            connected=self.fleet.connected,
            errors=self._errors + abs(missing) + sum(tablet.open for tablet in self.fleet.tablets),
            outcomes=dict(self.fleet.outcomes),
            acknowledged=self._acknowledged,
        )
        await self.fleet.disband()
        return result

    def _start(self) -> None:
        """Dues spread evenly: over the wards, and over the tablets of each."""
        period, now, loop = 1 / self.plan.per_second, clock(), asyncio.get_running_loop()
        number = 0
        for index, place in enumerate(self._places):
            size = len(place.ward.devices)
            for turn in range(size):
                offset = period * (turn + index / len(self._places)) / size
                loop.call_later(offset, self._due, place, self.fleet.tablets[number], now + offset)
                number += 1

    def _due(self, place: Place, tablet: Tablet, due: float) -> None:
        if not self._issuing:
            return
        following = due + 1 / self.plan.per_second
        asyncio.get_running_loop().call_later(max(0.0, following - clock()), self._due, place, tablet, following)
        place.waiting.append((tablet, due))
        self._act(place)

    def _act(self, place: Place) -> None:
        if place.busy or not place.waiting:
            return
        tablet, due = place.waiting.popleft()
        place.busy = True
        place.due_of[place.version + 1] = due
        tablet.issue(place.next_op())

    def settled(self, tablet: Tablet, message: Message) -> None:
        now = clock()
        place = self._at[tablet.number]
        place.busy = False
        if message.status in {"applied", "duplicate"} and message.ver == place.version + 1:
            place.version = message.ver
            self._acknowledged[tablet.number] += 1
            self._applied += 1
            self._commands.take(place.due_of[message.ver], now)
            if self._commands.opened <= now < self._commands.closed:
                self._settled_in_window += 1
        else:
            self._errors += 1
            self.fleet.outcomes[f"{message.status} {message.code}"] += 1
        self._act(place)

    def changed(self, tablet: Tablet, message: Message) -> None:
        place = self._at[tablet.number]
        if message.ch != place.ward.ent:
            return
        due = place.due_of.get(message.ver)
        if due is None:
            self.fleet.outcomes["unexpected change"] += 1
            return
        self._heard += 1
        self._pushes.take(due, clock())

    async def _tail(self) -> None:
        """What is waiting goes out too; then every result and every push has its time to come."""
        size = len(self._places[0].ward.devices)
        until = clock() + self.plan.tail_seconds
        while clock() < until:
            busy = any(place.busy or place.waiting for place in self._places)
            if not busy and self._heard >= self._applied * size:
                return
            await asyncio.sleep(0.05)
