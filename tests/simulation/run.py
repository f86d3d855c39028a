"""One simulation: a world drawn from a seed, broken and healed, and what the checkers say of it."""

import asyncio
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from actors.runtime.client import EntityClient
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.entity import EntityKind
from actors.runtime.host import Host
from tests.simulation import strand
from tests.simulation.chaos import Chaos
from tests.simulation.checkers import check_answers
from tests.simulation.final import check_end
from tests.simulation.loop import StuckError, VirtualLoop
from tests.simulation.profile import profile_of
from tests.simulation.record import Op
from tests.simulation.reference import references
from tests.simulation.store import SimStore
from tests.simulation.workload import Workload
from tests.simulation.world import SimTransport, World

DEFAULT_STEPS = 100
_RAGE_MAX_S = 12.0
_TIMERS_REST_S = 4.0


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """A deliberate fault in the runtime or in the database, to prove that the checkers notice."""

    host: type[Host] = Host
    store: type[SimStore] = SimStore
    endpoint: type[HostEndpoint] = HostEndpoint
    kind: EntityKind[Any] = strand.STRAND
    faults: frozenset[str] | None = None


class Result(msgspec.Struct, frozen=True):
    """What became of one seed. `digest` is the same whenever the seed is run again."""

    seed: int
    violations: list[str]
    trace: list[str]
    digest: str
    counts: dict[str, int]
    virtual_s: float


def simulate(seed: int, steps: int = DEFAULT_STEPS, mutation: Mutation = Mutation(), trace_lines: int = 60) -> Result:  # noqa: B008 - frozen
    """Run one seed. Always returns: whatever goes wrong is a violation."""
    rng = random.Random(seed)
    profile = profile_of(rng, steps, mutation.faults)
    loop = VirtualLoop()
    world = World(
        loop,
        rng,
        profile,
        {"strand": mutation.kind},
        host_class=mutation.host,
        store_class=mutation.store,
        endpoint_class=mutation.endpoint,
    )
    clients = [
        EntityClient(f"gateway-{number}", SimTransport(world), loop, profile.limits)
        for number in range(profile.clients)
    ]
    entities = [f"e{number}" for number in range(profile.entities)]
    world.record.note(f"seed {seed}: {sorted(profile.faults)}")
    with _logs_into(world):
        try:
            loop.run_until_complete(_story(world, clients, entities))
            truth = references(world, entities)
            check_answers(world, truth)
            check_end(world, clients, truth)
        except StuckError as error:
            world.record.violate("5 turns", f"the simulation is stuck: {error}")
        except TimeoutError:
            world.record.violate("3 everyone is answered", "the hosts did not come back after the faults had ended")
        _bury(world, loop)
    return Result(
        seed=seed,
        violations=world.record.violations,
        trace=world.record.tail(trace_lines),
        digest=hashlib.sha256("\n".join(world.record.digest_lines()).encode()).hexdigest()[:16],
        counts=world.record.counts | {"rows": len(world.store.rows), "ops": len(world.record.ops)},
        virtual_s=loop.time(),
    )


async def _story(world: World, clients: list[EntityClient], entities: list[str]) -> None:
    names = [f"host-{number + 1}" for number in range(world.profile.hosts)]
    for name in names:
        await world.placement.want(name, True)
    await world.placement.assign_free(names)
    for name in names:
        world.start_host(name)
    world.record.fault("starting", 0.2)
    workload = Workload(world, clients, entities)
    chaos = Chaos(world, entities)
    background = [world.loop.create_task(chaos.rage())]
    if world.profile.steward:
        background.append(world.loop.create_task(chaos.steward.tend_forever()))
    await workload.watch_all()
    working = world.loop.create_task(workload.run())
    await asyncio.wait([working], timeout=_RAGE_MAX_S)
    for task in background:
        task.cancel()
    async with asyncio.timeout(30.0):
        await chaos.heal()
    await working
    await _epilogue(world, workload, clients, entities)


async def _epilogue(world: World, workload: Workload, clients: list[EntityClient], entities: list[str]) -> None:
    """All is well again: every entity answers, takes a change, rings, and then nothing is left to do."""
    await asyncio.sleep(1.0)
    record, loop = world.record, world.loop
    last: list[Op] = []
    for entity in entities:
        last += [workload.new_op(entity, strand.Append("last")), workload.new_op(entity, None)]
        last.append(workload.new_op(entity, strand.Arm("final", loop.now_ms() + 1_200)))
        last[-2].want = 1
    await asyncio.gather(*(workload.perform(clients[0], op) for op in last))
    for op in last:
        if op.error is not None and op.error.failure.code not in ("mailbox_full", "host_full"):
            record.violate("3 everyone is answered", f"{op}: {op.error} after all faults had ended")
    await asyncio.sleep(_TIMERS_REST_S / 2)
    workload.stop_watching()
    await asyncio.sleep(_TIMERS_REST_S / 2)


def _bury(world: World, loop: VirtualLoop) -> None:
    for one in world.everyone:
        one.host.writer.close()
    loop.bury([one.process for one in world.everyone])
    loop.close()


@contextmanager
def _logs_into(world: World) -> Iterator[None]:
    """What the runtime logs becomes part of the trace."""

    def keep(_: Any, method: str, event: dict[str, Any]) -> Any:
        exc = event.pop("exc_info", None)
        del exc
        known = {key: value for key, value in event.items() if key != "event"}
        world.record.note(f"log {method}: {event['event']} {known}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
