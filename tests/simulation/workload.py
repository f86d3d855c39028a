"""The callers of a simulation: random requests, repeats of earlier ones, and what came of them."""

import asyncio
import contextlib
import hashlib
from typing import Any

import msgspec

from actors.runtime.client import EntityClient
from actors.runtime.wire import VIEW_JSON, VIEW_MSGPACK, VIEW_NONE
from domain.errors import AtriumError
from tests.simulation import strand
from tests.simulation.record import Op
from tests.simulation.world import World

_ALARMS = ("early", "late")


class Workload:
    def __init__(self, world: World, clients: list[EntityClient], entities: list[str]) -> None:
        self._world = world
        self._rng = world.rng
        self._record = world.record
        self._clients = clients
        self._entities = entities
        self._left = world.profile.steps
        self._identities = 0
        self._watching: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        workers = [self._worker(client) for client in self._clients for _ in range(self._world.profile.workers)]
        await asyncio.gather(*workers)

    async def watch_all(self) -> None:
        """Each client's gateway watches some entities, and again whenever a host changed."""
        for client in self._clients:
            chosen = [entity for entity in self._entities if self._rng.random() < 0.7]
            self._watching.append(self._world.loop.create_task(self._keep_watching(client, chosen)))

    def stop_watching(self) -> None:
        for task in self._watching:
            task.cancel()

    async def _keep_watching(self, client: EntityClient, entities: list[str]) -> None:
        group = "parity/1" if self._rng.random() < 0.3 else ""
        if group:
            self._record.grouped.add(client.name)
        while True:
            for entity in entities:
                try:
                    await client.watch("strand", entity, gateway=client.name, actor=strand.ACTOR)
                except AtriumError:
                    continue
            if group:
                with contextlib.suppress(AtriumError):
                    await client.watch_group(group, gateway=client.name)
            await asyncio.sleep(0.7)

    async def _worker(self, client: EntityClient) -> None:
        while self._left > 0:
            self._left -= 1
            await asyncio.sleep(self._rng.expovariate(1 / self._world.profile.think_s))
            op = self._choose()
            call = self._world.loop.create_task(self.perform(client, op))
            if "callers_leave" in self._world.profile.faults and self._rng.random() < 0.05:
                await asyncio.wait([call], timeout=self._rng.uniform(0.0, 0.01))
                if not call.done():
                    op.cancelled = True
                    call.cancel()
                    self._record.note(f"{op}: the caller goes away")
            else:
                await asyncio.wait([call])

    def new_op(self, entity: str, command: Any) -> Op:
        """A request under a command id of its own."""
        self._identities += 1
        op = Op(len(self._record.ops) + 1, entity, command, f"c{self._identities}", strand.ACTOR)
        if command is not None and self._rng.random() < 0.6:
            op.command_id = hashlib.sha256(op.identity.encode()).digest()[:16]
        self._record.ops.append(op)
        return op

    def _choose(self) -> Op:
        rng = self._rng
        repeatable = [op for op in self._record.ops[-60:] if op.command_id is not None and (op.done or op.cancelled)]
        if repeatable and rng.random() < 0.2:
            return self._repeat(rng.choice(repeatable))
        entity = rng.choice(self._entities)
        op = self.new_op(entity, None if rng.random() < 0.25 else self._command(entity))
        op.want = rng.choice((VIEW_NONE, VIEW_JSON, VIEW_MSGPACK)) if op.command is not None else VIEW_JSON
        if rng.random() < 0.05:
            op.actor = strand.STRANGER
        if op.command is not None and rng.random() < 0.1:
            op.expect = len(self._world.store.by_entity.get(("strand", entity), ()))
        return op

    def _repeat(self, first: Op) -> Op:
        """The same command id again, now and then with another body."""
        command = first.command
        if self._rng.random() < 0.3:
            command = strand.Append(f"other{self._rng.random():.6f}")
        op = Op(len(self._record.ops) + 1, first.entity, command, first.identity, first.actor)
        op.command_id = first.command_id
        op.want = self._rng.choice((first.want, VIEW_JSON))
        self._record.ops.append(op)
        return op

    def _command(self, entity: str) -> Any:
        rng = self._rng
        roll = rng.random()
        if roll < 0.5:
            return strand.Append(f"t{len(self._record.ops)}")
        if roll < 0.62:
            return strand.Put(rng.choice("xy"), rng.randrange(5), rng.randrange(5))
        if roll < 0.67:
            return strand.Look()
        if roll < 0.71:
            return strand.Refuse()
        if roll < 0.85:
            due_ms = self._world.loop.now_ms() + rng.choice((-500, 0, 30, 400, 1_500, 4_000, 7_000))
            return strand.Arm(rng.choice(_ALARMS), due_ms)
        if roll < 0.89:
            return strand.Disarm(rng.choice(_ALARMS))
        if roll < 0.93:
            return strand.Wave(rng.randrange(9))
        if roll < 0.98:
            return strand.Explode(rng.choice(("decide", "apply")))
        return strand.Bloat()

    async def perform(self, client: EntityClient, op: Op, deadline: int = 0) -> None:
        """Send one request and write down what came of it; `deadline` in milliseconds (0: draw one)."""
        record = self._record
        op.invoked, op.invoked_at = record.next(), self._world.loop.time()
        record.note(f"{op} via {client.name}")
        deadline = deadline or (15_000 if self._rng.random() < 0.8 else self._rng.choice((500, 2_000)))
        try:
            if op.is_read:
                op.answer = await client.read("strand", op.entity, actor=op.actor, want=op.want, deadline_ms=deadline)
            else:
                op.answer = await client.ask(
                    "strand",
                    op.entity,
                    op.command,
                    actor=op.actor,
                    command_id=op.command_id,
                    correlation=f"op{op.index}",
                    deadline_ms=deadline,
                    want=op.want,
                    expect=op.expect,
                )
        except AtriumError as error:
            op.error = error
            if error.failure.status == 504:
                record.fault("deadline")
        op.done, op.done_at = record.next(), self._world.loop.time()
        outcome = op.error.failure.code if op.error is not None else f"v{op.answer.version if op.answer else None}"
        record.note(f"{op} → {outcome}")


def body_hash(command: Any) -> bytes:
    """As the client computes it."""
    return hashlib.sha256(msgspec.msgpack.encode(command)).digest()[:16]
