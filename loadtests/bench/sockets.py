"""Bytes of resident memory that one idle, subscribed socket takes in the gateway: 5,000 boards of 50 locations.

The growth of the gateway's resident set between a gateway that has served and lost some boards, and the full one,
divided by the sockets. Every board has a token of its own; all have their snapshot.
"""

import asyncio
from typing import Final

from cluster.ingress import connections_max
from loadtests.apart import tablets_apart
from loadtests.bench.on_stack import clinic_up
from loadtests.bench.report import Metrics, Progress
from loadtests.clinic import Clinic
from loadtests.drill.site import GATEWAY, workers
from loadtests.stack import Stack
from loadtests.tablets.plans import Idling

SOCKETS: Final = 5_000
LOCATIONS: Final = 50
ROOMS_EACH: Final = 4
WARMUP_SOCKETS: Final = 200
SETTLE_SECONDS: Final = 5.0
"""Between the last snapshot and the reading: what a connection needed only to begin is given back."""


async def run(progress: Progress, sockets: int = SOCKETS) -> Metrics:
    if connections_max() < sockets:
        raise RuntimeError(f"the limit on open files allows {connections_max()} sockets, not {sockets}")
    async with clinic_up(progress, locations=LOCATIONS, rooms_each=ROOMS_EACH) as (stack, clinic):
        with progress.step(f"{WARMUP_SOCKETS} sockets to warm up"):
            await _idle(stack, clinic, WARMUP_SOCKETS)
        before = _resident(stack)
        with progress.step(f"{sockets:,} sockets"):
            after, connected = await _idle(stack, clinic, sockets)
    if connected != sockets:
        raise RuntimeError(f"{connected} sockets are connected instead of {sockets}")
    return {
        "bytes_per_socket": round((after - before) / sockets),
        "sockets": connected,
        "gateway_mb": round(after / 2**20),
    }


async def _idle(stack: Stack, clinic: Clinic, sockets: int) -> tuple[int, int]:
    """The gateways' resident bytes with so many sockets, and how many there were in the end."""
    share = [sockets // len(clinic.sites) + (number < sockets % len(clinic.sites)) for number in range(LOCATIONS)]
    devices = [
        clinic.tablet(f"location/{site.location_id}/rooms")
        for site, count in zip(clinic.sites, share, strict=True)
        for _ in range(count)
    ]
    url = stack.socket_url("/live")
    async with tablets_apart(Idling(url=url, devices=devices)) as tablets:
        await tablets.ready()
        await asyncio.sleep(SETTLE_SECONDS)
        resident = _resident(stack)
        result = await tablets.result()
    return resident, result.connected


def _resident(stack: Stack) -> int:
    return sum(int(process.memory_info().rss) for process in workers(stack, GATEWAY))
