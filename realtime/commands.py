"""Running the commands of one connection: first in, first out per entity, side by side across entities.

For devices that keep their own count (customers' phones). A tablet's queue is `realtime/replay.py`'s. A temporary
failure holds the queue: what is waiting behind it on the same entity is not run, and the connection expects the
failed command next. Everything else gives a final `result`, so a bad edit never blocks a queue.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Failure, Temporary
from domain.hlc import restamped
from domain.ids import device_command_id
from realtime import results
from realtime.codec import BadFrameError
from realtime.connection import Connection
from realtime.frames import ClientSignal, Command, Result
from realtime.ports import Clock, CommandPort
from services.entities import Sender

log = structlog.get_logger()

RETRY_MS: Final = 500
_canonical = msgspec.json.Encoder(order="deterministic").encode

NoteOrigin = Callable[[bytes, str, int, int], None]
WallClock = Callable[[], int]
"""Milliseconds UTC."""


def body_hash(command: Command) -> bytes:
    """The first 16 bytes of the SHA-256 of the canonical body: the same in both encodings.

    Raises `BadFrameError` for arguments that JSON cannot hold.
    """
    try:
        body = _canonical((command.ent, command.op, command.args, command.base_ver, command.base_fver))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise BadFrameError(f"command: {type(error).__name__} in args") from None
    return hashlib.sha256(body).digest()[:16]


def command_id(subject: str, device_id: str, epoch: int, seq: int) -> bytes:
    """What makes a repeat a repeat. The subject is part of it: nobody can take up another's commands."""
    return device_command_id(subject, device_id, epoch, seq)


class Ran(msgspec.Struct, frozen=True):
    """What a command came to. `repeat`: it had been executed before. `remembered`: by its entity, so that it comes to
    the same whenever it is sent again; a refusal and a no-op do not."""

    frame: Result
    repeat: bool = False
    remembered: bool = False


class Executor:
    """Has one command after another executed in the name of one connection's actor."""

    __slots__ = ("_connection", "_note", "_port", "_wall", "actor", "generation")

    def __init__(self, connection: Connection, port: CommandPort, note_origin: NoteOrigin, wall: WallClock) -> None:
        self.actor = Actor("")
        self.generation = 0
        self._connection = connection
        self._port = port
        self._note = note_origin
        self._wall = wall

    async def run(self, command: Command) -> Ran:
        """The command's first result. Raises `Temporary`: it has to come again."""
        connection = self._connection
        device, seq = connection.device_id, command.seq
        correlation = f"{connection.conn_id}.{seq}"
        if not connection.scope.admits_entity(command.ent):
            return Ran(results.rejected(command, "not_found"))
        identifier = command_id(self.actor.subject, device, command.epoch, seq)
        try:
            hashed = body_hash(command)
            hlc, hlc_raw = restamped(command.hlc, self._wall()) if command.hlc else ("", "")
            self._note(identifier, device, command.epoch, seq)
            sender = Sender(
                self.actor,
                correlation,
                identifier,
                hashed,
                device=device,
                hlc=hlc,
                hlc_raw=hlc_raw,
                generation=self.generation,
            )
            answer = await self._port.execute(sender, command.ent, command.op, command.args, command.base_fver)
        except Temporary:
            raise
        except BadFrameError as error:
            return Ran(results.rejected(command, "invalid", str(error)))
        except AtriumError as error:
            return Ran(results.raised(command, error))
        except Exception:
            log.exception("command_failed", connection=connection.conn_id, seq=seq)
            return Ran(results.refused(command, Failure("internal", 500, ""), correlation=correlation))
        return Ran(results.accepted(command, answer), answer.duplicate, not answer.noop)


class CommandRunner:
    """`wake` is called when something has been put into the outbox."""

    __slots__ = ("_clock", "_closed", "_connection", "_executor", "_lanes", "_tasks", "_wake")

    def __init__(
        self,
        connection: Connection,
        executor: Executor,
        clock: Clock,
        wake: Callable[[], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """`tasks` holds what is running; a command that has begun is not cut off when its socket goes."""
        self._connection = connection
        self._executor = executor
        self._clock = clock
        self._wake = wake
        self._tasks = tasks
        self._lanes: dict[str, deque[Command]] = {}
        self._closed = False

    def submit(self, command: Command) -> None:
        lane = self._lanes.get(command.ent)
        if lane is not None:
            lane.append(command)
            return
        lane = self._lanes[command.ent] = deque((command,))
        task = asyncio.get_running_loop().create_task(self._run(command.ent, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Start nothing more. The device sends again what it has no result for."""
        self._closed = True
        for lane in self._lanes.values():
            lane.clear()

    async def _run(self, ent: str, lane: deque[Command]) -> None:
        connection = self._connection
        try:
            while lane and not self._closed:
                command = lane.popleft()
                if not await self._execute(command):
                    while lane:
                        connection.skipped(lane.popleft().seq, self._clock())
                self._wake()
        finally:
            del self._lanes[ent]

    async def _execute(self, command: Command) -> bool:
        """False when the command has to come again."""
        connection = self._connection
        try:
            ran = await self._executor.run(command)
        except Temporary as error:
            connection.held(command.seq, error.failure.code, error.failure.retry_after_ms or RETRY_MS, self._clock())
            return False
        frame = results.repeated(command, results.plain(ran.frame)) if ran.repeat else ran.frame
        connection.answered(frame, self._clock())
        return True


class SignalRunner:
    """Sends signals on, of each name one at a time and only the newest: an older position is nobody's interest."""

    __slots__ = ("_clock", "_connection", "_executor", "_port", "_signals", "_tasks", "_wake")

    def __init__(
        self,
        connection: Connection,
        executor: Executor,
        port: CommandPort,
        clock: Clock,
        wake: Callable[[], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self._connection = connection
        self._executor = executor
        self._port = port
        self._clock = clock
        self._wake = wake
        self._tasks = tasks
        self._signals: dict[tuple[str, str], ClientSignal | None] = {}

    def submit(self, signal: ClientSignal) -> None:
        key = (signal.ent, signal.name)
        if key in self._signals:
            self._signals[key] = signal
            return
        self._signals[key] = None
        task = asyncio.get_running_loop().create_task(self._send(key, signal))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for key in self._signals:
            self._signals[key] = None

    async def _send(self, key: tuple[str, str], signal: ClientSignal | None) -> None:
        connection = self._connection
        try:
            while signal is not None:
                try:
                    actor = self._executor.actor
                    await self._port.signal(actor, signal.ent, signal.name, signal.args, connection.device_id)
                except AtriumError as error:
                    retry = (error.failure.retry_after_ms or RETRY_MS) if isinstance(error, Temporary) else 0
                    connection.refuse(signal.name, "signal", error.failure.code, self._clock(), retry_after_ms=retry)
                    self._wake()
                except Exception:
                    log.exception("signal_failed", connection=connection.conn_id)
                    connection.refuse(signal.name, "signal", "internal", self._clock())
                    self._wake()
                signal, self._signals[key] = self._signals[key], None
        finally:
            del self._signals[key]
