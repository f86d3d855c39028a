"""The journal in Postgres: the hot path, by hand-written SQL on asyncpg."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from storage.journal.connection import (
    COMMIT_APPLICATION,
    Connection,
    commit_error,
    connect,
    make_pool,
    store_errors,
)
from storage.journal.interface import (
    CommitRefused,
    Cursor,
    Fenced,
    HostRecord,
    Lease,
    Loaded,
    NewRow,
    Reminder,
    Row,
    ShardMap,
    Snapshot,
    TimerDone,
)
from storage.journal.placement import PostgresPlacement
from storage.journal.statement import commit_statement

if TYPE_CHECKING:
    import asyncpg

_ROW: Final = "position, xid, kind, id, version, command_id, command_hash, actor, device, correlation, time, payload"
"""In the order of `Row`'s fields."""

_SNAPSHOTS: Final = (
    "SELECT shard, kind, id, version, schema, data FROM unnest($1::text[], $2::text[]) AS wanted(kind, id) "
    "JOIN snapshots USING (kind, id)"
)
# OFFSET 0 keeps the planner from turning one index probe per entity into a scan of the whole journal.
_ROWS_AFTER: Final = (
    f"SELECT found.* FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wanted(k, i, after) "  # noqa: S608
    f"CROSS JOIN LATERAL (SELECT {_ROW} FROM journal WHERE kind = k AND id = i AND version > after "
    "ORDER BY version OFFSET 0) AS found"
)
_ROWS_BETWEEN: Final = (
    f"SELECT {_ROW} FROM journal WHERE kind = $1 AND id = $2 AND version > $3 "  # noqa: S608
    "AND version <= $4 ORDER BY version"
)
# By the command id alone, and only then by the entity: else the planner may walk all of a hot entity's rows.
_BY_COMMAND: Final = (
    "SELECT found.command_id, found.version FROM unnest($1::uuid[]) AS wanted(c) CROSS JOIN LATERAL "
    "(SELECT command_id, kind, id, version FROM journal WHERE command_id = c OFFSET 0) AS found "
    "WHERE found.kind = $2 AND found.id = $3"
)
_TAIL: Final = (
    f"SELECT {_ROW} FROM journal WHERE (xid, position) > ($1, $2) "  # noqa: S608
    "AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid, position LIMIT $3"
)
_SAVE_SNAPSHOTS: Final = (
    "INSERT INTO snapshots AS kept (shard, kind, id, version, schema, data) "
    "SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::bytea[]) "
    "ON CONFLICT (kind, id) DO UPDATE SET shard = excluded.shard, version = excluded.version, "
    "schema = excluded.schema, data = excluded.data "
    "WHERE (excluded.version, excluded.schema) > (kept.version, kept.schema)"
)
_DUE: Final = (
    "SELECT shard, kind, id, name, due_at FROM reminders WHERE shard = ANY($1::smallint[]) AND due_at < $2 "
    "ORDER BY due_at, kind, id, name LIMIT $3"
)
_LAST_VERSION: Final = 2**63 - 1


class PostgresJournal:
    """`Journal`, `Placement` and `Tail`. One for each host; enter it (`async with`) or `open` it before use.

    Commits have a connection of their own, one at a time; everything else shares a small pool.
    """

    def __init__(
        self,
        url: str,
        *,
        commit_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        fence_timeout_s: float = 15.0,
        terminate_after_s: float = 1.0,
        pool_max: int = 4,
    ) -> None:
        """`terminate_after_s`: how long a fence waits for another's commit in flight before ending it."""
        self._url = url
        self._commit_timeout_s = commit_timeout_s
        self._read_timeout_s = read_timeout_s
        self._pool = make_pool(url, pool_max, read_timeout_s, fence_timeout_s)
        self._placement = PostgresPlacement(self._pool, terminate_after_s, fence_timeout_s)
        self._committing = asyncio.Lock()
        self._commits: asyncpg.Connection[asyncpg.Record] | None = None

    async def open(self) -> Self:
        async with store_errors():
            await self._pool
        return self

    async def close(self) -> None:
        self._drop_commits()
        try:
            async with asyncio.timeout(1.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def commit(self, lease: Lease, rows: Sequence[NewRow], done: Sequence[TimerDone]) -> None:
        """See `Journal.commit`. One statement; `StoreAway` means that it was never sent."""
        sql, arguments = commit_statement(lease, rows, done)
        async with self._committing:
            connection = await self._commit_connection()
            try:
                # Postgres gives up first (statement_timeout); the second limit is for a silent network.
                current = await connection.fetchval(sql, *arguments, timeout=self._commit_timeout_s + 0.5)
            except Exception as error:  # asyncpg has more than it documents when a server dies
                meaning = commit_error(error)
                if not isinstance(meaning, CommitRefused):
                    self._drop_commits()
                raise meaning from error
            except BaseException:
                self._drop_commits()
                raise
        if not current:
            raise Fenced(f"{lease.host} epoch {lease.epoch} is not current")

    async def _commit_connection(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._commits is None or self._commits.is_closed():
            self._commits = await connect(self._url, COMMIT_APPLICATION, self._commit_timeout_s)
        return self._commits

    def _drop_commits(self) -> None:
        if self._commits is not None:
            self._commits.terminate()
            self._commits = None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        async with (
            store_errors(),
            asyncio.timeout(self._read_timeout_s),
            self._pool.acquire() as connection,
        ):
            yield connection

    async def load(self, keys: Sequence[tuple[str, str]]) -> list[Loaded]:
        kinds, ids = [kind for kind, _ in keys], [id_ for _, id_ in keys]
        async with self._reading() as connection:
            kept = await connection.fetch(_SNAPSHOTS, kinds, ids)
            snapshots = {(record[1], record[2]): Snapshot(*record) for record in kept}
            after = [snapshots[key].version if key in snapshots else 0 for key in keys]
            found = await connection.fetch(_ROWS_AFTER, kinds, ids, after)
        rows: dict[tuple[str, str], list[Row]] = {key: [] for key in keys}
        for record in found:
            row = Row(*record)
            rows[row.kind, row.id].append(row)
        return [Loaded(*key, snapshots.get(key), tuple(rows[key])) for key in keys]

    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> list[Row]:
        last = _LAST_VERSION if upto is None else upto
        async with self._reading() as connection:
            return [Row(*record) for record in await connection.fetch(_ROWS_BETWEEN, kind, id, after, last)]

    async def find_commands(self, kind: str, id: str, command_ids: Sequence[bytes]) -> dict[bytes, int]:
        async with self._reading() as connection:
            found = await connection.fetch(_BY_COMMAND, list(command_ids), kind, id)
        return {bytes(record[0]): record[1] for record in found}

    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        newest: dict[tuple[str, str], Snapshot] = {}
        for one in snapshots:
            old = newest.get((one.kind, one.id))
            if old is None or (old.version, old.schema) < (one.version, one.schema):
                newest[one.kind, one.id] = one
        if not newest:
            return
        fields = ([getattr(one, name) for one in newest.values()] for name in Snapshot.__struct_fields__)
        async with self._reading() as connection:
            await connection.execute(_SAVE_SNAPSHOTS, *fields)

    async def due_reminders(self, shards: Sequence[int], before_ms: int, limit: int) -> list[Reminder]:
        async with self._reading() as connection:
            found = await connection.fetch(_DUE, list(shards), before_ms, limit)
        return [Reminder(*record) for record in found]

    async def read_after(self, cursor: Cursor, limit: int) -> list[Row]:
        async with self._reading() as connection:
            return [Row(*record) for record in await connection.fetch(_TAIL, cursor.xid, cursor.position, limit)]

    async def take_epoch(self, host: str, held: int | None = None) -> Lease:
        return await self._placement.take_epoch(host, held)

    async def shard_map(self) -> ShardMap:
        return await self._placement.shard_map()

    async def hosts(self) -> list[HostRecord]:
        return await self._placement.hosts()

    async def want(self, host: str, wanted: bool) -> None:
        await self._placement.want(host, wanted)

    async def forget(self, host: str) -> None:
        await self._placement.forget(host)

    async def assign_free(self, hosts: Sequence[str]) -> ShardMap:
        return await self._placement.assign_free(hosts)

    async def hand_over(self, lease: Lease, shards: Sequence[int], to: str) -> ShardMap:
        return await self._placement.hand_over(lease, shards, to)

    async def seize(self, shards: Sequence[int], owner: str, to: str) -> ShardMap:
        return await self._placement.seize(shards, owner, to)
