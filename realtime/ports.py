"""What the real-time room needs from others, as interfaces; each is injected."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from actors.runtime.entity import Actor
from services.entities import Answered, Sender

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
    login_ms: int = 0
    """When they proved who they are (wall clock), 0 for never."""
    ticket: Any = None
    """What `Revoked` knows it by, None for what cannot be taken back."""
    may: Callable[[str, str], bool] | None = None
    """Of an API key: whether it was made for this channel (`read`), for commands to this entity (`write`)."""
    scopes: frozenset[str] | None = None
    """What `may` follows from."""


class Revoked(Protocol):
    """What was taken back since it was checked."""

    @property
    def version(self) -> int:
        """Rises when there is news."""

    def ending(self, ticket: Any) -> str | None:
        """None while it holds, `ended`, or `outdated`: they may come back at once with a fresh one."""


class Authenticator(Protocol):
    async def authenticate(self, credentials: Credentials) -> Identity:
        """Raises `Unauthenticated`; with code `token_expired` the client may come back with a new one."""


class WatchAnswer(Protocol):
    """The version, and the msgpack view when it is newer than what the caller has (else empty)."""

    @property
    def version(self) -> int: ...
    @property
    def view(self) -> bytes: ...


class CommandPort(Protocol):
    """Turns `op` and `args` into a typed command, resolves what the client must not say, asks the entity."""

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        """`ent` is `kind/id`. Raises `AtriumError`; a repeat of the sender's `command_id` gives the first result.

        The sender's `generation` is the admission's: once an entity has heard a newer one of this device, it refuses
        older ones. `base_fver`: the version of the field that the device had seen as it made the edit.
        """

    def clinical(self, ent: str, op: str) -> bool:
        """Whether a refused command of this kind is kept in quarantine: it carries clinical facts."""

    async def signal(self, actor: Actor, ent: str, name: str, args: dict[str, Any], device: str) -> None:
        """A fact for those who watch, not journaled. Raises `AtriumError`."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of a device that has come. `session_id` "": the device keeps the count itself.

    `generation` rises with every connection of the session: only the newest may record. `last_seq` is the watermark
    of the hello's epoch. `refusal` is a code (`revoked`) under which every command is quarantined instead of run.
    `epoch` is the session's own: commands of a lower one are quarantined (`old_epoch`).
    """

    session_id: str = ""
    generation: int = 0
    epoch: int = 0
    last_seq: int = 0
    refusal: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one command, as the ledger keeps it.

    `hash` is the command's body hash. `result` is the `result` frame as a map without `t`, `epoch`, `seq` and `ent`;
    it is given again to a repeat. `command` is the whole command (a map: ent, op, args, base_ver, base_fver, hlc,
    schema) when it is to be quarantined, under `item_id`.
    """

    epoch: int
    seq: int
    hash: bytes
    result: dict[str, Any]
    command: dict[str, Any] | None = None
    item_id: str = ""


class Ledger(Protocol):
    """Who keeps the count of a device's queue, and what of it must not get lost (the provider session).

    Every method may raise `Temporary`. `record` and `touch` raise `Conflict` with code `replaced` (a newer
    connection of this device), `fenced` (the session went to somebody else), `revoked` or `logged_off`: the
    connection has to end.
    """

    async def open(
        self, actor: Actor, device_id: str, epoch: int, first_unacked: int, conn_id: str, place: str, login_ms: int
    ) -> Admission:
        """A device says hello. `place` is the location it works at, "" for unknown; `login_ms` is the person's login.

        Raises `Conflict` with code `logged_off` or `fenced` when the session has ended since that login,
        `insufficient_state` when the device claims results that were never given, `Forbidden` with `device_revoked`.
        """

    async def settled(self, actor: Actor, admission: Admission, epoch: int) -> list[Entry]:
        """The results kept for `epoch`, oldest first: what a repeat is answered from. `hash` and `result` only."""

    async def record(self, actor: Actor, admission: Admission, entries: Sequence[Entry]) -> None:
        """Keep outcomes, durably, in order: those of the current epoch continue its watermark without a gap."""

    async def acked(self, actor: Actor, admission: Admission, epoch: int, upto: int) -> None:
        """The device has stored the results up to `upto`: they may be pruned."""

    async def touch(self, actor: Actor, admission: Admission) -> None:
        """There is somebody at the device (automatic logoff counts from the last sign of it)."""

    async def close(self, actor: Actor, admission: Admission) -> None:
        """The connection has ended. Nothing to do if it was replaced meanwhile."""


class DeviceKeepsCount:
    """A `Ledger` that keeps nothing: the device says where its queue starts; entities deduplicate repeats."""

    async def open(
        self,
        actor: Actor,  # noqa: ARG002
        device_id: str,  # noqa: ARG002
        epoch: int,
        first_unacked: int,
        conn_id: str,  # noqa: ARG002
        place: str,  # noqa: ARG002
        login_ms: int,  # noqa: ARG002
    ) -> Admission:
        return Admission(epoch=epoch, last_seq=first_unacked - 1)

    async def settled(self, actor: Actor, admission: Admission, epoch: int) -> list[Entry]:  # noqa: ARG002
        return []

    async def record(self, actor: Actor, admission: Admission, entries: Sequence[Entry]) -> None:
        pass

    async def acked(self, actor: Actor, admission: Admission, epoch: int, upto: int) -> None:
        pass

    async def touch(self, actor: Actor, admission: Admission) -> None:
        pass

    async def close(self, actor: Actor, admission: Admission) -> None:
        pass


class Witness(Protocol):
    """Writes down who is shown what (the audit trail of clinical data). Raises `Temporary`: then it is not shown."""

    async def shown(self, actor: Actor, channel: str, device: str, correlation: str) -> None: ...
    async def refused(self, actor: Actor, channel: str, code: str, device: str, correlation: str) -> None: ...


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
    async def members(self, group: str, actor: Actor, *, again: bool = False) -> Sequence[tuple[str, str]]:
        """(kind, id) of the group's members now, newest first. `again`: only to compare, nobody is shown a list.

        Raises `NotFound` for an unknown group or one that is not the actor's to see.
        """


class Socket(Protocol):
    """One accepted WebSocket, whatever carries it."""

    async def receive(self) -> str | bytes | None:
        """The next message; None when the other side has gone."""

    async def send(self, frame: bytes) -> None:
        """Raises `ConnectionError` when the other side has gone."""

    async def close(self, code: int, reason: str) -> None: ...
