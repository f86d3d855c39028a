"""Leases and the shard map in Postgres.

Whoever fences waits for the commits in flight of the fenced host: they hold its row FOR SHARE, the fence
wants it FOR NO KEY UPDATE. One that does not end in time has its backend terminated, so after the fence
no commit of an older epoch can land.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg
import structlog

from storage.journal.connection import COMMIT_APPLICATION, Connection, store_errors
from storage.journal.interface import Fenced, HostRecord, Lease, ShardMap
from storage.journal.shards import spread

log = structlog.get_logger()

# Epochs come from one sequence: never used twice, also not by a host that was forgotten and came again.
_NEXT_EPOCH: Final = "UPDATE hosts SET epoch = nextval('host_epochs') WHERE host = $1 AND epoch = $2 RETURNING epoch"
_FIRST_EPOCH: Final = (
    "INSERT INTO hosts (host, epoch) VALUES ($1, nextval('host_epochs')) "
    "ON CONFLICT (host) DO UPDATE SET epoch = nextval('host_epochs') RETURNING epoch"
)
_FENCE: Final = "UPDATE hosts SET epoch = nextval('host_epochs') WHERE host = $1"
_WANT: Final = (
    "INSERT INTO hosts (host, epoch, wanted) VALUES ($1, 0, $2) "
    "ON CONFLICT (host) DO UPDATE SET wanted = excluded.wanted"
)
_FORGET: Final = (
    "DELETE FROM hosts WHERE host = $1 AND NOT wanted AND NOT EXISTS (SELECT FROM shards WHERE shards.host = $1)"
)
_REGISTER: Final = "INSERT INTO hosts (host, epoch) SELECT unnest($1::text[]), 0 ON CONFLICT DO NOTHING"
_HOSTS: Final = "SELECT host, epoch, wanted FROM hosts ORDER BY host"
_LOCK_HOST: Final = "SELECT epoch FROM hosts WHERE host = $1 FOR NO KEY UPDATE"
_MOVE: Final = "UPDATE shards SET host = $1 WHERE shard = ANY($2::smallint[]) AND host = $3"
_RAISE_VERSION: Final = "UPDATE shard_map SET version = version + 1"
_MAP: Final = "SELECT (SELECT version FROM shard_map), array_agg(coalesce(host, '') ORDER BY shard) FROM shards"
_TERMINATE: Final = (
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid = ANY(pg_blocking_pids($1)) AND application_name = $2"
)
_ASK_AGAIN_S: Final = 0.25
"""Between two looks at who still blocks a fence."""


class PostgresPlacement:
    """`Placement` on a pool of journal connections."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", terminate_after_s: float, timeout_s: float) -> None:
        self._pool = pool
        self._terminate_after_s = terminate_after_s
        self._timeout_s = timeout_s

    async def take_epoch(self, host: str, held: int | None = None) -> Lease:
        async with self._fencing() as connection:
            if held is None:
                epoch = await connection.fetchval(_FIRST_EPOCH, host)
            else:
                epoch = await connection.fetchval(_NEXT_EPOCH, host, held)
        if epoch is None:
            raise Fenced(f"{host} epoch {held} is not current")
        return Lease(host, epoch)

    async def shard_map(self) -> ShardMap:
        async with store_errors(), self._pool.acquire(timeout=self._timeout_s) as connection:
            return await _read_map(connection)

    async def hosts(self) -> list[HostRecord]:
        async with store_errors(), self._pool.acquire(timeout=self._timeout_s) as connection:
            return [HostRecord(*record) for record in await connection.fetch(_HOSTS)]

    async def want(self, host: str, wanted: bool) -> None:
        async with self._fencing() as connection:
            await connection.execute(_WANT, host, wanted)

    async def forget(self, host: str) -> None:
        async with self._fencing() as connection:
            with suppress(asyncpg.ForeignKeyViolationError):  # it was given a shard this very moment
                await connection.execute(_FORGET, host)

    async def assign_free(self, hosts: Sequence[str]) -> ShardMap:
        async with self._fencing() as connection, connection.transaction():
            await connection.execute("SELECT FROM shard_map FOR UPDATE")
            owners = (await _read_map(connection)).owners
            free = [shard for shard, owner in enumerate(owners) if not owner]
            if free and hosts:
                await connection.execute(_REGISTER, list(hosts))
                for host, shards in spread(free, owners, hosts).items():
                    await connection.execute(
                        "UPDATE shards SET host = $1 WHERE shard = ANY($2::smallint[])", host, shards
                    )
                await connection.execute(_RAISE_VERSION)
            return await _read_map(connection)

    async def hand_over(self, lease: Lease, shards: Sequence[int], to: str) -> ShardMap:
        async with self._fencing() as connection, connection.transaction():
            if await connection.fetchval(_LOCK_HOST, lease.host) != lease.epoch:
                raise Fenced(f"{lease.host} epoch {lease.epoch} is not current")
            await _move(connection, shards, lease.host, to)
            return await _read_map(connection)

    async def seize(self, shards: Sequence[int], owner: str, to: str) -> ShardMap:
        async with self._fencing() as connection, connection.transaction():
            await connection.fetchval(_LOCK_HOST, owner)
            if await _move(connection, shards, owner, to):
                await connection.execute(_FENCE, owner)
            return await _read_map(connection)

    @asynccontextmanager
    async def _fencing(self) -> AsyncIterator[Connection]:
        """A connection whose locks are waited for no longer than commits deserve, and never for ever."""
        async with (
            store_errors(),
            asyncio.timeout(self._timeout_s),
            self._pool.acquire() as connection,
        ):
            watchdog = asyncio.create_task(self._end_blockers(connection.get_server_pid()))
            try:
                yield connection
            finally:
                watchdog.cancel()
                await asyncio.gather(watchdog, return_exceptions=True)

    async def _end_blockers(self, waiting_pid: int) -> None:
        """Terminate commits that still hold the row after `terminate_after_s`."""
        await asyncio.sleep(self._terminate_after_s)
        while True:
            try:
                async with store_errors(), self._pool.acquire() as connection:
                    ended = await connection.fetchval(_TERMINATE, waiting_pid, COMMIT_APPLICATION)
                if ended:
                    log.warning("commits_terminated", count=ended)
            except OSError as error:
                log.warning("commits_not_terminated", error=repr(error))
            await asyncio.sleep(_ASK_AGAIN_S)


async def _read_map(connection: Connection) -> ShardMap:
    record = await connection.fetchrow(_MAP)
    assert record is not None  # noqa: S101 - an aggregate answers one row
    return ShardMap(record[0], tuple(record[1]))


async def _move(connection: Connection, shards: Sequence[int], owner: str, to: str) -> bool:
    """Give `to` those of `shards` that `owner` holds; whether there were any."""
    await connection.execute(_REGISTER, [to])
    moved: str = await connection.execute(_MOVE, to, list(shards), owner)
    if moved == "UPDATE 0":
        return False
    await connection.execute(_RAISE_VERSION)
    return True
