"""Devices at work over a bad network: whatever breaks, every command happens once and everybody sees the same."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from loadtests.faulty_proxy import Draw, FaultyProxy, Plan, drawn
from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoding
from realtime.client.limits import ClientLimits
from realtime.client.live import LiveClient
from realtime.client.queue import CommandQueue, MemoryQueue
from realtime.client.subscription import Subscription
from realtime.commands import command_id
from storage.journal.interface import Row

LIMITS: Final = ClientLimits(ping_seconds=0.25)
"""A dead link is found within twice that."""
AT_ONCE: Final = 8
"""Commands that a device has under way, so that its work lasts for many connections."""
STORM_S_MAX: Final = 10.0
"""After which the network is made calm, whatever is still open."""
DONE_S_MAX: Final = 20.0

_FIRST: Final = (
    Plan(end="half_open", directions=("up",), after=6, duplicate=0.5),
    Plan(end="truncated", directions=("down",), after=6, delay_s_max=0.02),
    Plan(end="dropped", after=6, slow=True),
    Plan(end="half_open", directions=("up", "down"), after=6),
)
FAULTS: Final = ("half_open", "truncated", "dropped", "duplicated", "delayed", "slow")
"""Counters of the proxy that must not be zero."""


def weather(seed: int) -> Draw:
    """All that there is on the first connections, then whatever the seed brings."""
    later = drawn(seed, frames_max=20)
    return lambda number: _FIRST[number] if number < len(_FIRST) else later(number)


class Rows(Protocol):
    async def rows(self, kind: str, id: str) -> list[Row]: ...


@dataclass
class Device:
    """`ent` is what it works on and watches; `step` makes the n-th command's operation and arguments."""

    subject: str
    token: str
    path: str
    ent: str
    step: Callable[[int], tuple[str, dict[str, Any]]]
    queue: CommandQueue = field(default_factory=MemoryQueue)
    encoding: Encoding = "json"

    def client(self, base_url: str) -> LiveClient:
        backoff = FullJitter(0.02, 0.2, random.Random(self.subject))
        return LiveClient(
            base_url + self.path,
            self.token,
            encoding=self.encoding,
            queue=self.queue,
            backoff=backoff,
            limits=LIMITS,
        )


async def storm(
    devices: Sequence[Device], proxy: FaultyProxy, calm_url: str, journal: Rows, commands_each: int
) -> Counter[str]:
    """Every device sends its commands and watches what it works on, through the proxy. Raises `AssertionError` when
    one is lost or happens twice, or when a device ends up seeing anything but what the server says."""
    before = {device.ent: len(await journal.rows(*_ref(device.ent))) for device in devices}
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(device.client(f"ws://127.0.0.1:{proxy.port}")) for device in devices]
        watching = [client.follow(device.ent) for client, device in zip(clients, devices, strict=True)]
        work = [
            asyncio.create_task(_work(client, device, commands_each))
            for client, device in zip(clients, devices, strict=True)
        ]
        try:
            await asyncio.wait(work, timeout=STORM_S_MAX)
            proxy.calm()
            async with asyncio.timeout(DONE_S_MAX):
                await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
        await _once_each(devices, journal, commands_each, before)
        await _same(devices, watching, calm_url)
    return proxy.counters


async def _work(client: LiveClient, device: Device, commands: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        result = await client.command(device.ent, *device.step(number))
        gate.release()
        assert result.ok, result

    async with asyncio.TaskGroup() as group:
        for number in range(commands):
            await gate.acquire()
            group.create_task(one(number))


async def _once_each(devices: Sequence[Device], journal: Rows, commands: int, before: dict[str, int]) -> None:
    added: Counter[str] = Counter()
    for device in devices:
        rows = Counter(row.command_id for row in await journal.rows(*_ref(device.ent)))
        for seq in range(1, commands + 1):
            times = rows[command_id(device.subject, device.queue.device_id, device.queue.epoch, seq)]
            assert times == 1, f"command {seq} of {device.queue.device_id} is in the journal {times} times"
        added[device.ent] += commands
    for ent, count in added.items():
        assert len(await journal.rows(*_ref(ent))) == before[ent] + count, f"{ent} has rows that nobody sent"


async def _same(devices: Sequence[Device], watching: Sequence[Subscription], calm_url: str) -> None:
    """A fresh look, past the proxy, is what every watcher comes to."""
    for device, seen in zip(devices, watching, strict=True):
        fresh = Device(device.subject, device.token, device.path, device.ent, device.step)
        async with fresh.client(calm_url) as client:
            now = (await client.subscribe(device.ent)).entities[device.ent]
            async with asyncio.timeout(DONE_S_MAX):
                await seen.until(
                    lambda one, ent=device.ent, now=now: one.current and one.entities[ent].version >= now.version
                )
            assert seen.entities[device.ent].version == now.version
            assert seen.state(device.ent) == now.state


def _ref(ent: str) -> tuple[str, str]:
    kind, _, id_ = ent.partition("/")
    return kind, id_
