"""Where a provider is, hand-offs, quarantine and revocation: who may do what with a session."""

import pytest

from actors.session_commands import (
    Close,
    CloseDocument,
    Enter,
    HandOver,
    Leave,
    OfferHandOff,
    OpenDocument,
    Record,
    Resolve,
    Restore,
    Revoke,
    ShowQuarantined,
    SignOut,
    TakeUp,
    WithdrawHandOff,
)
from actors.session_state import (
    AUTO_LOGOFF_MS,
    DOCUMENTS_MAX,
    OFFERS_MAX,
    OFFERS_REMEMBERED,
    QUARANTINE_BYTES_MAX,
    QUARANTINE_ITEMS_MAX,
    RECORD_ENTRIES_MAX,
)
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from domain.hlc import stamp
from domain.times import HOUR_MS
from tests.actors.sessions import (
    ADA,
    CLINIC,
    FRED,
    OTHER_CLINIC,
    PIA,
    QUINN,
    STRANGERS,
    TABLET,
    Session,
    done,
    hello,
    item_of,
    new_session,
    recorded,
    refused,
    refused_outcome,
    reply,
)

VISIT = Enter(room_id="room-1", patient_id="patient-1", visit_id="visit-1")


def at_work() -> Session:
    desk = new_session()
    desk.do(VISIT, PIA)
    desk.do(OpenDocument(document_id="d-1"), PIA)
    return desk


def offered(*offers: tuple[str, str]) -> Session:
    desk = at_work()
    for offer_id, to in offers or (("offer-1", "quinn"),):
        desk.do(OfferHandOff(offer_id=offer_id, to=to, note="20 units are left"), PIA)
    return desk


def with_quarantine() -> Session:
    desk = new_session()
    recorded(desk, done(1), refused_outcome(2))
    return desk


# -- where they are -------------------------------------------------------------------------------


def test_a_session_shows_the_room_its_patient_and_the_open_documents() -> None:
    desk = at_work()
    view = desk.view()
    assert (view["room_id"], view["patient_id"], view["visit_id"]) == ("room-1", "patient-1", "visit-1")
    assert list(view["documents"]) == ["d-1"]
    desk.do(CloseDocument(document_id="d-1"), PIA)
    desk.do(Leave(), PIA)
    assert {"room_id", "patient_id", "room_since", "documents"}.isdisjoint(desk.view())


def test_being_there_already_is_no_event() -> None:
    desk = at_work()
    for command in (VISIT, OpenDocument(document_id="d-1"), CloseDocument(document_id="d-2")):
        assert desk.do(command, PIA).events == ()
    desk.do(Leave(), PIA)
    assert desk.do(Leave(), PIA).events == ()


def test_a_room_entered_offline_shows_when_it_was_entered() -> None:
    desk = new_session()
    desk.now_ms += HOUR_MS
    at = stamp(desk.now_ms - HOUR_MS // 2, 0, TABLET)
    desk.do(VISIT, PIA, hlc=at)
    assert desk.view()["room_since"] == "2026-01-01T00:30:00.000Z"


def test_documents_open_at_once_are_bounded() -> None:
    desk = new_session()
    for number in range(DOCUMENTS_MAX):
        desk.do(OpenDocument(document_id=f"d-{number}"), PIA)
    assert refused(desk, OpenDocument(document_id="more"), PIA).code == "documents_max"


def test_the_work_outlasts_an_automatic_logoff_but_not_signing_out() -> None:
    desk = offered()
    desk.wait(AUTO_LOGOFF_MS)
    assert (desk.view()["status"], desk.view()["room_id"]) == ("ended", "room-1")
    assert refused(desk, VISIT, PIA).code == "session_ended"
    desk.do(SignOut(), PIA)
    assert {"room_id", "documents", "hand_offs"}.isdisjoint(desk.view())


def test_only_its_person_moves_a_session() -> None:
    desk = at_work()
    for command in (
        VISIT,
        Leave(),
        OpenDocument(document_id="d-1"),
        CloseDocument(document_id="d-1"),
        OfferHandOff(offer_id="o", to="quinn"),
        WithdrawHandOff(offer_id="o"),
        TakeUp(offer_id="o", from_session="s"),
        SignOut(),
    ):
        assert refused(desk, command, QUINN, Forbidden).code == "forbidden"
        assert refused(desk, command, STRANGERS[0], NotFound).code == "not_found"


def test_an_admin_ends_a_session_for_its_person() -> None:
    desk = at_work()
    desk.do(SignOut(), ADA)
    assert desk.view()["ended_by"] == "signed_out"


# -- hand-off -------------------------------------------------------------------------------------


def test_who_was_offered_takes_all_of_it_and_the_giver_is_in_no_room() -> None:
    desk = offered()
    assert desk.view()["hand_offs"]["offer-1"]["to"] == "quinn"
    assert reply(desk.do(HandOver(offer_id="offer-1", to_session="s-2"), QUINN, "tablet-2")) == {
        "from": "pia",
        "room_id": "room-1",
        "patient_id": "patient-1",
        "visit_id": "visit-1",
        "documents": ["d-1"],
        "note": "20 units are left",
    }
    view = desk.view()
    assert view["status"] == "active"
    assert {"room_id", "patient_id", "documents", "hand_offs"}.isdisjoint(view)


def test_the_first_who_takes_it_wins_and_all_others_learn_by_whom() -> None:
    desk = offered(("offer-1", "quinn"), ("offer-2", "ruth"))
    desk.do(HandOver(offer_id="offer-1", to_session="s-2"), QUINN)
    ruth = type(PIA)("ruth", ("provider",), (CLINIC,))
    for offer_id, late in (("offer-2", ruth), ("offer-1", QUINN), ("offer-1", ruth)):
        failure = refused(desk, HandOver(offer_id=offer_id, to_session="s-3"), late)
        assert (failure.code, failure.extra) == ("taken", {"by": "quinn"})
    assert refused(desk, WithdrawHandOff(offer_id="offer-1"), PIA).code == "taken"
    assert refused(desk, OfferHandOff(offer_id="offer-1", to="quinn"), PIA).code == "offer_exists"


def test_only_the_provider_it_was_offered_to_takes_it() -> None:
    desk = offered()
    command = HandOver(offer_id="offer-1", to_session="s-2")
    for actor in (PIA, FRED, ADA):
        assert refused(desk, command, actor, Forbidden).code == "forbidden"
    assert refused(desk, command, STRANGERS[0], NotFound).code == "not_found"


def test_what_was_withdrawn_is_not_taken() -> None:
    desk = offered()
    desk.do(WithdrawHandOff(offer_id="offer-1"), PIA)
    assert refused(desk, HandOver(offer_id="offer-1", to_session="s-2"), QUINN).code == "not_offered"
    assert desk.do(WithdrawHandOff(offer_id="offer-1"), PIA).events == ()
    assert desk.view()["room_id"] == "room-1"


def test_handing_over_to_ones_own_other_tablet_ends_this_session_and_fences_its_tablet() -> None:
    desk = offered(("offer-1", "pia"))
    same = HandOver(offer_id="offer-1", to_session=desk.id)
    assert refused(desk, same, PIA, Invalid).errors[0].code == "same_session"
    desk.do(HandOver(offer_id="offer-1", to_session="s-2"), PIA, "tablet-2")
    assert (desk.view()["status"], desk.view()["ended_by"]) == ("ended", "handed_off")
    assert desk.reminders == {}
    assert refused(desk, Record(generation=1, entries=(done(1),)), PIA).code == "fenced"
    assert hello(desk)["generation"] == 2


def test_a_tablet_that_locked_itself_keeps_no_patient_waiting() -> None:
    desk = offered()
    desk.wait(AUTO_LOGOFF_MS)
    assert reply(desk.do(HandOver(offer_id="offer-1", to_session="s-2"), QUINN))["room_id"] == "room-1"


def test_offers_are_repeated_bounded_and_for_providers() -> None:
    desk = new_session()
    for number in range(OFFERS_MAX):
        desk.do(OfferHandOff(offer_id=f"offer-{number}", to="quinn"), PIA)
    assert desk.do(OfferHandOff(offer_id="offer-0", to="quinn"), PIA).events == ()
    assert refused(desk, OfferHandOff(offer_id="offer-0", to="ruth"), PIA).code == "offer_exists"
    assert refused(desk, OfferHandOff(offer_id="more", to="quinn"), PIA).code == "offers_max"
    front = new_session(FRED)
    assert refused(front, OfferHandOff(offer_id="o", to="quinn"), FRED, Forbidden).code == "forbidden"


def test_who_took_what_is_remembered_for_the_newest_offers() -> None:
    desk = new_session()
    for number in range(OFFERS_REMEMBERED + 1):
        desk.do(OfferHandOff(offer_id=f"offer-{number}", to="quinn"), PIA)
        desk.do(HandOver(offer_id=f"offer-{number}", to_session="s-2"), QUINN)
    assert refused(desk, HandOver(offer_id="offer-0", to_session="s-2"), QUINN).code == "not_offered"
    assert refused(desk, HandOver(offer_id="offer-1", to_session="s-2"), QUINN).code == "taken"


def test_the_receiver_goes_on_where_the_giver_was() -> None:
    desk = new_session(QUINN)
    desk.do(OpenDocument(document_id="own"), QUINN)
    taken = TakeUp(
        offer_id="offer-1",
        from_session="s-1",
        room_id="room-1",
        patient_id="patient-1",
        visit_id="visit-1",
        documents=("d-1",),
    )
    desk.do(taken, QUINN)
    view = desk.view()
    assert (view["room_id"], view["visit_id"], set(view["documents"])) == ("room-1", "visit-1", {"own", "d-1"})
    desk.do(TakeUp(offer_id="offer-2", from_session="s-1"), QUINN)
    assert desk.view()["room_id"] == "room-1"


def test_nothing_is_taken_up_by_a_session_that_ended_or_was_revoked() -> None:
    desk = new_session(QUINN)
    desk.do(Revoke(what="person", reason="left"), ADA)
    assert refused(desk, TakeUp(offer_id="o", from_session="s"), QUINN, Forbidden).code == "forbidden"
    desk.do(SignOut(), QUINN)
    assert refused(desk, TakeUp(offer_id="o", from_session="s"), QUINN).code == "session_ended"


# -- quarantine -----------------------------------------------------------------------------------


def test_a_quarantined_command_is_named_to_all_staff_and_shown_to_those_who_decide() -> None:
    desk = with_quarantine()
    item = desk.view()["quarantine"][item_of(2)]
    assert item == {
        "epoch": 1,
        "seq": 2,
        "ent": "document/d-1",
        "op": "add_point",
        "code": "point_unknown",
        "at": "2026-01-01T00:00:00.000Z",
    }
    for actor in (PIA, QUINN, ADA):
        decision = desk.do(ShowQuarantined(item_id=item_of(2)), actor)
        assert decision.events == ()
        shown = reply(decision)
        assert shown["command"] == {"ent": "document/d-1", "op": "add_point", "args": {"note": "x"}, "hlc": "h"}
        assert (shown["by"], shown["device"], shown["detail"]) == ("pia", TABLET, "No such point.")
    assert desk.sees(FRED)
    for command in (ShowQuarantined(item_id=item_of(2)), discard(2)):
        assert refused(desk, command, FRED, Forbidden).code == "forbidden"
        assert refused(desk, command, STRANGERS[0], NotFound).code == "not_found"


def discard(seq: int) -> Resolve:
    return Resolve(item_id=item_of(seq), action="discard", reason="charted on paper")


def test_what_was_resolved_leaves_the_quarantine_once_and_stays_in_the_journal() -> None:
    desk = with_quarantine()
    assert reply(desk.do(discard(2), QUINN)) == {"item_id": item_of(2), "action": "discard", "outcome": ""}
    assert "quarantine" not in desk.view()
    assert refused(desk, discard(2), PIA, NotFound).code == "not_found"
    assert [type(event).__name__ for event in desk.events()] == ["Opened", "Recorded", "Resolved"]
    assert desk.state is not None
    assert desk.state.quarantine_bytes == 0


def test_what_was_resolved_does_not_come_back_when_its_device_sends_it_once_more() -> None:
    """A number given twice moves no watermark: only the item's id says that people have dealt with it."""
    desk = with_quarantine()
    reused = refused_outcome(1, body="another", code="seq_reuse")
    recorded(desk, reused)
    decided = Resolve(item_id=reused.item_id, action="discard", reason="a copy of the tablet")
    desk.do(decided, QUINN)
    recorded(desk, reused)
    assert [type(event).__name__ for event in desk.events()][-2:] == ["Recorded", "Resolved"]
    assert reused.item_id not in desk.view()["quarantine"]


def test_resolving_needs_a_reason() -> None:
    desk = with_quarantine()
    command = Resolve(item_id=item_of(2), action="discard", reason=" ")
    assert refused(desk, command, PIA, Invalid).errors[0].path == "reason"


def test_a_revoked_person_does_not_decide_about_what_they_sent() -> None:
    desk = with_quarantine()
    desk.do(Revoke(what="person", reason="left the clinic"), ADA)
    for command in (discard(2), ShowQuarantined(item_id=item_of(2))):
        assert refused(desk, command, PIA, Forbidden).code == "forbidden"
    desk.do(discard(2), QUINN)


def test_who_lost_a_tablet_still_decides_about_what_it_sent() -> None:
    desk = with_quarantine()
    desk.do(Revoke(what="device", reason="stolen"), ADA)
    desk.do(discard(2), PIA)


def test_a_quarantine_item_stays_with_the_clinic_it_came_up_in() -> None:
    desk = with_quarantine()
    float_pia = type(PIA)("pia", ("provider",), (CLINIC, OTHER_CLINIC))
    hello(desk, actor=float_pia, organizations=(OTHER_CLINIC,))
    elsewhere = type(PIA)("olga", ("provider",), (OTHER_CLINIC,))
    assert refused(desk, discard(2), elsewhere, Forbidden).code == "forbidden"
    desk.do(discard(2), float_pia)


def test_a_full_quarantine_holds_the_device_until_somebody_has_looked_at_it() -> None:
    desk = new_session()
    for first in range(1, QUARANTINE_ITEMS_MAX + 1, RECORD_ENTRIES_MAX):
        upto = min(first + RECORD_ENTRIES_MAX, QUARANTINE_ITEMS_MAX + 1)
        recorded(desk, *(refused_outcome(seq) for seq in range(first, upto)))
    following = Record(generation=1, entries=(refused_outcome(QUARANTINE_ITEMS_MAX + 1),))
    failure = refused(desk, following, PIA, Unavailable)
    assert failure.code == "quarantine_full"
    assert failure.retry_after_ms > 0
    desk.do(discard(1), ADA)
    desk.do(following, PIA)


def test_a_quarantine_is_bounded_in_bytes_too() -> None:
    desk = new_session()
    size = 60_000
    for seq in range(1, QUARANTINE_BYTES_MAX // size + 1):
        recorded(desk, refused_outcome(seq, size=size - 100))
    assert desk.state is not None
    following = Record(generation=1, entries=(refused_outcome(len(desk.state.quarantine) + 1, size=size),))
    assert refused(desk, following, PIA, Unavailable).code == "quarantine_full"


# -- rights ---------------------------------------------------------------------------------------


def test_only_admins_of_the_clinic_revoke_and_restore() -> None:
    desk = new_session()
    for actor in (PIA, QUINN, FRED):
        for command in (Revoke(what="device", reason="stolen"), Restore()):
            assert refused(desk, command, actor, Forbidden).code == "forbidden"
    assert refused(desk, Revoke(what="device", reason=""), ADA, Invalid).errors[0].path == "reason"
    desk.do(Revoke(what="device", reason="stolen"), ADA)
    assert desk.do(Revoke(what="device", reason="stolen"), ADA).events == ()
    assert (desk.view()["access"], desk.view()["access_reason"]) == ("revoked_device", "stolen")
    desk.do(Restore(), ADA)
    assert desk.do(Restore(), ADA).events == ()
    assert desk.view()["access"] == "granted"


def test_the_staff_of_the_clinic_sees_a_session_and_nobody_else_does() -> None:
    desk = new_session()
    for actor in (PIA, QUINN, FRED, ADA):
        assert desk.sees(actor)
    for actor in STRANGERS:
        assert not desk.sees(actor)


def test_a_session_is_on_its_locations_list_until_it_ends() -> None:
    desk = new_session()
    assert desk.state is not None
    assert desk.kind.groups(desk.state) == ("location/location-1/sessions",)
    desk.do(Close(generation=1), PIA)
    assert desk.kind.groups(desk.state) == ("location/location-1/sessions",)
    desk.do(SignOut(), PIA)
    assert desk.kind.groups(desk.state) == ()


def test_most_commands_do_not_change_the_row_it_is_listed_by() -> None:
    desk = new_session()
    assert desk.state is not None
    before = desk.kind.index_row(desk.state)
    desk.now_ms += 1_000
    recorded(desk, done(1), done(2))
    assert desk.kind.index_row(desk.state) == before
    recorded(desk, refused_outcome(3))
    after = desk.kind.index_row(desk.state)
    assert after is not None
    assert (after.columns["quarantined"], after.columns["updated_at"]) == (1, desk.now_ms)


def test_a_view_holds_nothing_clinical() -> None:
    desk = offered()
    recorded(desk, refused_outcome(1, size=50), done(2, current="10 units"))
    text = str(desk.view())
    for secret in ("x" * 50, "10 units", "20 units are left", "No such point."):
        assert secret not in text


@pytest.mark.parametrize("make", [offered, with_quarantine, at_work])
def test_a_replay_and_a_snapshot_give_the_same_session(make) -> None:
    desk = make()
    assert desk.replayed() == desk.state == desk.restored()


def test_a_commands_field_that_is_no_choice_is_refused() -> None:
    desk = with_quarantine()
    with pytest.raises((Invalid, Conflict, ValueError)):
        desk.do(Resolve(item_id=item_of(2), action="forget", reason="r"), PIA)  # type: ignore[arg-type]
