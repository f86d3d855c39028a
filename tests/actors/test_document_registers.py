"""Registers: a stale change is never applied and never lost."""

import pytest

from actors.document_commands import Resolve, SetField, SetPoint
from actors.document_values import CONFLICTS_MAX, FIELDS_MAX, NUMBER_MAX, TEXT_LENGTH_MAX, VALUE_LENGTH_MAX, Injection
from actors.runtime.entity import NOTHING
from domain.errors import Invalid, NotFound
from tests.actors.documents import (
    DRAW,
    PIA,
    QUINN,
    Document,
    alerts,
    at,
    field,
    fver,
    new_document,
    perform,
    point,
    ready,
    refused,
    signed,
    status_of,
    uid,
    vial,
)

NOTES = "plan.notes"


def written(desk: Document, value: object, base: int = 0, actor=PIA, device: str = "tablet-1", hlc: str = ""):
    return desk.do(SetField(name=NOTES, value=value, base_version=base), actor, device, hlc)


def contested() -> tuple[Document, str]:
    """`five` stands, `ten` was offered from far away."""
    desk = new_document()
    written(desk, "five")
    reply = written(desk, "ten", actor=QUINN, device="tablet-2").reply
    return desk, reply["conflict_id"]


def test_a_register_that_was_never_set_takes_any_change() -> None:
    desk = new_document()
    written(desk, "five", base=77)
    assert desk.view()["fields"][NOTES] | {"at": "", "by": ""} == {
        "value": "five",
        "fver": 2,
        "device": "tablet-1",
        "at": "",
        "by": "",
    }


def test_a_change_that_knows_the_register_is_applied() -> None:
    desk = new_document()
    written(desk, "five")
    assert written(desk, "ten", base=fver(desk), actor=QUINN, device="tablet-2").reply is None
    assert field(desk) == "ten"
    assert fver(desk) == 3


@pytest.mark.parametrize("base", [0, 1, 3, 99])
def test_a_stale_change_is_kept_beside_the_value_that_stays(base) -> None:
    desk = new_document()
    written(desk, "five")
    reply = written(desk, "ten", base=base, actor=QUINN, device="tablet-2", hlc=at(desk.now_ms - 60_000)).reply
    assert reply["current"] == "five"
    view = desk.view()
    conflict = view["conflicts"][reply["conflict_id"]]
    assert (conflict["register"], conflict["status"]) == (NOTES, "open")
    assert conflict["current"] == {
        "value": "five",
        "fver": 2,
        "by": "pia",
        "at": "2026-01-01T00:00:00.000Z",
        "device": "tablet-1",
    }
    assert conflict["offered"] == {
        "value": "ten",
        "fver": base,
        "by": "quinn",
        "at": "2025-12-31T23:59:00.000Z",
        "recorded_at": "2026-01-01T00:00:00.000Z",
        "device": "tablet-2",
    }
    assert field(desk) == "five"
    assert view["fields"][NOTES]["conflicts"] == {reply["conflict_id"]: True}
    assert view["open_conflicts"] == 1


def test_the_same_value_is_a_no_op_also_when_it_is_stale() -> None:
    desk = new_document()
    written(desk, "five")
    assert written(desk, "five", actor=QUINN, device="tablet-2") == NOTHING


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), ("1", 1), ("", 0)])
def test_values_of_different_types_are_different(one, other) -> None:
    desk = new_document()
    written(desk, one)
    assert "conflict_id" in written(desk, other, actor=QUINN, device="tablet-2").reply
    assert field(desk) is one or field(desk) == one


def test_a_queue_knows_its_own_earlier_changes() -> None:
    desk = new_document()
    for value in ("1", "12", "123"):
        assert written(desk, value).reply is None
    assert field(desk) == "123"


def test_a_queue_that_began_before_anothers_change_does_not_know_it() -> None:
    desk = new_document()
    written(desk, "theirs", actor=QUINN, device="tablet-2")
    seen = fver(desk)
    written(desk, "theirs again", base=seen, actor=QUINN, device="tablet-2")
    assert "conflict_id" in written(desk, "mine", base=seen).reply
    written(desk, "mine", base=fver(desk))
    assert "conflict_id" in written(desk, "mine, longer", base=seen).reply
    assert field(desk) == "mine"


@pytest.mark.parametrize(("actor", "device"), [(QUINN, "tablet-1"), (PIA, "tablet-2"), (PIA, "")])
def test_only_the_same_person_on_the_same_device_continues_a_run(actor, device) -> None:
    desk = new_document()
    written(desk, "five")
    assert "conflict_id" in written(desk, "ten", actor=actor, device=device).reply


def test_without_a_device_nobody_continues_a_run() -> None:
    desk = new_document()
    written(desk, "five", device="")
    assert "conflict_id" in written(desk, "ten", device="").reply


def test_a_change_that_happened_before_ones_own_last_one_is_stale() -> None:
    desk = new_document()
    written(desk, "new", hlc=at(desk.now_ms - 1_000))
    assert "conflict_id" in written(desk, "old, retried from the quarantine", hlc=at(desk.now_ms - 2_000)).reply
    assert field(desk) == "new"


@pytest.mark.parametrize("value", ["five", "ten", "seven"])
def test_a_conflict_is_resolved_with_either_value_or_a_third(value) -> None:
    desk, conflict_id = contested()
    desk.do(Resolve(conflict_id=conflict_id, value=value, reason="asked the patient"), QUINN, "tablet-2")
    view = desk.view()
    assert view["fields"][NOTES]["value"] == value
    assert view["fields"][NOTES]["fver"] == desk.version
    assert "conflicts" not in view["fields"][NOTES]
    conflict = view["conflicts"][conflict_id]
    assert conflict["status"] == "resolved"
    assert conflict["resolution"]["value"] == value
    assert conflict["resolution"]["reason"] == "asked the patient"
    assert (conflict["current"]["value"], conflict["offered"]["value"]) == ("five", "ten")
    assert view["open_conflicts"] == 0


def test_a_resolution_needs_a_reason_and_a_conflict() -> None:
    desk, conflict_id = contested()
    failure = refused(desk, Resolve(conflict_id=conflict_id, value="ten", reason=" "), PIA, Invalid)
    assert failure.errors[0].path == "reason"
    assert refused(desk, Resolve(conflict_id="?", value="ten", reason="r"), PIA, NotFound).code == "unknown_conflict"


def test_conflicts_of_one_register_stay_apart() -> None:
    desk, first = contested()
    second = written(desk, "twelve", actor=QUINN, device="tablet-2").reply["conflict_id"]
    assert first != second
    desk.do(Resolve(conflict_id=first, value="ten", reason="r"), PIA)
    assert desk.view()["fields"][NOTES]["conflicts"] == {second: True}
    desk.do(Resolve(conflict_id=second, value="ten", reason="r"), PIA)
    assert field(desk) == "ten"


def test_what_a_resolution_replaces_besides_the_two_values_is_kept() -> None:
    desk, conflict_id = contested()
    written(desk, "six", base=fver(desk))
    desk.do(Resolve(conflict_id=conflict_id, value="ten", reason="r"), QUINN)
    assert desk.view()["conflicts"][conflict_id]["resolution"]["replaced"] == "six"


def test_a_resolution_that_names_a_stale_version_is_a_conflict_itself() -> None:
    desk, conflict_id = contested()
    seen = fver(desk)
    written(desk, "six", base=seen)
    resolution = Resolve(conflict_id=conflict_id, value="ten", reason="r", base_version=seen)
    reply = desk.do(resolution, QUINN, "tablet-2").reply
    assert reply["current"] == field(desk) == "six"
    assert desk.view()["conflicts"][reply["conflict_id"]]["offered"]["reason"] == "r"
    assert desk.view()["open_conflicts"] == 2


def test_two_resolutions_that_differ_are_a_new_conflict() -> None:
    desk, conflict_id = contested()
    desk.do(Resolve(conflict_id=conflict_id, value="ten", reason="r"), PIA)
    assert desk.do(Resolve(conflict_id=conflict_id, value="ten", reason="r"), QUINN) == NOTHING
    reply = desk.do(Resolve(conflict_id=conflict_id, value="five", reason="no"), QUINN).reply
    assert reply["current"] == "ten"
    assert desk.view()["open_conflicts"] == 1
    assert field(desk) == "ten"


def test_an_edit_takes_a_document_that_was_ready_back_to_draft() -> None:
    desk = ready(new_document())
    assert written(desk, "five").events[-1].cause == "edit"
    assert status_of(desk) == "draft"
    ready(desk)
    written(desk, "ten", actor=QUINN)
    assert status_of(desk) == "draft"


def test_a_register_does_not_change_after_the_signature() -> None:
    desk = new_document()
    written(desk, "five")
    signed(desk)
    failure = refused(desk, SetField(name=NOTES, value="ten", base_version=2), PIA)
    assert failure.code == "document_signed"
    assert "current" not in failure.extra
    assert refused(desk, SetField(name="new.field", value="x"), PIA).code == "document_signed"
    assert written(desk, "five") == NOTHING


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a/b", "point/x", "é", "a" * 65, ".a", "a\n"])
def test_a_field_has_a_plain_name(name) -> None:
    failure = refused(new_document(), SetField(name=name, value="x"), PIA, Invalid)
    assert failure.errors[0].path == "name"


@pytest.mark.parametrize("value", ["x" * (VALUE_LENGTH_MAX + 1), "nul\x00", NUMBER_MAX + 1, -NUMBER_MAX - 1])
def test_a_value_has_its_bounds(value) -> None:
    assert refused(new_document(), SetField(name=NOTES, value=value), PIA, Invalid).errors[0].path == "value"


def test_fields_have_a_bound() -> None:
    desk = new_document()
    for number in range(FIELDS_MAX):
        desk.do(SetField(name=f"a.f{number}", value=number), PIA)
    failure = refused(desk, SetField(name="a.more", value=1), PIA)
    assert (failure.code, failure.extra) == ("document_full", {"limit": FIELDS_MAX})
    desk.do(SetField(name="a.f0", value=7, base_version=2), PIA)


def test_all_texts_together_have_a_bound_and_shorter_ones_make_room() -> None:
    desk = new_document()
    text = "x" * VALUE_LENGTH_MAX
    for number in range(TEXT_LENGTH_MAX // VALUE_LENGTH_MAX):
        desk.do(SetField(name=f"a.f{number}", value=text), PIA)
    assert refused(desk, SetField(name="a.more", value="x"), PIA).code == "document_full"
    desk.do(SetField(name="a.f0", value="", base_version=2), PIA)
    desk.do(SetField(name="a.more", value=text), PIA)


def test_conflicts_have_a_bound() -> None:
    desk = new_document()
    written(desk, 0)
    for number in range(CONFLICTS_MAX):
        written(desk, number + 1, actor=QUINN)
    assert refused(desk, SetField(name=NOTES, value=-1), QUINN).code == "document_full"


def planned() -> Document:
    desk = new_document()
    desk.do(point(planned=True), PIA, "tablet-1")
    return desk


def test_each_property_of_a_planned_point_is_a_register() -> None:
    desk = planned()
    desk.do(SetPoint(point_id=uid("p"), dose="2.50", unit="U", base_version=2), PIA)
    desk.do(SetPoint(point_id=uid("p"), lot="L2", base_version=2), QUINN)
    desk.do(SetPoint(point_id=uid("p"), technique="serial puncture"), QUINN)
    view = desk.view()["points"][uid("p")]
    assert view["plan"] == {
        "product_id": "toxin-a",
        "dose": "2.5",
        "unit": "U",
        "lot": "L2",
        "container_id": "vial-1",
        "technique": "serial puncture",
    }
    assert view["fver"] == {"product_id": 3, "dose": 3, "lot": 4, "container_id": 2, "technique": 5}


def test_a_stale_dose_of_a_planned_point_is_a_conflict() -> None:
    desk = planned()
    desk.do(SetPoint(point_id=uid("p"), dose="10", unit="U", base_version=2), PIA)
    reply = desk.do(SetPoint(point_id=uid("p"), dose="2", unit="mL", base_version=2), QUINN).reply
    conflict = desk.view()["conflicts"][reply["conflict_id"]]
    assert conflict["register"] == f"point/{uid('p')}/dose"
    assert (conflict["current"]["value"], conflict["offered"]["value"]) == ("10 U", "2 mL")
    view = desk.view()["points"][uid("p")]
    assert view["plan"]["dose"] == "10"
    assert view["conflicts"] == {reply["conflict_id"]: True}
    failure = refused(desk, Resolve(conflict_id=reply["conflict_id"], value="2", reason="r"), PIA, Invalid)
    assert failure.errors[0].path == "value"
    desk.do(Resolve(conflict_id=reply["conflict_id"], value="3.0 U", reason="r"), PIA)
    assert desk.view()["points"][uid("p")]["plan"]["dose"] == "3"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"product_id": "toxin-b"}, {"dose": "30", "unit": "U"}),
        ({"dose": "30", "unit": "U"}, {"product_id": "toxin-b"}),
    ],
    ids=["product first", "dose first"],
)
def test_a_dose_is_never_combined_with_a_product_that_its_writer_has_not_seen(first, second) -> None:
    desk = planned()
    desk.do(SetPoint(point_id=uid("p"), base_version=2, **first), PIA, "tablet-1")
    assert "conflict_id" in desk.do(SetPoint(point_id=uid("p"), base_version=2, **second), QUINN, "tablet-2").reply
    seen = desk.view()["points"][uid("p")]["fver"]
    assert seen["dose"] == seen["product_id"] == 3
    assert desk.do(SetPoint(point_id=uid("p"), base_version=3, **second), QUINN, "tablet-2").reply is None


def test_a_queue_sets_product_and_dose_one_after_the_other() -> None:
    desk = planned()
    desk.do(SetPoint(point_id=uid("p"), lot="L2", base_version=2), QUINN, "tablet-2")
    for change in ({"product_id": "toxin-b"}, {"dose": "30", "unit": "U"}, {"product_id": "toxin-c"}):
        assert desk.do(SetPoint(point_id=uid("p"), base_version=2, **change), QUINN, "tablet-2").reply is None
    assert desk.view()["points"][uid("p")]["plan"]["product_id"] == "toxin-c"


@pytest.mark.parametrize(
    ("fields", "path", "code"),
    [
        ({}, "dose", "required"),
        ({"dose": "4"}, "unit", "required"),
        ({"unit": "U"}, "dose", "required"),
        ({"dose": "4", "unit": ""}, "unit", "required"),
        ({"dose": "-4", "unit": "U"}, "dose", "malformed"),
        ({"dose": "0", "unit": "U"}, "dose", "out_of_range"),
        ({"lot": "a", "depth": "deep"}, "lot", "not_allowed"),
        ({"product_id": "two words"}, "product_id", "malformed"),
        ({"technique": "x" * 101}, "technique", "too_long"),
    ],
)
def test_one_property_at_a_time_and_a_dose_with_its_unit(fields, path, code) -> None:
    failure = refused(planned(), SetPoint(point_id=uid("p"), **fields), PIA, Invalid)
    assert [(error.path, error.code) for error in failure.errors] == [(path, code)]


def test_a_plan_changes_only_while_it_is_one() -> None:
    desk = planned()
    lot = SetPoint(point_id=uid("p"), lot="L9", base_version=2)
    assert refused(desk, SetPoint(point_id=uid("?"), lot="L9"), PIA, NotFound).code == "unknown_point"
    desk.do(perform(), PIA)
    assert refused(desk, lot, PIA).code == "point_performed"
    desk.do(point("q"), PIA)
    assert refused(desk, SetPoint(point_id=uid("q"), lot="L9"), PIA).code == "point_performed"


def test_a_property_can_be_taken_back() -> None:
    desk = planned()
    desk.do(SetPoint(point_id=uid("p"), dose="", unit="", base_version=2), PIA)
    desk.do(SetPoint(point_id=uid("p"), lot="", base_version=2), PIA)
    plan = desk.view()["points"][uid("p")]["plan"]
    assert plan == {"product_id": "toxin-a", "container_id": "vial-1"}


def test_two_accounts_of_one_injection_are_a_conflict() -> None:
    desk = planned()
    desk.do(vial(), PIA)
    desk.do(perform(), PIA, "tablet-1", at(desk.now_ms - 3_000))
    assert desk.do(perform(), QUINN, "tablet-2") == NOTHING
    reply = desk.do(perform(dose="30"), QUINN, "tablet-2", at(desk.now_ms - 2_000)).reply
    assert reply["current"] == DRAW
    assert desk.view()["points"][uid("p")]["injection"]["dose"] == "4"
    assert alerts(desk) == set()
    conflict_id = reply["conflict_id"]
    for wrong in ("30 U", 5, Injection(product_id="", dose="3", unit="U")):
        failure = refused(desk, Resolve(conflict_id=conflict_id, value=wrong, reason="r"), PIA, Invalid)
        assert failure.errors[0].path.startswith("value")
    desk.do(Resolve(conflict_id=conflict_id, value=Injection(**(DRAW | {"dose": "30.0"})), reason="r"), PIA)
    injection = desk.view()["points"][uid("p")]["injection"]
    assert (injection["dose"], injection["by"], injection["at"]) == ("30", "quinn", "2025-12-31T23:59:58.000Z")
    assert alerts(desk) == {("overdrawn", "vial-1")}


def test_a_third_account_of_an_injection_corrects_the_one_that_stands() -> None:
    desk = planned()
    desk.do(perform(), PIA, "tablet-1", at(desk.now_ms - 3_000))
    conflict_id = desk.do(perform(dose="30"), QUINN, "tablet-2").reply["conflict_id"]
    desk.do(Resolve(conflict_id=conflict_id, value=Injection(**(DRAW | {"dose": "3"})), reason="r"), QUINN)
    injection = desk.view()["points"][uid("p")]["injection"]
    assert (injection["dose"], injection["by"], injection["at"]) == ("3", "pia", "2025-12-31T23:59:57.000Z")


def test_a_field_takes_no_injection() -> None:
    desk, conflict_id = contested()
    failure = refused(desk, Resolve(conflict_id=conflict_id, value=Injection(**DRAW), reason="r"), PIA, Invalid)
    assert failure.errors[0].path == "value"
