"""The runtime's promises under faults, by seed (invariant 12), and proof that the checkers would notice."""

import asyncio

import pytest

from tests.simulation.command import report
from tests.simulation.elsewhere import digests_elsewhere
from tests.simulation.loop import Process, StuckError, VirtualLoop
from tests.simulation.mutations import MUTATIONS
from tests.simulation.profile import FAULTS
from tests.simulation.run import DEFAULT_STEPS, Mutation, simulate

_SEEDS = 300
_CHUNK = 50
_SEEDS_TO_NOTICE = 60


@pytest.mark.parametrize("first", range(0, _SEEDS, _CHUNK))
def test_every_promise_holds_whatever_breaks(first: int) -> None:
    for seed in range(first, first + _CHUNK):
        result = simulate(seed)
        assert not result.violations, report(result, DEFAULT_STEPS)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_promise_holds_under_one_kind_of_fault_alone(fault: str) -> None:
    for seed in range(4):
        result = simulate(seed, mutation=Mutation(faults=frozenset({fault})))
        assert not result.violations, report(result, DEFAULT_STEPS)


@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_promise_is_noticed(broken: str) -> None:
    mutation, promises = MUTATIONS[broken]
    for seed in range(_SEEDS_TO_NOTICE):
        result = simulate(seed, mutation=mutation)
        if {violation[1:].split(" ")[0] for violation in result.violations} & set(promises.split()):
            return
    pytest.fail(f"{_SEEDS_TO_NOTICE} seeds did not notice that {broken}")


def test_a_seed_runs_the_same_again_in_another_process() -> None:
    seeds = (3, 54, 101)
    here = [simulate(seed).digest for seed in seeds]
    assert digests_elsewhere("tests.simulation.run", seeds) == here


def test_the_seeds_between_them_meet_every_kind_of_trouble() -> None:
    met: dict[str, int] = {}
    for seed in range(60):
        for what, count in simulate(seed).counts.items():
            word = what.split(" ")[0]
            met[word] = met.get(word, 0) + count
    wanted = {"kill", "hang", "second", "seize", "move", "commit_unknown", "commit_slow", "commit_refused", "fenced"}
    assert wanted <= set(met), f"never met: {wanted - set(met)}"


def test_time_is_virtual_and_jumps_to_the_next_timer() -> None:
    loop = VirtualLoop()
    loop.run_until_complete(asyncio.sleep(86_400))
    assert loop.time() == 86_400
    loop.close()


def test_a_program_that_can_never_go_on_is_reported() -> None:
    loop = VirtualLoop()
    waiting = loop.create_future()
    with pytest.raises(StuckError):
        loop.run_until_complete(waiting)
    loop.close()


def test_a_suspended_process_runs_nothing_until_it_continues_and_a_killed_one_never_again() -> None:
    loop = VirtualLoop()
    process, done = Process("one"), []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
            done.append("first")
            await asyncio.sleep(5)
            done.append("second")
        finally:
            done.append("cleaned up")

    async def story() -> None:
        loop.spawn(process, work())
        await asyncio.sleep(0.5)
        loop.suspend(process)
        await asyncio.sleep(2)
        assert done == []
        loop.resume(process)
        await asyncio.sleep(0.1)
        assert done == ["first"]
        loop.kill(process)
        await asyncio.sleep(10)
        assert done == ["first"]

    loop.run_until_complete(story())
    loop.bury([process])
    loop.close()
