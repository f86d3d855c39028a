"""Placement with edges that die between any two steps, and others that carry on."""

from typing import Any

import msgspec
import pytest

from actors.cart_commands import BeginCheckout, CompleteCheckout, SetQuantity
from actors.kinds import KINDS
from actors.order_commands import Place
from actors.order_status import Fulfilment
from actors.runtime.entity import Actor
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.tail import TailRunner
from domain.errors import Conflict, Invalid, PreconditionFailed, Unavailable
from domain.times import SECOND_MS
from services.carts import Carts
from services.entities import Sender
from services.hand_offs import HandOffs
from services.history import History
from services.placement import Placements, Wanted
from services.products import ProductCache
from services.reactions import CART_TOPIC, ORDER_TOPIC, reactions
from storage.journal.interface import Cursor, Row
from storage.journal.memory import MemoryJournal
from tests.serve.house import ALICE, MERCHANT, House


class EdgeDiedError(Exception):
    pass


class DyingEdge:
    """Passes commands on until one of `dies_at`: that one is lost, or executed without an answer."""

    def __init__(self, client: Any, dies_at: type, *, executed: bool) -> None:
        self._client = client
        self._dies_at = dies_at
        self._executed = executed

    async def ask(self, kind: str, id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, self._dies_at):
            if self._executed:
                await self._client.ask(kind, id, command, **more)
            raise EdgeDiedError
        return await self._client.ask(kind, id, command, **more)

    async def read(self, *args: Any, **more: Any) -> Any:
        return await self._client.read(*args, **more)


class OtherDevice(DyingEdge):
    """Sets line 1 to each of `quantities` in turn, just before a checkout begins."""

    def __init__(self, client: Any, *quantities: int) -> None:
        super().__init__(client, BeginCheckout, executed=False)
        self._quantities = list(quantities)

    async def ask(self, kind: str, id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, BeginCheckout) and self._quantities:
            await self._client.ask(kind, id, SetQuantity("1", self._quantities.pop(0)), actor=ALICES.actor)
        return await self._client.ask(kind, id, command, **more)


class Topics:
    def __init__(self) -> None:
        self.streams: dict[str, list[dict[str, Any]]] = {}

    async def append(self, stream: str, entries: Any, length_max: int) -> list[str]:
        self.streams.setdefault(stream, []).extend(entries)
        return [str(len(entries))]


class Cursors:
    """A reaction store that fails the test when something is set aside."""

    def __init__(self) -> None:
        self.at = Cursor()

    async def cursor(self, reaction: str) -> Cursor:
        return self.at

    async def advance(self, reaction: str, cursor: Cursor) -> None:
        self.at = cursor

    async def blocked(self, reaction: str) -> set[tuple[str, str]]:
        return set()

    async def set_aside(self, reaction: str, row: Row, attempts: int, due_ms: int, error: str) -> None:
        pytest.fail(f"{reaction} failed: {error}")

    async def due(self, reaction: str, now_ms: int, limit: int) -> list[Any]:
        return []

    async def done(self, reaction: str, kind: str, id: str, version: int) -> None:
        pass

    async def park(self, reaction: str, row: Row, attempts: int, error: str) -> None:
        pytest.fail(f"{reaction} gave up: {error}")


WANTED = Wanted(fulfilment=Fulfilment.COLLECTION)
ALICES = Sender(Actor(ALICE, ("customer",)))


def placements(house: House, client: Any) -> Placements:
    carts = Carts(client, ProductCache(house.catalog, house.clock), house.clock)
    return Placements(client, carts, house.catalog, History(MemoryJournal(house.store), KINDS, LOCAL_KEYS))


async def react(house: House, topics: Topics | None = None) -> None:
    """Run every reaction over the whole journal."""
    journal = MemoryJournal(house.store)
    for reaction in reactions(
        placements(house, house.local.client), HandOffs(house.local.client), topics or Topics(), 1_000
    ):
        runner = TailRunner(reaction, journal, Cursors(), KINDS, house.clock, keys=LOCAL_KEYS)
        while await runner.step():
            pass


async def filled_cart(house: House) -> str:
    cart = await house.new_cart()
    await house.add(cart["id"], quantity=2)
    return str(cart["id"])


def orders(house: House) -> list[dict[str, Any]]:
    return list(house.store.index["orders"].values())


@pytest.mark.parametrize("executed", [False, True], ids=["lost", "executed without an answer"])
@pytest.mark.parametrize("step", [BeginCheckout, Place, CompleteCheckout])
async def test_an_edge_that_dies_at_a_step_leaves_one_order_once_the_reaction_has_run(
    house: House, step: type, executed: bool
) -> None:
    cart_id = await filled_cart(house)
    edge = DyingEdge(house.local.client, step, executed=executed)
    with pytest.raises(EdgeDiedError):
        await placements(house, edge).place(ALICES, cart_id, WANTED)
    await react(house)
    begun = executed or step is not BeginCheckout
    assert len(orders(house)) == (1 if begun else 0)
    status = house.store.index["carts"][cart_id]["status"]
    assert status == ("converted" if begun else "open")


@pytest.mark.parametrize("step", [BeginCheckout, Place, CompleteCheckout])
async def test_pressing_again_after_the_edge_died_gives_the_one_order(house: House, step: type) -> None:
    cart_id = await filled_cart(house)
    edge = DyingEdge(house.local.client, step, executed=True)
    with pytest.raises(EdgeDiedError):
        await placements(house, edge).place(ALICES, cart_id, WANTED)
    again = await placements(house, house.local.client).place(ALICES, cart_id, WANTED)
    await react(house)
    assert again.repeated
    assert [row["id"] for row in orders(house)] == [again.order_id]


async def test_the_order_has_the_terms_of_the_press_that_was_first(house: House) -> None:
    cart_id = await filled_cart(house)
    edge = DyingEdge(house.local.client, Place, executed=False)
    first = Wanted(fulfilment=Fulfilment.COLLECTION, instructions="the first")
    with pytest.raises(EdgeDiedError):
        await placements(house, edge).place(ALICES, cart_id, first)
    second = Wanted(fulfilment=Fulfilment.COLLECTION, instructions="the second")
    placed = await placements(house, house.local.client).place(ALICES, cart_id, second)
    assert b'"instructions":"the first"' in placed.answer.view


async def test_the_order_stands_when_the_cart_cannot_be_closed_at_once(house: House) -> None:
    class Stalls(DyingEdge):
        async def ask(self, kind: str, id: str, command: Any, **more: Any) -> Any:
            if isinstance(command, CompleteCheckout):
                raise Unavailable("the host is restarting")
            return await self._client.ask(kind, id, command, **more)

    cart_id = await filled_cart(house)
    stalls = Stalls(house.local.client, CompleteCheckout, executed=False)
    placed = await placements(house, stalls).place(ALICES, cart_id, WANTED)
    assert not placed.repeated
    assert house.store.index["carts"][cart_id]["status"] == "checking_out"
    await react(house)
    assert house.store.index["carts"][cart_id]["status"] == "converted"


async def test_terms_that_the_order_refuses_open_the_cart_again(house: House) -> None:
    cart_id = await filled_cart(house)
    homeless = Wanted(fulfilment=Fulfilment.DELIVERY)
    with pytest.raises(Invalid):
        await placements(house, house.local.client).place(ALICES, cart_id, homeless)
    assert house.store.index["carts"][cart_id]["status"] == "open"
    await react(house)
    assert orders(house) == []
    placed = await placements(house, house.local.client).place(ALICES, cart_id, WANTED)
    assert not placed.repeated


async def test_an_edit_while_ordering_does_not_get_past_the_minimum_order(house: House) -> None:
    cart_id = await filled_cart(house)
    merchant = house.catalog.merchants_by_id[MERCHANT]
    house.catalog.merchants_by_id[MERCHANT] = msgspec.structs.replace(merchant, minimum_order_minor=700)
    with pytest.raises(Conflict) as caught:
        await placements(house, OtherDevice(house.local.client, 1)).place(ALICES, cart_id, WANTED)
    assert caught.value.failure.code == "below_minimum_order"
    assert orders(house) == []


async def test_an_edit_while_ordering_is_part_of_the_order_and_endless_edits_are_refused(house: House) -> None:
    cart_id = await filled_cart(house)
    with pytest.raises(Conflict) as caught:
        await placements(house, OtherDevice(house.local.client, 3, 4, 5)).place(ALICES, cart_id, WANTED)
    assert (caught.value.failure.code, caught.value.failure.retry_after_ms) == ("cart_contended", 500)
    await placements(house, OtherDevice(house.local.client, 7)).place(ALICES, cart_id, WANTED)
    assert [row["total_minor"] for row in orders(house)] == [7 * 350]


async def test_an_edit_while_ordering_an_expected_version_is_refused(house: House) -> None:
    cart_id = await filled_cart(house)
    sender = msgspec.structs.replace(ALICES, expect=2)
    with pytest.raises(PreconditionFailed):
        await placements(house, OtherDevice(house.local.client, 3)).place(sender, cart_id, WANTED)
    assert orders(house) == []


async def test_one_key_for_two_carts_at_once_orders_one_of_them(house: House) -> None:
    one, two = await filled_cart(house), await filled_cart(house)

    class SecondAtOnce(DyingEdge):
        async def ask(self, kind: str, id: str, command: Any, **more: Any) -> Any:
            if isinstance(command, BeginCheckout):
                await placements(house, self._client).place(ALICES, two, WANTED, "key")
            return await self._client.ask(kind, id, command, **more)

    with pytest.raises(Invalid) as caught:
        await placements(house, SecondAtOnce(house.local.client, Place, executed=False)).place(
            ALICES, one, WANTED, "key"
        )
    assert caught.value.failure.code == "idempotency_key_reused"
    await react(house)
    assert [row["cart_id"] for row in orders(house)] == [two]
    assert house.store.index["carts"][one]["status"] == "open"


async def test_what_happened_is_published_once_per_event_without_its_content(house: House) -> None:
    cart_id = await filled_cart(house)
    await placements(house, house.local.client).place(ALICES, cart_id, WANTED)
    topics = Topics()
    await react(house, topics)
    assert [entry["type"] for entry in topics.streams[CART_TOPIC]] == [
        *("created", "line_added", "checkout_began", "checkout_completed")
    ]
    placed = topics.streams[ORDER_TOPIC][0]
    assert placed["type"] == "placed"
    assert placed["key"] == f"order/{orders(house)[0]['id']}/1/0"
    assert b"Bread" not in placed["data"]
    again = Topics()
    await react(house, again)
    assert again.streams == topics.streams


async def test_a_reaction_long_after_finds_nothing_left_to_do(house: House) -> None:
    cart_id = await filled_cart(house)
    await placements(house, house.local.client).place(ALICES, cart_id, WANTED)
    rows = len(house.store.rows)
    house.clock.ms += 1_000 * SECOND_MS
    await react(house)
    assert len(house.store.rows) == rows
