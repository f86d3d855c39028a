"""Stand-ins for what the real-time room is given: a clock, sockets, commands, logins; and a gateway made of them."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgpack
import msgspec

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Unauthenticated, Unavailable
from domain.merge_patch import apply
from realtime.channels import Scope, live
from realtime.codec import JSON, Codec
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.limits import DEFAULTS, Limits
from realtime.ports import Credentials, Identity, Witness
from realtime.services import Services
from realtime.session import Session
from services.entities import Sender
from tests.realtime.entities import WALL_MS, Answer, Entities

ALICE = Actor("alice", ("customer",))
BOB = Actor("bob", ("customer",))
DEVICE = "0190a0b0-0000-7000-8000-000000000001"
CART = "cart/0190a0b0-0000-7000-8000-00000000000c"
ORDER = "order/0190a0b0-0000-7000-8000-00000000000d"


class Clock:
    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self._start = now

    def __call__(self) -> float:
        return self.now

    def wall(self) -> int:
        return WALL_MS + int((self.now - self._start) * 1000)


async def settle(turns: int = 30) -> None:
    """Let everything that can run without outside help run."""
    for _ in range(turns):
        await asyncio.sleep(0)


class Port:
    """Commands as they come; `outcome` decides, `hold` keeps them until `release`."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.signals: list[tuple[str, dict[str, Any]]] = []
        self.done: dict[bytes, int] = {}
        self.outcome: Callable[[dict[str, Any]], AtriumError | Exception | Answer | None] = lambda _: None
        self.hold = False
        self._gate = asyncio.Event()
        self._versions: dict[str, int] = {}

    def release(self) -> None:
        self._gate.set()
        self._gate = asyncio.Event()

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answer:
        command_id = sender.command_id
        assert command_id is not None
        call = {"ent": ent, "op": op, "args": args, "base_fver": base_fver, **msgspec.structs.asdict(sender)}
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.hold:
            await self._gate.wait()
        outcome = self.outcome(call)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return outcome
        if command_id in self.done:
            return Answer(self.done[command_id], duplicate=True)
        version = self.done[command_id] = self._versions[ent] = self._versions.get(ent, 0) + 1
        return Answer(version)

    def clinical(self, ent: str, op: str) -> bool:
        return ent.startswith("document/") and op != "sign"

    async def signal(self, actor: Actor, ent: str, name: str, args: dict[str, Any], device: str) -> None:
        self.signals.append((name, args))
        await asyncio.sleep(0)
        if self.hold:
            await self._gate.wait()
        outcome = self.outcome({"op": name, "args": args})
        if isinstance(outcome, Exception):
            raise outcome


class Logins:
    """The token is the subject; `expires` sets when, `share:` tokens come by the link."""

    def __init__(self) -> None:
        self.expires_ms: int | None = None
        self.down = False
        self.seen: list[Credentials] = []

    async def authenticate(self, credentials: Credentials) -> Identity:
        self.seen.append(credentials)
        if self.down:
            raise Unavailable("no keys")
        token = credentials.token or credentials.bearer or (f"share:{credentials.share}" if credentials.share else "")
        if token in {"", "forged"}:
            raise Unauthenticated("no")
        if token == "expired":
            raise Unauthenticated("late", code="token_expired")
        return Identity(Actor(token, ("customer",)), self.expires_ms)


class Wire:
    """A socket with both ends in the test's hands. `stuck`: the peer does not read."""

    def __init__(self, codec: Codec = JSON) -> None:
        self.codec = codec
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.sizes: list[int] = []
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._flow = asyncio.Event()
        self._flow.set()

    def feed(self, *frames: Any) -> None:
        for frame in frames:
            if isinstance(frame, (str, bytes)):
                self._inbox.put_nowait(frame)
            elif self.codec.text:
                self._inbox.put_nowait(json.dumps(frame))
            else:
                self._inbox.put_nowait(msgpack.packb(frame))

    def hang_up(self) -> None:
        self._inbox.put_nowait(None)

    def stick(self) -> None:
        self._flow.clear()

    def flow(self) -> None:
        self._flow.set()

    async def receive(self) -> str | bytes | None:
        return await self._inbox.get()

    async def send(self, frame: bytes) -> None:
        await self._flow.wait()
        if self.closed is not None:
            raise ConnectionError("closed")
        self.sizes.append(len(frame))
        self.sent.append(json.loads(frame) if self.codec.text else msgpack.unpackb(frame))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def take(self, *types: str) -> list[dict[str, Any]]:
        """What was sent since the last `take`, of these types."""
        sent, self.sent = self.sent, []
        return [frame for frame in sent if not types or frame["t"] in types]


class Client:
    """What a well-behaved client knows of one entity, from the frames alone."""

    def __init__(self) -> None:
        self.views: dict[str, Any] = {}
        self.versions: dict[str, int] = {}

    def absorb(self, frames: Sequence[dict[str, Any]]) -> "Client":
        for frame in frames:
            if frame["t"] == "snapshot":
                for entry in frame["entities"]:
                    self._set(entry["ent"], entry["ver"], entry["state"])
                for ent in frame.get("gone", ()):
                    self._forget(ent)
            elif frame["t"] == "change":
                ent = frame["ent"]
                if frame.get("left"):
                    if frame["ver"] >= self.versions.get(ent, 0):
                        self._forget(ent)
                    continue
                if "state" in frame:
                    assert frame["ver"] > self.versions.get(ent, 0)
                    self._set(ent, frame["ver"], frame["state"])
                else:
                    assert frame["ver"] == self.versions.get(ent, 0) + 1, "a gap reached the client"
                    self._set(ent, frame["ver"], apply(self.views.get(ent, {}), frame["patch"]))
        return self

    def _forget(self, ent: str) -> None:
        self.versions.pop(ent, None)
        self.views.pop(ent, None)

    def _set(self, ent: str, version: int, view: Any) -> None:
        self.versions[ent] = version
        self.views[ent] = view


class House:
    """A gateway on fakes, and the sockets that tests open on it."""

    def __init__(self, limits: Limits = DEFAULTS, witness: Witness | None = None) -> None:
        self.clock = Clock()
        self.entities = Entities()
        self.port = Port()
        self.logins = Logins()
        self.pauses: deque[float] = deque()
        self.hub = Hub(
            "gw",
            self.entities,
            self.entities,
            self.entities,
            limits=limits,
            clock=self.clock,
            wall=self.clock.wall,
            sleep=self._sleep,
        )
        self.services = Services(
            hub=self.hub,
            port=self.port,
            authenticator=self.logins,
            limits=limits,
            clock=self.clock,
            wall=self.clock.wall,
            witness=witness,
        )
        self.gateway = Gateway(self.services, sleep=self._sleep)
        self._tasks: list[asyncio.Task[None]] = []

    def use(self, **services: Any) -> None:
        """These instead of the fakes, for sockets that are opened from now on."""
        self.services = self.gateway.services = msgspec.structs.replace(self.services, **services)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.now += seconds
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.hub.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in list(self.gateway.sessions()):
            session.shut(4001, "test over")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hub.stop()

    def open(self, codec: Codec = JSON, scope: Scope | None = None, credentials: Credentials | None = None) -> Wire:
        wire = Wire(codec)
        scope = scope or live(frozenset({"cart", "order"}))
        serving = self.gateway.serve(wire, codec, scope, credentials or Credentials())
        self._tasks.append(asyncio.get_running_loop().create_task(serving))
        return wire

    async def connect(
        self, token: str = "alice", *, codec: Codec = JSON, scope: Scope | None = None, **hello: Any
    ) -> Wire:
        """A socket that has been welcomed; what it was sent so far stays in `sent`, without the welcome."""
        wire = self.open(codec, scope)
        wire.feed({"t": "hello", "v": [1, 1], "device_id": DEVICE, "epoch": 1, "token": token, **hello})
        await settle()
        assert wire.sent[0]["t"] == "welcome", (wire.sent, wire.closed)
        del wire.sent[0]
        return wire

    def session(self) -> Session:
        (session,) = self.gateway.sessions()
        return session

    async def tick(self, seconds: float) -> None:
        """Let time pass in steps of a second, as the gateway's ticker would."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + 1.0)
            self.gateway.tick(self.clock.now)
            await settle()


def command(seq: int, ent: str = CART, op: str = "add_line", **args: Any) -> dict[str, Any]:
    return {"t": "command", "epoch": 1, "seq": seq, "ent": ent, "op": op, "args": args}
