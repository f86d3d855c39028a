"""The gateway behind a bad network: half-open links, cut and repeated frames, resets, delays, slow readers."""

from pathlib import Path
from typing import Any

import pytest

from domain.ids import new_id
from loadtests.faulty_proxy import FaultyProxy
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.store import DeviceStore
from tests.faulty_link import FAULTS, Device, storm, weather
from tests.serve.house import ALICE, BREAD, MERCHANT
from tests.serve.test_rooms import PIA, QUINN
from tests.serve.test_tablets import CHARTING, Practice
from tests.serve.test_tablets import practice as practice  # noqa: PLC0414 - a fixture

COMMANDS_EACH = 40


def line(number: int) -> tuple[str, dict[str, Any]]:
    return "add_line", {"product_id": BREAD, "instructions": f"slice {number}"}


def note(number: int) -> tuple[str, dict[str, Any]]:
    return "append_note", {"note_id": new_id(), "text": f"note {number}"}


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_command_happens_once_and_all_see_the_same(practice: Practice, seed: int, tmp_path: Path) -> None:
    house = practice.clinic.house
    cart = f"cart/{(await house.new_cart(merchant_id=MERCHANT))['id']}"
    async with practice.tablet(PIA) as pia:
        chart = await practice.chart(pia)
    shopper = house.tokens.issue(ALICE, ("customer",))
    devices = [
        Device(ALICE, shopper, "/api/v1/live", cart, line),
        Device(ALICE, shopper, "/api/v1/live", cart, line, encoding="msgpack"),
    ]
    path = f"{CHARTING}?document={chart.removeprefix('document/')}"
    stores = [DeviceStore.open(tmp_path / subject, subject=subject) for subject in (PIA, QUINN)]
    for subject, store in zip((PIA, QUINN), stores, strict=True):
        devices.append(Device(subject, practice.token(subject), path, chart, note, SqliteQueue(store)))
    async with FaultyProxy("127.0.0.1", practice.port, draw=weather(seed)) as proxy:
        counters = await storm(devices, proxy, f"ws://127.0.0.1:{practice.port}", house.gateway.journal, COMMANDS_EACH)
    for store in stores:
        store.close()
    assert not [fault for fault in FAULTS if not counters[fault]], counters
    assert counters["connections"] > len(devices)
