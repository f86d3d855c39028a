"""The room's status table, whole: from every status to every other by everyone, against rules said in another way."""

import itertools

import pytest

from actors.room_commands import Claim, Create, Describe, SetStatus, TakeOver, Undo
from actors.room_state import CLAIM_LEASE_MS
from actors.room_status import LONG_WAIT_MS, OCCUPIED, TRANSITIONS, RoomStatus
from actors.runtime.entity import SYSTEM
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Rejected
from storage.models import INDEX_TABLES
from tests.actors.rooms import (
    ADA,
    CLINIC,
    FRED,
    PIA,
    QUINN,
    STRANGERS,
    WAY,
    going,
    new_room,
    refused,
    room_in,
    status_of,
)

ROW_ITSELF = {"id", "version"}
SENDERS = {"provider": PIA, "front_desk": FRED, "admin": ADA, "system": SYSTEM}

ALLOWED = """
    available       held            provider front_desk admin
    held            available       provider front_desk admin system
    held            roomed          provider front_desk admin
    roomed          in_treatment    provider
    roomed          turnover        provider front_desk admin
    in_treatment    waiting         provider
    in_treatment    turnover        provider
    waiting         in_treatment    provider
    waiting         turnover        provider front_desk admin
    turnover        cleaning        provider front_desk admin
    cleaning        available       provider front_desk admin
    available       out_of_service  front_desk admin
    turnover        out_of_service  front_desk admin
    cleaning        out_of_service  front_desk admin
    out_of_service  cleaning        front_desk admin
    available       closed          system
    turnover        closed          system
    cleaning        closed          system
    out_of_service  closed          system
"""
TABLE = {(source, to): set(who) for source, to, *who in (line.split() for line in ALLOWED.split("\n") if line.strip())}
CASES = [(a.value, b.value, who) for a, b, who in itertools.product(RoomStatus, RoomStatus, SENDERS)]


def outcome(status: str, to: str, who: str) -> object:
    desk = room_in(status)
    try:
        decision = desk.do(going(to), SENDERS[who])
    except Rejected as error:
        assert status_of(desk) == status
        return type(error)
    if not decision.events:
        return "no-op"
    assert status_of(desk) == to
    return "moved"


def test_every_transition_is_made_only_by_those_permitted() -> None:
    wrong = []
    for status, to, who in CASES:
        ever = set().union(*(parties for (_, target), parties in TABLE.items() if target == to))
        if who not in ever:
            expected: object = Forbidden
        elif status == to:
            expected = "no-op"
        elif (status, to) not in TABLE:
            expected = Conflict
        else:
            expected = "moved" if who in TABLE[status, to] else Forbidden
        got = outcome(status, to, who)
        if got != expected:
            wrong.append((status, to, who, got, expected))
    assert wrong == []


def test_out_of_service_is_entered_only_by_empty_rooms_and_left_only_through_cleaning() -> None:
    entered = {source for source, to in TRANSITIONS if to is RoomStatus.OUT_OF_SERVICE}
    left = {to for source, to in TRANSITIONS if source is RoomStatus.OUT_OF_SERVICE}
    assert not entered & OCCUPIED
    assert RoomStatus.HELD not in entered
    assert left == {RoomStatus.CLEANING, RoomStatus.CLOSED}


def test_no_room_becomes_available_after_a_patient_without_cleaning() -> None:
    assert {source for source, to in TRANSITIONS if to is RoomStatus.AVAILABLE} == {
        RoomStatus.HELD,
        RoomStatus.CLEANING,
    }
    assert {source for source, to in TRANSITIONS if to is RoomStatus.HELD} == {RoomStatus.AVAILABLE}


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda actor: actor.subject)
def test_to_a_stranger_a_room_looks_unknown(stranger) -> None:
    desk = room_in("roomed")
    assert not desk.sees(stranger)
    refused(desk, going("in_treatment"), stranger, NotFound)
    refused(desk, going("roomed"), stranger, NotFound)


def test_a_room_is_made_and_named_only_by_its_service() -> None:
    desk = new_room()
    create = Create(organization_id=CLINIC, location_id="location-1", name="Room 1", kind="injection")
    assert desk.do(create, SYSTEM).events == ()
    refused(desk, create, ADA, Forbidden)
    refused(desk, Describe(name="Mine"), ADA, Forbidden)
    other = Create(organization_id=CLINIC, location_id="location-2", name="Room 1")
    assert refused(desk, other, SYSTEM).code == "room_exists"
    desk.do(Describe(name="Laser", kind="laser"), SYSTEM)
    assert (desk.view()["name"], desk.view()["kind"]) == ("Laser", "laser")
    assert desk.do(Describe(name="Laser", kind="laser"), SYSTEM).events == ()


def test_the_whole_way_is_stamped_and_the_visit_lasts_from_roomed_to_turnover() -> None:
    desk = new_room()
    for at, to in enumerate(WAY):
        desk.wait(1_000)
        desk.do(going(to, from_=status_of(desk)), PIA, device=f"tablet-{at}")
        view = desk.view()
        stamp = (view["status"], view["by"], view["device"], view["since"])
        assert stamp == (to, "pia", f"tablet-{at}", f"2026-01-01T00:00:0{at + 1}.000Z")
        occupied = to in {"roomed", "in_treatment", "waiting"}
        assert view["occupied"] is occupied
        assert (view.get("patient_id"), view.get("visit_id")) == (
            ("patient-1", "visit-1") if occupied else (None, None)
        )


def test_a_stale_from_is_a_conflict_that_says_the_current_status() -> None:
    failure = refused(room_in("in_treatment"), going("turnover", from_="waiting"), PIA)
    assert (failure.code, failure.extra) == ("conflict", {"current": "in_treatment"})


def test_being_there_already_is_a_no_op_whatever_from_says() -> None:
    assert room_in("cleaning").do(going("cleaning", from_="available"), FRED).events == ()


def test_an_impossible_step_says_the_current_status() -> None:
    failure = refused(room_in("available"), going("in_treatment"), PIA)
    assert (failure.code, failure.extra) == ("invalid_transition", {"current": "available"})


def test_a_second_patient_is_not_roomed_by_a_no_op() -> None:
    desk = room_in("roomed")
    failure = refused(desk, going("roomed", patient_id="patient-2", visit_id="visit-2"), FRED)
    assert (failure.code, failure.extra) == ("occupied", {"current": "roomed"})
    assert desk.do(going("roomed"), FRED).events == ()


def test_a_room_held_for_one_visit_does_not_take_another() -> None:
    desk = new_room()
    desk.do(going("held", visit_id="visit-1"), FRED)
    assert refused(desk, going("held", visit_id="visit-2"), FRED).code == "held_for_another"
    other = going("roomed", patient_id="patient-2", visit_id="visit-2")
    assert refused(desk, other, FRED).code == "held_for_another"
    assert desk.view()["held_for"] == "visit-1"
    desk.do(going("roomed"), FRED)
    assert "held_for" not in desk.view()


def test_waiting_for_something_else_is_a_conflict() -> None:
    assert refused(room_in("waiting"), going("waiting", waiting_for="recovery"), PIA).extra == {"current": "waiting"}


@pytest.mark.parametrize(
    ("command", "path", "code"),
    [
        (SetStatus(to="asleep"), "to", "unknown_status"),
        (SetStatus(to="roomed", visit_id="v"), "patient_id", "required"),
        (SetStatus(to="roomed", patient_id="p"), "visit_id", "required"),
        (SetStatus(to="roomed", patient_id="p q", visit_id="v"), "patient_id", "malformed"),
        (SetStatus(to="waiting"), "waiting_for", "required"),
        (SetStatus(to="waiting", waiting_for="lunch"), "waiting_for", "unknown_wait"),
        (SetStatus(to="held", hold_minutes=-1), "hold_minutes", "out_of_range"),
        (SetStatus(to="held", hold_minutes=241), "hold_minutes", "out_of_range"),
        (SetStatus(to="held", patient_id="p"), "patient_id", "not_allowed"),
        (SetStatus(to="cleaning", visit_id="v"), "visit_id", "not_allowed"),
        (SetStatus(to="cleaning", reason="x" * 501), "reason", "too_long"),
    ],
)
def test_what_is_malformed_is_refused_with_its_field(command, path, code) -> None:
    (error,) = refused(room_in("held"), command, PIA, Invalid).errors
    assert (error.path, error.code) == (path, code)


def test_taking_a_room_out_of_service_needs_a_reason() -> None:
    desk = new_room()
    assert refused(desk, SetStatus(to="out_of_service"), FRED, Invalid).errors[0].path == "reason"
    desk.do(going("out_of_service"), FRED)
    assert desk.view()["reason"] == "the lamp is broken"


@pytest.mark.parametrize(("status", "waits"), LONG_WAIT_MS, ids=str)
def test_a_room_that_stays_too_long_raises_one_alert_that_goes_when_it_moves_on(status, waits) -> None:
    desk = room_in(status.value)
    if waits == "recovery":
        desk.do(going("in_treatment"), PIA)
        desk.do(going("waiting", waiting_for="recovery"), PIA)
    threshold = LONG_WAIT_MS[status, waits]
    desk.wait(threshold - 1)
    assert "alert" not in desk.view()
    desk.wait(1)
    alert = desk.view()["alert"]
    assert (alert["type"], alert["status"], alert["threshold_seconds"]) == ("long_wait", status, threshold // 1_000)
    assert desk.fire("long_wait").events == ()
    onward = next(to for source, to in TRANSITIONS if source is status and to is not RoomStatus.OUT_OF_SERVICE)
    desk.do(going(onward.value), PIA)
    assert "alert" not in desk.view()


@pytest.mark.parametrize("status", ["available", "held", "out_of_service"])
def test_what_may_last_raises_no_alert(status) -> None:
    assert "long_wait" not in room_in(status).reminders


def test_a_hold_ends_by_itself() -> None:
    desk = new_room()
    desk.do(going("held", hold_minutes=5), FRED)
    assert desk.view()["hold_until"] == "2026-01-01T00:05:00.000Z"
    desk.wait(5 * 60_000 - 1)
    assert status_of(desk) == "held"
    desk.wait(1)
    view = desk.view()
    assert (view["status"], view["by"], view["reason"]) == ("available", "system", "hold_expired")


def test_a_timer_that_comes_early_or_late_does_nothing_wrong() -> None:
    desk = new_room()
    desk.do(going("held"), FRED)
    desk.fire("hold")
    desk.fire("long_wait")
    desk.fire("claim")
    desk.fire("nonsense")
    assert status_of(desk) == "held"
    assert set(desk.reminders) == {"hold"}
    desk.do(going("roomed"), FRED)
    assert set(desk.reminders) == {"long_wait"}
    desk.fire("hold")
    desk.fire("long_wait")
    assert status_of(desk) == "roomed"
    assert "alert" not in desk.view()


@pytest.mark.parametrize("status", ["available", "turnover", "cleaning", "out_of_service"])
def test_an_empty_room_is_closed_by_the_service_for_good(status: str) -> None:
    desk = room_in(status)
    desk.do(going("closed"), SYSTEM)
    assert status_of(desk) == "closed"
    assert desk.reminders == {}
    for to in (*WAY, "out_of_service"):
        for actor in (SYSTEM, ADA, PIA):
            with pytest.raises((Conflict, Forbidden)):
                desk.do(going(to), actor)
    assert refused(desk, Undo(desk.version), SYSTEM).code == "not_undoable"
    assert "undo_version" not in desk.view()
    assert desk.do(going("closed"), SYSTEM).events == ()
    assert desk.replayed() == desk.restored() == desk.state


@pytest.mark.parametrize("status", ["held", "roomed", "in_treatment", "waiting"])
def test_a_room_in_which_somebody_is_or_is_expected_is_not_closed(status: str) -> None:
    failure = refused(room_in(status), going("closed"), SYSTEM)
    assert (failure.code, failure.extra) == ("invalid_transition", {"current": status})


def test_nobody_but_the_service_closes_a_room() -> None:
    for actor in (PIA, FRED, ADA):
        refused(new_room(), going("closed"), actor, Forbidden)


def test_closing_ends_the_claim() -> None:
    desk = new_room()
    desk.do(Claim(), PIA)
    desk.do(going("closed"), SYSTEM)
    assert desk.state is not None
    assert desk.state.holder is None
    assert desk.reminders == {}


def test_a_room_is_on_its_board_until_it_is_closed_and_with_its_holder_while_claimed() -> None:
    desk = new_room()

    def groups() -> tuple[str, ...]:
        assert desk.state is not None
        return desk.kind.groups(desk.state)

    assert groups() == ("location/location-1/rooms",)
    desk.do(Claim(), PIA)
    assert groups() == ("location/location-1/rooms", "user/pia/rooms")
    desk.do(TakeOver("shift change"), QUINN)
    assert groups() == ("location/location-1/rooms", "user/quinn/rooms")
    desk.wait(CLAIM_LEASE_MS)
    assert groups() == ("location/location-1/rooms",)
    desk.do(going("closed"), SYSTEM)
    assert groups() == ()


def test_the_index_row_says_who_is_in_the_room_and_who_holds_it() -> None:
    desk = room_in("held")
    desk.do(Claim(), PIA)
    desk.do(going("roomed", token=1), PIA)
    assert desk.state is not None
    row = desk.kind.index_row(desk.state)
    assert row is not None
    assert (row.table, set(row.columns)) == ("room_status", set(INDEX_TABLES[row.table].columns.keys()) - ROW_ITSELF)
    here = {"status": "roomed", "claimed_by": "pia", "patient_id": "patient-1", "visit_id": "visit-1"}
    assert row.columns == row.columns | here | {"since": desk.now_ms, "location_id": "location-1"}
    desk.do(going("turnover", token=1), PIA)
    row = desk.kind.index_row(desk.state)
    assert row is not None
    assert row.columns == row.columns | {"claimed_by": None, "patient_id": None, "visit_id": None}


def test_the_view_names_the_visit_that_an_undo_would_bring_back() -> None:
    desk = room_in("waiting")
    assert "undo_visit_id" not in desk.view()
    desk.do(going("turnover"), FRED)
    assert desk.view()["undo_visit_id"] == "visit-1"
