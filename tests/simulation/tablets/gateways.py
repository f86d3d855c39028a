"""Gateways of a simulated clinic: the real sessions, hub and use-cases on the simulated network, bus and hosts."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors.runtime.client import EntityClient
from actors.runtime.entity import Actor
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.wire import Change
from domain.errors import Forbidden, Unauthenticated, Unavailable
from realtime.channels import Scope
from realtime.codec import JSON, Codec
from realtime.codes import SHUTDOWN
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.ports import Admission, CommandPort, Credentials, Entry, Identity, Ledger, Socket
from realtime.services import Services
from realtime.session import Session
from serve.gateway import GatewayRuntime
from serve.live.adapters import AuditWitness
from serve.live.ledger import SessionLedger
from services.device_commands import DeviceCommands
from services.entities import Answered, Sender
from services.health import Health
from services.products import Product
from services.sessions import Sessions
from services.tokens import MFA, Verified
from tests.serve.clinic import MemoryAudit, MemoryDocuments, MemoryOrganizations, MemorySessions
from tests.simulation.loop import Process, call_outside
from tests.simulation.world import SimTransport

if TYPE_CHECKING:
    from tests.simulation.tablets.network import ServerSocket
    from tests.simulation.tablets.town import Town

_pack = msgspec.msgpack.Encoder().encode


class Products:
    """The part of a catalog that documents ask: everything called `botulinum-*` is the clinic's."""

    def __init__(self, organization_id: str) -> None:
        self._organization_id = organization_id

    async def products(self, ids: Sequence[str]) -> dict[str, Product]:
        known = [each for each in ids if each.startswith("botulinum-")]
        return {
            each: Product(id=each, merchant_id=self._organization_id, name=each, price_minor=1, currency="EUR")
            for each in known
        }


class Logins:
    """`realtime.ports.Authenticator`, and who proves to be present. A token is `subject|expires in ms`."""

    def __init__(self, town: "Town") -> None:
        self._town = town

    async def authenticate(self, credentials: Credentials) -> Identity:
        await asyncio.sleep(0.001)
        subject, _, expires = credentials.token.partition("|")
        actor = self._town.actors.get(subject)
        if actor is None:
            raise Unauthenticated("nobody")
        if int(expires) <= self._town.loop.now_ms():
            raise Unauthenticated("late", code="token_expired")
        return Identity(actor, int(expires))

    def verify(self, token: str) -> Verified:
        """Of a proof: by all factors there are."""
        actor = self._town.actors[token.removeprefix("proof of ")]
        return Verified(actor, expires=self._town.loop.now_ms() // 1000 + 60, amr=(MFA,))

    def proof(self, token: str, actor: Actor, max_age_seconds: int) -> int:
        if token != f"proof of {actor.subject}":
            raise Forbidden("Prove who you are.", code="reauthentication_required")
        return self._town.loop.now_ms()


class ShakyLedger(SessionLedger):
    """Now and then a session cannot be told what came of commands, or can and nobody hears of it."""

    def __init__(self, town: "Town", sessions: Sessions) -> None:
        super().__init__(sessions)
        self._town = town

    async def record(self, actor: Actor, admission: Admission, entries: Sequence[Entry]) -> None:
        lost = self._town.hits("record_lost", 0.08)
        if lost and self._town.rng.random() < 0.5:
            raise Unavailable("the session is away")
        await super().record(actor, admission, entries)
        if lost:
            raise Unavailable("the answer was lost")


class ShakyPort:
    """The way to entities: now and then a command does not arrive, or does and nobody hears of it."""

    def __init__(self, town: "Town", real: DeviceCommands) -> None:
        self.clinical, self.signal = real.clinical, real.signal
        self._town = town
        self._real = real

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        lost = self._town.hits("command_lost", 0.04)
        if lost and self._town.rng.random() < 0.5:
            raise Unavailable("the host is away")
        answer = await self._real.execute(sender, ent, op, args, base_fver)
        if lost:
            raise Unavailable("the answer was lost")
        return answer


class SimBus:
    """One gateway's ear on the bus: late, and now and then deaf for a while, after which it is told so."""

    def __init__(self, town: "Town") -> None:
        self._town = town
        self._last = 0.0
        self._deaf = False
        self._heard: Callable[[bytes], None] | None = None
        self._back: Callable[[], None] | None = None
        self.process: Process | None = None

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> object:
        self._heard, self._back = on_message, on_reconnect
        return channel

    def publish(self, changes: Sequence[Change]) -> None:
        if self._heard is None or self._deaf:
            return
        loop = self._town.loop
        at = max(self._last + 1e-6, loop.time() + self._town.network.delay())
        self._last = at
        self._later(at - loop.time(), self._heard, _pack(list(changes)))

    def deafen(self, seconds: float) -> None:
        self._deaf = True
        call_outside(self._town.loop, seconds, self._hear_again)

    def _hear_again(self) -> None:
        self._deaf = False
        if self._back is not None:
            self._later(0.0, self._back)

    def _later(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        assert self.process is not None
        self._town.loop.call_later(delay, callback, *args, context=self.process.context)


class OrderedSessions(dict[Session, None]):
    """A set that keeps the order in which they came, so that a seed runs the same again."""

    def add(self, session: Session) -> None:
        self[session] = None

    def discard(self, session: Session) -> None:
        self.pop(session, None)


class SimGateway(Gateway):
    """With connection ids that a seed gives again."""

    def __init__(self, services: Services, name: str, town: "Town", session_class: type[Session]) -> None:
        super().__init__(services, sleep=asyncio.sleep, rng=town.rng)
        self._sessions = OrderedSessions()  # type: ignore[assignment]
        self._name = name
        self._served = 0
        self._session_class = session_class

    def serve(self, socket: Socket, codec: Codec, scope: Scope, credentials: Credentials) -> Coroutine[Any, Any, None]:
        if self.draining:
            return self._refuse(socket, SHUTDOWN, "draining")
        self._served += 1
        session = self._session_class(socket, self.services, codec, scope, credentials, f"{self._name}.{self._served}")
        self._sessions.add(session)
        return session.run(self._over)


class Node:
    """One life of one gateway. Its parts may be broken on purpose."""

    session_class: ClassVar[type[Session]] = Session

    def __init__(self, town: "Town", name: str, life: int) -> None:
        self.name = f"{name}-{life}"
        self.seat = name
        self.life = life
        self.process = Process(self.name)
        town.processes.append(self.process)
        self.ready = False
        self.leaving = False
        self._town = town
        self.bus = SimBus(town)
        self.bus.process = self.process
        self.process.context.run(self._build)
        town.loop.spawn(self.process, self._start())

    def _build(self) -> None:
        town = self._town
        profile, loop = town.profile, town.loop
        self.client = EntityClient(self.name, SimTransport(town.world), loop, profile.runtime.limits)
        logins: Any = Logins(town)
        catalog: Any = Products(town.clinic)
        runtime = GatewayRuntime(
            gateway_id=self.name,
            client=self.client,
            catalog_store=catalog,
            location_store=town.locations,
            organization_store=MemoryOrganizations(town.locations.organizations),
            listings=None,  # type: ignore[arg-type]
            session_listings=MemorySessions(town.world.store),
            document_listings=MemoryDocuments(town.world.store),
            audit_store=MemoryAudit(),
            journal=town.world.placement,
            dead_letters=None,  # type: ignore[arg-type]
            tokens=logins,
            clock=loop,
            keys=LOCAL_KEYS,
            health=Health({}, {}),
            kinds=town.kinds,
        )
        ledger: Ledger = ShakyLedger(town, runtime.sessions)
        services = Services(
            hub=Hub(
                self.name,
                self.client,
                self.bus,
                runtime.groups,
                limits=profile.live,
                clock=loop.time,
                wall=loop.now_ms,
            ),
            port=self.port(runtime.device_commands),
            authenticator=logins,
            ledger=ledger,
            witness=AuditWitness(runtime.documents),
            limits=profile.live,
            clock=loop.time,
            wall=loop.now_ms,
        )
        self.gateway = SimGateway(services, self.name, town, self.session_class)

    def port(self, real: DeviceCommands) -> CommandPort:
        """The way to entities; a mutation may stand in it."""
        return ShakyPort(self._town, real)

    async def _start(self) -> None:
        while True:
            try:
                await self.client.start()
            except OSError:
                await asyncio.sleep(0.05)
            else:
                break
        await self.gateway.start()
        self.ready = True

    def accept(self, socket: "ServerSocket", scope: Scope) -> None:
        self._town.loop.spawn(self.process, self.gateway.serve(socket, JSON, scope, Credentials()))

    def drain(self) -> None:
        self.leaving = True
        self._town.loop.spawn(self.process, self.gateway.drain())
