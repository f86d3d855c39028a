"""The journal on Postgres: the contract, and what only a real database can do to it."""

import asyncio
import os
import signal
from contextlib import suppress

import asyncpg
import pytest

from storage import migrate
from storage.embedded.postgres import EmbeddedPostgres
from storage.journal.connection import READ_APPLICATION, connect
from storage.journal.interface import CommitRefused, CommitUnknown, Cursor, Fenced, IndexWrite, Lease
from storage.journal.postgres import PostgresJournal
from tests.conditions import until
from tests.storage.journal_contract import JournalContract
from tests.storage.journal_rows import NOW, cart_index, row

pytestmark = pytest.mark.stack


@pytest.fixture
async def journal(database_url):
    async with PostgresJournal(database_url, terminate_after_s=0.2) as one:
        yield one


@pytest.fixture
async def other(database_url):
    async with PostgresJournal(database_url, terminate_after_s=0.2) as one:
        yield one


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


class TestPostgresJournal(JournalContract):
    @pytest.fixture
    def index_row(self, sql):
        async def read(table, id):
            found = await sql.fetchrow(f"SELECT version, status, created_at FROM {table} WHERE id = $1", id)
            return found and (found[0], found[1], round(found[2].timestamp() * 1000))

        return read


async def _waiting(sql, application) -> None:
    """Until a connection of that name waits for a lock (a commit holds its host's row by then)."""

    async def waiting():
        await sql.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees its first look again
        return await sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = $1 AND wait_event_type = 'Lock'",
            application,
        )

    await until(waiting, f"{application} waits for a lock")


async def _hang(journal, sql, lease):
    """A commit of a/2 and b/1 that holds its host's row and waits for the index row that `sql` has locked."""
    await sql.execute("SELECT FROM carts WHERE id = 'a' FOR UPDATE")
    batch = [row("a", 2, index=cart_index("converted")), row("b", 1)]
    hanging = asyncio.create_task(journal.commit(lease, batch, []))
    await _waiting(sql, "atrium-commit")
    return hanging


async def _counts(journal):
    return [len(one.rows) for one in await journal.load([("cart", "a"), ("cart", "b")])]


@pytest.fixture
async def lease(journal):
    lease = await journal.take_epoch("h")
    await journal.assign_free(["h"])
    await journal.commit(lease, [row("a", 1, index=cart_index())], [])
    return lease


async def test_a_new_epoch_ends_a_commit_that_hangs_and_nothing_of_it_lands(journal, other, sql, lease):
    async with sql.transaction():
        hanging = await _hang(journal, sql, lease)
        newer = await other.take_epoch("h")
        with pytest.raises(CommitUnknown):
            await hanging
    assert await _counts(other) == [1, 0]
    await other.commit(newer, [row("a", 2)], [])


async def test_a_seizure_ends_a_commit_that_hangs_and_nothing_of_it_lands(journal, other, sql, lease):
    async with sql.transaction():
        hanging = await _hang(journal, sql, lease)
        shard_map = await other.seize(range(256), "h", "g")
        with pytest.raises(CommitUnknown):
            await hanging
    assert set(shard_map.owners) == {"g"}
    assert await _counts(other) == [1, 0]
    with pytest.raises(Fenced):
        await journal.commit(lease, [row("a", 2)], [])


async def test_a_process_that_is_stopped_within_a_move_does_not_hold_its_locks_for_ever(
    database_url, journal, other, lease
):
    stopped = await connect(database_url, READ_APPLICATION, 15.0)
    await stopped.execute("BEGIN")
    await stopped.execute("SELECT FROM hosts WHERE host = 'h' FOR NO KEY UPDATE")
    await stopped.execute("UPDATE shard_map SET version = version + 1")
    async with asyncio.timeout(5):
        shard_map = await other.seize(range(256), "h", "g")
    assert set(shard_map.owners) == {"g"}
    stopped.terminate()


async def test_a_new_epoch_waits_for_a_commit_that_ends_in_time(database_url, journal, sql, lease):
    async with PostgresJournal(database_url, terminate_after_s=60) as patient:
        transaction = sql.transaction()
        await transaction.start()
        hanging = await _hang(journal, sql, lease)
        epoch = asyncio.create_task(patient.take_epoch("h"))
        await _waiting(sql, "atrium-journal")
        await transaction.rollback()
        await hanging
        await epoch
        assert await _counts(patient) == [2, 1]


async def test_a_host_killed_in_its_commit_is_settled_by_the_next_epoch(journal, other, sql, lease):
    """The process is gone, its backend is not: whatever becomes of the batch is known after the new epoch."""
    async with sql.transaction():
        hanging = await _hang(journal, sql, lease)
        journal._drop_commits()
        await asyncio.gather(hanging, return_exceptions=True)
        await other.take_epoch("h")
        settled = await _counts(other)
    assert await _counts(other) == settled == [1, 0]


async def test_a_commit_that_takes_too_long_is_unknown(database_url, sql, lease):
    async with PostgresJournal(database_url, commit_timeout_s=0.1) as hasty, sql.transaction():
        hanging = await _hang(hasty, sql, lease)
        with pytest.raises(CommitUnknown):
            await hanging


async def test_a_cancelled_commit_leaves_the_host_able_to_commit(journal, sql, lease):
    async with sql.transaction():
        hanging = await _hang(journal, sql, lease)
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        renewed = await journal.take_epoch("h", held=lease.epoch)
    await journal.commit(renewed, [row("a", 3)], [])


async def test_the_tail_waits_for_an_older_open_transaction(journal, other, sql, lease):
    async with sql.transaction():
        hanging = await _hang(journal, sql, lease)
        await other.commit(await other.take_epoch("g"), [row("c", 1)], [])
        assert [(one.id, one.version) for one in await other.read_after(Cursor(), 10)] == [("a", 1)]
    await hanging
    assert [(one.id, one.version) for one in await other.read_after(Cursor(), 10)] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("c", 1),
    ]


async def test_a_lost_connection_is_replaced(journal, sql, lease):
    await sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'atrium-%'"
    )
    with pytest.raises((CommitUnknown, OSError)):
        await journal.commit(lease, [row("a", 2)], [])
    renewed = await _renewed_as_a_host_does(journal, lease)
    await journal.commit(renewed, [row("a", 3)], [])


async def _renewed_as_a_host_does(journal: PostgresJournal, lease: Lease) -> Lease:
    """Each connection of the pool may turn out to be dead once; a host asks again."""
    for _ in range(10):
        with suppress(OSError):
            return await journal.take_epoch("h", held=lease.epoch)
    raise AssertionError("no connection was replaced")


async def test_a_store_that_is_away_is_an_os_error():
    async with PostgresJournal("postgresql://atrium@127.0.0.1:1/atrium", read_timeout_s=1.0) as journal:
        for attempt in (
            journal.take_epoch("h"),
            journal.load([("cart", "a")]),
            journal.shard_map(),
            journal.commit(Lease("h", 1), [row()], []),
        ):
            with pytest.raises(ConnectionError):
                await attempt


@pytest.mark.parametrize(
    "index",
    [{"owner": None, "status": "open", "created_at": NOW, "updated_at": NOW}, {"owner": 3}, {"owner": "\x00"}],
    ids=["null", "type", "text"],
)
async def test_index_values_the_database_refuses_are_refused(journal, lease, index):
    columns = {**cart_index().columns, **index}
    with pytest.raises(CommitRefused):
        await journal.commit(lease, [row("a", 2, index=IndexWrite("carts", columns))], [])
    await journal.commit(lease, [row("a", 2)], [])


async def test_the_journal_never_scans_a_table(journal, sql, lease):
    """Plans are cached while tables are small; they must be the ones for large tables all the same."""
    await journal.load([("cart", "a")])
    await journal.read_after(Cursor(), 10)
    await journal.due_reminders([1], NOW, 10)
    async with journal._reading() as connection:
        for query, arguments in (
            ("SELECT FROM journal WHERE (xid, position) > ($1, $2) ORDER BY xid, position LIMIT 9", (0, 0)),
            ("SELECT FROM reminders WHERE shard = ANY($1::smallint[]) AND due_at < $2", ([1], NOW)),
        ):
            plan = "\n".join(one[0] for one in await connection.fetch("EXPLAIN " + query, *arguments))
            assert "Seq Scan" not in plan, plan


async def test_nothing_acknowledged_is_lost_when_postgres_is_killed(tmp_path):
    server = EmbeddedPostgres(tmp_path)
    server.start()
    try:
        await migrate.upgrade(server.url)
        async with PostgresJournal(server.url) as journal:
            lease = await journal.take_epoch("h")
            acknowledged = []
            for version in range(1, 10_000):
                try:
                    await journal.commit(lease, [row("a", version)], [])
                except (CommitUnknown, ConnectionError):
                    break
                acknowledged.append(version)
                if version == 50:
                    asyncio.get_running_loop().call_later(0.01, os.kill, server.pid, signal.SIGKILL)
            server.start()
            await until(lambda: _renewed(journal, lease), "the journal answers again")
            (loaded,) = await journal.load([("cart", "a")])
            versions = [one.version for one in loaded.rows]
            assert versions == list(range(1, len(versions) + 1))
            assert len(acknowledged) <= len(versions) <= len(acknowledged) + 1
    finally:
        server.stop()


async def _renewed(journal, lease):
    try:
        return await journal.take_epoch(lease.host, held=lease.epoch)
    except ConnectionError:
        return None
