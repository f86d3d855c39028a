"""Opening a socket on the house of fakes and subscribing a channel on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from realtime.codec import JSON
from tests.realtime.fakes import CART, Client, House, Wire, settle

BOARD = "merchant/m1/orders"


def subscribe(channel: str, ref: int = 1, **fields: Any) -> dict[str, Any]:
    return {"t": "subscribe", "id": ref, "ch": channel, **fields}


async def subscribed(house: House, channel: str = CART, *, token: str = "alice", **fields: Any) -> tuple[Wire, Client]:
    codec = fields.pop("codec", JSON)
    wire = await house.connect(token, codec=codec)
    wire.feed(subscribe(channel, **fields))
    await settle()
    return wire, Client().absorb(wire.take())


@asynccontextmanager
async def while_reading(house: House, channel: str = CART) -> AsyncIterator[Wire]:
    """A socket whose state of the channel is read for as long as the block lasts."""
    wire = await house.connect()
    house.entities.hold_answers = True
    wire.feed(subscribe(channel))
    await settle()
    yield wire
    house.entities.hold_answers = False
    house.entities.release()
    await settle()
