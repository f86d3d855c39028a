"""The quarantine of a provider session: who sees and decides, and what bounds it."""

import pytest

from actors.session_commands import (
    Record,
    Resolve,
    Revoke,
    ShowQuarantined,
)
from actors.session_state import (
    QUARANTINE_BYTES_MAX,
    QUARANTINE_ITEMS_MAX,
    RECORD_ENTRIES_MAX,
)
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from tests.actors.sessions import (
    ADA,
    CLINIC,
    FRED,
    OTHER_CLINIC,
    PIA,
    QUINN,
    STRANGERS,
    TABLET,
    hello,
    item_of,
    new_session,
    recorded,
    refused,
    refused_outcome,
    reply,
    with_quarantine,
)


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


def test_a_commands_field_that_is_no_choice_is_refused() -> None:
    desk = with_quarantine()
    with pytest.raises((Invalid, Conflict, ValueError)):
        desk.do(Resolve(item_id=item_of(2), action="forget", reason="r"), PIA)  # type: ignore[arg-type]
