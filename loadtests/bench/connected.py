"""A working day: 1,000 tablets in 200 rooms, each moving its room along once a second, all five of a room watching.

An open loop: commands are due by the clock, and times count from when they were due, whatever held them up.
"""

from typing import Final

from loadtests.apart import run_tablets_apart
from loadtests.bench.on_stack import clinic_up
from loadtests.bench.report import Metrics, Progress
from loadtests.clinic import round_of
from loadtests.tablets.plans import Ward, Working

ROOMS: Final = 200
TABLETS_EACH: Final = 5
ROOMS_OF_LOCATION: Final = 10
TREATMENTS: Final = range(6, 19)
"""Of a visit, another number in each room, so that not all get their next patient at once. On average 30 steps are
between one patient and the next, so a room gets another one every six seconds."""
PER_SECOND: Final = 1.01
"""A hundredth more than the target, so that the edges of the window do not decide."""
SECONDS: Final = 20.0
WARMUP_SECONDS: Final = 8.0


async def run(progress: Progress, rooms: int = ROOMS, seconds: float = SECONDS) -> Metrics:
    locations = max(1, rooms // ROOMS_OF_LOCATION)
    async with clinic_up(progress, locations=locations, rooms_each=rooms // locations) as (stack, clinic):
        wards = [
            Ward(
                ent=f"room/{room}",
                version=1,
                script=round_of(room, TREATMENTS[number % len(TREATMENTS)]),
                devices=[clinic.tablet(f"room/{room}") for _ in range(TABLETS_EACH)],
            )
            for number, room in enumerate(clinic.rooms)
        ]
        plan = Working(
            url=stack.socket_url("/treatments/provider-sync"),
            wards=wards,
            per_second=PER_SECOND,
            seconds=seconds,
            warmup_seconds=WARMUP_SECONDS,
        )
        with progress.step(f"{len(wards) * TABLETS_EACH:,} tablets at work"):
            result = await run_tablets_apart(plan)
        progress.note(result.summary())
    return {
        "commands_per_s": result.per_second,
        "command_p50_ms": result.commands.p50_ms,
        "command_p99_ms": result.commands.p99_ms,
        "push_p50_ms": result.pushes.p50_ms,
        "push_p99_ms": result.pushes.p99_ms,
        "pushes": result.pushes.count,
        "errors": result.errors,
    }
