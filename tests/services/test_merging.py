"""Taking over a guest's cart, with an edge that dies between the two carts."""

from typing import Any

import pytest

from actors.cart_commands import MarkMerged
from actors.runtime.entity import Actor
from services.carts import Carts
from services.entities import Sender
from services.products import ProductCache
from tests.serve.house import ALICE, BREAD, PIZZA, House


class EdgeDiedError(Exception):
    pass


class DiesBetween:
    """Passes everything on but the closing of the guest's cart."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, kind: str, id: str, command: Any, **more: Any) -> Any:
        if isinstance(command, MarkMerged):
            raise EdgeDiedError
        return await self._client.ask(kind, id, command, **more)

    async def read(self, *args: Any, **more: Any) -> Any:
        return await self._client.read(*args, **more)


@pytest.mark.parametrize("command_id", [None, b"k" * 16], ids=["without a key", "with a key"])
async def test_a_line_added_after_the_edge_died_is_merged_by_the_repeat(house: House, command_id: bytes | None) -> None:
    def carts(client: Any) -> Carts:
        return Carts(client, ProductCache(house.catalog, house.clock), house.clock)

    token, subject, _ = house.tokens.issue_guest()
    as_guest, guest = {"Authorization": f"Bearer {token}"}, Actor(subject, ("customer",))
    source, cart = await house.new_cart(as_guest), await house.new_cart()
    await house.add(source["id"], quantity=3, headers=as_guest)
    sender = Sender(Actor(ALICE, ("customer",)), command_id=command_id, body_hash=command_id)
    with pytest.raises(EdgeDiedError):
        await carts(DiesBetween(house.local.client)).merge(sender, cart["id"], guest, source["id"])
    await house.add(source["id"], PIZZA, options=["small"], headers=as_guest)
    whole = carts(house.local.client)
    await whole.merge(sender, cart["id"], guest, source["id"])
    merged = await whole.see(sender.actor, cart["id"])
    assert {line.product_id: line.quantity for line in merged.lines.values()} == {BREAD: 3, PIZZA: 1}
    assert (await whole.see(guest, source["id"])).merged_into == cart["id"]
