"""A document's operations as a device sends them: what the service resolves, and what it takes from nobody."""

from typing import Any

import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.hlc import stamp
from domain.ids import new_command_id, new_id
from services.document_operations import OPERATIONS, DocumentOperations
from services.entities import DOCUMENT, Sender
from tests.serve.charting import DOSE, FOREIGN_TOXIN, HERE, PATIENT, PIA, QUINN, Charting
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House

PIAS = Actor(PIA, ("provider",), (CLINIC,))
QUINNS = Actor(QUINN, ("provider",), (CLINIC,))
POINT = {**HERE, **DOSE, "point_id": new_id()}
ANSWER = {"conflict_id": new_id(), "reason": "x"}
VIAL = {"container_id": "v", "amount": "1", "unit": "U"}
STRANGER = Actor(new_id(), ("provider",), (OTHER_CLINIC,))


@pytest.fixture
async def charting(house: House) -> Charting:
    return await Charting(house).open()


class Tablet:
    def __init__(self, charting: Charting, actor: Actor = PIAS, device: str = "tablet-1") -> None:
        gateway = charting.house.gateway
        self._operations = DocumentOperations(gateway.documents, gateway.kinds[DOCUMENT])
        self._actor = actor
        self._device = device
        self.document = charting.document

    async def do(self, op: str, args: dict[str, Any], base_fver: int | None = None, **more: Any) -> Any:
        sender = Sender(self._actor, "conn.1", new_command_id(), b"\1" * 16, device=self._device, **more)
        return await self._operations.execute(sender, self.document, op, args, base_fver)


async def test_a_tablet_charts_and_signs(charting: Charting) -> None:
    tablet = Tablet(charting)
    tablet.document = charting.document = new_id()
    create = {"organization_id": CLINIC, "location_id": charting.location, "patient_id": PATIENT, "template": "t"}
    await tablet.do("create", create)
    await tablet.do("add_point", {**HERE, **DOSE, "point_id": new_id()})
    await tablet.do("set_field", {"name": "a.b", "value": True})
    await tablet.do("set_status", {"to": "ready"})
    signed = await tablet.do("sign", await charting.signature())
    shown = await charting.shown()
    assert shown["status"] == "signed"
    assert signed.data["content_hash"] == shown["content_hash"]
    assert (signed.view, {one["device"] for one in shown["points"].values()}) == (b"", {"tablet-1"})


async def test_a_stale_register_is_a_conflict_by_the_version_that_the_tablet_saw(charting: Charting) -> None:
    mine, other = Tablet(charting), Tablet(charting, QUINNS, "tablet-2")
    first = await mine.do("set_field", {"name": "a.b", "value": 1}, 0)
    assert (await other.do("set_field", {"name": "a.b", "value": 2}, first.version)).data is None
    stale = await mine.do("set_field", {"name": "a.b", "value": 3, "base_version": 10**6}, 0)
    assert stale.data["current"] == 2
    assert (await charting.shown())["conflicts"][stale.data["conflict_id"]]["offered"]["value"] == 3


async def test_nobody_says_by_themselves_when_they_proved_who_they_are(charting: Charting) -> None:
    tablet = Tablet(charting)
    await tablet.do("set_status", {"to": "ready"})
    body = await charting.signature()
    now = charting.house.clock.now_ms()
    for args in (
        {**body, "proof": "", "authenticated_ms": now},
        {**body, "proof": charting.house.tokens.issue(QUINN, ("provider",), (CLINIC,))},
        {name: value for name, value in body.items() if name != "proof"},
    ):
        with pytest.raises(Forbidden) as caught:
            await tablet.do("sign", args)
        assert caught.value.failure.code == "reauthentication_required"
    with pytest.raises(Invalid) as refused:
        await tablet.do("sign", {**body, "proof": 7})
    assert refused.value.failure.errors[0].path == "proof"


async def test_an_offline_signature_is_an_intent_that_expires(charting: Charting) -> None:
    tablet = Tablet(charting)
    await tablet.do("set_status", {"to": "ready"})
    hour_ago = stamp(charting.house.clock.now_ms() - 3_600_000)
    with pytest.raises(Conflict) as caught:
        await tablet.do("sign", await charting.signature(), hlc=hour_ago)
    assert caught.value.failure.code == "intent_expired"


@pytest.mark.parametrize(
    ("op", "args", "path", "code"),
    [
        ("add_point", {**POINT, "product_id": FOREIGN_TOXIN}, "product_id", "unknown_product"),
        ("add_point", {**POINT, "x": "500"}, "x", "invalid"),
        ("set_field", {"name": "a.b"}, "$", "invalid"),
        ("set_field", {"name": "a.b", "value": 2.5}, "value", "invalid"),
        ("resolve", {**ANSWER, "value": {**DOSE, "product_id": "x"}}, "value.product_id", "unknown_product"),
        ("open_container", {**VIAL, "product_id": new_id()}, "product_id", "unknown_product"),
    ],
)
async def test_bad_arguments_name_the_field(charting: Charting, op, args, path, code) -> None:
    with pytest.raises(Invalid) as caught:
        await Tablet(charting).do(op, args)
    assert [(each.path, each.code) for each in caught.value.failure.errors] == [(path, code)]


async def test_what_no_document_does_is_no_operation(charting: Charting) -> None:
    assert {"create", "sign", "set_field", "resolve"} <= OPERATIONS
    for op in ("", "delete", "claim", "Sign"):
        with pytest.raises(Invalid) as caught:
            await Tablet(charting).do(op, {})
        assert caught.value.failure.code == "unknown_operation"
    await Tablet(charting).do("append_note", {"type": "enter_in_error", "note_id": new_id(), "text": "x"})
    assert (await charting.shown())["status"] == "draft"


async def test_a_strangers_commands_are_refused_and_in_the_trail(charting: Charting) -> None:
    stranger = Tablet(charting, STRANGER, "tablet-9")
    create = {"organization_id": CLINIC, "location_id": charting.location, "patient_id": "p", "template": "t"}
    for op, args in (
        ("create", create),
        ("add_point", {**HERE, **DOSE, "point_id": new_id(), "product_id": new_id()}),
        ("set_field", {"name": "a.b", "value": 1}),
        ("join", {}),
    ):
        with pytest.raises(NotFound):
            await stranger.do(op, args)
    refused = [(one["action"], one["outcome"], one["device"]) for one in (await charting.trail())[:4]]
    assert refused == [(op, "not_found", "tablet-9") for op in ("join", "set_field", "add_point", "create")]
    stranger.document = new_id()
    before = len(await charting.trail())
    with pytest.raises(NotFound):
        await stranger.do("join", {})
    assert len(await charting.trail()) == before


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
async def test_ids_that_no_table_can_hold_never_reach_one(charting: Charting, text: str) -> None:
    tablet = Tablet(charting)
    with pytest.raises(Invalid) as unknown:
        await tablet.do("add_point", {**POINT, "product_id": text})
    assert unknown.value.failure.errors[0].path == "product_id"
    tablet.document = new_id()
    create = {"organization_id": CLINIC, "location_id": text, "patient_id": PATIENT, "template": "t"}
    with pytest.raises(Invalid) as malformed:
        await tablet.do("create", create)
    assert (malformed.value.failure.errors[0].path, malformed.value.failure.errors[0].code) == (
        "location_id",
        "malformed",
    )
