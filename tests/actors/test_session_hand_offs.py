"""Hand-offs between provider sessions: who takes over what, and once."""

from actors.session_commands import (
    HandOver,
    OfferHandOff,
    OpenDocument,
    Record,
    Revoke,
    SignOut,
    TakeUp,
    WithdrawHandOff,
)
from actors.session_state import (
    AUTO_LOGOFF_MS,
    OFFERS_MAX,
    OFFERS_REMEMBERED,
)
from domain.errors import Forbidden, Invalid, NotFound
from tests.actors.sessions import (
    ADA,
    CLINIC,
    FRED,
    PIA,
    QUINN,
    STRANGERS,
    done,
    hello,
    new_session,
    offered,
    refused,
    reply,
)


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
