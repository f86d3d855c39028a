"""What the real-time room needs from others, as interfaces; each is injected."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from actors.runtime.entity import Actor

Clock = Callable[[], float]
"""Monotonic seconds."""

Sleep = Callable[[float], Awaitable[None]]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a socket: the hello's token, the upgrade's bearer token, a share link and its order."""

    token: str = ""
    bearer: str = ""
    share: str = ""
    order_id: str = ""


class Identity(msgspec.Struct, frozen=True):
    """Who is at the other end. `expires_ms` is wall-clock UTC, None for never.

    `shown`: the fields of a state that they may see, None for all of them.
    """

    actor: Actor
    expires_ms: int | None = None
    shown: frozenset[str] | None = None


class Authenticator(Protocol):
    async def authenticate(self, credentials: Credentials) -> Identity:
        """Raises `Unauthenticated`; with code `token_expired` the client may come back with a new one."""


class Answer(Protocol):
    """What a command came to: `EntityClient`'s answer fits."""

    @property
    def version(self) -> int: ...
    @property
    def duplicate(self) -> bool: ...
    @property
    def data(self) -> dict[str, Any] | None: ...


class WatchAnswer(Protocol):
    """The version, and the msgpack view when it is newer than what the caller has (else empty)."""

    @property
    def version(self) -> int: ...
    @property
    def view(self) -> bytes: ...


class CommandPort(Protocol):
    """Turns `op` and `args` into a typed command, resolves what the client must not say, asks the entity."""

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
        """`ent` is `kind/id`. Raises `AtriumError`; a repeat of `command_id` gives the first result."""

    async def signal(self, actor: Actor, ent: str, name: str, args: dict[str, Any], device: str) -> None:
        """A fact for those who watch, not journaled. Raises `AtriumError`."""


class Watermarks(Protocol):
    """How far a device's queue has been answered. The durable one belongs to the provider session."""

    async def last_seq(self, actor: Actor, device_id: str, epoch: int, first_unacked: int) -> int: ...
    async def acked(self, actor: Actor, device_id: str, epoch: int, results_upto: int) -> None: ...


class DeviceKeepsCount:
    """Nothing durable: the device says where its queue starts; entities deduplicate what it sends again."""

    async def last_seq(self, actor: Actor, device_id: str, epoch: int, first_unacked: int) -> int:  # noqa: ARG002
        return first_unacked - 1

    async def acked(self, actor: Actor, device_id: str, epoch: int, results_upto: int) -> None:
        pass


class WatchClient(Protocol):
    """The part of `EntityClient` that the hub uses. `have` -1: nothing yet."""

    async def watch(self, kind: str, id: str, *, gateway: str, actor: Actor, have: int) -> WatchAnswer: ...
    async def read(self, kind: str, id: str, *, actor: Actor, want: int, have: int) -> WatchAnswer: ...
    async def unwatch(self, kind: str, id: str, *, gateway: str) -> object: ...
    async def watch_group(self, group: str, *, gateway: str) -> object: ...
    async def unwatch_group(self, group: str, *, gateway: str) -> object: ...
    def on_host_change(self, callback: Callable[[str], None]) -> object: ...


class Bus(Protocol):
    """Redis pub/sub: `on_message(payload)` for each message, `on_reconnect()` after a gap in listening."""

    async def subscribe(
        self, channel: str, on_message: Callable[[bytes], None], on_reconnect: Callable[[], None]
    ) -> object: ...


class GroupSource(Protocol):
    async def members(self, group: str, actor: Actor) -> Sequence[tuple[str, str]]:
        """(kind, id) of the group's members now, newest first.

        Raises `NotFound` for an unknown group or one that is not the actor's to see.
        """


class Socket(Protocol):
    """One accepted WebSocket, whatever carries it."""

    async def receive(self) -> str | bytes | None:
        """The next message; None when the other side has gone."""

    async def send(self, frame: bytes) -> None:
        """Raises `ConnectionError` when the other side has gone."""

    async def close(self, code: int, reason: str) -> None: ...
