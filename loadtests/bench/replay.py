"""A clinic comes back online: 1,000 tablets at once, each with 50 commands about its own patient and room.

Afterwards every command is looked for in the journal by its id, and in what the API shows of rooms and documents.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg
import httpx
import msgspec

from domain.ids import new_id
from loadtests.apart import run_tablets_apart
from loadtests.bench.on_stack import clinic_up
from loadtests.bench.report import Metrics, Progress
from loadtests.clinic import FIELDS, NOTES, POINTS, Clinic, day_offline, round_of
from loadtests.customer import PREFIX
from loadtests.drill.site import GATEWAY, HOST, workers
from loadtests.stack import Stack
from loadtests.tablets.fleet import EPOCH, Device
from loadtests.tablets.plans import Returning
from realtime.commands import command_id

TABLETS: Final = 1_000
ROOMS_OF_LOCATION: Final = 10
SECONDS_MAX: Final = 240.0
SAMPLE_SECONDS: Final = 0.25
_AT_ONCE: Final = 16
_JOURNALED: Final = "SELECT command_id, count(*) AS rows FROM journal WHERE command_id = ANY($1::uuid[]) GROUP BY 1"


class Queued(msgspec.Struct, frozen=True):
    """A tablet with the room and the document that its commands are about."""

    device: Device
    room: str
    document: str


async def run(progress: Progress, tablets: int = TABLETS) -> Metrics:
    locations = max(1, tablets // ROOMS_OF_LOCATION)
    async with clinic_up(progress, locations=locations, rooms_each=tablets // locations) as (stack, clinic):
        places = [(site, room) for site in clinic.sites for room in site.rooms]
        queued = [Queued(clinic.tablet(), room, new_id()) for _, room in places]
        queues = [
            day_offline(clinic, site, room, one.document) for (site, room), one in zip(places, queued, strict=True)
        ]
        plan = Returning(
            url=stack.socket_url("/treatments/provider-sync"),
            devices=[one.device for one in queued],
            queues=queues,
            seconds_max=SECONDS_MAX,
        )
        each = len(queues[0])
        with progress.step(f"{len(queued):,} tablets return with {each} commands each"):
            async with _peak(stack) as peak:
                result = await run_tablets_apart(plan)
        progress.note(result.summary())
        with progress.step("every command looked for"):
            rows = await _journaled(stack.run.database_url, [one.device for one in queued], each)
            shown = await _shown(stack.base_url, clinic, queued)
    journaled = [sum(min(1, count) for count in own) for own in rows]
    if shown != journaled:
        raise RuntimeError(f"the API shows {sum(shown)} commands, the journal holds {sum(journaled)}")
    return {
        "lost": sum(max(0, acked - there) for acked, there in zip(result.acknowledged, journaled, strict=True)),
        "duplicated": sum(count - 1 for own in rows for count in own if count > 1),
        "seconds": result.seconds,
        "peak_rss_mb": round(peak.bytes / 2**20),
        "commands_per_s": result.per_second,
        "errors": result.errors,
    }


class Peak:
    """Of the resident bytes of the gateways and hosts together."""

    def __init__(self) -> None:
        self.bytes = 0


@contextlib.asynccontextmanager
async def _peak(stack: Stack) -> AsyncIterator[Peak]:
    peak, processes = Peak(), [*workers(stack, GATEWAY), *workers(stack, HOST)]

    async def watch() -> None:
        while True:
            peak.bytes = max(peak.bytes, sum(int(process.memory_info().rss) for process in processes))
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        watching.cancel()


async def _journaled(database_url: str, devices: Sequence[Device], each: int) -> list[list[int]]:
    """Rows of each command of each device."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = []
        for device in devices:
            ids = [command_id(device.subject, device.device_id, EPOCH, seq).hex() for seq in range(1, each + 1)]
            found = {row["command_id"].hex: int(row["rows"]) for row in await connection.fetch(_JOURNALED, ids)}
            rows.append([found.get(one, 0) for one in ids])
    finally:
        await connection.close()
    return rows


async def _shown(base_url: str, clinic: Clinic, queued: Sequence[Queued]) -> list[int]:
    """How many commands of each tablet the API shows, item by item; what a version counts twice is an error."""
    headers = {"authorization": f"Bearer {clinic.token(new_id(), 'provider')}"}
    gate = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(base_url=base_url + PREFIX, headers=headers, timeout=30.0, trust_env=False) as http:

        async def view(path: str) -> dict[str, Any]:
            async with gate:
                answer = await http.get(path)
            return {} if answer.status_code == 404 else dict(answer.raise_for_status().json())

        async def one(tablet: Queued) -> int:
            room, document = await view(f"/rooms/{tablet.room}"), await view(f"/documentation/{tablet.document}")
            charted = sum(len(document.get(name, ())) for name in ("fields", "points", "notes"))
            if room["version"] - 1 > len(round_of(tablet.room)) or charted > FIELDS + POINTS + NOTES:
                raise RuntimeError(f"more of tablet {tablet.device.device_id} than it sent")
            return int(room["version"]) - 1 + charted + bool(document)

        return list(await asyncio.gather(*(one(tablet) for tablet in queued)))
