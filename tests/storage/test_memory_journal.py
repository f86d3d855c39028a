import asyncio

import pytest

from storage.journal.interface import CommitUnknown, Cursor, Fenced, Lease
from storage.journal.memory import Faults, MemoryJournal, MemoryStore
from storage.models import INDEX_TABLES
from tests.storage.journal_contract import JournalContract
from tests.storage.journal_rows import row


@pytest.fixture
def store():
    columns = {name: set(table.columns.keys()) for name, table in INDEX_TABLES.items()}
    return MemoryStore(index_columns=columns)


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def journal(self, store):
        return MemoryJournal(store)

    @pytest.fixture
    def other(self, store):
        return MemoryJournal(store)

    @pytest.fixture
    def index_row(self, store):
        async def read(table, id):
            found = store.index[table].get(id)
            return found and (found["version"], found["status"], found["created_at"])

        return read


class Held(Faults):
    """A commit that stays in its transaction until told; the host gives up at once."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.patience = None

    async def in_transaction(self, rows):
        self.entered.set()
        await self.go_on.wait()

    def reply_timeout(self, rows):
        return self.patience


async def _held_commit(store, faults):
    journal = MemoryJournal(store, faults)
    lease = await journal.take_epoch("h")
    commit = asyncio.create_task(journal.commit(lease, [row("a", 1)], []))
    await faults.entered.wait()
    return journal, commit


async def test_a_commit_given_up_lands_before_a_new_epoch_is_answered(store):
    faults = Held()
    faults.patience = 0.0
    journal, commit = await _held_commit(store, faults)
    with pytest.raises(CommitUnknown):
        await commit
    epoch = asyncio.create_task(journal.take_epoch("h"))
    await asyncio.sleep(0)
    assert not epoch.done()
    faults.go_on.set()
    await epoch
    assert len(await journal.rows("cart", "a")) == 1


async def test_a_commit_that_does_not_end_is_rolled_back_by_a_new_epoch():
    store = MemoryStore(terminate_after_s=0.0)
    journal, commit = await _held_commit(store, Held())
    await journal.take_epoch("h")
    with pytest.raises(CommitUnknown):
        await commit
    assert store.rows == []


async def test_a_cancelled_host_does_not_stop_its_transaction(store):
    faults = Held()
    journal, commit = await _held_commit(store, faults)
    commit.cancel()
    await asyncio.gather(commit, return_exceptions=True)
    faults.go_on.set()
    await journal.take_epoch("h")
    assert len(store.rows) == 1


async def test_the_tail_waits_for_an_older_open_transaction(store):
    faults = Held()
    _, commit = await _held_commit(store, faults)
    quick = MemoryJournal(store)
    await quick.commit(await quick.take_epoch("g"), [row("b", 1)], [])
    assert await quick.read_after(Cursor(), 10) == []
    faults.go_on.set()
    await commit
    assert [one.id for one in await quick.read_after(Cursor(), 10)] == ["a", "b"]


async def test_a_lost_request_stores_nothing_and_a_lost_reply_stores_all(store):
    class Lost(Faults):
        async def before_commit(self, rows):
            if rows[0].version == 1:
                raise CommitUnknown("lost on the way")

        async def after_commit(self, rows):
            raise CommitUnknown("reply lost")

    journal = MemoryJournal(store, Lost())
    lease = await journal.take_epoch("h")
    with pytest.raises(CommitUnknown):
        await journal.commit(lease, [row("a", 1)], [])
    assert store.rows == []
    with pytest.raises(CommitUnknown):
        await journal.commit(lease, [row("a", 2)], [])
    assert [one.version for one in store.rows] == [2]


async def test_a_commit_waiting_behind_a_new_epoch_is_fenced(store):
    faults = Held()
    journal, commit = await _held_commit(store, faults)
    epoch = asyncio.create_task(journal.take_epoch("h"))
    await asyncio.sleep(0)
    late = asyncio.create_task(
        MemoryJournal(store).commit(Lease("h", store.epochs["h"]), [row("a", 2)], []),
    )
    await asyncio.sleep(0)
    faults.go_on.set()
    await commit
    await epoch
    with pytest.raises(Fenced):
        await late
