"""The session's count of a device's queue: watermarks, kept results, epochs, who may record."""

import msgspec
import pytest

from actors.session_commands import Ack, Close, Recall, Record, Restore, Revoke, SignOut, Touch
from actors.session_state import (
    ACKS_GATHERED,
    AUTO_LOGOFF_MS,
    AWAY_LOGOFF_MS,
    EPOCHS_MAX,
    RECALL_BYTES_MAX,
    RECORD_ENTRIES_MAX,
    RESULT_BYTES_MAX,
    RESULTS_KEPT,
    TOUCH_STEP_MS,
    UNACKED_MAX,
)
from domain.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from domain.times import MINUTE_MS
from tests.actors.sessions import (
    ADA,
    CLINIC,
    OTHER_CLINIC,
    PIA,
    QUINN,
    STRANGERS,
    Session,
    done,
    hash_of,
    hello,
    item_of,
    new_session,
    opening,
    recorded,
    refused,
    refused_outcome,
    reply,
    session_desk,
)


def recalled(desk: Session, epoch: int = 1) -> list[int]:
    found: list[int] = []
    more = True
    while more:
        page = reply(desk.do(Recall(epoch=epoch, after=found[-1] if found else 0), PIA))
        found += [seq for seq, _, _ in page["results"]]
        more = page["more"]
    return found


def test_a_device_that_comes_for_the_first_time_may_start_anywhere() -> None:
    desk = session_desk()
    assert hello(desk, epoch=3, first_unacked=8) == {"generation": 1, "epoch": 3, "last_seq": 7, "refusal": ""}
    recorded(desk, done(8, epoch=3))
    assert desk.view()["last_seq"] == 8


def test_every_connection_has_a_higher_generation_and_goes_on_where_the_count_stands() -> None:
    desk = new_session()
    recorded(desk, done(1), done(2), done(3))
    assert hello(desk, first_unacked=2) == {"generation": 2, "epoch": 1, "last_seq": 3, "refusal": ""}


def test_results_that_were_never_given_are_not_acknowledged() -> None:
    desk = new_session()
    recorded(desk, done(1))
    failure = refused(desk, opening(1, 3), PIA)
    assert (failure.code, failure.extra) == ("insufficient_state", {"current": 1, "epoch": 1})
    assert refused(desk, opening(2, 2), PIA).extra == {"current": 0, "epoch": 1}


def test_a_higher_epoch_is_adopted_and_counts_from_the_beginning() -> None:
    desk = new_session()
    recorded(desk, done(1), done(2))
    assert hello(desk, epoch=5) == {"generation": 2, "epoch": 5, "last_seq": 0, "refusal": ""}
    recorded(desk, done(1, epoch=5))
    assert (desk.view()["epoch"], desk.view()["last_seq"]) == (5, 1)


def test_an_old_epoch_keeps_its_own_watermark_for_ever() -> None:
    desk = new_session()
    recorded(desk, done(1), done(2))
    hello(desk, epoch=2)
    assert hello(desk, epoch=1, first_unacked=3) == {"generation": 3, "epoch": 2, "last_seq": 2, "refusal": ""}
    recorded(desk, refused_outcome(3, code="old_epoch"), refused_outcome(7, code="old_epoch"))
    assert hello(desk, epoch=1, first_unacked=8)["last_seq"] == 7
    assert desk.view()["last_seq"] == 0


def test_epochs_are_bounded_because_their_watermarks_are_kept() -> None:
    desk = session_desk()
    for epoch in range(EPOCHS_MAX):
        hello(desk, epoch=epoch)
    assert refused(desk, opening(EPOCHS_MAX, 1), PIA, Forbidden).code == "epochs_max"
    hello(desk, epoch=EPOCHS_MAX - 1)


def test_outcomes_continue_the_watermark_without_a_gap() -> None:
    desk = new_session()
    recorded(desk, done(1))
    for entries in ((done(3),), (done(2), done(4))):
        failure = refused(desk, Record(generation=1, entries=entries), PIA, Invalid)
        assert failure.errors[0].code == "out_of_order"
    failure = refused(desk, Record(generation=1, entries=(done(1, epoch=2),)), PIA, Invalid)
    assert failure.errors[0].path == "entries.0.epoch"


def test_what_was_recorded_before_is_passed_over() -> None:
    desk = new_session()
    recorded(desk, done(1), done(2))
    assert recorded(desk, done(1), done(2)).events == ()
    recorded(desk, done(2), done(3))
    assert recalled(desk) == [1, 2, 3]
    (event,) = [event for event in desk.events() if type(event).__name__ == "Recorded"][1:]
    assert [entry.seq for entry in event.entries] == [3]


def test_a_repeat_gets_the_first_result_also_after_a_restart() -> None:
    desk = new_session()
    recorded(desk, done(1, reply={"point_id": "p-1"}))
    desk.state = desk.restored()
    ((seq, hashed, packed),) = reply(desk.do(Recall(epoch=1), PIA))["results"]
    assert (seq, hashed) == (1, hash_of(1))
    assert msgspec.msgpack.decode(packed) == {"status": "applied", "ver": 1, "reply": {"point_id": "p-1"}}


def test_another_body_under_a_counted_number_is_quarantined_and_changes_no_result() -> None:
    desk = new_session()
    recorded(desk, done(1))
    recorded(desk, refused_outcome(1, body="other", code="seq_reuse"))
    view = desk.view()
    assert view["last_seq"] == 1
    assert view["quarantine"][item_of(1, body="other")]["code"] == "seq_reuse"
    ((_, hashed, _),) = reply(desk.do(Recall(epoch=1), PIA))["results"]
    assert hashed == hash_of(1)
    assert recorded(desk, refused_outcome(1, body="other", code="seq_reuse")).events == ()


def test_another_body_in_the_same_batch_is_quarantined_too() -> None:
    desk = new_session()
    recorded(desk, done(1), refused_outcome(1, body="other", code="seq_reuse"))
    assert list(desk.view()["quarantine"]) == [item_of(1, body="other")]


def test_results_are_pruned_when_acknowledged_but_never_the_newest() -> None:
    desk = new_session()
    for seq in range(1, 301):
        recorded(desk, done(seq))
    assert recalled(desk) == list(range(1, 301))
    desk.do(Ack(epoch=1, upto=100), PIA)
    assert recalled(desk) == list(range(101, 301))
    desk.do(Ack(epoch=1, upto=1_000), PIA)
    assert recalled(desk) == list(range(301 - RESULTS_KEPT, 301))


def test_acknowledgements_are_written_down_many_at_a_time_and_with_a_hello() -> None:
    desk = new_session()
    for seq in range(1, 65):
        recorded(desk, done(seq))
    assert desk.do(Ack(epoch=1, upto=ACKS_GATHERED - 1), PIA).events == ()
    assert len(desk.do(Ack(epoch=1, upto=ACKS_GATHERED), PIA).events) == 1
    assert desk.do(Ack(epoch=9, upto=5), PIA).events == ()
    hello(desk, first_unacked=60)
    assert desk.state is not None
    assert desk.state.counts[1].acked == 59


def test_who_acknowledges_nothing_is_held_up_until_they_do() -> None:
    desk = new_session()
    for first in range(1, UNACKED_MAX, RECORD_ENTRIES_MAX):
        recorded(desk, *(done(seq) for seq in range(first, first + RECORD_ENTRIES_MAX)))
    following = Record(generation=1, entries=(done(UNACKED_MAX + 1),))
    failure = refused(desk, following, PIA, TooMany)
    assert failure.code == "unacked"
    assert failure.retry_after_ms > 0
    desk.do(Ack(epoch=1, upto=ACKS_GATHERED), PIA)
    desk.do(following, PIA)


def test_unacknowledged_results_of_a_device_that_was_reset_hold_nobody_up() -> None:
    desk = new_session()
    for first in range(1, UNACKED_MAX, RECORD_ENTRIES_MAX):
        recorded(desk, *(done(seq) for seq in range(first, first + RECORD_ENTRIES_MAX)))
    hello(desk, epoch=2)
    recorded(desk, done(1, epoch=2))
    assert recalled(desk, 1) == list(range(UNACKED_MAX - RESULTS_KEPT + 1, UNACKED_MAX + 1))
    hello(desk, epoch=3)
    assert len(recalled(desk, 1)) + len(recalled(desk, 2)) == RESULTS_KEPT
    assert recalled(desk, 2) == [1]


def test_a_large_result_is_kept_without_its_bulky_parts() -> None:
    desk = new_session()
    recorded(desk, done(1, current="x" * RESULT_BYTES_MAX, reply={"point_id": "p-1"}))
    ((_, _, packed),) = reply(desk.do(Recall(epoch=1), PIA))["results"]
    assert msgspec.msgpack.decode(packed) == {"status": "applied", "ver": 1, "reply": {"point_id": "p-1"}}


def test_results_are_recalled_in_bounded_pages() -> None:
    desk = new_session()
    for seq in range(1, 41):
        recorded(desk, done(seq, reply={"text": "x" * 3_500}))
    page = reply(desk.do(Recall(epoch=1), PIA))
    assert page["more"]
    assert sum(len(packed) for _, _, packed in page["results"]) <= RECALL_BYTES_MAX
    assert recalled(desk) == list(range(1, 41))
    assert reply(desk.do(Recall(epoch=4), PIA)) == {"results": [], "more": False}


def test_only_the_newest_connection_records() -> None:
    desk = new_session()
    hello(desk)
    for command in (Record(generation=1, entries=(done(1),)), Touch(generation=1)):
        assert refused(desk, command, PIA).code == "replaced"
    assert desk.do(Close(generation=1), PIA).events == ()
    assert desk.view()["status"] == "active"


def test_what_was_running_when_the_socket_went_is_still_recorded() -> None:
    desk = new_session()
    desk.do(Close(generation=1), PIA)
    assert desk.view()["status"] == "away"
    recorded(desk, done(1), generation=1)
    assert (desk.view()["status"], desk.view()["last_seq"]) == ("away", 1)


def test_nobody_logs_off_who_shows_signs_of_life() -> None:
    desk = new_session()
    for _ in range(4):
        desk.wait(AUTO_LOGOFF_MS - MINUTE_MS)
        assert desk.do(Touch(generation=1), PIA).events != ()
    assert desk.view()["status"] == "active"
    desk.wait(AUTO_LOGOFF_MS)
    assert (desk.view()["status"], desk.view()["ended_by"]) == ("ended", "logged_off")
    for command in (Record(generation=1, entries=(done(1),)), Touch(generation=1)):
        assert refused(desk, command, PIA).code == "logged_off"


def test_touches_in_quick_succession_are_not_written_down() -> None:
    desk = new_session()
    desk.wait(TOUCH_STEP_MS - 1)
    assert desk.do(Touch(generation=1), PIA).events == ()
    desk.wait(1)
    assert len(desk.do(Touch(generation=1), PIA).events) == 1


def test_a_tablet_that_is_away_is_logged_off_much_later_and_revived_when_it_comes_back() -> None:
    desk = new_session()
    recorded(desk, done(1))
    desk.do(Close(generation=1), PIA)
    desk.wait(AWAY_LOGOFF_MS - 1)
    assert desk.view()["status"] == "away"
    desk.wait(1)
    assert desk.view()["ended_by"] == "logged_off"
    assert hello(desk)["last_seq"] == 1
    assert desk.view()["status"] == "active"
    assert "ended_by" not in desk.view()


def test_who_signed_out_comes_back_with_a_fresh_login() -> None:
    desk = new_session()
    desk.do(SignOut(), PIA)
    assert desk.view()["ended_by"] == "signed_out"
    assert desk.reminders == {}
    assert desk.do(SignOut(), PIA).events == ()
    assert hello(desk)["generation"] == 2


def test_a_revoked_device_is_shut_out_until_it_is_restored() -> None:
    desk = new_session()
    desk.do(Revoke(what="device", reason="stolen"), ADA)
    assert refused(desk, opening(), PIA, Forbidden).code == "device_revoked"
    assert refused(desk, Record(generation=1, entries=(done(1),)), PIA).code == "revoked"
    desk.do(Restore(), ADA)
    hello(desk)


def test_a_revoked_persons_commands_are_still_counted_and_quarantined() -> None:
    desk = new_session()
    desk.do(Revoke(what="person", reason="left the clinic"), ADA)
    recorded(desk, refused_outcome(1, code="revoked"))
    assert hello(desk)["refusal"] == "revoked"
    recorded(desk, refused_outcome(2, code="revoked"))
    assert len(desk.view()["quarantine"]) == 2
    desk.do(Restore(), ADA)
    assert hello(desk)["refusal"] == ""


@pytest.mark.parametrize("actor", STRANGERS)
def test_a_stranger_opens_no_session_of_the_clinic(actor) -> None:
    assert refused(session_desk(actor), opening(), actor, Forbidden).code == "forbidden"


def test_nobody_opens_the_session_of_another() -> None:
    for desk in (session_desk(), new_session()):
        assert refused(desk, opening(), QUINN, NotFound).code == "not_found"
        assert refused(desk, opening(device_id="tablet-2"), PIA, NotFound).code == "not_found"


def test_a_session_is_of_organizations_that_its_person_works_for() -> None:
    desk = session_desk()
    assert refused(desk, opening(organizations=(CLINIC, OTHER_CLINIC)), PIA, Forbidden).code == "forbidden"
    for organizations in ((), tuple(map(str, range(51)))):
        refused(desk, opening(organizations=organizations), PIA, Invalid)


@pytest.mark.parametrize(
    "fields", [{"epoch": -1}, {"epoch": 2**53}, {"first_unacked": 0}, {"conn_id": ""}, {"location_id": "a b"}]
)
def test_a_malformed_hello_is_refused_with_its_field(fields) -> None:
    failure = refused(session_desk(), opening(**fields), PIA, Invalid)
    assert failure.errors[0].path == next(iter(fields))


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ((msgspec.structs.replace(done(1), seq=0),), "entries.0.seq"),
        ((msgspec.structs.replace(done(1), hash=b"x" * 33),), "entries.0.hash"),
        ((msgspec.structs.replace(refused_outcome(1), item_id=""),), "entries.0.item_id"),
        ((refused_outcome(1), msgspec.structs.replace(refused_outcome(2), item_id=item_of(1))), "entries.1.item_id"),
        (tuple(done(seq) for seq in range(1, RECORD_ENTRIES_MAX + 2)), "entries"),
    ],
)
def test_malformed_outcomes_are_refused_with_their_field(entries, path) -> None:
    failure = refused(new_session(), Record(generation=1, entries=entries), PIA, Invalid)
    assert failure.errors[0].path == path


def test_others_of_the_clinic_do_not_record_in_somebodys_session() -> None:
    desk = new_session()
    for command in (
        Record(generation=1, entries=(done(1),)),
        Ack(epoch=1, upto=1),
        Touch(generation=1),
        Close(generation=1),
        Recall(epoch=1),
    ):
        assert refused(desk, command, QUINN, Forbidden).code == "forbidden"
        assert refused(desk, command, STRANGERS[0], NotFound).code == "not_found"
    with pytest.raises(Conflict):
        recorded(desk, done(1), generation=2)


def test_watchers_are_told_of_what_people_act_on_not_of_the_count_alone() -> None:
    desk = new_session()
    kind = desk.kind
    assert not kind.tells(desk.do(Record(generation=1, entries=(done(1),)), PIA).events)
    assert kind.tells(desk.do(Record(generation=1, entries=(done(2), refused_outcome(3))), PIA).events)
    assert kind.tells(desk.do(Close(generation=1), PIA).events)
