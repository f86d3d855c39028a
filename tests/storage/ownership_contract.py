"""What every journal must do about who may write: epochs that fence, and which host has which shards."""

import asyncio

import pytest

from storage.journal.interface import (
    Fenced,
    Lease,
)
from tests.storage.journal_rows import row


class FencingContract:
    async def test_a_new_epoch_fences_the_earlier_lease(self, journal, other):
        old = await journal.take_epoch("h")
        new = await other.take_epoch("h")
        assert new.epoch > old.epoch
        with pytest.raises(Fenced):
            await journal.commit(old, [row("a", 1)], [])
        await other.commit(new, [row("a", 1)], [])

    async def test_a_host_that_never_took_an_epoch_is_fenced(self, journal):
        with pytest.raises(Fenced):
            await journal.commit(Lease("nobody", 1), [row("a", 1)], [])

    async def test_a_held_epoch_is_renewed_once(self, journal):
        lease = await journal.take_epoch("h")
        renewed = await journal.take_epoch("h", held=lease.epoch)
        assert renewed.epoch > lease.epoch
        with pytest.raises(Fenced):
            await journal.take_epoch("h", held=lease.epoch)
        await journal.commit(renewed, [row("a", 1)], [])

    async def test_an_unknown_host_holds_no_epoch(self, journal):
        with pytest.raises(Fenced):
            await journal.take_epoch("nobody", held=1)

    async def test_of_two_that_take_the_epoch_at_once_the_last_one_writes(self, journal, other):
        leases = await asyncio.gather(*(one.take_epoch("h") for one in (journal, other, journal, other)))
        *stale, last = sorted(leases, key=lambda lease: lease.epoch)
        assert len({lease.epoch for lease in leases}) == 4
        for lease in stale:
            with pytest.raises(Fenced):
                await journal.commit(lease, [row("a", 1)], [])
        await journal.commit(last, [row("a", 1)], [])

    async def test_commits_racing_a_seizure_land_wholly_before_it_or_not_at_all(self, journal, other):
        lease = await journal.take_epoch("h")
        await other.take_epoch("g")
        await journal.assign_free(["h"])
        outcome: list[int] = []
        under_way = asyncio.Event()

        async def write() -> None:
            version = 0
            while True:
                version += 1
                try:
                    await journal.commit(lease, [row("a", version), row("b", version)], [])
                except Fenced:
                    return
                outcome.append(version)
                if version == 5:
                    under_way.set()

        writer = asyncio.create_task(write())
        await asyncio.wait_for(under_way.wait(), 30)
        await other.seize(range(256), "h", "g")
        seen = [len(one.rows) for one in await other.load([("cart", "a"), ("cart", "b")])]
        await writer
        assert seen == [len(outcome), len(outcome)]
        assert [len(one.rows) for one in await other.load([("cart", "a"), ("cart", "b")])] == seen


class PlacementContract:
    async def test_free_shards_spread_evenly(self, journal):
        shard_map = await journal.assign_free(["h", "g", "f"])
        counts = sorted(shard_map.owners.count(host) for host in ("h", "g", "f"))
        assert counts == [85, 85, 86]
        assert await journal.shard_map() == shard_map

    async def test_assigning_again_changes_nothing(self, journal):
        first = await journal.assign_free(["h"])
        assert await journal.assign_free(["h", "g"]) == first

    async def test_a_fresh_map_has_no_owners(self, journal):
        assert (await journal.shard_map()).owners == ("",) * 256

    async def test_the_owner_hands_shards_over(self, journal):
        lease = await journal.take_epoch("h")
        before = await journal.assign_free(["h"])
        after = await journal.hand_over(lease, [1, 2], "g")
        assert after.version > before.version
        assert [after.owners[shard] for shard in (0, 1, 2, 3)] == ["h", "g", "g", "h"]

    async def test_only_own_shards_can_be_handed_over(self, journal):
        lease = await journal.take_epoch("g")
        before = await journal.assign_free(["h"])
        assert await journal.hand_over(lease, [1, 2], "f") == before

    async def test_a_fenced_host_hands_nothing_over(self, journal):
        lease = await journal.take_epoch("h")
        before = await journal.assign_free(["h"])
        await journal.take_epoch("h")
        with pytest.raises(Fenced):
            await journal.hand_over(lease, [1], "g")
        assert await journal.shard_map() == before

    async def test_a_seizure_fences_the_owner_and_moves_only_its_shards(self, journal, other):
        lease = await journal.take_epoch("h")
        mine = await other.take_epoch("g")
        await journal.assign_free(["h", "g"])
        theirs = (await journal.shard_map()).owners
        after = await other.seize(range(256), "h", "g")
        assert set(after.owners) == {"g"}
        assert set(theirs) == {"h", "g"}
        with pytest.raises(Fenced):
            await journal.commit(lease, [row("a", 1)], [])
        await other.commit(mine, [row("a", 1)], [])

    async def test_a_seizure_that_comes_too_late_fences_nobody(self, journal, other):
        await journal.take_epoch("h")
        await journal.assign_free(["h"])
        first = await other.seize(range(256), "h", "g")
        lease = await journal.take_epoch("h")
        assert await other.seize(range(256), "h", "f") == first
        await journal.commit(lease, [row("a", 1)], [])

    async def test_hosts_are_known_by_name_epoch_and_whether_they_are_wanted(self, journal):
        lease = await journal.take_epoch("h")
        await journal.want("g", wanted=True)
        await journal.want("h", wanted=False)
        records = [(one.name, one.epoch, one.wanted) for one in await journal.hosts()]
        assert records == [("g", 0, True), ("h", lease.epoch, False)]

    async def test_only_an_unwanted_host_without_shards_is_forgotten(self, journal):
        lease = await journal.take_epoch("h")
        await journal.assign_free(["h"])
        await journal.forget("h")
        await journal.want("h", wanted=False)
        await journal.forget("h")
        assert [one.name for one in await journal.hosts()] == ["h"]
        await journal.hand_over(lease, range(256), "g")
        await journal.forget("h")
        await journal.forget("g")
        assert [one.name for one in await journal.hosts()] == ["g"]

    async def test_a_forgotten_host_that_comes_again_does_not_revive_its_old_leases(self, journal):
        old = await journal.take_epoch("h")
        await journal.want("h", wanted=False)
        await journal.forget("h")
        with pytest.raises(Fenced):
            await journal.commit(old, [row("a", 1)], [])
        new = await journal.take_epoch("h")
        assert new.epoch > old.epoch
        with pytest.raises(Fenced):
            await journal.commit(old, [row("a", 1)], [])

    async def test_two_that_seize_each_other_both_finish(self, journal, other):
        await journal.assign_free(["h", "g"])
        await asyncio.gather(
            journal.seize(range(256), "h", "g"), other.seize(range(256), "g", "h"), return_exceptions=True
        )
        assert len(await self._owned(journal)) == 256

    async def _owned(self, journal):
        return [owner for owner in (await journal.shard_map()).owners if owner in {"h", "g"}]
