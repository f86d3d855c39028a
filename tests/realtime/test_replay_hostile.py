"""A tablet's queue and devices that break the rules: numbers used twice, old epochs between new ones, odd arguments."""

from typing import Any

from actors.session_commands import ShowQuarantined
from domain.errors import Conflict, Unavailable
from realtime.codec import MSGPACK
from tests.realtime.fakes import DEVICE, command, settle
from tests.realtime.ledgers import PIA
from tests.realtime.queueing import DOCUMENT, SCOPE, Clinic, clinic, note, results

ANOTHER = "document/0190a0b0-0000-7000-8000-0000000000d1"


async def quarantined(house: Clinic, item_id: str) -> dict[str, Any]:
    item: dict[str, Any] | None = house.session().do(ShowQuarantined(item_id=item_id), PIA).reply
    assert item is not None
    return item


async def test_a_used_number_is_not_run_for_another_entity_because_its_refusal_could_not_be_kept() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        assert await results(wire, note(1)) == [(1, "applied", "")]
        house.ledger.failing = Unavailable("full", code="quarantine_full")
        await results(wire, note(1, ent=ANOTHER))
        house.ledger.failing = None
        assert await results(wire, note(1, ent=ANOTHER)) == [(1, "rejected", "seq_reuse")]
        assert [call["ent"] for call in house.port.calls] == [DOCUMENT]


async def test_what_waits_behind_a_held_command_of_an_old_epoch_is_expected_again() -> None:
    async with clinic() as house:
        await results(await house.tablet(epoch=1), note(1))
        wire = await house.tablet(epoch=2)
        settled, house.ledger.settled = house.ledger.settled, unavailable  # type: ignore[method-assign]
        wire.feed(note(7, epoch=1), note(1, epoch=2), note(2, epoch=2))
        await settle(60)
        house.ledger.settled = settled  # type: ignore[method-assign]
        assert {one["expected"] for one in wire.take("error") if one["code"] == "gap"} == {1}
        assert await results(wire, note(1, epoch=2), note(2, epoch=2)) == [(1, "applied", ""), (2, "applied", "")]


async def unavailable(*_: Any) -> Any:
    raise Unavailable("the host is being replaced", code="host_gone")


async def test_a_connection_that_must_end_runs_nothing_more() -> None:
    async with clinic() as house:
        wire = await house.tablet()
        house.ledger.failing = Conflict("newer", code="replaced")
        wire.feed(*(note(seq) for seq in range(1, 60)))
        await settle(400)
        assert wire.closed is not None
        assert len(house.port.calls) < 59


async def test_arguments_that_json_cannot_show_are_kept_described_and_without_a_proof() -> None:
    async with clinic() as house:
        wire = house.open(MSGPACK, scope=SCOPE)
        wire.feed({"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": "pia"})
        await settle(60)
        odd = {"proof": "eyJ-a-login", "at": {(1, 2): "a list as a key"}}
        wire.feed({**command(1, DOCUMENT, "sign", **odd), "schema": 2})
        await settle(60)
        (refused,) = wire.take("result")
        item = await quarantined(house, refused["quarantined"])
        assert "a list as a key" in item["command"]["args"]["unreadable"]
        assert "eyJ-a-login" not in str(item)
