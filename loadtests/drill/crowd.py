"""A steady load whose every command is written down: shoppers over HTTP, devices over sockets, and witnesses."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Self

import msgspec

from domain.ids import derived_command_id, new_id
from loadtests.customer import PREFIX, Customer
from loadtests.drill.ledger import Ledger
from loadtests.drill.witness import BACKOFF_SECONDS, Witness
from loadtests.ground import Catalog
from realtime.client.backoff import FullJitter
from realtime.client.encoding import Encoding
from realtime.client.errors import LiveError
from realtime.client.http import HttpClient, HttpError
from realtime.client.live import LiveClient
from realtime.commands import command_id as device_command_id

PATIENCE_SECONDS: Final = 150.0
"""How long a shopper goes on sending one request: longer than a whole installation takes to come back."""
_ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "msgpack")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part. `sharers` of either sort use one cart together; everybody else has their own."""

    shoppers: int = 24
    devices: int = 8
    sharers: int = 4
    witnesses: int = 8
    carts_each: int = 4
    """Watched by each witness."""
    pause_seconds: float = 0.025
    """Between an answer and the next command of the same client."""


class Crowd:
    """`async with Crowd(…) as crowd:` everybody is at work until `rest`. `ledger` says what they did."""

    def __init__(self, base_url: str, subject: str, token: str, catalog: Catalog, size: Size | None = None) -> None:
        self.ledger = Ledger()
        self.refused: Counter[str] = Counter()
        self.longest_pause_s = 0.0
        self._base_url = base_url
        self._live_url = f"ws{base_url.removeprefix('http')}{PREFIX}/live"
        self._subject = subject
        self._token = token
        self._catalog = catalog
        self._size = size or Size()
        self._http = HttpClient(base_url, connections_max=self._size.shoppers + 1, deadline_s=PATIENCE_SECONDS)
        self._devices: list[LiveClient] = []
        self.witnesses: list[Witness] = []
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        size = self._size
        async with Customer(self._base_url, self._token) as customer:
            shared, *own = await customer.open_carts(1 + size.shoppers + size.devices, self._catalog)
        for cart in (shared, *own):
            self.ledger.open(cart)
        for number in range(size.shoppers):
            self._begin(self._shop(number, shared if number < size.sharers else own[number]))
        own = own[size.shoppers :]
        for number in range(size.devices):
            device = LiveClient(
                self._live_url, self._token, encoding=_ENCODINGS[number % 2], backoff=FullJitter(*BACKOFF_SECONDS)
            )
            self._devices.append(device)
            await device.start()
            cart = shared if number < size.sharers // 2 else own[number]
            self._begin(self._use(size.shoppers + number, device, cart))
        await self._look_on(shared)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(client.close() for client in (*self._devices, *self.witnesses)))
        await self._http.close()

    @property
    def repeats(self) -> int:
        """Requests and commands that were sent again."""
        return self._http.repeats + sum(device.resent for device in self._devices)

    @property
    def reconnects(self) -> int:
        return sum(max(0, client.stats.connects - 1) for client in (*self._devices, *self.witnesses))

    async def until_acknowledged(self, more: int) -> None:
        """Return when so many more commands than now have been acknowledged."""
        wanted = self.ledger.acknowledged() + more
        while self.ledger.acknowledged() < wanted:  # noqa: ASYNC110 - counted, not signalled: this is a load
            await asyncio.sleep(self._size.pause_seconds)

    async def rest(self) -> None:
        """Begin nothing more, and wait for what has begun."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _look_on(self, shared: str) -> None:
        carts = [cart for cart in self.ledger.sent if cart != shared]
        each = self._size.carts_each - 1
        for number in range(self._size.witnesses):
            witness = Witness(self._live_url, self._token, encoding=_ENCODINGS[number % 2])
            self.witnesses.append(witness)
            await witness.start()
            for cart in (shared, *(carts[(number * each + at) % len(carts)] for at in range(each))):
                witness.follow(f"cart/{cart}")
        await asyncio.gather(*(witness.connected() for witness in self.witnesses))

    async def _shop(self, worker: int, cart: str) -> None:
        path = f"{PREFIX}/carts/{cart}/items"

        async def add(product_id: str) -> None:
            key = new_id()
            # As the edge derives it from the header (rule M9): known here before anything is sent.
            command_id = derived_command_id("idempotency-key", self._subject, "POST", path, key)
            self.ledger.send(cart, command_id)
            body = {"product_id": product_id, "quantity": 1}
            response = (await self._http.send("POST", path, token=self._token, body=body, key=key)).expect()
            self.ledger.acknowledge(cart, command_id, int(response.headers[b"etag"].strip(b'"')))

        await self._repeat(worker, add)

    async def _use(self, worker: int, device: LiveClient, cart: str) -> None:
        ent, seq = f"cart/{cart}", 0

        async def add(product_id: str) -> None:
            nonlocal seq
            seq += 1
            command_id = device_command_id(self._subject, device.queue.device_id, device.queue.epoch, seq)
            self.ledger.send(cart, command_id)
            result = await device.command(ent, "add_line", {"product_id": product_id, "quantity": 1})
            if not result.ok or result.version is None:
                raise HttpError(f"{result.status} {result.code}", code=result.code)
            self.ledger.acknowledge(cart, command_id, result.version)

        await self._repeat(worker, add)

    async def _repeat(self, worker: int, add: Callable[[str], Awaitable[None]]) -> None:
        items = self._catalog.items
        turn = worker
        while not self._stopping.is_set():
            began = time.monotonic()
            turn += 1
            try:
                await add(items[turn % len(items)].id)
            except (HttpError, LiveError) as error:
                self.refused[str(error)[:80]] += 1
            self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - began)
            await asyncio.sleep(self._size.pause_seconds)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work))
