"""The restore drill's count, on journals of a restored installation that a test makes wrong."""

import msgspec
import pytest

from loadtests.drill.__main__ import DRILLS
from loadtests.drill.ledger import Ledger
from loadtests.drill.report import restored_metrics, restored_table
from loadtests.drill.restoring import NAME, Restored, judge_carts, moment_of

BEFORE, UNDER_WAY, AFTER = (bytes([number]) * 16 for number in (1, 2, 3))


@pytest.fixture
def ledger() -> Ledger:
    """One command acknowledged, one under way."""
    ledger = Ledger()
    ledger.open("cart")
    ledger.send("cart", BEFORE)
    ledger.acknowledge("cart", BEFORE, 2)
    ledger.send("cart", UNDER_WAY)
    return ledger


def restored(ledger: Ledger, *commands: bytes, **changes: int) -> Restored:
    rows = [(number, each) for number, each in enumerate((b"created", *commands), 1)]
    right = {
        "documents": 2,
        "documents_lost": 0,
        "documents_later": 0,
        "documents_sealed": 4,
        "unreadable": 0,
        "audit_events": 4,
        "audit_broken": 0,
        "later": 1,
    }
    verdict = judge_carts(moment_of(ledger, {}), {"cart": rows})
    return Restored(verdict=verdict, backup_seconds=1.0, restore_seconds=1.0, **(right | changes))


def test_what_was_acknowledged_by_the_moment_is_there_and_what_was_under_way_may_be(ledger: Ledger) -> None:
    assert restored(ledger, BEFORE).violations == 0
    assert restored(ledger, BEFORE, UNDER_WAY).violations == 0
    assert restored(ledger).verdict.lost == 1


def test_what_was_sent_later_must_not_be_there(ledger: Ledger) -> None:
    assert restored(ledger, BEFORE, AFTER).verdict.duplicated == 1


def test_the_moment_does_not_learn_what_comes_later(ledger: Ledger) -> None:
    moment = moment_of(ledger, {"d1": 1})
    ledger.acknowledge("cart", UNDER_WAY, 3)
    ledger.send("cart", AFTER)
    assert moment.carts.sent == {"cart": {BEFORE: 2, UNDER_WAY: 0}}


@pytest.mark.parametrize("name", ["documents_lost", "documents_later", "unreadable", "audit_broken"])
def test_each_thing_that_must_not_be_is_a_violation(ledger: Ledger, name: str) -> None:
    assert restored(ledger, BEFORE, **{name: 1}).violations == 1


@pytest.mark.parametrize("name", ["documents_sealed", "audit_events", "later"])
def test_a_drill_that_proves_nothing_has_failed(ledger: Ledger, name: str) -> None:
    assert restored(ledger, BEFORE, **{name: 0}).violations == 1
    nothing = Ledger()
    nothing.open("cart")
    assert restored(nothing).violations == 1


def test_every_figure_is_in_the_table_and_the_drill_has_a_name(ledger: Ledger) -> None:
    found = restored(ledger, BEFORE)
    assert restored_table(found).row_count == len(restored_metrics(found))
    assert set(restored_metrics(found)) >= set(Restored.__struct_fields__) - {"verdict", "later"}
    assert NAME in DRILLS
    assert msgspec.json.decode(msgspec.json.encode(restored_metrics(found)))
