"""Running a tablet's queue: strictly first in, first out, with the provider session keeping count.

The target entity commits, then the session keeps the outcome, then the result goes out: so a result rests on both,
and a crash between the two repeats nothing, for the target knows the command's id. Outcomes are kept in batches: the
next command runs while those before it are being written down, and a long replay costs two writes per batch and
command, not per command. Only what the target does not remember (a refusal, a no-op) is written down before anything
else runs: sent again after a crash it is decided anew, and must not take effect behind what was given after it.

A command whose `seq` was counted before is never run again: it gets its first result, or, with another body,
`seq_reuse`. What is refused and holds clinical facts goes into the session's quarantine together with its result.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
import structlog

from domain.errors import AtriumError, Internal, Temporary, Unavailable
from domain.ids import derived_id
from realtime import results
from realtime.codec import BadFrameError
from realtime.commands import RETRY_MS, Executor, body_hash
from realtime.connection import Connection
from realtime.frames import Command, Result
from realtime.limits import Limits
from realtime.ports import Admission, Clock, CommandPort, Entry, Ledger

log = structlog.get_logger()

SCHEMA: Final = 1
"""The version of operations and arguments that this server understands."""

UNREADABLE_LENGTH_MAX: Final = 16_384
"""Characters kept of arguments that no encoding can hold."""

_SECRETS: Final = frozenset({"proof"})
"""Arguments that are nobody's to keep: a login just made."""

_UNKEEPABLE: Final = (TypeError, ValueError, RecursionError, OverflowError)

_pack = msgspec.msgpack.Encoder().encode


class Outcome(msgspec.Struct):
    """A command that has its result; `entry` is None when the ledger knows it already.

    `fleeting`: only the ledger will remember it; as long as it does not, a repeat may come to something else.
    """

    command: Command
    frame: Result
    entry: Entry | None
    fleeting: bool = False


class QueueRunner:
    """One per connection of a device whose count the ledger keeps. `end` closes the connection for a reason."""

    __slots__ = (
        "_ack_told",
        "_acked",
        "_admission",
        "_clock",
        "_closed",
        "_connection",
        "_end",
        "_executor",
        "_fleeting",
        "_holds",
        "_in_doubt",
        "_kept",
        "_ledger",
        "_limits",
        "_outcomes",
        "_port",
        "_queue",
        "_ran",
        "_tasks",
        "_wake",
        "_working",
        "_writing",
        "refusal",
    )

    def __init__(
        self,
        connection: Connection,
        executor: Executor,
        port: CommandPort,
        ledger: Ledger,
        admission: Admission,
        limits: Limits,
        clock: Clock,
        wake: Callable[[], None],
        end: Callable[[AtriumError], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """`tasks` holds what is running; a command that has begun is not cut off when its socket goes."""
        self.refusal = admission.refusal
        self._connection = connection
        self._executor = executor
        self._port = port
        self._ledger = ledger
        self._admission = admission
        self._limits = limits
        self._clock = clock
        self._wake = wake
        self._end = end
        self._tasks = tasks
        self._queue: list[Command] = []
        self._outcomes: list[Outcome] = []
        self._working: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._ran: dict[int, Entry] = {}
        self._kept: dict[int, dict[int, Entry]] = {}
        self._in_doubt = False
        self._holds = 0
        self._fleeting = 0
        self._acked = 0
        self._ack_told = 0
        self._closed = False

    def submit(self, command: Command) -> None:
        self._queue.append(command)
        if self._working is None:
            self._working = self._spawn(self._work())

    def close(self) -> None:
        """Start nothing more. The device sends again what it has no result for."""
        self._closed = True
        self._queue.clear()

    async def finished(self) -> None:
        """When what had begun has been written down; nothing new begins after `close`."""
        while running := {task for task in (self._working, self._writing) if task is not None}:
            await asyncio.wait(running)

    def acked(self, upto: int) -> None:
        """The device has stored these results. Told to the ledger now and then: it keeps the newest anyway."""
        self._acked = max(self._acked, min(upto, self._connection.last_seq))
        for seq in [seq for seq in self._ran if seq <= self._acked - self._limits.results_kept]:
            del self._ran[seq]
        if self._acked - self._ack_told >= self._limits.acks_gathered:
            self._ack_told = self._acked
            self._spawn(self._tell_acked(self._acked))

    # -- one command after the other --------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self._queue and not self._closed:
                command, holds = self._queue.pop(0), self._holds
                try:
                    outcome = await self._settle(command)
                except Temporary as error:
                    if holds == self._holds:
                        await self._hold(command, error)
                        continue
                else:
                    if holds == self._holds:
                        self._outcomes.append(outcome)
                        self._fleeting += outcome.fleeting
                        self._flush()
                        continue
                # one before it was held meanwhile: this one has to come again too, and its repeat is known
                self._ran.pop(command.seq, None)
                if command not in self._queue:
                    self._connection.rewind(command.seq, command.epoch)
                self._connection.skipped(command.seq, self._clock(), command.epoch)
                self._wake()
        except Exception:
            log.exception("queue_failed", connection=self._connection.conn_id)
            self._end(Internal("the queue cannot go on"))
        finally:
            self._working = None

    async def _settle(self, command: Command) -> Outcome:
        """Raises `Temporary` when the command has to come again."""
        epoch, seq = command.epoch, command.seq
        try:
            hashed = body_hash(command)
        except BadFrameError as error:
            return self._refuse(command, b"", "invalid", str(error))
        known, counted = await self._known(epoch, seq)
        if known is not None and known.hash == hashed:
            return Outcome(command, results.repeated(command, known.result), None)
        if known is not None or counted:
            return self._refuse(command, hashed, "seq_reuse")
        if epoch < self._admission.epoch:
            return self._refuse(command, hashed, "old_epoch")
        if self.refusal:
            return self._refuse(command, hashed, self.refusal, fleeting=True)
        if command.schema != SCHEMA:
            return self._refuse(command, hashed, "schema_unsupported")
        await self._fleeting_written()
        ran = await self._executor.run(command)
        frame = ran.frame
        lost = frame.status in {"rejected", "conflict"} and not frame.conflict_id
        if lost and self._port.clinical(command.ent, command.op):
            return self._quarantine(command, hashed, frame, fleeting=True)
        original = results.plain(frame)
        entry = self._ran[seq] = Entry(epoch=epoch, seq=seq, hash=hashed, result=original)
        return Outcome(command, results.repeated(command, original) if ran.repeat else frame, entry, not ran.remembered)

    async def _fleeting_written(self) -> None:
        """Before a command runs: what came before it cannot come to anything else any more.

        Raises `Unavailable` when it could not be written down: this one has to come again behind it.
        """
        holds = self._holds
        while self._fleeting and holds == self._holds and not self._closed:
            self._flush()
            if self._writing is not None:
                await asyncio.wait({self._writing})
        if holds != self._holds or self._closed:
            raise Unavailable("What came before has to come again.", code="held", retry_after_ms=RETRY_MS)

    async def _known(self, epoch: int, seq: int) -> tuple[Entry | None, bool]:
        """The first result of this `seq`, if it is kept, and whether it was counted at all."""
        connection = self._connection
        if epoch == connection.epoch:
            if self._in_doubt:
                await self._look_again()
            here = self._ran.get(seq)
            if here is not None:
                return here, True
            if seq > self._admission.last_seq and seq > self._acked - self._limits.results_kept:
                return None, False
        kept = self._kept.get(epoch)
        if kept is None:
            entries = await self._ledger.settled(self._executor.actor, self._admission, epoch)
            kept = self._kept[epoch] = {entry.seq: entry for entry in entries}
        return kept.get(seq), epoch == connection.epoch

    async def _look_again(self) -> None:
        """Outcomes that were not confirmed may be kept all the same: then these are the ones that count."""
        epoch = self._connection.epoch
        for entry in await self._ledger.settled(self._executor.actor, self._admission, epoch):
            if entry.seq > self._admission.last_seq:
                self._ran.setdefault(entry.seq, entry)
        self._in_doubt = False

    def _refuse(
        self, command: Command, hashed: bytes, code: str, detail: str = "", *, fleeting: bool = False
    ) -> Outcome:
        """Rejected before it ran: kept for people, whatever it is."""
        return self._quarantine(command, hashed, results.rejected(command, code, detail), fleeting=fleeting)

    def _quarantine(self, command: Command, hashed: bytes, frame: Result, *, fleeting: bool) -> Outcome:
        session_id = self._admission.session_id
        item_id = derived_id("quarantine", session_id, str(command.epoch), str(command.seq), hashed)
        frame.quarantined = item_id
        entry = Entry(
            epoch=command.epoch,
            seq=command.seq,
            hash=hashed,
            result=results.plain(frame),
            command=_whole(command),
            item_id=item_id,
        )
        if command.epoch == self._connection.epoch:
            self._ran.setdefault(command.seq, entry)
        return Outcome(command, frame, entry, fleeting)

    # -- writing down, then telling ---------------------------------------------------------------

    def _flush(self) -> None:
        """Have the ledger keep what has come to an end: a whole batch, or what there is when nothing follows."""
        ready = not self._queue or self._fleeting or len(self._outcomes) >= self._limits.record_batch_max
        if self._outcomes and ready and self._writing is None:
            self._writing = self._spawn(self._write())

    async def _write(self) -> None:
        try:
            outcomes, self._outcomes = self._outcomes, []
            await self._record(outcomes)
        finally:
            self._fleeting = sum(outcome.fleeting for outcome in self._outcomes)
            self._writing = None
            self._flush()

    async def _record(self, outcomes: list[Outcome]) -> None:
        entries = [outcome.entry for outcome in outcomes if outcome.entry is not None]
        try:
            if entries:
                await self._ledger.record(self._executor.actor, self._admission, entries)
        except Temporary as error:
            self._hold_all(outcomes, error)
        except AtriumError as error:
            self.close()
            self._end(error)
        except Exception:
            log.exception("outcomes_not_recorded", connection=self._connection.conn_id)
            self._hold_all(outcomes, Temporary("the outcome could not be kept", code="internal"))
        else:
            for outcome in outcomes:
                self._connection.answered(outcome.frame, self._clock())
            self._wake()

    async def _hold(self, command: Command, error: Temporary) -> None:
        """What came before gets its results first; this one, and all behind it, has to come again."""
        waiting = list(self._queue)
        self._queue.clear()
        holds = self._holds
        self._flush()
        while self._writing is not None:
            await asyncio.wait({self._writing})
        if holds == self._holds:
            retry_ms = error.failure.retry_after_ms or RETRY_MS
            self._connection.held(command.seq, error.failure.code, retry_ms, self._clock(), command.epoch)
        else:
            self._connection.skipped(command.seq, self._clock(), command.epoch)
        self._skip([*waiting, *self._queue])

    def _hold_all(self, outcomes: list[Outcome], error: Temporary) -> None:
        """They were executed, and perhaps counted: sent again they are answered from what the ledger has by then, or
        by the entities' own memory."""
        self._holds += 1
        retry_ms = error.failure.retry_after_ms or RETRY_MS
        first, *others = [*outcomes, *self._outcomes]
        for outcome in (first, *others):
            self._ran.pop(outcome.command.seq, None)
        self._in_doubt = True
        self._kept.clear()
        command = first.command
        self._connection.held(command.seq, error.failure.code, retry_ms, self._clock(), command.epoch)
        self._outcomes.clear()
        self._skip([*(one.command for one in others), *self._queue])

    def _skip(self, commands: list[Command]) -> None:
        self._queue.clear()
        for command in commands:
            if not self._is_counted(command):  # a repeat of what has its result is nothing to wait for
                self._connection.rewind(command.seq, command.epoch)
        for command in commands:
            self._connection.skipped(command.seq, self._clock(), command.epoch)
        self._wake()

    def _is_counted(self, command: Command) -> bool:
        return command.seq in self._ran or command.seq <= max(self._admission.last_seq, self._acked)

    # -- the rest ---------------------------------------------------------------------------------

    async def _tell_acked(self, upto: int) -> None:
        try:
            await self._ledger.acked(self._executor.actor, self._admission, self._connection.epoch, upto)
        except AtriumError as error:
            log.info("ack_not_kept", connection=self._connection.conn_id, error=repr(error))
            self._ack_told = 0

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _whole(command: Command) -> dict[str, Any]:
    whole: dict[str, Any] = {
        name: getattr(command, name)
        for name in ("ent", "op", "base_ver", "base_fver", "hlc", "schema")
        if getattr(command, name) not in (None, "")
    }
    args = {name: value for name, value in command.args.items() if name not in _SECRETS}
    try:
        msgspec.json.encode(args)  # people read it as JSON, the session keeps it as msgpack
        _pack(args)
    except _UNKEEPABLE:
        args = {"unreadable": _described(args)}
    return {**whole, "args": args}


def _described(args: dict[str, Any]) -> str:
    try:
        return repr(args)[:UNREADABLE_LENGTH_MAX]
    except (RecursionError, ValueError):
        return "nested too deeply"
