"""Signatures freeze the content; corrections stand beside it; every step is in the table."""

import hashlib
import json

import pytest

from actors.document_commands import (
    AddAddendum,
    Cosign,
    EnterInError,
    RejectCosign,
    SetField,
    SetStatus,
    Sign,
    StrikePoint,
)
from actors.document_content import content_of
from actors.document_status import TRANSITIONS, Cause, DocumentStatus
from actors.document_values import INTENT_MS, REAUTH_MS
from actors.runtime.entity import NOTHING, SYSTEM
from domain.errors import Forbidden, Invalid
from tests.actors.documents import (
    ADA,
    PIA,
    QUINN,
    RITA,
    Document,
    at,
    charted,
    cosigned,
    hash_of,
    new_document,
    note,
    point,
    ready,
    refused,
    signature,
    signed,
    status_of,
    uid,
)


def addendum(name: str = "a", **fields: str) -> AddAddendum:
    return AddAddendum(**{"addendum_id": uid(name), "text": "The lot is L2.", "reason": "wrong lot", **fields})


def pending(**fields: object) -> Document:
    return signed(charted(needs_cosign=True, **fields))


def in_status(status: str) -> Document:
    make = {
        "draft": charted,
        "ready": lambda: ready(charted()),
        "signed": lambda: signed(charted()),
        "pending_cosign": pending,
        "cosigned": lambda: cosigned(charted(needs_cosign=True)),
        "addendum_required": pending,
        "amended": lambda: signed(charted()),
        "entered_in_error": charted,
    }
    desk = make[status]()
    if status == "addendum_required":
        desk.do(RejectCosign("the lot is missing"), QUINN)
    if status == "amended":
        desk.do(addendum(), PIA)
    if status == "entered_in_error":
        desk.do(EnterInError("another patient's"), PIA)
    assert status_of(desk) == status
    return desk


def test_a_signature_has_name_meaning_time_device_and_the_hash_of_the_content() -> None:
    desk = ready(charted())
    desk.wait(60_000)
    reply = desk.do(Sign(**signature(desk)), QUINN, "tablet-2", at(desk.now_ms - 1_000)).reply
    view = desk.view()
    assert view["status"] == "signed"
    assert view["signatures"] == {
        reply["signature_id"]: {
            "meaning": "I performed this treatment",
            "printed_name": "Pia Provider, NP",
            "content_hash": hash_of(desk),
            "cosigner": False,
            "by": "quinn",
            "at": "2026-01-01T00:00:59.000Z",
            "recorded_at": "2026-01-01T00:01:00.000Z",
            "device": "tablet-2",
        }
    }


def test_the_hash_is_of_the_content_as_canonical_json() -> None:
    desk = charted(title="Glabella: Überblick 額")
    content = content_of(desk.state)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hash_of(desk) == desk.view()["content_hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert content["points"][uid("p")]["injection"]["dose"] == "4"
    assert content["fields"] == {"history.allergies": "none"}
    assert content["wastage"][uid("w")]["reason"] == "left in the needle"
    assert content["photos"][uid("f")]["taken_at"] == "2026-01-01T00:00:00.000Z"
    assert {"patient_id", "visit_id", "template", "title", "containers", "notes"} <= set(content)


def test_the_hash_changes_with_the_content_and_with_nothing_else() -> None:
    desk = charted()
    before = hash_of(desk)
    ready(desk)
    conflict = desk.do(SetField(name="history.allergies", value="latex"), QUINN).reply
    assert conflict["current"] == "none"
    assert hash_of(desk) == before
    desk.do(SetField(name="history.allergies", value="latex", base_version=2), QUINN)
    assert hash_of(desk) != before


def test_what_is_signed_hashes_to_the_same_for_ever() -> None:
    desk = pending()
    frozen = hash_of(desk)
    desk.do(note("late"), RITA)
    desk.do(RejectCosign("lot?"), QUINN)
    desk.do(addendum(), PIA)
    desk.do(point("late"), QUINN)
    desk.do(Cosign(**signature(desk)), QUINN)
    desk.do(note("later"), PIA)
    desk.do(addendum("b"), PIA)
    desk.do(EnterInError("another patient's"), ADA)
    assert hash_of(desk) == frozen
    assert {one["content_hash"] for one in desk.view()["signatures"].values()} == {frozen}


@pytest.mark.parametrize("status", ["draft", "addendum_required", "entered_in_error"])
def test_only_what_is_ready_can_be_signed(status) -> None:
    desk = in_status(status)
    failure = refused(desk, Sign(**signature(desk)), RITA)
    assert failure.code == ("taken" if desk.state.signatures else "invalid_transition")


def test_the_first_signature_wins_and_the_other_is_told_by_whom() -> None:
    desk = signed(charted())
    failure = refused(desk, Sign(**signature(desk)), QUINN)
    assert (failure.code, failure.extra) == ("taken", {"by": "pia"})
    assert desk.do(Sign(**signature(desk)), PIA) == NOTHING


def test_signing_what_has_changed_says_what_it_is_now() -> None:
    desk = ready(charted())
    failure = refused(desk, Sign(**signature(desk, content_hash="0" * 64)), PIA)
    assert (failure.code, failure.extra) == ("content_changed", {"current": hash_of(desk)})


def test_signing_waits_for_every_conflict_to_be_resolved() -> None:
    desk = charted()
    conflict_id = desk.do(SetField(name="history.allergies", value="latex"), QUINN).reply["conflict_id"]
    ready(desk)
    failure = refused(desk, Sign(**signature(desk)), PIA)
    assert (failure.code, failure.extra) == ("conflicts_open", {"conflicts": [conflict_id]})


def test_signing_offline_is_an_intent_that_expires() -> None:
    desk = ready(charted())
    late = Sign(**signature(desk))
    with pytest.raises(Exception, match="intent_expired"):
        desk.do(late, PIA, "tablet-1", at(desk.now_ms - INTENT_MS - 1))
    desk.do(late, PIA, "tablet-1", at(desk.now_ms - INTENT_MS))
    assert status_of(desk) == "signed"


@pytest.mark.parametrize("ago_ms", [REAUTH_MS + 1, -REAUTH_MS - 1])
def test_signing_needs_fresh_proof_of_who_one_is(ago_ms) -> None:
    desk = ready(charted())
    old = Sign(**signature(desk, authenticated_ms=desk.now_ms - ago_ms))
    assert refused(desk, old, PIA, Forbidden).code == "reauthentication_required"
    never = Sign(**signature(desk, authenticated_ms=0))
    assert refused(desk, never, PIA, Forbidden).code == "reauthentication_required"
    desk.do(Sign(**signature(desk, authenticated_ms=desk.now_ms - REAUTH_MS)), PIA)


@pytest.mark.parametrize("name", ["meaning", "printed_name", "content_hash"])
def test_a_signature_says_all_of_it(name) -> None:
    desk = ready(charted())
    assert refused(desk, Sign(**signature(desk, **{name: ""})), PIA, Invalid).errors[0].path == name


def test_the_cosigner_is_another_than_the_signer() -> None:
    desk = pending()
    assert refused(desk, Cosign(**signature(desk)), PIA, Forbidden).code == "same_signer"
    assert refused(desk, RejectCosign("?"), PIA, Forbidden).code == "same_signer"
    desk.do(Cosign(**signature(desk)), RITA)
    assert status_of(desk) == "cosigned"
    assert desk.do(Cosign(**signature(desk)), RITA) == NOTHING
    assert refused(desk, Cosign(**signature(desk)), QUINN).extra == {"by": "rita"}


def test_only_the_named_cosigner_cosigns_and_cannot_sign_first() -> None:
    desk = pending(cosigner="quinn")
    assert refused(desk, Cosign(**signature(desk)), RITA, Forbidden).code == "forbidden"
    assert refused(desk, RejectCosign("?"), RITA, Forbidden).code == "forbidden"
    desk.do(Cosign(**signature(desk)), QUINN)
    first = ready(charted(needs_cosign=True, cosigner="quinn"))
    assert refused(first, Sign(**signature(first)), QUINN, Forbidden).code == "same_signer"


def test_a_cosigner_proves_who_they_are_and_what_they_sign() -> None:
    desk = pending()
    old = Cosign(**signature(desk, authenticated_ms=desk.now_ms - REAUTH_MS - 1))
    assert refused(desk, old, QUINN, Forbidden).code == "reauthentication_required"
    assert refused(desk, Cosign(**signature(desk, content_hash="?")), QUINN).code == "content_changed"


@pytest.mark.parametrize("status", ["draft", "ready", "signed", "addendum_required", "amended", "entered_in_error"])
def test_only_what_waits_for_it_is_cosigned_or_rejected(status) -> None:
    desk = in_status(status)
    failure = refused(desk, Cosign(**signature(desk)), RITA)
    assert (failure.code, failure.extra) == ("invalid_transition", {"current": status})
    assert refused(desk, RejectCosign("another reason"), RITA).extra == {"current": status}


def test_a_rejected_cosignature_demands_an_addendum_and_goes_back_to_the_cosigner() -> None:
    desk = pending()
    desk.do(RejectCosign("the lot is missing"), QUINN)
    assert desk.view()["reason"] == "the lot is missing"
    assert desk.do(RejectCosign("the lot is missing"), QUINN) == NOTHING
    desk.do(addendum(), PIA, "tablet-1")
    assert status_of(desk) == "pending_cosign"
    assert desk.view()["addenda"][uid("a")] == {
        "label": "addendum",
        "text": "The lot is L2.",
        "reason": "wrong lot",
        "by": "pia",
        "at": "2026-01-01T00:00:00.000Z",
        "device": "tablet-1",
    }
    desk.do(Cosign(**signature(desk)), QUINN)
    assert status_of(desk) == "cosigned"


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("signed", "amended"),
        ("cosigned", "amended"),
        ("amended", "amended"),
        ("pending_cosign", "pending_cosign"),
        ("addendum_required", "pending_cosign"),
    ],
)
def test_an_addendum_amends_what_is_signed(status, after) -> None:
    desk = in_status(status)
    desk.do(addendum("b"), QUINN)
    assert status_of(desk) == after
    assert desk.do(addendum("b"), PIA) == NOTHING
    assert refused(desk, addendum("b", text="other"), PIA).code == "item_exists"


def test_a_required_addendum_without_a_cosigner_amends() -> None:
    desk = signed(charted())
    desk.do(note("late"), PIA)
    desk.do(addendum(), PIA)
    assert status_of(desk) == "amended"


@pytest.mark.parametrize(
    ("status", "code"), [("draft", "not_signed"), ("ready", "not_signed"), ("entered_in_error", "entered_in_error")]
)
def test_an_addendum_needs_a_signature_and_its_refusal_is_no_status_conflict(status, code) -> None:
    failure = refused(in_status(status), addendum("b"), PIA)
    assert failure.code == code
    assert "current" not in failure.extra


@pytest.mark.parametrize(("fields", "path"), [({"text": ""}, "text"), ({"reason": ""}, "reason")])
def test_an_addendum_says_what_and_why(fields, path) -> None:
    assert refused(signed(charted()), addendum(**fields), PIA, Invalid).errors[0].path == path


@pytest.mark.parametrize("status", [status.value for status in DocumentStatus if status != "entered_in_error"])
@pytest.mark.parametrize("actor", [PIA, ADA], ids=["provider", "admin"])
def test_a_document_can_be_entered_in_error_from_everywhere_for_good(status, actor) -> None:
    desk = in_status(status)
    assert refused(desk, EnterInError(" "), actor, Invalid).errors[0].path == "reason"
    desk.do(EnterInError("another patient's"), actor)
    assert desk.view()["reason"] == "another patient's"
    assert desk.do(EnterInError("again"), actor) == NOTHING
    assert refused(desk, SetStatus(to="draft"), PIA).extra == {"current": "entered_in_error"}
    for command in (
        SetField(name="a.b", value=1),
        StrikePoint(point_id=uid("p"), reason="r"),
        point("x", planned=True),
    ):
        failure = refused(desk, command, PIA)
        assert (failure.code, failure.extra) == ("entered_in_error", {})


def test_the_system_enters_nothing_in_error() -> None:
    assert refused(charted(), EnterInError("?"), SYSTEM, Forbidden).code == "forbidden"


@pytest.mark.parametrize("before", DocumentStatus)
@pytest.mark.parametrize("to", DocumentStatus)
def test_set_status_goes_only_where_the_table_lets_it(before, to) -> None:
    desk = in_status(before.value)
    step = TRANSITIONS.get((before, to))
    if before is to:
        assert desk.do(SetStatus(to=to.value), PIA) == NOTHING
    elif step is not None and Cause.SET_STATUS in step.causes:
        desk.do(SetStatus(to=to.value, from_=before.value), QUINN, "tablet-2")
        assert desk.view()["stamps"][to.value] == {
            "by": "quinn",
            "at": "2026-01-01T00:00:00.000Z",
            "device": "tablet-2",
            "cause": "set_status",
        }
    else:
        failure = refused(desk, SetStatus(to=to.value), PIA)
        assert (failure.code, failure.extra) == ("invalid_transition", {"current": before.value})


def test_set_status_from_another_status_says_which_it_is() -> None:
    failure = refused(ready(new_document()), SetStatus(to="draft", from_="signed"), PIA)
    assert (failure.code, failure.extra) == ("conflict", {"current": "ready"})
    assert refused(new_document(), SetStatus(to="finished"), PIA, Invalid).errors[0].path == "to"
