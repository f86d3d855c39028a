"""Who begins, sees and writes a document, and where it is listed."""

import pytest

from actors.document import DocumentKind
from actors.document_commands import Create, EnterInError, Join, LeaveOff, RejectCosign, SetField
from actors.document_values import PARTICIPANTS_MAX
from actors.kinds import CLINICAL_OPERATIONS, DEVICE_OPERATIONS
from actors.runtime.entity import NOTHING, SYSTEM, Actor
from domain.errors import Forbidden, Invalid, NotFound
from tests.actors.desk import Desk
from tests.actors.documents import (
    ADA,
    CLINIC,
    FRED,
    NEW,
    PIA,
    QUINN,
    RITA,
    STRANGERS,
    at,
    charted,
    cosigned,
    new_document,
    note,
    refused,
    signed,
    status_of,
)

EDIT = SetField(name="a.b", value=1)


def test_a_document_begins_as_its_authors_draft() -> None:
    desk: Desk = Desk(DocumentKind(), "document-1")
    desk.do(Create(**NEW, needs_cosign=True, cosigner="quinn"), PIA, "tablet-1", at(desk.now_ms - 60_000))
    view = desk.view()
    assert {name: view[name] for name in NEW} == NEW
    assert (view["status"], view["author"], view["cosigner"]) == ("draft", "pia", "quinn")
    assert view["created_at"] == "2025-12-31T23:59:00.000Z"
    assert view["stamps"]["draft"]["recorded_at"] == view["updated_at"] == "2026-01-01T00:00:00.000Z"


def test_the_same_beginning_again_is_a_no_op_and_another_is_refused() -> None:
    desk = new_document()
    assert desk.do(Create(**NEW), QUINN) == NOTHING
    for name in ("location_id", "patient_id", "visit_id", "template", "title"):
        assert refused(desk, Create(**{**NEW, name: "other"}), PIA).code == "document_exists"
    assert refused(desk, Create(**NEW, needs_cosign=True), PIA).code == "document_exists"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"patient_id": ""}, "patient_id"),
        ({"organization_id": ""}, "organization_id"),
        ({"location_id": "two words"}, "location_id"),
        ({"template": ""}, "template"),
        ({"title": "x" * 201}, "title"),
        ({"cosigner": "quinn"}, "cosigner"),
    ],
)
def test_a_malformed_beginning_names_its_field(fields, path) -> None:
    desk: Desk = Desk(DocumentKind(), "document-1")
    assert refused(desk, Create(**{**NEW, **fields}), PIA, Invalid).errors[0].path == path


@pytest.mark.parametrize("actor", [FRED, ADA, SYSTEM, *STRANGERS], ids=lambda actor: actor.subject)
def test_only_a_provider_of_the_organization_begins_a_document(actor) -> None:
    desk: Desk = Desk(DocumentKind(), "document-1")
    refused(desk, Create(**NEW), actor, Forbidden)


@pytest.mark.parametrize("actor", [FRED, *STRANGERS], ids=lambda actor: actor.subject)
def test_to_everybody_else_a_document_looks_unknown(actor) -> None:
    desk = new_document()
    assert not desk.sees(actor)
    for command in (EDIT, note(), Create(**NEW), EnterInError("?"), Join()):
        refused(desk, command, actor, NotFound)


def test_nothing_can_be_told_to_a_document_that_does_not_exist() -> None:
    desk: Desk = Desk(DocumentKind(), "document-1")
    refused(desk, EDIT, PIA, NotFound)


@pytest.mark.parametrize("actor", [ADA, SYSTEM], ids=["admin", "system"])
def test_who_may_only_read_does_not_write(actor) -> None:
    desk = new_document()
    assert desk.sees(actor)
    for command in (EDIT, note(), Join(), RejectCosign("?")):
        refused(desk, command, actor, Forbidden)


def test_who_writes_takes_part() -> None:
    desk = new_document()
    desk.do(EDIT, QUINN)
    desk.do(Join(), RITA)
    assert desk.do(Join(), RITA) == NOTHING
    assert set(desk.view()["participants"]) == {"pia", "quinn", "rita"}
    desk.do(LeaveOff(), QUINN)
    assert desk.do(LeaveOff(), QUINN) == NOTHING
    assert set(desk.view()["participants"]) == {"pia", "rita"}
    desk.do(note(), QUINN)
    assert "quinn" in desk.view()["participants"]


def test_rejecting_a_cosignature_is_not_taking_part() -> None:
    desk = signed(charted(needs_cosign=True))
    desk.do(RejectCosign("why"), QUINN)
    assert "quinn" not in desk.view()["participants"]


def test_participants_have_a_bound_that_refuses_no_edit() -> None:
    desk = new_document()
    people = [Actor(f"p{number}", ("provider",), (CLINIC,)) for number in range(PARTICIPANTS_MAX)]
    for person in people[1:]:
        desk.do(Join(), person)
    assert refused(desk, Join(), people[0]).code == "document_full"
    desk.do(EDIT, people[0])
    assert len(desk.view()["participants"]) == PARTICIPANTS_MAX


def groups(desk: Desk) -> set[str]:
    return set(DocumentKind().groups(desk.state))


def test_an_open_document_is_in_its_locations_group_and_its_peoples() -> None:
    mine = {"location/location-1/documents", "user/pia/documents"}
    desk = charted(needs_cosign=True)
    assert groups(desk) == mine
    signed(desk)
    assert groups(desk) == mine | {"location/location-1/cosign"}
    desk.do(RejectCosign("why"), QUINN)
    assert groups(desk) == mine


@pytest.mark.parametrize("desk", [signed(charted()), cosigned(charted(needs_cosign=True))], ids=status_of)
def test_a_finished_document_is_in_no_group_until_a_late_entry(desk) -> None:
    assert groups(desk) == set()
    desk.do(note("late"), QUINN)
    assert "user/quinn/documents" in groups(desk)
    desk.do(EnterInError("?"), ADA)
    assert groups(desk) == set()


def test_the_index_row_has_no_clinical_content() -> None:
    desk = charted(needs_cosign=True)
    desk.do(SetField(name="history.allergies", value="latex"), QUINN)
    row = DocumentKind().index_row(desk.state)
    assert row.table == "documents"
    assert row.columns == {
        "organization_id": "clinic-1",
        "location_id": "location-1",
        "patient_id": "patient-1",
        "visit_id": "visit-1",
        "template": "toxin",
        "status": "draft",
        "author": "pia",
        "signer": None,
        "cosigner": None,
        "participants": ["pia", "quinn"],
        "conflicts_count": 1,
        "alerts_count": 0,
        "created_at": desk.now_ms,
        "updated_at": desk.now_ms,
    }


def test_the_index_row_says_who_signed() -> None:
    columns = DocumentKind().index_row(cosigned(charted(needs_cosign=True)).state).columns
    assert (columns["status"], columns["signer"], columns["cosigner"]) == ("cosigned", "pia", "quinn")


def test_a_replay_and_a_snapshot_give_the_same_document() -> None:
    desk = cosigned(charted(needs_cosign=True))
    desk.do(note("late"), QUINN)
    assert desk.replayed() == desk.restored() == desk.state


def test_devices_send_everything_but_signatures_and_lose_no_edit() -> None:
    tags = {command.__struct_config__.tag for command in DocumentKind.commands}
    assert DEVICE_OPERATIONS["document"] == tags - {"sign", "cosign"}
    without_content = {"set_status", "sign", "cosign", "reject_cosign", "join", "leave_off"}
    assert CLINICAL_OPERATIONS["document"] == tags - without_content


def test_a_document_is_sensitive() -> None:
    assert DocumentKind.sensitive


def test_a_view_is_free_of_floats() -> None:
    assert {type(leaf) for leaf in _leaves(charted().view())} == {str, int, bool}


def _leaves(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value
