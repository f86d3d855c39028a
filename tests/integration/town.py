"""A merchant with a menu, made through the API as an operator would, and the people who come there."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from domain.ids import new_id
from loadtests.stack import Stack
from realtime.client.backoff import FullJitter
from realtime.client.encoding import ENCODERS, Encoding, Message
from realtime.client.live import LiveClient
from realtime.client.subscription import Subscription

ON_THE_STACK = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="package")]
"""Marks of every module here: all tests and their fixtures share one loop."""

PREFIX = "/api/v1"
ADDRESS = {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10827"}
INSTRUCTIONS = "the bell is broken"
Headers = dict[str, str]


class Town:
    """`http` has the base URL of the API and sends no token by itself."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.AsyncClient(base_url=stack.base_url + PREFIX, timeout=30.0, trust_env=False)
        self.merchant_id = ""
        self.bread = ""
        self.pizza = ""

    # -- who ----------------------------------------------------------------------------------------------------------

    def bearer(self, subject: str, *roles: str) -> Headers:
        return _bearer(self.stack.token(subject, *roles))

    def admin(self) -> Headers:
        return self.bearer(new_id(), "admin")

    def staff_token(self) -> str:
        return self.stack.token(new_id(), "merchant_staff", organizations=(self.merchant_id,))

    def staff(self) -> Headers:
        return _bearer(self.staff_token())

    # -- what they do -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Open the merchant: delivery 2.90, bread 1.50, pizza 9.00 with a size of its own price."""
        merchant = {"name": "Corner Oven", "currency": "EUR", "city": "Berlin", "country": "DE"}
        merchant["delivery_fee"] = euro(290)
        self.merchant_id = (await self.post("/merchants", self.admin(), merchant))["id"]
        self.bread = await self._product("Bread", 150)
        size = {"id": "size", "name": "Size", "min": 1, "max": 1}
        size["options"] = [{"id": "small", "name": "Small"}, {"id": "large", "name": "Large", "price": euro(300)}]
        self.pizza = await self._product("Pizza", 900, size)

    async def _product(self, name: str, price: int, *options: Any) -> str:
        product = {"merchant_id": self.merchant_id, "name": name, "sku": name.upper(), "price": euro(price)}
        product |= {"options": list(options), "max_quantity": 999}
        return (await self.post("/products", self.staff(), product))["id"]

    async def post(self, path: str, headers: Headers, body: Any = None) -> Any:
        """The document of a 2xx answer."""
        return (await self.http.post(path, headers=headers, json=body)).raise_for_status().json()

    async def cart(self, headers: Headers, quantity: int = 0) -> Any:
        """A new cart, with so much bread in it."""
        cart = await self.post("/carts/create", headers, {"merchant_id": self.merchant_id})
        return await self.add(cart["id"], headers, quantity) if quantity else cart

    async def add(self, cart_id: str, headers: Headers, quantity: int = 1) -> Any:
        return await self.post(f"/carts/{cart_id}/items", headers, {"product_id": self.bread, "quantity": quantity})

    async def order(self, headers: Headers, *statuses: str) -> Any:
        """A delivery of one bread, moved along by the staff."""
        cart = await self.cart(headers, 1)
        order = await self.post("/orders/create", headers, delivery(cart["id"]))
        return await self.move(order["id"], self.staff(), *statuses) if statuses else order

    async def move(self, order_id: str, headers: Headers, *statuses: str) -> Any:
        view: Any = None
        for status in statuses:
            answer = await self.http.put(f"/orders/{order_id}/status", headers=headers, json={"status": status})
            view = answer.raise_for_status().json()
        return view

    # -- sockets ------------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return f"ws{self.stack.base_url.removeprefix('http')}{PREFIX}{path}"

    def live(self, token: str, path: str = "/live", *, encoding: Encoding = "json") -> LiveClient:
        return LiveClient(self.url(path), token, encoding=encoding, backoff=FullJitter(0.05, 0.5))

    @asynccontextmanager
    async def wire(self, subject: str, encoding: Encoding = "json", *, hello: bool = True) -> AsyncIterator["Wire"]:
        """A bare socket that says hello and nothing else by itself."""
        protocol: Any = ENCODERS[encoding].subprotocol
        async with connect(self.url("/live"), subprotocols=[protocol], proxy=None) as socket:
            wire = Wire(socket, encoding)
            if hello:
                await wire.hello(self.stack.token(subject))
            yield wire


class Wire:
    """Frames of one socket as they are."""

    def __init__(self, socket: ClientConnection, encoding: Encoding) -> None:
        self.socket = socket
        self._encoder = ENCODERS[encoding]
        self.device_id = new_id()

    async def hello(self, token: str, **more: Any) -> Message:
        message = {"t": "hello", "v": [1, 1], "device_id": self.device_id, "epoch": 1, "token": token}
        await self.say(**message, **more)
        welcome = await self.hear()
        assert welcome["t"] == "welcome", welcome
        return welcome

    async def say(self, **message: Any) -> None:
        await self.socket.send(self._encoder.encode(message))

    async def hear(self, *types: str) -> Message:
        """The next frame (of these types)."""
        async with asyncio.timeout(10):
            while True:
                frame = self._encoder.decode(await self.socket.recv())
                if frame["t"] != "ping" and (not types or frame["t"] in types):
                    return frame

    async def command(self, seq: int, ent: str, op: str, args: Message) -> Message:
        await self.say(t="command", epoch=1, seq=seq, ent=ent, op=op, args=args)
        return await self.hear("result")

    async def close_code(self) -> int | None:
        """Wait for the server to close."""
        async with asyncio.timeout(10):
            await self.socket.wait_closed()
        return self.socket.close_code


def _bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


def euro(amount: int) -> Message:
    return {"amount": amount, "currency": "EUR"}


def delivery(cart_id: str) -> Message:
    return {"cart_id": cart_id, "fulfilment": "delivery", "address": ADDRESS, "instructions": INSTRUCTIONS}


async def shown(subscription: Subscription, condition: Any, within_s: float = 15.0) -> Any:
    """Wait until the condition holds of the channel's own state; that state."""
    async with asyncio.timeout(within_s):
        await subscription.until(lambda one: one.state() is not None and bool(condition(one.state())))
    return subscription.state()


async def atrium(stack: Stack, *arguments: str) -> tuple[int, str]:
    """Run the command on this stack's data folder: exit code and standard output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cluster", *arguments, "--data", str(stack.folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
