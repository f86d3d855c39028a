"""Connected, subscribed, and nothing happens."""

import asyncio
import sys

from loadtests.tablets.fleet import Fleet, Listener
from loadtests.tablets.ground import all_ready, clock
from loadtests.tablets.plans import Idling, TabletResult


class Idle(Listener):
    """Runs an `Idling` plan."""

    def __init__(self, plan: Idling) -> None:
        self.fleet = Fleet(plan.url, plan.devices, self)

    async def run(self) -> TabletResult:
        began = clock()
        await all_ready(self.fleet)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        connected = self.fleet.connected
        result = TabletResult(
            seconds=round(clock() - began, 3),
            connected=connected,
            errors=len(self.fleet.tablets) - connected,
            outcomes=dict(self.fleet.outcomes),
        )
        await self.fleet.disband()
        return result
