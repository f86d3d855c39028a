"""One socket at work: reads frames into its connection, acts on them, writes what the connection has to say."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import AtriumError, Temporary
from domain.ids import is_uuid
from realtime import codes
from realtime.channels import Scope, narrowed, shows_presence
from realtime.codec import Codec
from realtime.commands import CommandRunner, Executor, SignalRunner
from realtime.connection import Connection
from realtime.device import Device
from realtime.feed import Wants
from realtime.frames import (
    Ack,
    AnyClientFrame,
    Auth,
    ClientPresence,
    ClientSignal,
    Command,
    Hello,
    Reference,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from realtime.identities import identify, ttl_seconds
from realtime.outbox import Key
from realtime.ports import (
    Credentials,
    DeviceKeepsCount,
    Socket,
)
from realtime.redaction import redact
from realtime.services import Services

log = structlog.get_logger()

_INTERNAL_ERROR = 1011
_KEEPS_COUNT = DeviceKeepsCount()


class Session:
    """Drive it with `run()`; call `tick` about once a second. It is the hub's `Subscriber`."""

    __slots__ = (
        "__weakref__",
        "_clock",
        "_credentials",
        "_device",
        "_executor",
        "_gone",
        "_hub",
        "_reader",
        "_released",
        "_runner",
        "_scopes",
        "_services",
        "_shown",
        "_signals",
        "_socket",
        "_stopped",
        "_tasks",
        "_writer",
        "actor",
        "codec",
        "connection",
        "ticket",
    )

    def __init__(
        self, socket: Socket, services: Services, codec: Codec, scope: Scope, credentials: Credentials, conn_id: str
    ) -> None:
        self.actor = Actor("")
        self.ticket: Any = None
        self.codec = codec
        self._socket = socket
        self._services = services
        self._shown: frozenset[str] | None = None
        self._scopes: frozenset[str] | None = None
        self._credentials = credentials
        self._clock = services.clock
        self._hub = services.hub
        self.connection = Connection(codec, scope, services.limits, conn_id, self._clock(), self._newest)
        self._executor = Executor(self.connection, services.port, self._hub.table.note_origin, services.wall)
        self._runner: CommandRunner | None = None
        self._signals: SignalRunner | None = None
        self._device = Device(self, self._executor, services)
        self._reader: asyncio.Task[Any] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self._gone = False
        self._stopped = False
        self._released = False

    async def run(self, over: Callable[["Session"], None]) -> None:
        """Until the socket is closed, by whichever side; `over` is told at the very end, whatever happens."""
        self._reader = task = asyncio.current_task()
        connection, receive = self.connection, self._socket.receive
        try:
            try:
                while connection.closing is None and not self._gone:
                    await self._take(await receive())
            except asyncio.CancelledError:
                if not self._stopped or task is None:
                    self._abandon()
                    raise  # the server goes down; it was not us who stopped reading
                task.uncancel()
            except Exception:
                log.exception("session_failed", connection=connection.conn_id)
                connection.shut(_INTERNAL_ERROR, "internal error", flush=False)
            finally:
                self._release()
            await self._finish()
        finally:
            over(self)

    def tick(self, now: float) -> None:
        self.connection.tick(now)
        self.wake()

    def goaway(self, drain_ms: int) -> None:
        self.connection.goaway(drain_ms, self._clock())
        self.wake()

    def shut(self, code: int, reason: str) -> None:
        self.connection.shut(code, reason)
        self.wake()

    # -- the hub's side ---------------------------------------------------------------------------

    def deliver(self, frame: bytes, key: Key | None) -> None:
        if self._shown is not None:
            frame = redact(frame, self.codec, self._shown)
        self.connection.push(frame, self._clock(), key)
        self.wake()

    def lost(self, channel: str, code: str) -> None:
        self.connection.channels.pop(channel, None)
        self._depart(channel)
        self.connection.refuse(channel, "subscribe", code, self._clock())
        self.wake()

    def _newest(self, channel: str, ent: str) -> bytes | None:
        frame = self._hub.table.newest(channel, ent, self)
        return frame if frame is None or self._shown is None else redact(frame, self.codec, self._shown)

    # -- in ---------------------------------------------------------------------------------------

    async def _take(self, data: str | bytes | None) -> None:
        """Apart from `run`, whose frame waits with the socket: it would keep the last message, mostly the hello with
        its token."""
        connection = self.connection
        if data is None:
            self._gone = True
            return
        frame = connection.receive(data, self._clock())
        if type(frame) is Command:
            (self._device.queue or self._commands()).submit(frame)
        elif frame is not None:
            await self._act(frame)
        if connection.outbox:
            self.wake()

    def _commands(self) -> CommandRunner:
        """Made when the first one comes: most sockets only watch."""
        if self._runner is None:
            running = self._services.running
            self._runner = CommandRunner(self.connection, self._executor, self._clock, self.wake, running)
        return self._runner

    def _signalling(self) -> SignalRunner:
        if self._signals is None:
            port, running = self._services.port, self._services.running
            self._signals = SignalRunner(self.connection, self._executor, port, self._clock, self.wake, running)
        return self._signals

    async def _act(self, frame: AnyClientFrame) -> None:
        match frame:
            case Hello():
                await self._hello(frame)
            case Auth(token=token):
                await self._authenticate_again(token)
            case Subscribe(id=ref, ch=channel, have=have, mode=mode):
                self._subscribe(channel, have, mode, ref)
            case Unsubscribe(ch=channel):
                self.connection.channels.pop(channel, None)
                self._depart(channel)
                self._hub.unsubscribe(self, channel)
            case ClientSignal():
                self._signalling().submit(frame)
                self._device.touch()
            case ClientPresence(ch=channel, state=state):
                self._show(channel, state)
                self._device.touch()
            case Ack(results_upto=upto):
                self._device.acked(upto)
            case _:
                pass

    async def _hello(self, hello: Hello) -> None:
        connection, clock = self.connection, self._clock
        if hello.device_id and not is_uuid(hello.device_id):
            connection.shut(codes.BAD_FRAME, "hello: device_id is not a UUID")
            return
        identity = await identify(self._services, self._credentials, hello.token, connection)
        if identity is None:
            return
        self.actor = self._executor.actor = identity.actor
        self.ticket = identity.ticket
        self._shown, self._scopes = identity.shown, identity.scopes
        if identity.may is not None:
            connection.scope = narrowed(connection.scope, identity.may)
            if hello.device_id and not identity.may("session", "write"):
                connection.shut(codes.TOKEN_INVALID, "scope_missing")
                return
        admission = await self._device.admit(hello, identity.login_ms)
        if admission is None:
            return
        resumed = any(wanted.have for wanted in hello.subs)
        connection.welcome(
            admission.last_seq,
            resumed=resumed,
            ttl_seconds=ttl_seconds(identity, self._services.wall()),
            wall_ms=self._services.wall(),
            now=clock(),
            session_id=admission.session_id,
        )
        asked = {wanted.ch for wanted in hello.subs}
        own = [Wanted(channel) for channel in self._own_channels() if channel not in asked]
        for wanted in (*own, *hello.subs):
            if connection.admit_channel(wanted.ch, wanted.ch, clock()):
                self._subscribe(wanted.ch, wanted.have, wanted.mode, None)

    def _own_channels(self) -> list[str]:
        """What the endpoint subscribes by itself; a placeholder without a value is left out."""
        known = {"session": self._device.admission.session_id, "subject": self.actor.subject}
        channels = [channel.format_map(known) for channel in self.connection.scope.subscribes]
        return [channel for channel in channels if "//" not in channel and not channel.endswith("/")]

    def _show(self, channel: str, state: dict[str, Any]) -> None:
        connection, presence = self.connection, self._services.presence
        if presence is None or not self._sees_people(channel):
            connection.refuse(channel, "presence", "not_subscribed", self._clock())
            return
        error = presence.show(self, channel, state, conn_id=connection.conn_id, device_id=connection.device_id)
        if error is not None:
            connection.send(error, self._clock())

    def _sees_people(self, channel: str) -> bool:
        return shows_presence(channel, self.actor, narrowed=self._shown is not None)

    def _depart(self, channel: str) -> None:
        if self._services.presence is not None:
            self._services.presence.leave(self, channel)

    async def _authenticate_again(self, token: str) -> None:
        identity = await identify(self._services, self._credentials, token, self.connection)
        if identity is None:
            return
        if not is_oneself(identity.actor, self.actor.subject):
            self.connection.shut(codes.TOKEN_INVALID, "the token is somebody else's", flush=False)
            return
        actor = identity.actor
        held = (self.actor.roles, self.actor.organizations, self._scopes)
        if held != (actor.roles, actor.organizations, identity.scopes):
            self.connection.shut(codes.STATE_INVALIDATED, "the rights have changed", flush=False)
            return
        self.actor = self._executor.actor = actor
        self.ticket = identity.ticket
        self._shown = identity.shown
        self.connection.renewed(ttl_seconds(identity, self._services.wall()), self._clock())

    def _subscribe(self, channel: str, have: dict[str, int], mode: str, ref: Reference | None) -> None:
        self.spawn(self._subscribed(channel, have, mode, ref))

    async def _subscribed(self, channel: str, have: dict[str, int], mode: str, ref: Reference | None) -> None:
        connection, witness = self.connection, self._services.witness
        told = (connection.device_id, connection.conn_id)
        try:
            wants = Wants(
                mode == "state",
                connection.scope.tracking,
                None if witness is None else lambda shown: witness.shown(self.actor, shown, *told),
            )
            await self._hub.subscribe(self, channel, have, ref, wants)
            if self._services.presence is not None and channel in connection.channels and self._sees_people(channel):
                self._services.presence.enter(self, channel)
        except AtriumError as error:
            retry = (error.failure.retry_after_ms or 1_000) if isinstance(error, Temporary) else 0
            if witness is not None and not retry:
                with contextlib.suppress(AtriumError):  # nothing is shown either way
                    await witness.refused(self.actor, channel, error.failure.code, *told)
            self._not_subscribed(channel, ref, error.failure.code, retry)
        except Exception:
            log.exception("subscription_failed", connection=connection.conn_id, channel=channel)
            self._not_subscribed(channel, ref, "internal", 1_000)
        self.wake()

    def _not_subscribed(self, channel: str, ref: Reference | None, code: str, retry_after_ms: int) -> None:
        self.connection.channels.pop(channel, None)
        self._depart(channel)
        self.connection.refuse(
            channel if ref is None else ref, "subscribe", code, self._clock(), retry_after_ms=retry_after_ms
        )

    # -- out --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """See to it that what waits gets written: one task per burst, however many frames a turn brings."""
        if self._released:
            return
        if self.connection.closing is not None:
            self._stop_reading()
        elif self._writer is None and self.connection.outbox:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def _stop_reading(self) -> None:
        """The reader sees `closing` after the frame at hand; elsewhere it waits for input and is woken."""
        if not self._stopped and self._reader is not None and self._reader is not asyncio.current_task():
            self._stopped = True
            self._reader.cancel()

    async def _write(self) -> None:
        outbox, clock, send = self.connection.outbox, self._clock, self._socket.send
        try:
            while (frame := outbox.pop(clock())) is not None:
                await send(frame)
        except ConnectionError:
            self._gone = True
        finally:
            self._writer = None

    async def _finish(self) -> None:
        """The last frames and the close frame, within bounds: a dead peer holds nobody up."""
        closing, writer = self.connection.closing, self._writer
        if closing is None or self._gone:
            self._abandon()
            return
        try:
            async with asyncio.timeout(self._services.limits.close_seconds_max):
                if writer is not None:
                    if not closing.flush:
                        writer.cancel()
                    await asyncio.wait({writer})
                if closing.flush and not self._gone:
                    await self._write()
                if not self._gone:
                    await self._socket.close(closing.code, closing.reason)
        except (TimeoutError, ConnectionError):
            self._abandon()

    def _abandon(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    def _release(self) -> None:
        """Let go of everything shared, at once and without awaiting."""
        self._released = True
        self._reader = None
        if self._runner is not None:
            self._runner.close()
        if self._signals is not None:
            self._signals.close()
        for task in self._tasks or ():
            task.cancel()
        for channel in self.connection.channels:
            self._depart(channel)
            self._hub.unsubscribe(self, channel)
        self.connection.channels.clear()
        self._device.release()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        """A set that was once full keeps its size: an idle socket has none."""
        if self._tasks is not None:
            self._tasks.discard(task)
            if not self._tasks:
                self._tasks = None
