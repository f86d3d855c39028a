"""What the documentation says is proved is what the proofs are."""

import re

from loadtests.bench.targets import TARGETS
from loadtests.drill.faults import FAULTS
from tests.docs.pages import rows, section
from tests.simulation.mutations import MUTATIONS
from tests.simulation.tablets.mutations import MUTATIONS as SYNC_MUTATIONS


def test_every_mutation_is_documented_with_its_invariants() -> None:
    documented = rows(section("docs/testing.md", "### Proof that the checkers look"))
    assert documented == {name: [", ".join(promises.split())] for name, (_, promises) in MUTATIONS.items()}


def test_every_mutation_of_the_sync_is_documented_with_its_promises() -> None:
    documented = rows(section("docs/testing.md", "### Proof that the sync is looked at"))
    assert documented == {name: [", ".join(promises.split())] for name, (_, promises) in SYNC_MUTATIONS.items()}


def test_every_fault_of_the_drill_is_documented() -> None:
    documented = rows(section("docs/testing.md", "## Drills"))
    assert documented == {name: [fault.what] for name, fault in FAULTS.items()}


def test_every_benchmark_and_its_metrics_are_documented() -> None:
    described = rows(section("docs/performance.md", "## What is measured"))
    assert set(described) == set(TARGETS)
    figures = section("docs/performance.md", "## Targets and figures")
    named = set(re.findall(r"`(\w+)`", figures))
    assert {target.metric for targets in TARGETS.values() for target in targets} <= named
