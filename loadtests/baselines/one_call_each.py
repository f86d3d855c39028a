"""Atrium's own host, asked one Ray call per command and committing one row per transaction.

The same entity, journal, fencing and checks as the real thing; only coalescing and group commit are missing,
so the ratio to it says what those two are worth.
"""

import asyncio
from typing import Any, Final

import msgspec
import ray

from actors.runtime.clock import SystemClock
from actors.runtime.entity import Actor
from actors.runtime.host_actor import HostActor, RuntimeConfig
from actors.runtime.limits import DEFAULTS
from actors.runtime.shards import shard_of
from actors.runtime.wire import COMMAND, OK, Envelope, Reply
from domain.errors import rebuild
from domain.ids import new_command_id
from storage.journal.postgres import PostgresJournal

ONE_ROW_EACH: Final = msgspec.structs.replace(DEFAULTS, commit_rows_max=1)
_CALLS_MAX: Final = 10_000

_encode = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(Envelope)
_replies = msgspec.msgpack.Decoder(Reply)


class OneCallHost(HostActor):
    """A host that answers each call with the reply to its one command."""

    async def ask_one(self, payload: bytes) -> bytes:
        await self._ready()
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._host.submit(_envelopes.decode(payload), answered.set_result)
        return _encode.encode(await answered)


class OneCallEach:
    """Hosts of this kind on the Ray cluster that this process is connected to."""

    def __init__(self, config: RuntimeConfig, hosts: int) -> None:
        self._config = msgspec.structs.replace(config, limits=ONE_ROW_EACH)
        self._names = [f"single-{number}" for number in range(1, hosts + 1)]
        self._handles: dict[str, Any] = {}
        self._owners: tuple[str, ...] = ()
        self._clock = SystemClock()

    async def start(self) -> None:
        """Start the hosts on a migrated database that no other host uses."""
        host_class = ray.remote(num_cpus=0, max_concurrency=_CALLS_MAX)(OneCallHost)
        async with PostgresJournal(self._config.database_url) as journal:
            for name in self._names:
                await journal.want(name, wanted=True)
            shard_map = await journal.assign_free(self._names)
        self._owners = shard_map.owners
        self._handles = {name: host_class.remote(name, self._config) for name in self._names}
        await asyncio.gather(*(handle.ping.remote() for handle in self._handles.values()))

    async def ask(self, kind: str, id: str, command: Any, *, actor: Actor) -> int:
        """One command, one call, one commit; gives the version. Raises `domain.errors.AtriumError`."""
        limit_ms = self._config.limits.command_deadline_ms
        env = Envelope(
            corr=0,
            mode=COMMAND,
            kind=kind,
            id=id,
            body=_encode.encode(command),
            command_id=new_command_id(),
            body_hash=b"\0" * 16,
            actor=actor,
            device="",
            correlation="",
            deadline_ms=self._clock.now_ms() + limit_ms,
        )
        handle = self._handles[self._owners[shard_of(kind, id)]]
        reply = _replies.decode(await handle.ask_one.remote(_encode.encode(env)))
        if reply.status != OK:
            raise RuntimeError(f"status {reply.status}") if reply.failure is None else rebuild(reply.failure)
        return reply.version

    def stop(self) -> None:
        for handle in self._handles.values():
            ray.kill(handle)
