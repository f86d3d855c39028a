"""The runtime under virtual time: a test is a story on a loop that never waits."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self

import msgspec

from actors.runtime.client import EntityClient
from actors.runtime.entity import EntityKind
from actors.runtime.limits import DEFAULTS, Limits
from actors.runtime.local import LOCAL_KEYS, ListPublisher, LocalRuntime
from actors.runtime.shards import shard_of
from storage.crypto import KeyRing
from storage.journal.interface import NewRow
from storage.journal.memory import Faults, MemoryJournal, MemoryStore
from tests.actors.runtime.counter import KINDS
from tests.simulation.loop import VirtualLoop


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own with virtual time; what the loop caught by itself fails the test."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(test(*args, **named))
            caught = [context["message"] for context in loop.errors if "never retrieved" not in context["message"]]
            assert not caught, caught
        finally:
            loop.bury([])
            loop.close()

    return run


class Gate(Faults):
    """Commits that wait in the database while `closed`, and outcomes a test decides."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.before: list[Exception] = []
        self.only_rows = False
        self.inside: list[Exception] = []
        self.after: list[Exception] = []
        self.reads: list[Exception] = []
        self.read_seconds = 0.0
        self.operations: list[str] = []
        self.batches: list[list[NewRow]] = []

    async def before_commit(self, rows: Sequence[NewRow]) -> None:
        if self.before and (rows or not self.only_rows):
            raise self.before.pop(0)

    async def in_transaction(self, rows: Sequence[NewRow]) -> None:
        self.batches.append(list(rows))
        await self.open.wait()
        if self.inside:
            raise self.inside.pop(0)

    async def after_commit(self, rows: Sequence[NewRow]) -> None:
        if self.after:
            raise self.after.pop(0)

    async def before_read(self, operation: str) -> None:
        self.operations.append(operation)
        await asyncio.sleep(self.read_seconds)
        if self.reads:
            raise self.reads.pop(0)


class Rig(LocalRuntime):
    """Hosts and a client on one in-memory store whose faults the test holds in its hand."""

    def __init__(
        self,
        kinds: dict[str, EntityKind[Any]] | None = None,
        *,
        hosts: Sequence[str] = ("host-1",),
        store: MemoryStore | None = None,
        keys: KeyRing = LOCAL_KEYS,
        **limits: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.gate = Gate()
        self.store = store or MemoryStore()
        self.journal = MemoryJournal(self.store, self.gate)
        self.told = ListPublisher()
        chosen: Limits = msgspec.structs.replace(DEFAULTS, **limits)
        super().__init__(
            self.journal,
            self.journal,
            kinds or KINDS,
            hosts=hosts,
            clock=loop,
            limits=chosen,
            publisher=self.told,
            keys=keys,
        )

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        self.gate.open.set()
        await super().__aexit__(*details)

    @property
    def host(self) -> Any:
        return self.hosts["host-1"]

    def another_client(self, name: str = "another") -> EntityClient:
        return EntityClient(name, self.transport, self.clock, self.limits)

    def rows(self, id: str, kind: str = "counter") -> list[Any]:
        return list(self.store.by_entity.get((kind, id), ()))

    def key_on(self, host: str, prefix: str = "c") -> str:
        """An id whose shard that host owns."""
        return self.keys_on(host, 1, prefix)[0]

    def keys_on(self, host: str, count: int, prefix: str = "c") -> list[str]:
        found: list[str] = []
        number = 0
        while len(found) < count:
            number += 1
            if self.store.owners[shard_of("counter", f"{prefix}{number}")] == host:
                found.append(f"{prefix}{number}")
        return found


async def turns_of_the_loop(count: int = 20) -> None:
    """Let whatever is ready run, without any time passing."""
    for _ in range(count):
        await asyncio.sleep(0)
