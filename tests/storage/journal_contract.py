"""What every journal must do. Subclass `JournalContract`."""

import pytest

from domain.ids import new_command_id, new_id
from storage.journal.interface import (
    CommitRefused,
    Cursor,
    Fenced,
    IndexWrite,
    ReminderWrite,
    TimerDone,
)
from tests.storage.journal_rows import NOW, cart_index, row, snapshot
from tests.storage.ownership_contract import FencingContract, PlacementContract


class CommitContract:
    async def test_a_row_reads_back_as_it_was_written(self, journal):
        lease = await journal.take_epoch("h")
        new = row(payload=bytes(range(256)))
        await journal.commit(lease, [new], [])
        (found,) = await journal.rows("cart", "a")
        for field in (
            *("kind", "id", "version", "command_id", "command_hash", "actor"),
            *("device", "correlation", "time_ms", "payload"),
        ):
            assert getattr(found, field) == getattr(new, field)

    async def test_an_empty_batch_only_checks_the_lease(self, journal):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [], [])
        await journal.take_epoch("h")
        with pytest.raises(Fenced):
            await journal.commit(lease, [], [])

    async def test_a_repeated_version_refuses_the_whole_batch(self, journal):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", 1)], [])
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row("b", 1), row("a", 1)], [])
        assert await journal.rows("b", "1") == []
        assert [one.rows for one in await journal.load([("cart", "b")])] == [()]

    async def test_a_repeated_version_within_one_batch_is_refused(self, journal):
        lease = await journal.take_epoch("h")
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row("a", 1), row("a", 1)], [])
        assert await journal.rows("cart", "a") == []

    async def test_a_repeated_command_of_one_entity_is_refused(self, journal):
        lease = await journal.take_epoch("h")
        command = new_command_id()
        await journal.commit(lease, [row("a", 1, command_id=command)], [])
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row("a", 2, command_id=command)], [])

    async def test_one_command_may_change_two_entities(self, journal):
        lease = await journal.take_epoch("h")
        command = new_command_id()
        await journal.commit(lease, [row("a", command_id=command), row("b", command_id=command)], [])
        assert await journal.find_commands("cart", "b", [command]) == {command: 1}

    async def test_a_command_id_of_another_length_is_refused(self, journal):
        lease = await journal.take_epoch("h")
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row(command_id=b"short")], [])

    async def test_a_refused_batch_leaves_the_host_able_to_commit(self, journal):
        lease = await journal.take_epoch("h")
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row("a", 1), row("a", 1)], [])
        await journal.commit(lease, [row("a", 1)], [])
        assert len(await journal.rows("cart", "a")) == 1

    async def test_a_command_is_found_by_its_id_and_entity(self, journal):
        lease = await journal.take_epoch("h")
        command = new_command_id()
        await journal.commit(lease, [row("a", 1), row("a", 2, command_id=command)], [])
        assert await journal.find_commands("cart", "a", [new_command_id(), command]) == {command: 2}
        assert await journal.find_commands("cart", "b", [command]) == {}
        assert await journal.find_commands("cart", "a", [new_command_id()]) == {}

    async def test_rows_are_bounded_by_versions(self, journal):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", version) for version in range(1, 8)], [])
        assert [one.version for one in await journal.rows("cart", "a", after=2, upto=5)] == [3, 4, 5]
        assert [one.version for one in await journal.rows("cart", "a", after=5)] == [6, 7]


class LoadContract:
    async def test_loading_answers_in_the_order_asked_with_unknown_ones_empty(self, journal):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", 1), row("b", 1), row("a", 2)], [])
        loaded = await journal.load([("cart", "b"), ("cart", "none"), ("order", "a"), ("cart", "a")])
        assert [(one.kind, one.id, [r.version for r in one.rows]) for one in loaded] == [
            ("cart", "b", [1]),
            ("cart", "none", []),
            ("order", "a", []),
            ("cart", "a", [1, 2]),
        ]

    async def test_loading_nothing_answers_nothing(self, journal):
        assert await journal.load([]) == []

    async def test_loading_starts_after_the_newest_snapshot(self, journal):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", version) for version in range(1, 6)], [])
        await journal.save_snapshots([snapshot(3)])
        (loaded,) = await journal.load([("cart", "a")])
        assert loaded.snapshot == snapshot(3)
        assert [one.version for one in loaded.rows] == [4, 5]

    async def test_an_older_snapshot_never_replaces_a_newer_one(self, journal):
        await journal.save_snapshots([snapshot(5, data=b"five")])
        await journal.save_snapshots([snapshot(3, data=b"three")])
        assert (await journal.load([("cart", "a")]))[0].snapshot.data == b"five"

    async def test_of_two_snapshots_in_one_batch_the_newer_stays(self, journal):
        await journal.save_snapshots([snapshot(4), snapshot(5, data=b"five"), snapshot(3)])
        assert (await journal.load([("cart", "a")]))[0].snapshot.data == b"five"

    async def test_a_snapshot_of_a_newer_schema_replaces_one_of_the_same_version(self, journal):
        await journal.save_snapshots([snapshot(5, schema=1)])
        await journal.save_snapshots([snapshot(5, schema=2, data=b"new")])
        await journal.save_snapshots([snapshot(5, schema=1)])
        assert (await journal.load([("cart", "a")]))[0].snapshot.data == b"new"


class IndexContract:
    async def test_an_index_row_is_written_with_its_version(self, journal, index_row):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", 1, index=cart_index())], [])
        assert await index_row("carts", "a") == (1, "open", NOW)

    async def test_the_newest_index_row_of_a_batch_stays(self, journal, index_row):
        lease = await journal.take_epoch("h")
        batch = [row("a", 1, index=cart_index()), row("a", 2, index=cart_index("converted")), row("a", 3)]
        await journal.commit(lease, batch, [])
        assert await index_row("carts", "a") == (2, "converted", NOW)

    async def test_an_older_index_row_never_replaces_a_newer_one(self, journal, index_row):
        lease = await journal.take_epoch("h")
        await journal.commit(lease, [row("a", 2, index=cart_index("converted"))], [])
        await journal.commit(lease, [row("a", 1, index=cart_index("open"))], [])
        assert await index_row("carts", "a") == (2, "converted", NOW)

    @pytest.mark.parametrize(
        "index",
        [IndexWrite("journal", {}), IndexWrite("carts", {**cart_index().columns, "colour": "red"})],
        ids=["table", "column"],
    )
    async def test_an_unknown_index_is_refused(self, journal, index):
        lease = await journal.take_epoch("h")
        with pytest.raises(CommitRefused):
            await journal.commit(lease, [row("a", 1, index=index)], [])
        assert await journal.rows("cart", "a") == []


class ReminderContract:
    async def _set(self, journal, lease, version, name, due_ms, *, id="a", shard=7):
        write = ReminderWrite(name, due_ms)
        await journal.commit(lease, [row(id, version, reminders=(write,), shard=shard)], [])

    async def _due(self, journal, shards=(7,), before=NOW + 10_000, limit=10):
        return [(one.id, one.name, one.due_ms) for one in await journal.due_reminders(shards, before, limit)]

    async def test_due_reminders_come_by_due_time_within_the_limit(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "late", NOW + 30)
        await self._set(journal, lease, 1, "soon", NOW + 10, id="b")
        await self._set(journal, lease, 2, "middle", NOW + 20)
        assert await self._due(journal, limit=2) == [("b", "soon", NOW + 10), ("a", "middle", NOW + 20)]
        assert await self._due(journal, before=NOW + 20) == [("b", "soon", NOW + 10)]

    async def test_only_reminders_of_the_asked_shards_come(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW, shard=3)
        assert await self._due(journal, shards=(4, 5)) == []
        assert await self._due(journal, shards=()) == []
        assert await self._due(journal, shards=(3, 4)) == [("a", "x", NOW)]

    async def test_a_reminder_of_the_same_name_replaces_the_earlier_one(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW + 50)
        await self._set(journal, lease, 2, "x", NOW + 10)
        assert await self._due(journal) == [("a", "x", NOW + 10)]

    async def test_a_reminder_without_due_time_is_removed(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW)
        await self._set(journal, lease, 2, "x", None)
        assert await self._due(journal) == []

    async def test_the_last_write_of_a_batch_stays(self, journal):
        lease = await journal.take_epoch("h")
        first, last = ReminderWrite("x", NOW), ReminderWrite("x", NOW + 5)
        gone = (ReminderWrite("y", NOW), ReminderWrite("y", None))
        batch = [row("a", 1, reminders=(first, *gone)), row("a", 2, reminders=(last,))]
        await journal.commit(lease, batch, [])
        assert await self._due(journal) == [("a", "x", NOW + 5)]

    async def test_a_handled_timer_is_removed_in_the_same_commit(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW)
        await journal.commit(lease, [row("a", 2)], [TimerDone("cart", "a", "x", NOW)])
        assert await self._due(journal) == []

    async def test_a_handled_timer_leaves_a_newer_due_time_alone(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW + 99)
        await journal.commit(lease, [], [TimerDone("cart", "a", "x", NOW)])
        assert await self._due(journal) == [("a", "x", NOW + 99)]

    async def test_a_timer_set_again_while_handled_stays(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW)
        again = row("a", 2, reminders=(ReminderWrite("x", NOW + 7),))
        await journal.commit(lease, [again], [TimerDone("cart", "a", "x", NOW)])
        assert await self._due(journal) == [("a", "x", NOW + 7)]

    async def test_a_fenced_commit_leaves_reminders_alone(self, journal):
        lease = await journal.take_epoch("h")
        await self._set(journal, lease, 1, "x", NOW)
        await journal.take_epoch("h")
        with pytest.raises(Fenced):
            await journal.commit(lease, [], [TimerDone("cart", "a", "x", NOW)])
        assert await self._due(journal) == [("a", "x", NOW)]


class TailContract:
    async def test_the_tail_gives_every_row_once_in_order(self, journal, other):
        first, second = await journal.take_epoch("h"), await other.take_epoch("g")
        for version in range(1, 6):
            await journal.commit(first, [row("a", version)], [])
            await other.commit(second, [row("b", version), row("c", version)], [])
        seen, cursor = [], Cursor()
        while batch := await journal.read_after(cursor, 4):
            assert len(batch) <= 4
            seen += batch
            cursor = Cursor(batch[-1].xid, batch[-1].position)
        assert [(one.xid, one.position) for one in seen] == sorted((one.xid, one.position) for one in seen)
        for entity in "abc":
            assert [one.version for one in seen if one.id == entity] == [1, 2, 3, 4, 5]

    async def test_the_tail_of_an_empty_journal_is_empty(self, journal):
        assert await journal.read_after(Cursor(), 10) == []


class JournalContract(
    CommitContract,
    LoadContract,
    IndexContract,
    ReminderContract,
    FencingContract,
    PlacementContract,
    TailContract,
):
    """Fixtures to provide: `journal` and `other` (two hosts on one store), `index_row`.

    `index_row(table, id)` awaits to (version, status, created_at in ms) or None.
    """

    async def test_a_batch_of_a_thousand_rows_is_written_whole(self, journal):
        lease = await journal.take_epoch("h")
        ids = [new_id() for _ in range(1_000)]
        await journal.commit(lease, [row(one, 1, index=cart_index()) for one in ids], [])
        loaded = await journal.load([("cart", one) for one in ids[:256]])
        assert all(len(one.rows) == 1 for one in loaded)
