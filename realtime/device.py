"""A connection's tie to the provider session that keeps its device's count: the hello, the watch over it, the end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec
import structlog

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Conflict, Failure, Forbidden, NotFound, Temporary, rebuild
from realtime import codes
from realtime.codec import MSGPACK, Codec
from realtime.commands import Executor
from realtime.connection import Connection, Phase
from realtime.frames import Hello
from realtime.outbox import Key
from realtime.ports import Admission
from realtime.replay import QueueRunner
from realtime.services import Services

log = structlog.get_logger()
_decode = msgspec.msgpack.Decoder().decode

CLOSE_CODES: Final = {
    "insufficient_state": codes.INSUFFICIENT_STATE,
    "device_revoked": codes.DEVICE_REVOKED,
    "replaced": codes.REPLACED,
    "fenced": codes.FENCED,
    "logged_off": codes.TOKEN_EXPIRED,
    "revoked": codes.STATE_INVALIDATED,
}
"""What the ledger says, and how the connection ends for it."""


_TELLING: Final = ("access", "status", "ended_by", "generation")
"""Of a session's view, what can end a connection."""


def close_code(error: AtriumError) -> int:
    """How a connection ends that the ledger does not go on with."""
    if isinstance(error, Temporary):
        return codes.SHUTDOWN
    known = CLOSE_CODES.get(error.failure.code)
    if known is not None:
        return known
    return codes.TOKEN_INVALID if isinstance(error, Forbidden | NotFound) else codes.SHUTDOWN


def ending(admission: Admission, view: dict[str, Any]) -> AtriumError | None:
    """Why a connection with this admission may not go on, by the session's view; None if it may."""
    if view.get("access") == "revoked_device":
        return Forbidden("This device was revoked.", code="device_revoked")
    if view.get("status") == "ended":
        handed_off = view.get("ended_by") == "handed_off"
        return Conflict("The session has ended.", code="fenced" if handed_off else "logged_off")
    if (view.get("generation") or 0) > admission.generation:
        return Conflict("A newer connection of this device has come.", code="replaced")
    return None


class SessionWatch:
    """The hub's `Subscriber` that looks at the session itself: what ends there ends the connection, at once.

    `end` is told why; `refuse` gets the code under which commands are quarantined from now on, "" for none.
    """

    __slots__ = ("_actor", "_admission", "_end", "_refuse", "_view", "channel")

    def __init__(
        self,
        admission: Admission,
        actor: Callable[[], Actor],
        end: Callable[[AtriumError], None],
        refuse: Callable[[str], None],
    ) -> None:
        self.channel = f"session/{admission.session_id}"
        self._admission = admission
        self._actor = actor
        self._end = end
        self._refuse = refuse
        self._view: dict[str, Any] = {}

    @property
    def codec(self) -> Codec:
        return MSGPACK

    @property
    def actor(self) -> Actor:
        return self._actor()

    def deliver(self, frame: bytes, key: Key | None) -> None:  # noqa: ARG002
        message = _decode(frame)
        for entry in message.get("entities", ()):
            self._look(entry["state"], whole=True)
        if "state" in message:
            self._look(message["state"], whole=True)
        elif "patch" in message:
            self._look(message["patch"], whole=False)

    def _look(self, content: dict[str, Any], *, whole: bool) -> None:
        """Most changes are of the count, and say nothing that ends a connection."""
        told: dict[str, Any] = {name: content[name] for name in _TELLING if name in content}
        if not whole and not told:
            return
        self._view = told if whole else {**self._view, **told}
        self._refuse("revoked" if self._view.get("access") == "revoked_person" else "")
        error = ending(self._admission, self._view)
        if error is not None:
            self._end(error)

    def lost(self, channel: str, code: str) -> None:  # noqa: ARG002
        self._end(rebuild(Failure("revoked", 403, "The session is not to be seen any more.")))


class Owner(Protocol):
    """The connection that a device has come by."""

    @property
    def actor(self) -> Actor: ...
    @property
    def connection(self) -> Connection: ...
    def shut(self, code: int, reason: str) -> None: ...
    def wake(self) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it for as long as the connection lasts."""


class Device:
    """A device at one connection. `queue` is there when the ledger keeps its count."""

    __slots__ = ("_executor", "_owner", "_services", "_touched", "_watch", "admission", "queue")

    def __init__(self, owner: Owner, executor: Executor, services: Services) -> None:
        self.admission = Admission()
        self.queue: QueueRunner | None = None
        self._owner = owner
        self._executor = executor
        self._services = services
        self._watch: SessionWatch | None = None
        self._touched = 0.0

    async def admit(self, hello: Hello, login_ms: int) -> Admission | None:
        """Ask the ledger how far the device's queue has come. None: the connection ends."""
        connection = self._owner.connection
        try:
            admission = await self._services.ledger.open(
                self._owner.actor,
                hello.device_id,
                hello.epoch,
                hello.first_unacked,
                connection.conn_id,
                connection.scope.place,
                login_ms,
            )
        except AtriumError as error:
            connection.shut(close_code(error), error.failure.code)
            return None
        self.admission = admission
        if connection.phase is not Phase.AUTHENTICATING:
            self.release()  # the hello's time ran out meanwhile
            return None
        if admission.session_id:
            self._keep_count(admission)
        return admission

    def acked(self, upto: int) -> None:
        if self.queue is not None:
            self.queue.acked(upto)

    def touch(self) -> None:
        """There is somebody: told to the ledger now and then."""
        now = self._services.clock()
        if self.queue is not None and now >= self._touched + self._services.limits.touch_seconds:
            self._touched = now
            self._owner.spawn(self._tell_touched())

    def release(self) -> None:
        """The connection has ended. Whoever is away is known to be so, once what they sent has been written down."""
        watch, self._watch = self._watch, None
        if watch is not None:
            self._services.hub.unsubscribe(watch, watch.channel)
        admission, self.admission = self.admission, Admission()
        if admission.session_id:
            closing = asyncio.get_running_loop().create_task(self._close(admission))
            self._services.running.add(closing)
            closing.add_done_callback(self._services.running.discard)

    def _keep_count(self, admission: Admission) -> None:
        services, owner = self._services, self._owner
        self._executor.generation = admission.generation
        self.queue = queue = QueueRunner(
            owner.connection,
            self._executor,
            services.port,
            services.ledger,
            admission,
            services.limits,
            services.clock,
            owner.wake,
            self._end,
            services.running,
        )

        def refuse(code: str) -> None:
            queue.refusal = code

        self._touched = services.clock()
        self._watch = watch = SessionWatch(admission, lambda: owner.actor, self._end, refuse)
        owner.spawn(self._look_after(watch))

    async def _look_after(self, watch: SessionWatch) -> None:
        while self._watch is watch:
            try:
                await self._services.hub.subscribe(watch, watch.channel, {}, None)
            except Temporary as error:
                await self._services.sleep((error.failure.retry_after_ms or 1_000) / 1000)
            except AtriumError as error:
                self._end(error)
                return
            else:
                return

    async def _tell_touched(self) -> None:
        try:
            await self._services.ledger.touch(self._owner.actor, self.admission)
        except Temporary as error:
            log.info("touch_not_kept", connection=self._owner.connection.conn_id, error=repr(error))
        except AtriumError as error:
            self._end(error)

    async def _close(self, admission: Admission) -> None:
        if self.queue is not None:
            self.queue.close()
            await self.queue.finished()
        try:
            await self._services.ledger.close(self._owner.actor, admission)
        except AtriumError as error:
            log.info("session_not_closed", connection=self._owner.connection.conn_id, error=repr(error))

    def _end(self, error: AtriumError) -> None:
        """The ledger does not go on with this connection."""
        self._owner.shut(close_code(error), error.failure.code)
