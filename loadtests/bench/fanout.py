"""One change of a room, pushed to 1,000 boards: from sending the command to its change at each of them."""

from typing import Final

from loadtests.apart import run_tablets_apart
from loadtests.bench.on_stack import clinic_up
from loadtests.bench.report import Metrics, Progress
from loadtests.clinic import round_of
from loadtests.tablets.plans import Ward, Watching

WATCHERS: Final = 1_000
CHANGES: Final = 50
PAUSE_SECONDS: Final = 0.2


async def run(progress: Progress, watchers: int = WATCHERS, changes: int = CHANGES) -> Metrics:
    async with clinic_up(progress, locations=1, rooms_each=1) as (stack, clinic):
        room, location = clinic.rooms[0], clinic.sites[0].location_id
        board = f"location/{location}/rooms"
        devices = [clinic.tablet(board) for _ in range(watchers)]
        plan = Watching(
            url=stack.socket_url(f"/treatments/room-status?location={location}"),
            mover=clinic.tablet(board),
            ward=Ward(f"room/{room}", 1, round_of(room), devices),
            changes=changes,
            pause_seconds=PAUSE_SECONDS,
        )
        with progress.step(f"{watchers:,} boards, {changes} changes"):
            result = await run_tablets_apart(plan)
        progress.note(result.summary())
    return {
        "p50_ms": result.pushes.p50_ms,
        "p99_ms": result.pushes.p99_ms,
        "max_ms": result.pushes.max_ms,
        "pushes": result.pushes.count,
        "errors": result.errors,
    }
