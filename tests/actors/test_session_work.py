"""Where a provider is, and who may do what with a session."""

import pytest

from actors.session_commands import (
    Close,
    CloseDocument,
    Leave,
    OfferHandOff,
    OpenDocument,
    Restore,
    Revoke,
    SignOut,
    TakeUp,
    WithdrawHandOff,
)
from actors.session_state import (
    AUTO_LOGOFF_MS,
    DOCUMENTS_MAX,
)
from domain.errors import Forbidden, Invalid, NotFound
from domain.hlc import stamp
from domain.times import HOUR_MS
from tests.actors.sessions import (
    ADA,
    FRED,
    PIA,
    QUINN,
    STRANGERS,
    TABLET,
    VISIT,
    at_work,
    done,
    new_session,
    offered,
    recorded,
    refused,
    refused_outcome,
    with_quarantine,
)

# -- where they are ---------------------------------------------------------------------------------


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


# -- rights -----------------------------------------------------------------------------------------


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
