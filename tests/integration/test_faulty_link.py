"""The whole stack behind a bad network: every command once, and everybody sees the same in the end."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio

from domain.ids import new_id
from loadtests.clinic import Clinic, open_clinic
from loadtests.faulty_proxy import FaultyProxy
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.store import DeviceStore
from storage.journal.postgres import PostgresJournal
from tests.faulty_link import FAULTS, Device, storm, weather
from tests.integration.town import ON_THE_STACK, PREFIX, Town

pytestmark = ON_THE_STACK

COMMANDS_EACH = 40


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def clinic(town: Town) -> Clinic:
    stack = town.stack
    return await open_clinic(stack.base_url, stack.run.database_url, stack.token, locations=1, rooms_each=1)


def notes(number: int) -> tuple[str, dict[str, Any]]:
    return "append_note", {"note_id": new_id(), "text": f"note {number}"}


async def chart(town: Town, clinic: Clinic, token: str) -> str:
    ent = f"document/{new_id()}"
    about = {"location_id": clinic.sites[0].location_id, "patient_id": new_id(), "template": "neurotoxin"}
    async with town.live(token) as client:
        begun = await client.command(ent, "create", {"organization_id": clinic.organization_id, **about})
    assert begun.status == "applied", begun
    return ent


async def test_every_command_happens_once_and_all_see_the_same(town: Town, clinic: Clinic, tmp_path: Path):
    def lines(number: int) -> tuple[str, dict[str, Any]]:
        return "add_line", {"product_id": town.bread, "instructions": f"slice {number}"}

    shopper, providers = new_id(), [new_id(), new_id()]
    cart = f"cart/{(await town.cart(town.bearer(shopper)))['id']}"
    live = f"{PREFIX}/live"
    devices = [
        Device(shopper, town.stack.token(shopper), live, cart, lines),
        Device(shopper, town.stack.token(shopper), live, cart, lines, encoding="msgpack"),
    ]
    tokens = {provider: clinic.token(provider, "provider") for provider in providers}
    ent = await chart(town, clinic, tokens[providers[0]])
    charting = f"{PREFIX}/treatments/documentation-update?document={ent.removeprefix('document/')}"
    stores = [DeviceStore.open(tmp_path / provider, subject=provider) for provider in providers]
    for provider, store in zip(providers, stores, strict=True):
        devices.append(Device(provider, tokens[provider], charting, ent, notes, SqliteQueue(store)))
    server = urlsplit(town.stack.base_url)
    assert server.hostname is not None
    assert server.port is not None
    async with (
        PostgresJournal(town.stack.run.database_url) as journal,
        FaultyProxy(server.hostname, server.port, draw=weather(3)) as proxy,
    ):
        counters = await storm(devices, proxy, f"ws://{server.netloc}", journal, COMMANDS_EACH)
    for store in stores:
        store.close()
    assert not [fault for fault in FAULTS if not counters[fault]], counters
