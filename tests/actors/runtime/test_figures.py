"""What a host says of itself in figures, per kind."""

from contextlib import suppress

import pytest

from actors.runtime.figures import HOST_FAMILIES, Sample, host_samples, packed, unpacked
from actors.runtime.local import LOCAL_KEYS, LocalRuntime
from actors.runtime.tallies import Latency
from domain.errors import AtriumError
from domain.ids import new_command_id
from storage.journal.memory import MemoryJournal, MemoryStore
from tests.actors.runtime.counter import KINDS, OWNER, Add, Explode


def value(samples: list[Sample], family: str, *labels: str) -> float:
    (found,) = [one for one in samples if one.family == family and one.labels == labels]
    return found.value


async def test_a_host_counts_by_kind_what_its_commands_came_to() -> None:
    journal = MemoryJournal(MemoryStore())
    async with LocalRuntime(journal, journal, KINDS, keys=LOCAL_KEYS) as runtime:
        ask, again = runtime.client.ask, new_command_id()
        for command_id in (again, again, None):
            await ask("counter", "one", Add(1), actor=OWNER, command_id=command_id)
        for refused in (Add(5, limit=3), Explode("decide")):
            with suppress(AtriumError):
                await ask("counter", "one", refused, actor=OWNER)
        host = runtime.hosts["host-1"]
        await host.snapshots.write(host.residents.cells.values())
        samples = unpacked(packed(await host_samples(host)))
    counted = {
        outcome: value(samples, "atrium_host_commands", "counter", outcome)
        for outcome in ("executed", "repeated", "conflict", "rejected", "failed")
    }
    assert counted == {"executed": 2, "repeated": 1, "conflict": 1, "rejected": 0, "failed": 1}
    assert value(samples, "atrium_host_live_entities", "counter") == 1
    assert value(samples, "atrium_host_activations", "counter") == 1
    assert value(samples, "atrium_host_rows", "counter") == 2
    assert value(samples, "atrium_host_snapshots") == 1
    assert value(samples, "atrium_host_shards") == 256
    (commits,) = [
        one for one in samples if one.family == "atrium_host_commit_duration_seconds" and one.labels == ("counter",)
    ]
    assert commits.buckets[-1] == (float("inf"), 2.0)


async def test_rows_folded_to_load_an_entity_are_counted() -> None:
    journal = MemoryJournal(MemoryStore())
    async with LocalRuntime(journal, journal, KINDS, keys=LOCAL_KEYS) as runtime:
        for _ in range(3):
            await runtime.client.ask("counter", "one", Add(1), actor=OWNER)
        host = runtime.hosts["host-1"]
        host.residents.cells.clear()
        await runtime.client.ask("counter", "one", Add(1), actor=OWNER)
        samples = await host_samples(host)
    assert value(samples, "atrium_host_replayed_rows", "counter") == 3
    assert value(samples, "atrium_host_activations", "counter") == 2


async def test_every_family_of_a_host_is_there_from_the_start() -> None:
    journal = MemoryJournal(MemoryStore())
    async with LocalRuntime(journal, journal, KINDS, keys=LOCAL_KEYS) as runtime:
        samples = await host_samples(runtime.hosts["host-1"])
    assert {one.family for one in samples} == set(HOST_FAMILIES)
    for one in samples:
        labels = HOST_FAMILIES[one.family].labels
        assert len(one.labels) == len(labels), one


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (5.0, 11), (60.0, 12)])
def test_a_latency_is_counted_in_the_first_bucket_that_is_not_below_it(seconds: float, bucket: int) -> None:
    latency = Latency()
    latency.observe(seconds)
    assert latency.counts.index(1) == bucket
    assert latency.total == seconds
