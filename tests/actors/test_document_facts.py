"""Facts: recorded once, never refused for bookkeeping; what does not add up is shown."""

import pytest

from actors.document_commands import EnterInError, StrikePoint
from actors.document_values import NOTES_MAX, PHOTO_BYTES_MAX
from actors.runtime.entity import NOTHING
from domain.errors import Invalid, NotFound
from tests.actors.documents import (
    PIA,
    QUINN,
    Document,
    alerts,
    at,
    charted,
    cosigned,
    hash_of,
    new_document,
    note,
    perform,
    photo,
    point,
    ready,
    refused,
    signed,
    status_of,
    uid,
    vial,
    wastage,
)

FACTS = [point("late"), wastage("late"), note("late"), photo("late"), vial(container_id="late"), perform("planned")]
IDS = ["point", "wastage", "note", "photo", "container", "perform"]


def strike(name: str = "p", reason: str = "wrong patient side") -> StrikePoint:
    return StrikePoint(point_id=uid(name), reason=reason)


def test_a_performed_injection_names_its_region_and_what_was_given() -> None:
    desk = new_document()
    desk.do(point(dose="2.50", technique="serial puncture", depth="intramuscular"), PIA, "tablet-1")
    view = desk.view()["points"][uid("p")]
    assert view == {
        "view": "front",
        "x": 500,
        "y": 340,
        "region": "glabella",
        "technique": "serial puncture",
        "depth": "intramuscular",
        "by": "pia",
        "at": "2026-01-01T00:00:00.000Z",
        "device": "tablet-1",
        "injection": {
            "product_id": "toxin-a",
            "dose": "2.5",
            "unit": "U",
            "lot": "L1",
            "container_id": "vial-1",
            "by": "pia",
            "at": "2026-01-01T00:00:00.000Z",
            "device": "tablet-1",
        },
        "fver": {"injection": 2},
    }


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"x": 10}, ["x", "y"]),
        ({"x": -1}, ["x"]),
        ({"y": 1001}, ["y"]),
        ({"view": "back"}, ["view"]),
        ({"dose": "-1"}, ["dose"]),
        ({"dose": "0"}, ["dose"]),
        ({"dose": ""}, ["dose"]),
        ({"unit": ""}, ["unit"]),
        ({"product_id": ""}, ["product_id"]),
        ({"point_id": "p"}, ["point_id"]),
        ({"point_id": uid("p").upper()}, ["point_id"]),
        ({"planned": True, "unit": ""}, ["unit"]),
        ({"planned": True, "dose": ""}, ["dose"]),
    ],
)
def test_a_point_that_cannot_be_is_refused_with_its_fields(fields, paths) -> None:
    failure = refused(new_document(), point(**fields), PIA, Invalid)
    assert [error.path for error in failure.errors] == paths


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (vial(amount="0"), "amount"),
        (vial(unit="ml"), "unit"),
        (vial(expires_on="31.3.2027"), "expires_on"),
        (vial(expires_on="2027-02-30"), "expires_on"),
        (vial(expires_on="20270331"), "expires_on"),
        (wastage(reason=""), "reason"),
        (wastage(amount="-1"), "amount"),
        (note(text=" "), "text"),
        (note(section="A B"), "section"),
        (photo(sha256="AB" * 32), "sha256"),
        (photo(media_type="text/html"), "media_type"),
        (photo(bytes=0), "bytes"),
        (photo(bytes=PHOTO_BYTES_MAX + 1), "bytes"),
        (photo(taken_at="yesterday"), "taken_at"),
        (photo(view=""), "view"),
        (strike(reason=""), "reason"),
        (perform(dose=""), "dose"),
    ],
)
def test_a_malformed_fact_is_refused_with_its_field(command, path) -> None:
    assert [error.path for error in refused(charted(), command, PIA, Invalid).errors] == [path]


@pytest.mark.parametrize("make", [point, wastage, note, photo, vial], ids=IDS[:5])
def test_the_same_fact_again_is_a_no_op_and_another_with_its_id_is_refused(make) -> None:
    desk = charted()
    assert desk.do(make(), QUINN, "tablet-2", at(desk.now_ms - 5)) == NOTHING
    other = {point: {"x": 501}, wastage: {"amount": "2"}, note: {"text": "?"}, photo: {"bytes": 7}, vial: {"lot": "L2"}}
    assert refused(desk, make(**other[make]), PIA).code == "item_exists"


def test_a_plan_told_again_is_a_no_op_though_it_has_changed_since() -> None:
    desk = charted()
    desk.do(perform("planned"), PIA)
    assert desk.do(point("planned", planned=True), PIA) == NOTHING


def test_notes_have_a_bound_of_their_own() -> None:
    desk = new_document()
    for number in range(NOTES_MAX):
        desk.do(note(str(number)), PIA)
    assert refused(desk, note("more"), PIA).code == "document_full"


@pytest.mark.parametrize("fact", FACTS, ids=IDS)
def test_a_fact_takes_a_document_that_was_ready_back_to_draft(fact) -> None:
    desk = ready(charted())
    desk.do(fact, QUINN, "tablet-2")
    assert status_of(desk) == "draft"
    assert desk.view()["stamps"]["draft"] | {"at": ""} == {
        "by": "quinn",
        "at": "",
        "device": "tablet-2",
        "cause": "edit",
    }


@pytest.mark.parametrize("fact", FACTS, ids=IDS)
def test_a_fact_that_arrives_after_the_signature_stands_beside_it(fact) -> None:
    desk = signed(charted())
    frozen, points = hash_of(desk), desk.view()["points"]
    desk.wait(3_600_000)
    reply = desk.do(fact, QUINN, "tablet-2", at(desk.now_ms - 7_200_000)).reply
    view = desk.view()
    entry = view["late_entries"][reply["entry_id"]]
    assert entry["kind"] in {"injection", "wastage", "note", "photo", "container"}
    assert (entry["by"], entry["device"]) == ("quinn", "tablet-2")
    assert (entry["at"], entry["recorded_at"]) == ("2025-12-31T23:00:00.000Z", "2026-01-01T01:00:00.000Z")
    assert ("late_entry", reply["entry_id"]) in alerts(desk)
    assert view["status"] == "addendum_required"
    assert view["content_hash"] == hash_of(desk) == frozen == next(iter(view["signatures"].values()))["content_hash"]
    assert view["points"] == points
    assert desk.do(fact, PIA) == NOTHING


@pytest.mark.parametrize(
    ("desk", "status"),
    [
        (signed(charted(needs_cosign=True)), "pending_cosign"),
        (cosigned(charted(needs_cosign=True)), "addendum_required"),
    ],
    ids=["pending", "cosigned"],
)
def test_a_late_entry_reopens_what_was_finished_and_leaves_what_is_pending(desk, status) -> None:
    desk.do(note("late"), PIA)
    assert status_of(desk) == status


def test_a_late_entry_with_a_known_id_and_other_content_is_refused() -> None:
    desk = signed(charted())
    desk.do(note("late"), PIA)
    assert refused(desk, note("late", text="other"), PIA).code == "item_exists"
    assert refused(desk, note(text="other"), PIA).code == "item_exists"


def test_two_late_accounts_of_one_injection_are_both_kept() -> None:
    desk = signed(charted())
    desk.do(perform("planned"), PIA)
    desk.do(perform("planned", dose="5"), QUINN)
    desk.do(perform(dose="5"), QUINN)
    assert len(desk.view()["late_entries"]) == 3


def test_plans_and_strikes_end_with_the_signature() -> None:
    desk = signed(charted())
    assert refused(desk, point("late", planned=True), PIA).code == "document_signed"
    assert refused(desk, strike(), PIA).code == "document_signed"


def test_a_struck_point_stays_visible_and_counts_no_more() -> None:
    desk = new_document()
    desk.do(vial(amount="5"), PIA)
    desk.do(point("a"), PIA)
    desk.do(point("b"), PIA)
    assert alerts(desk) == {("overdrawn", "vial-1")}
    desk.do(strike("b"), QUINN, "tablet-2")
    struck = desk.view()["points"][uid("b")]["struck"]
    assert (struck["reason"], struck["by"], struck["device"]) == ("wrong patient side", "quinn", "tablet-2")
    assert alerts(desk) == set()
    desk.do(wastage(), PIA)
    assert alerts(desk) == set()
    assert desk.do(strike("b"), PIA) == NOTHING
    ready(desk).do(strike("b", "typed twice"), PIA)
    assert status_of(desk) == "ready"
    assert desk.view()["points"][uid("b")]["struck"] == struck
    assert refused(desk, strike("?"), PIA, NotFound).code == "unknown_point"


def test_a_plan_that_was_struck_and_turns_out_injected_is_a_fact_with_an_alert() -> None:
    desk = new_document()
    desk.do(vial(), PIA)
    desk.do(point(planned=True), PIA)
    desk.do(strike(), PIA)
    desk.do(perform(), QUINN, "tablet-2")
    view = desk.view()["points"][uid("p")]
    assert "struck" not in view
    assert view["injection"]["by"] == "quinn"
    assert alerts(desk) == {("performed_after_strike", uid("p"))}


def test_what_no_point_was_told_of_cannot_be_performed() -> None:
    assert refused(new_document(), perform(), PIA, NotFound).code == "unknown_point"


def drawn(*commands: object) -> Document:
    desk = new_document()
    for command in commands:
        desk.do(command, PIA)
    return desk


def test_more_than_the_container_held_is_overdrawn_with_the_waste() -> None:
    assert alerts(drawn(vial(amount="5"), point(), wastage())) == set()
    assert alerts(drawn(vial(amount="5"), point(), wastage(amount="1.001"))) == {("overdrawn", "vial-1")}
    assert alerts(drawn(point(), wastage(amount="1.001"), vial(amount="5"))) == {("overdrawn", "vial-1")}


def test_a_plan_draws_nothing() -> None:
    assert alerts(drawn(vial(amount="1"), point(planned=True))) == set()


@pytest.mark.parametrize(("expires_on", "raised"), [("2025-12-31", True), ("2026-01-01", False), ("", False)])
def test_a_lot_is_good_through_its_last_day(expires_on, raised) -> None:
    desk = drawn(vial(expires_on=expires_on), point())
    assert alerts(desk) == ({("expired_lot", uid("p"))} if raised else set())


def test_an_injection_counts_on_the_day_it_happened() -> None:
    desk = drawn(vial(expires_on="2025-12-31"))
    desk.do(point(), PIA, "tablet-1", at(desk.now_ms - 1))
    assert alerts(desk) == set()


def test_a_container_that_nobody_opened_is_unknown_until_somebody_tells() -> None:
    desk = drawn(point(), wastage())
    assert alerts(desk) == {("unknown_container", "vial-1")}
    assert len(desk.view()["alerts"]) == 1
    desk.do(vial(), QUINN)
    assert alerts(desk) == set()


@pytest.mark.parametrize("fields", [{"product_id": "toxin-b"}, {"lot": "L2"}, {"unit": "mL"}])
def test_what_cannot_have_come_out_of_the_container_is_a_mismatch(fields) -> None:
    assert alerts(drawn(vial(amount="4"), point(**fields))) == {("container_mismatch", uid("p"))}


def test_nothing_is_converted_between_units() -> None:
    assert alerts(drawn(vial(amount="4"), point(dose="3"), wastage(amount="100", unit="mL"))) == {
        ("container_mismatch", uid("w"))
    }


def test_late_draws_count_too() -> None:
    desk = drawn(vial(amount="5"), point())
    signed(desk)
    reply = desk.do(point("late"), QUINN).reply
    assert alerts(desk) == {("overdrawn", "vial-1"), ("late_entry", reply["entry_id"])}


def test_an_alert_is_raised_once() -> None:
    desk = drawn(vial(amount="1"), point("a"))
    raised = desk.view()["alerts"]["overdrawn/vial-1"]
    desk.wait(1_000)
    assert desk.do(point("b"), PIA).events[1:] == ()
    assert desk.view()["alerts"]["overdrawn/vial-1"] == raised


def test_a_clock_that_was_ahead_is_kept_as_it_was() -> None:
    desk = new_document()
    desk.do(note(), PIA, "tablet-1", at(desk.now_ms), at(desk.now_ms + 10**10))
    assert desk.view()["notes"][uid("n")]["device_clock"] == at(desk.now_ms + 10**10)


def test_facts_are_kept_even_of_a_document_entered_in_error() -> None:
    desk = charted()
    desk.do(EnterInError(reason="another patient's"), PIA)
    reply = desk.do(note("late"), QUINN).reply
    assert desk.view()["late_entries"][reply["entry_id"]]["text"] == "Tolerated well."
    assert status_of(desk) == "entered_in_error"
