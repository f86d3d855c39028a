"""One simulation: a world drawn from a seed, broken and healed, and what the checkers say of it."""

import asyncio
import hashlib
import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from actors.runtime.client import EntityClient
from actors.runtime.endpoint import HostEndpoint
from actors.runtime.entity import EntityKind
from actors.runtime.host import Host
from actors.runtime.replay import JournalGapError
from actors.runtime.wire import VIEW_JSON
from tests.hearing import logs_through
from tests.simulation import strand
from tests.simulation.chaos import Chaos
from tests.simulation.checkers import check_answers
from tests.simulation.final import busy, check_end
from tests.simulation.loop import StuckError, VirtualLoop
from tests.simulation.profile import profile_of
from tests.simulation.reference import references
from tests.simulation.store import SimStore
from tests.simulation.workload import Workload
from tests.simulation.world import SimTransport, World

DEFAULT_STEPS = 100
_RAGE_MAX_S = 12.0
_TIMERS_REST_S = 5.0
_ON_TOP = 4
_HEALED_WITHIN_MS = 5_000


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """A deliberate fault in the runtime or in the database, to prove that the checkers notice."""

    host: type[Host] = Host
    store: type[SimStore] = SimStore
    endpoint: type[HostEndpoint] = HostEndpoint
    client: type[EntityClient] = EntityClient
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
        mutation.client(f"gateway-{number}", SimTransport(world), loop, profile.limits)
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
        except JournalGapError as error:
            world.record.violate("1 one writer", f"the journal has a gap: {error}")
        finally:
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
    background = [world.loop.create_task(chaos.rage()), world.loop.create_task(_watch_bounds(world, clients))]
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
    last = []
    for entity in entities:
        read = workload.new_op(entity, None)
        read.want = VIEW_JSON
        arm = strand.Arm("final", loop.now_ms() + 2_200)
        last += [workload.new_op(entity, strand.Append("last")), read, workload.new_op(entity, arm)]
    await asyncio.gather(*(workload.perform(clients[0], op, _HEALED_WITHIN_MS) for op in last))
    for op in last:
        if op.error is not None and op.error.failure.code not in ("mailbox_full", "host_full", "not_found"):
            record.violate("3 everyone is answered", f"{op}: {op.error} after all faults had ended")
    await asyncio.sleep(_TIMERS_REST_S / 2)
    workload.stop_watching()
    await asyncio.sleep(_TIMERS_REST_S / 2)
    patience = 100
    while patience and any(busy(one.host) for one in world.alive()):  # an alarm may ring this very moment
        patience -= 1
        await asyncio.sleep(0.01)


async def _watch_bounds(world: World, clients: list[EntityClient]) -> None:
    """Queues stay within their limits all the time (invariant 9); timers and flushes are few and come on top."""
    limits = world.profile.limits
    while True:
        await asyncio.sleep(0.003)
        for one in world.alive():
            host = one.host
            queued = host._mailboxes.queued + sum(entry.done is None for entry in host.writer._queue)
            if queued > limits.host_commands_max + _ON_TOP:
                world.record.violate("9 bounded", f"{one} holds {queued} requests")
            rings = [entry.cell for entry in host.writer._queue if entry.done is not None]
            for cell in host._cells.values():
                if cell.pending - rings.count(cell) > limits.mailbox_commands_max + _ON_TOP:
                    world.record.violate("9 bounded", f"{one}: {cell.pending} requests wait on {cell.id}")
        for client in clients:
            if client.pending > limits.client_commands_max:
                world.record.violate("9 bounded", f"{client.name} holds {client.pending} requests")


def _bury(world: World, loop: VirtualLoop) -> None:
    for one in world.everyone:
        one.host.writer.close()
    loop.bury([one.process for one in world.everyone])
    loop.close()


@contextmanager
def _logs_into(world: World) -> Iterator[None]:
    """What the runtime logs becomes part of the trace."""

    def keep(_: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        known = {key: value for key, value in event.items() if key not in ("event", "exc_info")}
        world.record.note(f"log {method}: {event['event']} {known}")
        raise structlog.DropEvent

    with logs_through(keep, structlog.BoundLogger):
        yield
