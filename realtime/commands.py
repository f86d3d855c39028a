"""Running the commands of one connection: first in, first out per entity, side by side across entities.

A temporary failure holds the queue: what is waiting behind it on the same entity is not run, and the connection
expects the failed command next. Everything else gives a final `result`, so a bad edit never blocks a queue.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Conflict, Failure, Temporary
from domain.ids import derived_command_id
from realtime.codec import BadFrameError
from realtime.connection import Connection
from realtime.frames import ClientSignal, Command, Result
from realtime.ports import Answer, Clock, CommandPort

log = structlog.get_logger()

_RETRY_MS: Final = 500
_canonical = msgspec.json.Encoder(order="deterministic").encode

NoteOrigin = Callable[[bytes, str, int, int], None]


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
    return derived_command_id("device", subject, device_id, str(epoch), str(seq))


class CommandRunner:
    """`wake` is called when something has been put into the outbox."""

    __slots__ = ("_clock", "_closed", "_connection", "_lanes", "_note", "_port", "_signals", "_tasks", "_wake", "actor")

    def __init__(
        self,
        connection: Connection,
        port: CommandPort,
        clock: Clock,
        wake: Callable[[], None],
        note_origin: NoteOrigin,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """`tasks` holds what is running; a command that has begun is not cut off when its socket goes."""
        self.actor = Actor("")
        self._connection = connection
        self._port = port
        self._clock = clock
        self._wake = wake
        self._note = note_origin
        self._tasks = tasks
        self._lanes: dict[str, deque[Command]] = {}
        self._signals: dict[tuple[str, str], ClientSignal | None] = {}
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

    def signal(self, signal: ClientSignal) -> None:
        """Only the newest of each name waits: an older position is nobody's interest."""
        key = (signal.ent, signal.name)
        if key in self._signals:
            self._signals[key] = signal
            return
        self._signals[key] = None
        task = asyncio.get_running_loop().create_task(self._send_signals(key, signal))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Start nothing more. The device sends again what it has no result for."""
        self._closed = True
        for lane in self._lanes.values():
            lane.clear()
        for key in self._signals:
            self._signals[key] = None

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
        device, seq = connection.device_id, command.seq
        if not connection.scope.admits_entity(command.ent):
            connection.answered(_refused(command, Failure("not_found", 404, "")), self._clock())
            return True
        identifier = command_id(self.actor.subject, device, command.epoch, seq)
        try:
            hashed = body_hash(command)
            self._note(identifier, device, command.epoch, seq)
            answer = await self._port.execute(
                self.actor,
                command.ent,
                command.op,
                command.args,
                identifier,
                hashed,
                f"{connection.conn_id}.{seq}",
                device,
                base_ver=command.base_ver,
                base_fver=command.base_fver,
            )
        except Temporary as error:
            connection.held(seq, error.failure.code, error.failure.retry_after_ms or _RETRY_MS, self._clock())
            return False
        except BadFrameError as error:
            frame = _refused(command, Failure("invalid", 422, str(error)))
        except AtriumError as error:
            frame = _refused(command, error.failure, conflict=isinstance(error, Conflict))
        except Exception:
            log.exception("command_failed", connection=connection.conn_id, seq=seq)
            frame = _refused(command, Failure("internal", 500, ""), correlation=f"{connection.conn_id}.{seq}")
        else:
            frame = _accepted(command, answer)
        connection.answered(frame, self._clock())
        return True

    async def _send_signals(self, key: tuple[str, str], signal: ClientSignal | None) -> None:
        connection = self._connection
        try:
            while signal is not None:
                try:
                    await self._port.signal(self.actor, signal.ent, signal.name, signal.args, connection.device_id)
                except AtriumError as error:
                    retry = (error.failure.retry_after_ms or _RETRY_MS) if isinstance(error, Temporary) else 0
                    connection.refuse(signal.name, "signal", error.failure.code, self._clock(), retry_after_ms=retry)
                    self._wake()
                except Exception:
                    log.exception("signal_failed", connection=connection.conn_id)
                    connection.refuse(signal.name, "signal", "internal", self._clock())
                    self._wake()
                signal, self._signals[key] = self._signals[key], None
        finally:
            del self._signals[key]


def _accepted(command: Command, answer: Answer) -> Result:
    reply: Any = UNSET if answer.data is None else answer.data
    if not answer.duplicate:
        return Result(command.epoch, command.seq, "applied", command.ent, answer.version, reply=reply)
    original: dict[str, Any] = {"status": "applied", "ver": answer.version}
    if answer.data is not None:
        original["reply"] = answer.data
    return Result(command.epoch, command.seq, "duplicate", command.ent, answer.version, reply=reply, original=original)


def _refused(command: Command, failure: Failure, *, conflict: bool = False, correlation: str = "") -> Result:
    code = "seq_reuse" if failure.code == "idempotency_key_reused" else failure.code
    frame = Result(
        command.epoch,
        command.seq,
        "conflict" if conflict else "rejected",
        command.ent,
        code=code,
        detail=failure.detail,
        correlation=correlation or failure.extra.get("correlation_id", ""),
    )
    if "current" in failure.extra:
        frame.current = failure.extra["current"]
    if failure.errors:
        frame.errors = [{"path": error.path, "code": error.code, "message": error.message} for error in failure.errors]
    return frame
