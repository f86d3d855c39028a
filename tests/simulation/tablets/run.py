"""One seed of the clinic: a day's work with everything going wrong, then quiet, then the checks."""

import asyncio
import hashlib
import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.runtime.entity import EntityKind
from actors.runtime.replay import JournalGapError
from tests.simulation.loop import StuckError, VirtualLoop
from tests.simulation.run import Result, _logs_into
from tests.simulation.tablets.apps import Installation
from tests.simulation.tablets.checkers import check_all
from tests.simulation.tablets.gateways import Node
from tests.simulation.tablets.profile import profile_of
from tests.simulation.tablets.quiet import come_to_rest
from tests.simulation.tablets.town import Town
from tests.simulation.tablets.trouble import Trouble

DEFAULT_EDITS = 24
_RAGE_MAX_S = 25.0
_SHM = Path("/dev/shm")


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """A deliberate fault in the sync core, to prove that the checkers notice."""

    node: type[Node] = Node
    tablet: type[Installation] = Installation
    kinds: Mapping[str, EntityKind[Any]] | None = None
    faults: frozenset[str] | None = None


def simulate(seed: int, edits: int = DEFAULT_EDITS, mutation: Mutation = Mutation(), trace_lines: int = 60) -> Result:  # noqa: B008 - frozen
    """Run one seed. Always returns: whatever goes wrong is a violation."""
    rng = random.Random(seed)
    profile = profile_of(rng, edits, mutation.faults)
    loop = VirtualLoop()
    folder = Path(tempfile.mkdtemp(prefix="tablets-", dir=_SHM if _SHM.is_dir() else None))
    town = Town(
        loop,
        rng,
        profile,
        folder,
        kinds=mutation.kinds,
        node_class=mutation.node,
        tablet_class=mutation.tablet,
    )
    record = town.record
    record.note(f"seed {seed}: {sorted(profile.faults)}")
    with _logs_into(town.world):
        try:
            loop.run_until_complete(_story(town))
            check_all(town)
        except StuckError as error:
            record.violate("2 an outcome for everything", f"the simulation is stuck: {error}")
        except TimeoutError:
            record.violate("2 an outcome for everything", "the clinic did not come back after the faults had ended")
        except JournalGapError as error:
            record.violate("2 an outcome for everything", f"the journal has a gap: {error}")
        finally:
            _bury(town)
            shutil.rmtree(folder, ignore_errors=True)
    return Result(
        seed=seed,
        violations=record.violations,
        trace=record.tail(trace_lines),
        digest=hashlib.sha256("\n".join(record.digest_lines()).encode()).hexdigest()[:16],
        counts=record.counts
        | {"rows": len(town.world.store.rows), "ops": len(town.book.stored), "told": len(town.book.told)},
        virtual_s=loop.time(),
    )


async def _story(town: Town) -> None:
    world, loop = town.world, town.loop
    names = [f"host-{number + 1}" for number in range(town.profile.runtime.hosts)]
    for name in names:
        await world.placement.want(name, True)
    await world.placement.assign_free(names)
    for name in names:
        world.start_host(name)
    while len(world.running()) < len(names):  # noqa: ASYNC110 - virtual time costs nothing
        await asyncio.sleep(0.01)
    await _office_opens(town)
    for number in range(town.profile.gateways):
        town.start_gateway(f"gateway-{number + 1}")
    trouble = Trouble(town)
    town.hand_out_tablets()
    for tablet in town.tablets:
        trouble.switch_on(tablet)
    rage = [loop.create_task(trouble.rage()), loop.create_task(trouble.hosts.rage())]
    begun = loop.time()
    while loop.time() < begun + _RAGE_MAX_S and any(  # noqa: ASYNC110 - virtual time
        tablet.edits_left > 0 for tablet in town.tablets
    ):
        await asyncio.sleep(0.1)
    for task in rage:
        task.cancel()
    await asyncio.wait(rage)
    async with asyncio.timeout(60.0):
        await trouble.heal()
    await come_to_rest(town)


async def _office_opens(town: Town) -> None:
    while True:
        try:
            await town.office.start()
        except OSError:
            await asyncio.sleep(0.05)
        else:
            break
    await town.open_rooms()


def _bury(town: Town) -> None:
    for one in town.world.everyone:
        one.host.writer.close()
    for tablet in town.tablets:
        tablet.close()
    town.loop.bury([one.process for one in town.world.everyone] + town.processes)
    town.loop.close()
