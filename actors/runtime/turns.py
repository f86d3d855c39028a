"""One turn of one entity: a command in, a journal row and a reply at the output gate out.

Everything here is synchronous: one command at a time per entity (invariant 5) needs no lock. A turn decides
on state that may not be committed yet; nothing it says gets out before that is (invariant 3).
"""

from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from actors.runtime.cell import Cell, charge
from actors.runtime.clock import Clock
from actors.runtime.entity import SYSTEM, CancelReminder, Context, Decision, IndexRow, Meta, SetReminder
from actors.runtime.generations import Generations
from actors.runtime.limits import Limits
from actors.runtime.watches import Told, WatchTable
from actors.runtime.wire import (
    FAILED,
    OK,
    RETRY,
    VIEW_JSON,
    VIEW_MSGPACK,
    VIEW_NONE,
    WATCH,
    Envelope,
    Reply,
)
from actors.runtime.writer import Entry, JournalWriter
from domain.errors import AtriumError, Conflict, Failure, Internal, Invalid, NotFound, PreconditionFailed, Unavailable
from domain.ids import derived_command_id
from storage.journal.interface import IndexWrite, NewRow, Reminder, ReminderWrite, TimerDone
from storage.tracing.context import plain

log = structlog.get_logger()

Sink = Callable[[Reply], None]
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()

_REUSED = Failure("idempotency_key_reused", Invalid.status, "this command id was used with another body")
_REPLACED = Unavailable(
    "a newer connection of this device has come", code="outdated_connection", retry_after_ms=1_000
).failure
_REFUSED = Failure("commit_refused", Internal.status, "the database refused this change")


def encode_view(view: Any, want: int) -> bytes:
    if want == VIEW_JSON:
        return _json.encode(view)
    if want == VIEW_MSGPACK:
        return _msgpack.encode(view)
    return b""


class Turns:
    """Runs turns on ready cells. `repeat` is called for a command that was executed before."""

    def __init__(
        self,
        writer: JournalWriter,
        watches: WatchTable,
        clock: Clock,
        limits: Limits,
        tell: Callable[[Told], None],
        reminded: Callable[[Cell, NewRow], None],
    ) -> None:
        self._writer = writer
        self._watches = watches
        self._clock = clock
        self._limits = limits
        self._tell = tell
        self._reminded = reminded
        self._generations = Generations()
        self.executed = 0
        self.rejected = 0
        self.poisoned = 0

    def read(self, cell: Cell, env: Envelope, sink: Sink) -> None:
        """Answer with the view, once what it shows is durable; a watch registers too. Foreign entities look unknown."""
        try:
            if cell.state is None or not cell.codec.kind.may_read(cell.state, env.actor):
                self.refuse(cell, env, sink, _unknown(cell).failure)
                return
            view = encode_view(cell.view(), env.want) if env.expect != cell.version else b""
        except Exception:
            self._poison(cell, env, sink)
            return
        if env.mode == WATCH:
            self._watches.watch(f"{cell.kind}/{cell.id}", env.device)
        self.gate(cell, env, sink, Reply(env.corr, OK, cell.version, view=view))

    def command(self, cell: Cell, env: Envelope, sink: Sink) -> None:
        """Decide, apply, queue the row. A raising handler is poison: 500, nothing changed, the entity lives on."""
        device = (cell.kind, cell.id, env.actor.subject, env.device)
        if env.generation and not self._generations.hears(device, env.generation):
            self.refuse(cell, env, sink, _REPLACED)
            return
        kind = cell.codec.kind
        now_ms = self._clock.now_ms()
        ctx = Context(
            kind.name,
            cell.id,
            cell.version,
            now_ms,
            env.actor,
            env.device,
            env.command_id,
            env.hlc,
            env.hlc_raw,
        )
        try:
            if 0 <= env.expect != cell.version:
                self.refuse(cell, env, sink, _stale(cell, env).failure)
                return
            decision = kind.decide(cell.state, cell.codec.command(env.body), ctx)
            payload = _packed(cell, decision) if decision.events else b""
        except AtriumError as error:
            self.refuse(cell, env, sink, error.failure)
            return
        except Exception:
            self._poison(cell, env, sink)
            return
        if len(payload) > self._limits.payload_bytes_max:
            self.refuse(cell, env, sink, Invalid("the command changes too much at once", code="too_large").failure)
        elif decision.events:
            self._accept(cell, env, sink, decision, payload, now_ms)
        else:
            self._accept_noop(cell, env, sink, decision, now_ms)

    def timer(self, cell: Cell, reminder: Reminder, lost: Callable[[Reminder, bool], None]) -> None:
        """A reminder came due: the entity decides, the reminder goes in the same commit (invariant 6).

        `lost` is told when that commit did not come about, and whether it never will as things are.
        """
        kind, name, due_ms = cell.codec.kind, reminder.name, reminder.due_ms
        done: TimerDone | None = TimerDone(kind.name, cell.id, name, due_ms)
        command_id = derived_command_id("timer", kind.name, cell.id, name, str(due_ms))
        now_ms = self._clock.now_ms()
        ctx = Context(kind.name, cell.id, cell.version, now_ms, SYSTEM, "", command_id)
        env = Envelope(0, 0, kind.name, cell.id, b"", command_id, b"\0" * 16, SYSTEM, "", f"timer:{name}", 0, retry=1)
        try:
            decision = NOTHING_DONE if cell.recent.find(command_id) else kind.on_timer(cell.state, name, ctx)
            payload = _packed(cell, decision)
        except Exception:
            log.exception("timer_poisoned", kind=kind.name, id=cell.id, timer=name)
            self.poisoned += 1
            cell.codec.tally.poisoned += 1
            lost(reminder, True)
            return
        if not decision.events and not decision.reminders:
            self._writer.add(Entry(cell, _nothing, lambda refused: lost(reminder, refused), done=done))
            return
        if any(change.name == name for change in decision.reminders):
            done = None

        def committed_or_lost(reply: Reply) -> None:
            if reply.status != OK:
                lost(reminder, reply.status == FAILED)

        self._accept(cell, env, committed_or_lost, decision, payload, now_ms, done)

    def gate(self, cell: Cell | None, env: Envelope, sink: Sink, reply: Reply) -> None:
        """Release a reply that wrote nothing, after whatever it rests on."""
        corr = env.corr
        self._writer.add(Entry(cell, lambda: sink(reply), lambda _: sink(Reply(corr, RETRY))))

    def refuse(self, cell: Cell, env: Envelope, sink: Sink, failure: Failure) -> None:
        self.rejected += 1
        tally = cell.codec.tally
        tally.rejected += 1
        if failure.status == Conflict.status:
            tally.conflicts += 1
        self.gate(cell, env, sink, Reply(env.corr, FAILED, cell.version, failure=failure))

    def known(self, cell: Cell, env: Envelope) -> int | Failure | None:
        """Whether this command id was executed: the version it made, a `Failure` for another body, or None."""
        found = cell.recent.find(env.command_id)
        if found is None:
            return None
        version, digest = found
        return version if digest == env.body_hash else _REUSED

    def _accept(
        self,
        cell: Cell,
        env: Envelope,
        sink: Sink,
        decision: Decision,
        payload: bytes,
        now_ms: int,
        done: TimerDone | None = None,
    ) -> None:
        kind = cell.codec.kind
        key = f"{kind.name}/{cell.id}"
        try:
            tells = kind.tells(decision.events)
            watched = self._watches.before_turn(cell, key) if tells else None
            index = self._apply(cell, env, decision, now_ms)
            view = encode_view(cell.view(), env.want) if env.want != VIEW_NONE else b""
            told = self._watches.after_turn(cell, watched, env.device, env.command_id, now_ms) if watched else None
            cell.untold = not tells
            told_signals = self._signals(cell, env, decision, key, now_ms)
        except Exception:
            self._writer.break_cell(cell)  # the state may be half changed: replay it
            cell.codec.tally.poisoned += 1
            self._poison(None, env, sink)
            return
        row = NewRow(
            cell.shard,
            kind.name,
            cell.id,
            cell.version,
            env.command_id,
            env.body_hash,
            env.actor.subject,
            env.device,
            env.correlation,
            now_ms,
            payload,
            IndexWrite(index.table, index.columns) if index is not None else None,
            tuple(_reminder_write(change, now_ms) for change in decision.reminders),
        )
        cell.recent.add(env.command_id, env.body_hash, cell.version, self._limits.recent_commands_max)
        charge(cell, len(payload))
        self.executed += 1
        cell.codec.tally.executed += 1
        reply = Reply(env.corr, OK, cell.version, data=decision.reply, view=view)
        self._writer.add(self._entry(cell, env, sink, reply, row, done, told, told_signals))

    def _entry(
        self,
        cell: Cell,
        env: Envelope,
        sink: Sink,
        reply: Reply,
        row: NewRow,
        done: TimerDone | None,
        told: Told | None,
        told_signals: list[Told],
    ) -> Entry:
        corr = env.corr

        def release() -> None:
            sink(reply)
            if told is not None:
                self._tell(told)
            for signal in told_signals:
                self._tell(signal)
            if row.reminders:
                self._reminded(cell, row)

        def abandon(refused: bool) -> None:
            # A first attempt that came late may be refused because a later one was executed: have it looked up.
            final = refused and env.retry > 0
            sink(Reply(corr, FAILED, failure=_REFUSED) if final else Reply(corr, RETRY))

        return Entry(cell, release, abandon, row, done)

    def _apply(self, cell: Cell, env: Envelope, decision: Decision, now_ms: int) -> IndexRow | None:
        """Apply the events; the index row to write if it changed."""
        kind = cell.codec.kind
        before = kind.index_row(cell.state) if cell.state is not None else None
        meta = Meta(cell.version + 1, now_ms, env.actor.subject, env.device, env.command_id)
        state = cell.state
        for event in decision.events:
            state = kind.apply(state, event, meta)
        cell.state = state
        cell.version = meta.version
        after = kind.index_row(state) if state is not None else None
        return after if after != before else None

    def _accept_noop(self, cell: Cell, env: Envelope, sink: Sink, decision: Decision, now_ms: int) -> None:
        try:
            view = encode_view(cell.view(), env.want) if env.want != VIEW_NONE and cell.state is not None else b""
            told = self._signals(cell, env, decision, f"{cell.kind}/{cell.id}", now_ms)
        except Exception:
            self._poison(cell, env, sink)
            return
        reply = Reply(env.corr, OK, cell.version, data=decision.reply, view=view, noop=True)
        corr = env.corr

        def release() -> None:
            sink(reply)
            for signal in told:
                self._tell(signal)

        self._writer.add(Entry(cell, release, lambda _: sink(Reply(corr, RETRY))))

    def _signals(self, cell: Cell, env: Envelope, decision: Decision, key: str, now_ms: int) -> list[Told]:
        told = []
        for signal in decision.signals:
            if cell.signals is None:
                cell.signals = {}
            cell.signals[signal.name] = signal.args
            one = self._watches.signal(cell, key, signal, env.device, now_ms)
            if one is not None:
                told.append(one)
        return told

    def _poison(self, cell: Cell | None, env: Envelope, sink: Sink) -> None:
        log.exception("command_poisoned", kind=env.kind, id=env.id, correlation=plain(env.correlation))
        self.poisoned += 1
        if cell is not None:
            cell.codec.tally.poisoned += 1
        failure = Failure(
            "internal", 500, "the command could not be handled", extra={"correlation_id": plain(env.correlation)}
        )
        self.gate(cell, env, sink, Reply(env.corr, FAILED, failure=failure))


NOTHING_DONE = Decision()


def _packed(cell: Cell, decision: Decision) -> bytes:
    """The payload of the next row."""
    return cell.codec.pack_events(cell.id, cell.version + 1, decision.events, decision.reply)


def _stale(cell: Cell, env: Envelope) -> NotFound | PreconditionFailed:
    """To a stranger the entity looks unknown here too: its version would tell that it exists."""
    if cell.state is None or not cell.codec.kind.may_read(cell.state, env.actor):
        return _unknown(cell)
    return PreconditionFailed("the entity has changed", extra={"current_version": cell.version})


def _unknown(cell: Cell) -> NotFound:
    return NotFound(f"there is no {cell.kind} with this id")


def _reminder_write(change: SetReminder | CancelReminder, now_ms: int) -> ReminderWrite:
    """A time that has passed comes due now: no two firings of one name share a due time, by which repeats are known."""
    return ReminderWrite(change.name, max(change.due_ms, now_ms + 1) if isinstance(change, SetReminder) else None)


def _nothing() -> None: ...
