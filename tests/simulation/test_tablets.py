"""No edit is lost: the promises of the sync by seed, and proof that the checkers would notice."""

import pytest

from tests.simulation.command import report
from tests.simulation.elsewhere import digests_elsewhere
from tests.simulation.tablets.mutations import MUTATIONS
from tests.simulation.tablets.profile import TABLET_FAULTS
from tests.simulation.tablets.run import DEFAULT_EDITS, Mutation, simulate

_SEEDS = 48
_CHUNK = 12
_SEEDS_TO_NOTICE = 80
_AT_A_STANDSTILL = "commands wait, first"
"""A mutation that merely breaks down proves nothing."""


@pytest.mark.parametrize("first", range(0, _SEEDS, _CHUNK))
def test_no_edit_is_lost_whatever_breaks(first: int) -> None:
    for seed in range(first, first + _CHUNK):
        result = simulate(seed)
        assert not result.violations, report(result, DEFAULT_EDITS, "tests.simulation.tablets")


@pytest.mark.parametrize("fault", TABLET_FAULTS)
def test_no_edit_is_lost_under_one_kind_of_trouble_alone(fault: str) -> None:
    result = simulate(1, mutation=Mutation(faults=frozenset({fault})))
    assert not result.violations, report(result, DEFAULT_EDITS, "tests.simulation.tablets")


@pytest.mark.parametrize("broken", MUTATIONS)
def test_a_broken_promise_of_the_sync_is_noticed(broken: str) -> None:
    mutation, promises = MUTATIONS[broken]
    for seed in range(_SEEDS_TO_NOTICE):
        result = simulate(seed, mutation=mutation)
        if {violation[1:].split(" ")[0] for violation in result.violations if _AT_A_STANDSTILL not in violation} & set(
            promises.split()
        ):
            return
    pytest.fail(f"{_SEEDS_TO_NOTICE} seeds did not notice that {broken}")


def test_a_seed_of_the_clinic_runs_the_same_again_in_another_process() -> None:
    seeds = (3, 13, 30)
    here = [simulate(seed).digest for seed in seeds]
    assert digests_elsewhere("tests.simulation.tablets.run", seeds) == here


def test_the_seeds_between_them_meet_every_kind_of_trouble_with_tablets() -> None:
    met: set[str] = set()
    for seed in range(40):
        met |= {what.split(" ")[0] for what in simulate(seed).counts}
    assert set(TABLET_FAULTS) <= met, f"never met: {set(TABLET_FAULTS) - met}"
