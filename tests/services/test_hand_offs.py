"""Hand-offs that their edge leaves unfinished: whatever was decided at the giving session happens, once."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from actors.kinds import KINDS
from actors.room_commands import Create, SetStatus, TakeOver
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.tail import TailRunner
from actors.session_commands import Enter, HandOver, OfferHandOff, OpenDocument, SignOut, TakeUp
from domain.errors import Conflict
from domain.ids import new_id
from services.entities import ROOM, SESSION, Sender
from services.hand_offs import HandOffs
from services.reactions import reactions
from storage.journal.memory import MemoryJournal
from tests.serve.house import House, open_house
from tests.services.test_placement import Cursors, DyingEdge, EdgeDiedError, Topics, placements

CLINIC = new_id()
PIA = Actor(new_id(), ("provider",), (CLINIC,))
QUINN = Actor(new_id(), ("provider",), (CLINIC,))
OFFER = "offer-1"


class Ward:
    """Pia is at work in a room and offers it to Quinn."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.client: Any = house.local.client
        self.room, self.giving, self.receiving = new_id(), "", ""

    async def open(self) -> "Ward":
        ask = self.client.ask
        sessions = self.house.gateway.sessions
        self.giving = (await sessions.open(PIA, new_id(), 1, 1, "c-1", "")).session_id
        self.receiving = (await sessions.open(QUINN, new_id(), 1, 1, "c-2", "")).session_id
        await ask(ROOM, self.room, Create(organization_id=CLINIC, location_id="l", name="Room 1"), actor=SYSTEM)
        for status in (SetStatus(to="held"), SetStatus(to="roomed", patient_id="p-1", visit_id="v-1")):
            await ask(ROOM, self.room, status, actor=PIA)
        await ask(ROOM, self.room, TakeOver("mine"), actor=PIA)
        await ask(SESSION, self.giving, Enter(room_id=self.room, patient_id="p-1", visit_id="v-1"), actor=PIA)
        await ask(SESSION, self.giving, OpenDocument(document_id="d-1"), actor=PIA)
        await ask(SESSION, self.giving, OfferHandOff(offer_id=OFFER, to=QUINN.subject), actor=PIA)
        return self

    async def take(self, step: type | None = None, executed: bool = False) -> None:
        hand_offs = HandOffs(self.client if step is None else DyingEdge(self.client, step, executed=executed))
        await hand_offs.take(Sender(QUINN, "edge"), self.giving, OFFER, self.receiving)

    async def react(self) -> None:
        house = self.house
        hand_offs = HandOffs(self.client)
        for reaction in reactions(placements(house, self.client), hand_offs, Topics(), 1_000):
            runner = TailRunner(reaction, MemoryJournal(house.store), Cursors(), KINDS, house.clock, keys=LOCAL_KEYS)
            while await runner.step():
                pass

    def versions(self) -> dict[tuple[str, str], int]:
        return {key: len(rows) for key, rows in self.house.store.by_entity.items()}


@pytest.fixture
async def ward() -> AsyncIterator[Ward]:
    async with open_house() as house:
        yield await Ward(house).open()


async def view(ward: Ward, kind: str, id: str) -> dict[str, Any]:
    answer = await ward.client.read(kind, id, actor=QUINN)
    return dict(msgspec.json.decode(answer.view))


async def assert_handed_over(ward: Ward) -> None:
    giving, receiving = await view(ward, SESSION, ward.giving), await view(ward, SESSION, ward.receiving)
    assert "room_id" not in giving
    assert (receiving["room_id"], receiving["patient_id"]) == (ward.room, "p-1")
    assert list(receiving["documents"]) == ["d-1"]
    claim = (await view(ward, ROOM, ward.room))["claim"]
    assert (claim["by"], claim["token"]) == (QUINN.subject, 2)


@pytest.mark.parametrize("executed", [False, True], ids=["lost", "executed without an answer"])
@pytest.mark.parametrize("step", [HandOver, TakeOver, TakeUp])
async def test_a_hand_off_whose_edge_dies_at_a_step_is_finished_by_a_retry(
    ward: Ward, step: type, executed: bool
) -> None:
    with pytest.raises(EdgeDiedError):
        await ward.take(step, executed)
    await ward.take()
    await assert_handed_over(ward)


@pytest.mark.parametrize(("step", "executed"), [(HandOver, True), (TakeOver, False), (TakeOver, True), (TakeUp, False)])
async def test_a_hand_off_that_nobody_retries_is_finished_by_the_reaction(
    ward: Ward, step: type, executed: bool
) -> None:
    with pytest.raises(EdgeDiedError):
        await ward.take(step, executed)
    await ward.react()
    await assert_handed_over(ward)


async def test_a_reaction_long_after_finds_nothing_left_to_do(ward: Ward) -> None:
    await ward.take()
    before = ward.versions()
    await ward.react()
    await ward.react()
    assert ward.versions() == before


async def test_a_receiver_who_has_signed_out_since_blocks_no_reaction(ward: Ward) -> None:
    with pytest.raises(EdgeDiedError):
        await ward.take(TakeOver)
    await ward.client.ask(SESSION, ward.receiving, SignOut(), actor=QUINN)
    await ward.react()
    assert (await view(ward, ROOM, ward.room))["claim"]["by"] == QUINN.subject
    assert "room_id" not in await view(ward, SESSION, ward.receiving)


async def test_of_two_tablets_of_the_receiver_one_gets_it(ward: Ward) -> None:
    second = (await ward.house.gateway.sessions.open(QUINN, new_id(), 1, 1, "c-3", "")).session_id
    await ward.take()
    with pytest.raises(Conflict) as caught:
        await HandOffs(ward.client).take(Sender(QUINN), ward.giving, OFFER, second)
    assert (caught.value.failure.code, caught.value.failure.extra) == ("taken", {"by": QUINN.subject})
    await assert_handed_over(ward)
