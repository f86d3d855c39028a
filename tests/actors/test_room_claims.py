"""Claims of a room and their fencing tokens; undo."""

import pytest

from actors.room_claims import INTENT_MS
from actors.room_commands import Claim, Release, TakeOver, Undo
from actors.room_state import CLAIM_LEASE_MS
from actors.room_status import CLAIMABLE, RoomStatus
from domain.errors import Conflict, Forbidden, Invalid
from domain.hlc import stamp
from tests.actors.rooms import ADA, FRED, PIA, QUINN, Room, going, new_room, refused, room_in, status_of


def token_of(desk: Room) -> int:
    return int(desk.view()["claim"]["token"])


def test_the_first_claim_wins_and_the_next_learns_by_whom() -> None:
    desk = room_in("roomed")
    decision = desk.do(Claim(), PIA, device="tablet-1")
    assert decision.reply == {"token": 1, "until": "2026-01-01T01:00:00.000Z"}
    failure = refused(desk, Claim(), QUINN)
    assert (failure.code, failure.extra) == ("taken", {"current": "roomed", "by": "pia"})


def test_claiming_again_from_the_same_device_renews_the_lease_and_keeps_the_token() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA, device="tablet-1")
    desk.wait(60_000)
    assert desk.do(Claim(), PIA, device="tablet-1").reply == {"token": 1, "until": "2026-01-01T01:01:00.000Z"}
    assert desk.view()["claim"]["since"] == "2026-01-01T00:00:00.000Z"
    assert refused(desk, Claim(), PIA, device="tablet-2").code == "taken"


def test_every_new_claim_has_a_higher_token() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA)
    desk.do(Release(1), PIA)
    assert desk.do(Claim(), PIA).reply["token"] == 2
    assert desk.do(TakeOver("to the other tablet"), PIA, device="tablet-2").reply["token"] == 3


def test_while_claimed_only_its_token_moves_the_treatment() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA)
    assert refused(desk, going("in_treatment"), QUINN).code == "taken"
    assert refused(desk, going("in_treatment"), PIA).code == "fenced"
    assert refused(desk, going("in_treatment", token=1), QUINN).code == "fenced"
    desk.do(going("in_treatment", token=1), PIA)
    assert status_of(desk) == "in_treatment"


def test_who_was_taken_over_from_is_fenced() -> None:
    desk = room_in("in_treatment")
    desk.do(Claim(), PIA)
    desk.do(TakeOver("shift change"), QUINN)
    failure = refused(desk, going("waiting", token=1), PIA)
    assert (failure.code, failure.extra) == ("fenced", {"current": "in_treatment", "by": "quinn"})
    assert refused(desk, Release(1), PIA).code == "fenced"
    desk.do(going("waiting", token=2), QUINN)
    assert token_of(desk) == 2


def test_ones_own_other_device_is_fenced_after_a_hand_over() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA, device="tablet-1")
    desk.do(TakeOver("the battery is low"), PIA, device="tablet-2")
    assert refused(desk, going("in_treatment", token=1), PIA, device="tablet-1").code == "fenced"
    assert refused(desk, Release(1), PIA, device="tablet-1").code == "fenced"
    desk.do(going("in_treatment", token=2), PIA, device="tablet-2")


def test_undoing_under_the_claim_renews_it() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA)
    desk.do(going("in_treatment", token=1), PIA)
    desk.wait(CLAIM_LEASE_MS - 1)
    desk.do(Undo(desk.view()["undo_version"], token=1), PIA)
    assert desk.view()["claim"]["until"] == "2026-01-01T01:59:59.999Z"
    assert desk.reminders["claim"] == desk.now_ms + CLAIM_LEASE_MS


def test_a_token_is_refused_also_where_none_would_be_needed() -> None:
    desk = room_in("turnover")
    assert refused(desk, going("cleaning", token=7), PIA).code == "fenced"
    desk.do(going("cleaning"), PIA)


def test_without_a_claim_any_provider_treats() -> None:
    desk = room_in("roomed")
    desk.do(going("in_treatment"), QUINN)
    assert "claim" not in desk.view()


def test_a_claimed_empty_room_is_not_taken_out_of_service() -> None:
    desk = new_room()
    desk.do(Claim(), PIA)
    assert refused(desk, going("out_of_service"), FRED).code == "taken"
    desk.do(TakeOver("the lamp is broken"), ADA)
    desk.do(going("out_of_service", token=2), ADA)
    assert "claim" not in desk.view()


def test_a_claim_runs_out_and_acting_under_it_renews_it() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA)
    desk.wait(CLAIM_LEASE_MS - 1)
    desk.do(going("in_treatment", token=1), PIA)
    desk.wait(CLAIM_LEASE_MS - 1)
    desk.do(going("waiting", token=1), PIA)
    assert desk.view()["claim"]["until"] == "2026-01-01T02:59:59.998Z"
    desk.wait(CLAIM_LEASE_MS - 1)
    assert token_of(desk) == 1
    desk.wait(1)
    assert "claim" not in desk.view()
    assert refused(desk, going("in_treatment", token=1), PIA).code == "fenced"
    desk.do(going("in_treatment"), QUINN)


def test_a_lease_that_has_run_out_is_none_also_before_its_timer_fires() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA)
    desk.now_ms += CLAIM_LEASE_MS
    assert refused(desk, going("in_treatment", token=1), PIA).code == "fenced"
    assert desk.do(Claim(), QUINN).reply["token"] == 2
    desk.fire("claim")
    assert token_of(desk) == 2


def test_the_claim_ends_with_the_patients_session() -> None:
    desk = room_in("in_treatment")
    desk.do(Claim(), PIA)
    desk.do(going("turnover", token=1), PIA)
    assert "claim" not in desk.view()
    assert "claim" not in desk.reminders


@pytest.mark.parametrize("status", [status.value for status in RoomStatus if status not in CLAIMABLE])
def test_a_room_that_no_patient_can_be_in_is_not_claimed(status) -> None:
    desk = room_in(status)
    assert refused(desk, Claim(), PIA).code == "not_claimable"
    assert refused(desk, TakeOver("mine"), PIA).code == "not_claimable"
    assert desk.do(Release(1), PIA).events == ()


def test_who_may_claim_release_and_take_over() -> None:
    desk = room_in("roomed")
    for command in (Claim(), Release(1), TakeOver("why not")):
        refused(desk, command, FRED, Forbidden)
    refused(desk, Claim(), ADA, Forbidden)
    assert refused(desk, TakeOver(" "), QUINN, Invalid).errors[0].path == "reason"
    desk.do(Claim(), PIA)
    assert refused(desk, Release(), QUINN).code == "taken"
    desk.do(TakeOver("she has left"), ADA)
    desk.do(Release(2), ADA)
    assert "claim" not in desk.view()


def test_undo_takes_the_last_change_back_with_its_patient() -> None:
    desk = room_in("in_treatment")
    before = desk.view()
    desk.wait(1_000)
    desk.do(going("turnover"), PIA)
    assert "patient_id" not in desk.view()
    desk.do(Undo(desk.view()["undo_version"]), PIA)
    after = desk.view()
    assert {name: after[name] for name in before if name not in {"version", "undo_version"}} == {
        name: value for name, value in before.items() if name not in {"version", "undo_version"}
    }
    assert [event.__struct_config__.tag for event in desk.events()][-2:] == ["status_changed", "status_undone"]


def test_only_the_last_change_is_undone_and_only_once() -> None:
    desk = room_in("roomed")
    failure = refused(desk, Undo(desk.version - 1), PIA)
    assert (failure.code, failure.extra) == ("not_undoable", {"current": "roomed"})
    version = desk.version
    desk.do(Undo(version), PIA)
    assert refused(desk, Undo(version), PIA).code == "not_undoable"
    assert refused(desk, Undo(desk.version), PIA).code == "not_undoable"
    assert "undo_version" not in desk.view()
    assert refused(new_room(), Undo(1), PIA).code == "not_undoable"


def test_a_claim_in_between_does_not_hide_the_change_from_undo() -> None:
    desk = room_in("roomed")
    version = desk.version
    desk.do(Claim(), PIA)
    desk.do(Undo(version), PIA)
    assert status_of(desk) == "held"


def test_undo_is_for_those_who_may_make_the_change() -> None:
    desk = room_in("in_treatment")
    refused(desk, Undo(desk.version), FRED, Forbidden)
    desk.do(Claim(), QUINN)
    version = desk.view()["undo_version"]
    assert refused(desk, Undo(version), PIA).code == "taken"
    desk.do(Undo(version, token=1), QUINN)
    assert status_of(desk) == "roomed"


def test_an_undone_expiry_holds_the_room_anew() -> None:
    desk = new_room()
    desk.do(going("held", visit_id="visit-1", hold_minutes=5), FRED)
    desk.wait(5 * 60_000)
    desk.wait(30_000)
    desk.do(Undo(desk.view()["undo_version"]), FRED)
    assert (desk.view()["held_for"], desk.view()["hold_until"]) == ("visit-1", "2026-01-01T00:10:30.000Z")
    desk.wait(5 * 60_000)
    assert status_of(desk) == "available"


def test_an_undo_brings_the_long_wait_of_the_status_back() -> None:
    desk = room_in("roomed")
    desk.wait(10 * 60_000)
    desk.do(going("turnover"), PIA)
    desk.do(Undo(desk.version), PIA)
    desk.wait(5 * 60_000)
    assert desk.view()["alert"]["since"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize("command", [Claim(), TakeOver("mine")])
def test_an_exclusive_command_of_long_ago_is_only_an_intent(command: object) -> None:
    desk = new_room()
    given = stamp(desk.now_ms)
    desk.wait(INTENT_MS + 1)
    with pytest.raises(Conflict) as caught:
        desk.do(command, PIA, hlc=given)
    assert (caught.value.failure.code, caught.value.failure.extra) == ("intent_expired", {})
    desk.now_ms -= 1
    desk.do(command, PIA, hlc=given)
    assert desk.state is not None
    assert desk.state.holder is not None


def test_what_a_tablet_queued_behind_its_own_claim_needs_no_token() -> None:
    desk = room_in("roomed")
    desk.do(Claim(), PIA, "tablet-1")
    desk.do(going("in_treatment"), PIA, "tablet-1")
    assert status_of(desk) == "in_treatment"
    assert refused(desk, going("waiting"), PIA, device="tablet-2").code == "fenced"
    desk.do(TakeOver("shift change"), QUINN, "tablet-3")
    assert refused(desk, going("waiting"), PIA, device="tablet-1").code == "taken"
