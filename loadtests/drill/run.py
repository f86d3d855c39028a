"""One fault: a crowd at work, the fault in the middle of it, and the count."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from domain.ids import new_id
from loadtests.drill.check import Outcome, check
from loadtests.drill.crowd import Crowd
from loadtests.drill.faults import Fault
from loadtests.drill.readiness import Readiness
from loadtests.ground import Catalog
from loadtests.stack import Stack

BEFORE: Final = 0.2
"""The share of a fault's time that passes before it happens."""
AFTER_SECONDS: Final = 2.0
"""The least time under load after it."""
SETTLE_SECONDS_MAX: Final = 90.0
"""Within which everything that was sent must have been answered, after the load."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `refused` are final answers that were no success, by what they said."""

    name: str
    outcome: Outcome
    refused: Mapping[str, int]
    repeats: int
    reconnects: int
    longest_pause_ms: float
    pause_ms_max: float
    readyz: tuple[str, ...]
    seconds: float

    @property
    def violations(self) -> int:
        return self.outcome.violations + sum(self.refused.values()) + int(self.paused_too_long)

    @property
    def paused_too_long(self) -> bool:
        return self.longest_pause_ms > self.pause_ms_max


async def drill(stack: Stack, catalog: Catalog, name: str, fault: Fault, seconds: float) -> Report:
    """Raises `TimeoutError` when what was sent is never answered, and what `fault` raises."""
    subject = new_id()
    token = stack.token(subject)
    began = time.monotonic()
    async with Crowd(stack.base_url, subject, token, catalog) as crowd:
        async with Readiness(stack.base_url) as readiness:
            await asyncio.sleep(seconds * BEFORE)
            await fault.inflict(stack)
            left = seconds - (time.monotonic() - began)
            await asyncio.sleep(max(AFTER_SECONDS, left))
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                await crowd.rest()
        outcome = await check(crowd, stack.base_url, token, stack.run.database_url)
        return Report(
            name=name,
            outcome=outcome,
            refused=dict(crowd.refused),
            repeats=crowd.repeats,
            reconnects=crowd.reconnects,
            longest_pause_ms=round(crowd.longest_pause_s * 1000, 1),
            pause_ms_max=fault.pause_ms_max,
            readyz=tuple(readiness.said),
            seconds=round(time.monotonic() - began, 1),
        )
