"""What a device predicts of an edit is what the real entity makes of it, as far as a device can know."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.document import DocumentKind
from actors.room_status import RoomStatus
from domain.errors import AtriumError
from domain.hlc import stamp
from domain.times import to_rfc3339
from realtime.client.predictors import PREDICTORS, LocalEdit, View, register_of, register_version
from tests.actors.desk import START_MS
from tests.actors.documents import PIA, QUINN, new_document, uid
from tests.actors.rooms import VISIT, going, new_room
from tests.actors.sessions import new_session

TABLET = "tablet-1"
TEXT = st.sampled_from(["", "a", "b"])
POINTS = [uid(name) for name in "pq"]
DRAWS = st.fixed_dictionaries(
    {"product_id": st.sampled_from(["toxin-a", "toxin-b"]), "dose": st.sampled_from(["4", "5.5"]), "unit": st.just("U")}
)
POINT = st.sampled_from(POINTS)
REASON = st.sampled_from(["wrong side", "dropped"])
EDITS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "set_field": st.fixed_dictionaries(
        {"name": st.sampled_from(["plan.a", "plan.b"]), "value": st.one_of(TEXT, st.booleans(), st.integers(0, 2))}
    ),
    "add_point": st.builds(
        lambda point, planned, draw: {
            "point_id": point,
            "view": "front",
            "x": 500,
            "y": 340,
            "planned": planned,
            **draw,
        },
        POINT,
        st.booleans(),
        DRAWS,
    ),
    "set_point": st.one_of(
        st.builds(lambda point, lot: {"point_id": point, "lot": lot}, POINT, TEXT),
        st.builds(
            lambda point, dose: {"point_id": point, "dose": dose, "unit": "U"}, POINT, st.sampled_from(["7", "8"])
        ),
    ),
    "perform_point": st.builds(lambda point, draw: {"point_id": point, **draw}, POINT, DRAWS),
    "strike_point": st.fixed_dictionaries({"point_id": POINT, "reason": REASON}),
    "open_container": st.fixed_dictionaries(
        {
            "container_id": st.sampled_from(["v1", "v2"]),
            "product_id": st.just("toxin-a"),
            "amount": st.just("20"),
            "unit": st.just("U"),
        }
    ),
    "record_wastage": st.fixed_dictionaries(
        {
            "wastage_id": POINT,
            "container_id": st.just("v1"),
            "amount": st.just("1"),
            "unit": st.just("U"),
            "reason": REASON,
        }
    ),
    "append_note": st.fixed_dictionaries({"note_id": POINT, "text": st.sampled_from(["fine", "sore"])}),
    "attach_photo": st.fixed_dictionaries(
        {
            "photo_id": POINT,
            "view": st.just("front"),
            "sha256": st.just("ab" * 32),
            "media_type": st.just("image/jpeg"),
            "bytes": st.just(1000),
            "taken_at": st.just("2026-01-01T00:00:00.000Z"),
        }
    ),
    "set_status": st.fixed_dictionaries({"to": st.sampled_from(["draft", "ready"])}),
    "join": st.just({}),
    "leave_off": st.just({}),
}
STEP = st.sampled_from(sorted(EDITS)).flatmap(lambda op: st.tuples(st.just(op), EDITS[op], st.booleans()))
_STAMPED = ("by", "at", "device", "recorded_at", "device_clock")
_ONLY_SERVER = ("fver", "region")


def essence(view: View) -> View:
    """What a device can know: no ids of the server's, no hashes, versions and regions."""
    kept = {"status": view["status"], "participants": sorted(view["participants"]), "open": view["open_conflicts"]}
    for name in ("fields", "points", "containers", "wastage", "notes", "photos"):
        kept[name] = {key: _without_stamps(item) for key, item in view[name].items()}
    kept["conflicts"] = {key: (one["register"], one["status"]) for key, one in view["conflicts"].items()}
    return kept


def _without_stamps(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {
        name: _without_stamps(value)
        for name, value in item.items()
        if name not in _STAMPED and name not in _ONLY_SERVER and value not in ({}, False, "")
    }


def command_of(kind: Any, op: str, args: dict[str, Any]) -> Any:
    return msgspec.convert({**args, "type": op}, _union(kind))


def _union(kind: Any) -> Any:
    union = kind.commands[0]
    for one in kind.commands[1:]:
        union |= one
    return union


def edit_at(ms: int, op: str, args: dict[str, Any], base: int = 0) -> LocalEdit:
    return LocalEdit(op, args, PIA.subject, TABLET, to_rfc3339(ms), base)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=14))
def test_documents_become_what_was_predicted(steps: list[tuple[str, dict[str, Any], bool]]) -> None:
    desk = new_document()
    for op, args, mine in steps:
        desk.now_ms += 1_000
        before = desk.view()
        edit = edit_at(desk.now_ms, op, args)
        predicted = PREDICTORS["document", op](before, edit)
        assert before == desk.view(), "a prediction touches nothing"
        assert predicted is not None
        assert PREDICTORS["document", op](predicted, edit) == predicted, "once is enough"
        register = register_of("document", op, args, before)
        fields = dict(args)
        if register:
            fields["base_version"] = register_version(before, register)
        conflicts = before["open_conflicts"]
        try:
            actor, device = (PIA, TABLET) if mine else (QUINN, "tablet-2")
            desk.do(command_of(DocumentKind, op, fields), actor, device, stamp(desk.now_ms, 0, device))
        except AtriumError:
            continue
        after = desk.view()
        if mine and after["open_conflicts"] == conflicts:
            assert essence(predicted) == essence(after)
            confirmed = PREDICTORS["document", op](after, edit)
            assert confirmed is not None
            assert essence(confirmed) == essence(after), "a prediction over what is confirmed changes nothing"


def test_a_conflict_is_predicted_to_be_resolved() -> None:
    desk = new_document()
    for value, actor, device in (("none", PIA, TABLET), ("latex", QUINN, "tablet-2")):
        desk.do(command_of(DocumentKind, "set_field", {"name": "plan.a", "value": value}), actor, device)
    before = desk.view()
    (conflict_id,) = before["conflicts"]
    args = {"conflict_id": conflict_id, "value": "latex", "reason": "asked again"}
    predicted = PREDICTORS["document", "resolve"](before, edit_at(desk.now_ms, "resolve", args))
    desk.do(command_of(DocumentKind, "resolve", args), PIA, TABLET)
    assert predicted is not None
    assert essence(predicted) == essence(desk.view())
    assert register_of("document", "resolve", args, before) == "plan.a"
    assert "conflicts" not in predicted["fields"]["plan.a"]


@pytest.mark.parametrize("planned", [True, False])
def test_a_conflict_about_a_point_is_predicted_to_be_resolved(planned: bool) -> None:
    desk = new_document()
    point = {"point_id": POINTS[0], "view": "front", "x": 500, "y": 340, "planned": True}
    draw = {"product_id": "toxin-a", "dose": "4", "unit": "U"}
    desk.do(command_of(DocumentKind, "add_point", {**point, **draw}), PIA, TABLET)
    for dose, actor, device in (("5", PIA, TABLET), ("6", QUINN, "tablet-2")):
        op = "set_point" if planned else "perform_point"
        base = {"base_version": desk.view()["points"][POINTS[0]]["fver"]["dose"]} if planned and actor is PIA else {}
        extra = {} if planned else {"product_id": "toxin-a"}
        told = {"point_id": POINTS[0], "dose": dose, "unit": "U", **extra, **base}
        desk.do(command_of(DocumentKind, op, told), actor, device)
    before = desk.view()
    (conflict_id,) = before["conflicts"]
    value = "6 U" if planned else {"product_id": "toxin-a", "dose": "6", "unit": "U"}
    args = {"conflict_id": conflict_id, "value": value, "reason": "counted"}
    predicted = PREDICTORS["document", "resolve"](before, edit_at(desk.now_ms, "resolve", args))
    desk.do(command_of(DocumentKind, "resolve", args), PIA, TABLET)
    assert predicted is not None
    assert essence(predicted) == essence(desk.view())


def test_a_document_that_does_not_exist_yet_is_predicted_whole() -> None:
    real = new_document().view()
    args = {
        name: real[name] for name in ("organization_id", "location_id", "patient_id", "template", "visit_id", "title")
    }
    predicted = PREDICTORS["document", "create"](None, edit_at(START_MS, "create", args))
    assert predicted is not None
    assert essence(predicted) == essence(real)
    missing = real.keys() - predicted.keys()
    assert missing == {"id", "content_hash", "stamps"}
    assert {name: predicted[name] for name in predicted.keys() - {"version"}} == {
        name: real[name] for name in predicted.keys() - {"version"}
    }


ROOM_SHOWS = ("status", "occupied", "reason", "waiting_for", "patient_id", "visit_id", "by", "device", "since")


@given(st.lists(st.sampled_from(list(RoomStatus)), max_size=12))
def test_rooms_become_what_was_predicted(way: list[RoomStatus]) -> None:
    desk = new_room()
    for to in way:
        desk.now_ms += 1_000
        before = desk.view()
        command = going(
            to.value, **({"visit_id": before["held_for"]} if to == "roomed" and before.get("held_for") else {})
        )
        told = msgspec.to_builtins(command)
        edit = edit_at(desk.now_ms, "set_status", told)
        predicted = PREDICTORS["room", "set_status"](before, edit)
        try:
            desk.do(command, PIA, TABLET)
        except AtriumError:
            continue
        after = desk.view()
        assert predicted is not None
        assert {name: predicted.get(name) for name in ROOM_SHOWS} == {name: after.get(name) for name in ROOM_SHOWS}
        assert PREDICTORS["room", "set_status"](predicted, edit) == predicted


def test_a_move_from_where_the_room_is_not_predicts_nothing() -> None:
    view = new_room().view()
    edit = edit_at(START_MS, "set_status", {"to": "roomed", "from": "held", **VISIT})
    assert PREDICTORS["room", "set_status"](view, edit) == view


def test_a_claim_is_shown_as_an_intent_and_never_as_a_fact() -> None:
    view = new_room().view()
    claimed = PREDICTORS["room", "claim"](view, edit_at(START_MS, "claim", {}))
    assert claimed is not None
    assert "claim" not in claimed
    assert claimed["claim_intent"]["by"] == PIA.subject
    released = PREDICTORS["room", "release"](claimed, edit_at(START_MS, "release", {}))
    assert released == view


def test_a_session_becomes_what_was_predicted() -> None:
    desk = new_session()
    names = ("room_id", "patient_id", "visit_id", "room_since", "documents")
    steps: list[tuple[str, dict[str, Any]]] = [
        ("enter", {"room_id": "r1", "patient_id": "p1", "visit_id": "v1"}),
        ("open_document", {"document_id": "d1"}),
        ("enter", {"room_id": "r2"}),
        ("open_document", {"document_id": "d1"}),
        ("close_document", {"document_id": "d1"}),
        ("leave", {}),
    ]
    for op, args in steps:
        desk.now_ms += 1_000
        edit = edit_at(desk.now_ms, op, args)
        predicted = PREDICTORS["session", op](desk.view(), edit)
        desk.do(command_of(type(desk.kind), op, args), PIA, TABLET)
        assert predicted is not None
        shown = {name: value for name, value in predicted.items() if name in names and value}
        assert shown == {name: value for name, value in desk.view().items() if name in names and value}
        assert PREDICTORS["session", op](predicted, edit) == predicted


def test_a_quantity_is_predicted_and_its_price_is_not() -> None:
    money = {"amount": 300, "currency": "EUR"}
    cart = {
        "lines": {"1": {"quantity": 1, "total": money, "unit_price": money}, "2": {"quantity": 2, "total": money}},
        "items_count": 3,
        "lines_count": 2,
        "total": money,
        "subtotal": money,
    }
    more = PREDICTORS["cart", "set_quantity"](cart, edit_at(0, "set_quantity", {"line_id": "1", "quantity": 5}))
    assert more == {
        "lines": {"1": {"quantity": 5, "unit_price": money}, "2": {"quantity": 2, "total": money}},
        "items_count": 7,
        "lines_count": 2,
    }
    less = PREDICTORS["cart", "remove_line"](more, edit_at(0, "remove_line", {"line_id": "1"}))
    assert less is not None
    assert (less["items_count"], set(less["lines"])) == (2, {"2"})
    assert PREDICTORS["cart", "clear"](less, edit_at(0, "clear", {})) == {
        "lines": {},
        "items_count": 0,
        "lines_count": 0,
    }


@pytest.mark.parametrize("known", sorted(PREDICTORS.keys() - {("document", "create")}))
def test_nothing_is_predicted_of_what_is_unknown(known: tuple[str, str]) -> None:
    assert PREDICTORS[known](None, edit_at(0, known[1], {})) is None
