"""The drill's count, on journals that a test makes wrong."""

import httpx
import pytest

from loadtests.drill.check import Outcome
from loadtests.drill.faults import FAULTS
from loadtests.drill.ledger import Found, Ledger, Verdict, judge
from loadtests.drill.readiness import describe
from loadtests.drill.report import metrics, table
from loadtests.drill.run import Report
from loadtests.drill.witness import Witness

A, B, C, STRANGER = (bytes([number]) * 16 for number in (1, 2, 3, 9))


def _ledger(acknowledged: dict[bytes, int], unanswered: tuple[bytes, ...] = ()) -> Ledger:
    ledger = Ledger()
    ledger.open("cart")
    for command in (*acknowledged, *unanswered):
        ledger.send("cart", command)
    for command, version in acknowledged.items():
        ledger.acknowledge("cart", command, version)
    return ledger


def _found(*rows: tuple[int, bytes], version: int | None = None, quantity: int | None = None) -> Found:
    rows = ((1, b"created"), *rows)
    return Found(rows, len(rows) if version is None else version, len(rows) - 1 if quantity is None else quantity)


def _judge(ledger: Ledger, found: Found):
    return judge(ledger, {"cart": found})


def test_what_was_acknowledged_and_is_there_is_in_order():
    verdict = _judge(_ledger({A: 2, B: 3}), _found((2, A), (3, B)))
    assert (verdict.acknowledged, verdict.violations) == (2, 0)


def test_a_command_without_an_answer_may_be_there_or_not():
    ledger = _ledger({A: 2}, unanswered=(B,))
    assert _judge(ledger, _found((2, A))).violations == 0
    there = _judge(ledger, _found((2, A), (3, B)))
    assert (there.violations, there.unanswered) == (0, 1)


def test_a_lost_command_shows_although_another_one_is_doubled():
    verdict = _judge(_ledger({A: 2, B: 3}), _found((2, A), (3, A)))
    assert (verdict.lost, verdict.duplicated) == (1, 1)


def test_a_command_that_nobody_sent_is_a_duplicate():
    assert _judge(_ledger({A: 2}), _found((2, A), (3, STRANGER))).duplicated == 1


def test_an_acknowledged_version_is_the_one_in_the_journal():
    assert _judge(_ledger({A: 3, B: 2}), _found((2, A), (3, B))).misplaced == 2


def test_versions_without_a_neighbour_are_gaps():
    assert _judge(_ledger({A: 2, B: 4}), _found((2, A), (4, B), version=4)).gaps == 1


def test_a_view_that_disagrees_with_its_journal_is_told():
    assert _judge(_ledger({A: 2}), _found((2, A), quantity=2)).disagreements == 1
    assert _judge(_ledger({A: 2}), _found((2, A), version=1)).disagreements == 1


def test_a_cart_whose_journal_is_empty_has_lost_everything():
    verdict = judge(_ledger({A: 2, B: 3}), {})
    assert verdict.lost == 2


@pytest.fixture
def witness() -> Witness:
    witness = Witness("ws://nowhere/api/v1/live", "token")
    witness.follow("cart/1")
    return witness


def _snapshot(version: int) -> dict:
    entities = [{"ent": "cart/1", "ver": version, "state": {"n": version}}]
    return {"t": "snapshot", "ch": "cart/1", "part": 0, "last": True, "entities": entities}


def _change(version: int, **content) -> dict:
    return {"t": "change", "ch": "cart/1", "ent": "cart/1", "ver": version, **content}


SUBSCRIBED = {"t": "subscribed", "ch": "cart/1"}


async def _tell(witness: Witness, *frames: dict) -> None:
    for frame in frames:
        await witness.received(frame)


async def test_a_witness_of_every_version_in_order_has_nothing_to_say(witness):
    await _tell(witness, SUBSCRIBED, _snapshot(3), _change(4, patch={"n": 4}), _change(9, state={"n": 9}))
    assert (witness.seen.delivered, witness.seen.backwards, witness.seen.skipped) == (3, 0, 0)
    assert witness.shows({"cart/1": {"n": 9}}) == []
    assert witness.shows({"cart/1": {"n": 8}}) == ["cart/1"]


async def test_a_version_that_comes_twice_is_noticed_although_the_client_ignores_it(witness):
    await _tell(witness, SUBSCRIBED, _snapshot(3), _change(4, patch={"n": 4}), _change(4, patch={"n": 4}))
    assert witness.seen.backwards == 1


async def test_a_snapshot_of_what_the_client_had_is_noticed_over_a_reconnect(witness):
    await _tell(witness, SUBSCRIBED, _snapshot(3))
    witness.lost(1006)
    await _tell(witness, SUBSCRIBED, _snapshot(3))
    assert witness.seen.backwards == 1


async def test_a_patch_without_the_one_before_it_is_noticed(witness):
    await _tell(witness, SUBSCRIBED, _snapshot(3), _change(5, patch={"n": 5}))
    assert witness.seen.skipped == 1


def test_readiness_is_told_in_a_few_words():
    ready = {"ready": True, "degraded": [], "parts": []}
    assert describe(httpx.Response(200, json=ready)) == "200"
    assert describe(httpx.Response(200, json=ready | {"degraded": ["redis"]})) == "200 without redis"
    assert describe(httpx.Response(503, json=ready | {"degraded": ["database", "entities"]})) == (
        "503 without database, entities"
    )
    assert describe(httpx.Response(500, text="Internal Server Error")) == "500"


def _report(name: str, *, pause_ms: float = 10.0, refused: int = 0, backwards: int = 0, lost: int = 0) -> Report:
    outcome = Outcome(
        verdict=Verdict(acknowledged=5, lost=lost), delivered=5, backwards=backwards, skipped=0, diverged=0
    )
    return Report(
        name=name,
        outcome=outcome,
        refused={"404": refused} if refused else {},
        repeats=1,
        reconnects=0,
        longest_pause_ms=pause_ms,
        pause_ms_max=FAULTS[name].pause_ms_max,
        readyz=("200",),
        seconds=1.0,
    )


def test_a_fault_is_survived_only_if_nothing_was_lost_refused_or_seen_twice_and_nobody_waited_too_long():
    assert _report("host-kill").violations == 0
    assert _report("postgres-kill", pause_ms=9_000).violations == 0
    for wrong in ({"lost": 1}, {"refused": 1}, {"backwards": 1}, {"pause_ms": 5_001}):
        assert _report("host-kill", **wrong).violations == 1
    assert _report("rescale", pause_ms=1_001).violations == 1


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_table_of_its_metrics(name):
    report = _report(name)
    assert table(report).row_count == len(metrics(report)) + 1
