"""Stand-ins for what the real-time room is given: a clock, a socket, hosts with a bus, commands, logins."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgpack
import msgspec

from actors.runtime.entity import Actor
from actors.runtime.wire import Change
from domain.errors import AtriumError, NotFound, Unauthenticated, Unavailable
from domain.merge_patch import apply, diff
from realtime.channels import Scope, live
from realtime.codec import JSON, Codec
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.limits import DEFAULTS, Limits
from realtime.ports import Credentials, Identity
from realtime.session import Services, Session

ALICE = Actor("alice", ("customer",))
BOB = Actor("bob", ("customer",))
DEVICE = "0190a0b0-0000-7000-8000-000000000001"
CART = "cart/0190a0b0-0000-7000-8000-00000000000c"
ORDER = "order/0190a0b0-0000-7000-8000-00000000000d"
WALL_MS = 1_750_000_000_000

pack = msgspec.msgpack.encode
unpack = msgspec.msgpack.decode


def ref(ent: str) -> tuple[str, str]:
    kind, _, id_ = ent.partition("/")
    return kind, id_


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


class Answer(msgspec.Struct):
    version: int
    view: bytes = b""
    duplicate: bool = False
    data: dict[str, Any] | None = None


class Entities:
    """Entities with versions and views, their watches, and the bus to one gateway.

    `hold_reads` makes reads and watches wait after they were registered and before they look, `hold_answers` after
    they looked; `release()` lets them go. `deaf` loses what is published.
    """

    def __init__(self) -> None:
        self.views: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.groups_of: dict[tuple[str, str], tuple[str, ...]] = {}
        self.hidden: set[tuple[str, tuple[str, str]]] = set()
        self.watched: dict[str, int] = {}
        self.watched_groups: dict[str, int] = {}
        self.failing: AtriumError | None = None
        self.deaf = False
        self.hold_reads = False
        self.hold_answers = False
        self.reads = 0
        self.log: list[str] = []
        self._gate = asyncio.Event()
        self._on_message: Callable[[bytes], None] | None = None
        self.on_reconnect: Callable[[], None] = lambda: None
        self.host_changed: list[Callable[[str], None]] = []

    # -- what happens to entities ---------------------------------------------------------------

    def put(
        self, ent: str, view: dict[str, Any], *, groups: tuple[str, ...] | None = None, command_id: bytes = b""
    ) -> int:
        """A new version; published if anybody watches, as hosts do it."""
        key = ref(ent)
        history = self.views.setdefault(key, [])
        before = history[-1] if history else {}
        history.append(view)
        if groups is not None:
            self.groups_of[key] = groups
        self.publish(self.change(ent, len(history), diff(before, view), command_id))
        return len(history)

    def change(self, ent: str, version: int, patch: Any, command_id: bytes = b"", signal: str = "") -> Change:
        key = ref(ent)
        groups = self.groups_of.get(key, ())
        return Change(*key, version, pack(patch), groups, "device", command_id, WALL_MS + version, signal)

    def signal(self, ent: str, name: str, args: dict[str, Any]) -> None:
        self.publish(self.change(ent, self.version(ent), args, signal=name))

    def publish(self, *changes: Change) -> None:
        told = [one for one in changes if self._is_watched(one)]
        if told and not self.deaf and self._on_message is not None:
            self._on_message(pack(told))

    def _is_watched(self, change: Change) -> bool:
        return f"{change.kind}/{change.id}" in self.watched or any(one in self.watched_groups for one in change.groups)

    def version(self, ent: str) -> int:
        return len(self.views.get(ref(ent), []))

    def view(self, ent: str) -> dict[str, Any]:
        return self.views[ref(ent)][-1]

    def release(self) -> None:
        self._gate.set()
        self._gate = asyncio.Event()

    # -- the entity client ----------------------------------------------------------------------

    async def watch(self, kind: str, id: str, *, gateway: str, actor: Actor, have: int) -> Answer:
        self.log.append(f"watch {kind}/{id} {actor.subject} {have}")
        if self.failing is None and (actor.subject, (kind, id)) not in self.hidden and (kind, id) in self.views:
            self.watched[f"{kind}/{id}"] = self.watched.get(f"{kind}/{id}", 0) + 1
        return await self.read(kind, id, actor=actor, want=2, have=have)

    async def read(self, kind: str, id: str, *, actor: Actor, want: int, have: int) -> Answer:
        self.reads += 1
        await asyncio.sleep(0)
        if self.hold_reads:
            await self._gate.wait()
        if self.failing is not None:
            raise self.failing
        if (kind, id) not in self.views or (actor.subject, (kind, id)) in self.hidden:
            raise NotFound("unknown")
        history = self.views[kind, id]
        answer = Answer(len(history), b"" if have == len(history) else pack(history[-1]))
        if self.hold_answers:
            await self._gate.wait()
        return answer

    async def unwatch(self, kind: str, id: str, *, gateway: str) -> None:
        self.log.append(f"unwatch {kind}/{id}")
        self.watched.pop(f"{kind}/{id}", None)

    async def watch_group(self, group: str, *, gateway: str) -> None:
        self.log.append(f"watch_group {group}")
        self.watched_groups[group] = 1

    async def unwatch_group(self, group: str, *, gateway: str) -> None:
        self.log.append(f"unwatch_group {group}")
        self.watched_groups.pop(group, None)

    def on_host_change(self, callback: Callable[[str], None]) -> None:
        self.host_changed.append(callback)

    def replace_host(self) -> None:
        """The new one knows no watches."""
        self.watched.clear()
        self.watched_groups.clear()
        for callback in self.host_changed:
            callback("host-1")

    # -- the bus and the group source -------------------------------------------------------------

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> None:
        self.log.append(f"subscribe {channel}")
        self._on_message = on_message
        self.on_reconnect = on_reconnect

    def garble(self) -> None:
        assert self._on_message is not None
        self._on_message(b"\xc1")

    async def members(self, group: str, actor: Actor) -> Sequence[tuple[str, str]]:
        await asyncio.sleep(0)
        if (actor.subject, ("group", group)) in self.hidden:
            raise NotFound("unknown")
        return [key for key, groups in self.groups_of.items() if group in groups]


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
        self,
        actor: Actor,
        ent: str,
        op: str,
        args: dict[str, Any],
        command_id: bytes,
        body_hash: bytes,
        correlation: str,
        device: str,
        *,
        base_ver: int | None = None,
        base_fver: int | None = None,
    ) -> Answer:
        call = {
            "actor": actor,
            "ent": ent,
            "op": op,
            "args": args,
            "command_id": command_id,
            "body_hash": body_hash,
            "correlation": correlation,
            "device": device,
            "base_ver": base_ver,
        }
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
            elif frame["t"] == "change":
                ent = frame["ent"]
                if "state" in frame:
                    assert frame["ver"] > self.versions.get(ent, 0)
                    self._set(ent, frame["ver"], frame["state"])
                else:
                    assert frame["ver"] == self.versions.get(ent, 0) + 1, "a gap reached the client"
                    self._set(ent, frame["ver"], apply(self.views.get(ent, {}), frame["patch"]))
        return self

    def _set(self, ent: str, version: int, view: Any) -> None:
        self.versions[ent] = version
        self.views[ent] = view


class House:
    """A gateway on fakes, and the sockets that tests open on it."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
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
        )
        self.gateway = Gateway(self.services, sleep=self._sleep)
        self._tasks: list[asyncio.Task[None]] = []

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
