"""The server of this repository in one process: real routes, real entities on the local runtime, a clock by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from actors.runtime.client import EntityClient
from actors.runtime.entity import Actor
from actors.session_commands import Revoke
from domain.errors import Unavailable
from domain.ids import new_id
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.presence import Presence
from realtime.services import Services
from serve.live.adapters import AuditWitness, TokenAuthenticator
from serve.live.ledger import SessionLedger
from services.entities import Sender
from tests.protocol.asgi import AsgiPeer
from tests.protocol.names import Names
from tests.protocol.vectors import STALLS, WAITS, Encoding
from tests.realtime.fakes import settle
from tests.realtime.presences import FakeBus
from tests.realtime.serving import LocalBus
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import ALICE, BREAD, MERCHANT, House, open_house
from tests.serve.test_rooms import Clinic

PREFIX: Final = "/api/v1"
PEOPLE: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "alice": (("customer",), ()),
    "bob": (("customer",), ()),
    "carl": (("courier",), ()),
    "mel": (("merchant_staff",), (MERCHANT,)),
    "pia": (("provider",), (CLINIC,)),
    "quinn": (("provider",), (CLINIC,)),
    "fred": (("front_desk",), (CLINIC,)),
    "pia_as_desk": (("front_desk",), (CLINIC,)),
    "ada": (("admin",), (CLINIC,)),
    "olga": (("provider",), (OTHER_CLINIC,)),
}
"""Roles and organizations of the people in the vectors."""

TOLD: Final = ("room", "order", "away", "slow", "back", "revoked", "restored", "handed_off", "drain", "connections_max")
"""What `given` understands here, besides what works on any server."""


class Weather:
    """Between the gateway and the entities: `away` ones cannot be reached for now, `slow` ones do not answer yet."""

    def __init__(self, client: EntityClient) -> None:
        self.away: set[str] = set()
        self.slow: dict[str, asyncio.Event] = {}
        self._client = client

    async def ask(self, kind: str, id: str, *arguments: Any, **options: Any) -> Any:
        if f"{kind}/{id}" in self.away:
            raise Unavailable("away", retry_after_ms=50)
        if f"{kind}/{id}" in self.slow:
            await self.slow[f"{kind}/{id}"].wait()
        return await self._client.ask(kind, id, *arguments, **options)

    def back(self, ent: str) -> None:
        self.away.discard(ent)
        if ent in self.slow:
            self.slow.pop(ent).set()

    async def watch(self, kind: str, id: str, **options: Any) -> Any:
        if f"{kind}/{id}" in self.away:
            raise Unavailable("away", retry_after_ms=50)
        return await self._client.watch(kind, id, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class InProcess:
    """`Server` for the runner."""

    def __init__(self, house: House, weather: Weather, gateway: Gateway, clinic: Clinic, clock: "Seconds") -> None:
        self._house = house
        self._weather = weather
        self._gateway = gateway
        self._clinic = clinic
        self._clock = clock
        people = {f"subject:{name}": new_id() for name in PEOPLE}
        people |= {"subject:alice": ALICE, "subject:pia_as_desk": people["subject:pia"]}
        world = {
            "clinic": CLINIC,
            "location": clinic.location,
            "merchant": MERCHANT,
            "product": BREAD,
        }
        self.names = Names(world | people, {"token": self._token, "share": self._share})

    @property
    def offers(self) -> frozenset[str]:
        told = (
            "room",
            "order",
            "away",
            "slow",
            "back",
            "revoked",
            "restored",
            "handed_off",
            "drain",
            "connections_max",
        )
        return frozenset({WAITS, STALLS, *(f"given:{one}" for one in told)})

    async def connect(
        self, endpoint: str, subprotocols: Sequence[str], headers: Mapping[str, str], encoding: Encoding
    ) -> AsgiPeer:
        peer = AsgiPeer(self._house.app, PREFIX + endpoint, subprotocols, headers, encoding)
        await peer.accepted()
        return peer

    async def wait(self, seconds: float) -> None:
        """In steps of a second, as the gateway's ticker goes."""
        left = seconds
        while left > 0:
            step = min(left, 1.0)
            left -= step
            self._house.clock.advance(seconds=step)
            self._clock.now += step
            self._gateway.tick(self._clock.now)
            await settle()

    async def given(self, what: str, value: Any) -> None:
        match what:
            case "room":
                self.names.bind(value, await self._clinic.add_room(f"Room {value}"))
            case "away":
                self._weather.away.add(value)
            case "slow":
                self._weather.slow[value] = asyncio.Event()
            case "back":
                self._weather.back(value)
            case "order":
                self.names.bind(value, (await self._house.new_order())["id"])
            case "drain":
                await self._gateway.drain(value)
            case "connections_max":
                services = self._gateway.services
                limits = msgspec.structs.replace(services.limits, connections_max=value)
                self._gateway.services = msgspec.structs.replace(services, limits=limits)
            case "revoked":
                revoke = Revoke(what=value["what"], reason="left")
                await self._house.gateway.sessions.revoke(self._sender("ada"), value["session"], revoke)
            case "restored":
                await self._house.gateway.sessions.restore(self._sender("ada"), value)
            case "handed_off":
                taker = self._sender(value["by"])
                await self._house.gateway.hand_offs.take(taker, value["from"], value["offer"], value["to"])
            case _:
                raise LookupError(what)

    def _sender(self, name: str) -> Sender:
        roles, organizations = PEOPLE[name]
        return Sender(Actor(self.names[f"subject:{name}"], roles, organizations))

    def _token(self, rest: str) -> str:
        """`alice`, or `alice:60` for a token that is good for 60 seconds; below 0 it ended so long ago."""
        name, _, seconds = rest.partition(":")
        roles, organizations = PEOPLE[name]
        subject = self.names[f"subject:{name}"]
        return self._house.tokens.issue(subject, roles, organizations, int(seconds) if seconds else None)

    def _share(self, name: str) -> str:
        return self._house.tokens.issue_share(self.names[name])[0]


class Seconds:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def in_process() -> AsyncIterator[InProcess]:
    weather: list[Weather] = []

    def wrap(client: EntityClient) -> Weather:
        weather.append(Weather(client))
        return weather[0]

    async with open_house(wrap=wrap) as house:
        clock = Seconds()
        gateway = _gateway(house, clock, house.clock.now_ms)
        house.gateway.live = gateway
        await gateway.services.hub.start()
        clinic = await Clinic(house).open()
        try:
            yield InProcess(house, weather[0], gateway, clinic, clock)
        finally:
            for ent in list(weather[0].slow):
                weather[0].back(ent)
            await gateway.stop()


def _gateway(house: House, clock: Seconds, wall: Callable[[], int]) -> Gateway:
    runtime = house.gateway
    bus = LocalBus(house.local.publisher)
    hub = Hub(runtime.gateway_id, runtime.client, bus, runtime.groups, clock=clock, wall=wall)
    return Gateway(
        Services(
            hub=hub,
            port=runtime.device_commands,
            authenticator=TokenAuthenticator(runtime.tokens),
            ledger=SessionLedger(runtime.sessions),
            witness=AuditWitness(runtime.documents),
            presence=Presence(runtime.gateway_id, FakeBus(), wall=wall),
            clock=clock,
            wall=wall,
        ),
        sleep=clock.sleep,
    )
