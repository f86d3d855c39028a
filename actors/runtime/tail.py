"""Reactions: whatever follows from an event is done by tailing the journal, at least once.

Each reaction has its own cursor, stored after what it covers was handled. An entry that keeps failing is set
aside with backoff, and with it everything later of the same entity, so that an entity's events are never
seen out of order; after `attempts_max` it is parked among the dead letters for people. When the world is
away (`Temporary`, `OSError`), nobody is blamed: the reaction waits and no attempt counts. An entity that is
away while others answer is set aside alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from actors.runtime.clock import Clock
from actors.runtime.codec import KindCodec, UnreadableError
from actors.runtime.entity import EntityKind
from actors.runtime.traces import traced_reaction
from domain.errors import Temporary
from storage.crypto import KeyRing
from storage.journal.interface import Cursor, JournalKey, Row, Tail
from storage.tracing.context import plain, trace_of

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

log = structlog.get_logger()


_LOOK_AGAIN_MS = 2_000

_KEEP_PLACE_MS = 1_000
"""How often a reaction's place among rows that are no concern of it is stored; after a crash those are passed again."""

_PATIENCE = 3
"""After so many batches in a row that found the world away, ask whether only some entities are."""

_SILENT_MAX = 5
"""When so many entries did not answer before any did, it is the world."""


class JournalEntry(msgspec.Struct, frozen=True):
    """One accepted command as reactions see it. Times in milliseconds UTC; `events` are the kind's structs.

    `trace`: the `traceparent` of the command's turn if it was sampled, else "".
    """

    kind: str
    id: str
    version: int
    position: int
    time_ms: int
    actor: str
    device: str
    command_id: bytes
    correlation: str
    events: tuple[Any, ...]
    trace: str = ""


class Reaction(msgspec.Struct, frozen=True):
    """`handle` takes entries of `kinds` in journal order and must not mind seeing one again.

    `events`: tags of the events it is about; rows without any of them are not even decoded. Empty: all.
    """

    name: str
    kinds: frozenset[str]
    handle: Callable[[Sequence[JournalEntry]], Awaitable[None]]
    events: frozenset[str] = frozenset()


class SetAside(JournalKey, Protocol):
    """An entry waiting for its next attempt."""

    @property
    def attempts(self) -> int: ...


class ReactionStore(Protocol):
    """Cursors, entries set aside, dead letters (`storage/reactions.py`)."""

    async def cursor(self, reaction: str) -> Cursor: ...

    async def advance(self, reaction: str, cursor: Cursor) -> None: ...

    async def blocked(self, reaction: str) -> set[tuple[str, str]]:
        """Entities of which something is set aside."""

    async def set_aside(self, reaction: str, row: Row, attempts: int, due_ms: int, error: str) -> None:
        """Insert, or update the attempts of an entry that is set aside already."""

    async def due(self, reaction: str, now_ms: int, limit: int) -> Sequence[SetAside]:
        """Entries due now, of each entity only the earliest version."""

    async def done(self, reaction: str, kind: str, id: str, version: int) -> None: ...

    async def park(self, reaction: str, row: Row, attempts: int, error: str) -> None:
        """Move to the dead letters."""


class RowSource(Tail, Protocol):
    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> list[Row]: ...


class TailRunner:
    """Runs one reaction. Only one runner per reaction may be active; see `jobs/reactor.py`."""

    def __init__(
        self,
        reaction: Reaction,
        source: RowSource,
        store: ReactionStore,
        kinds: Mapping[str, EntityKind[Any]],
        clock: Clock,
        *,
        attempts_max: int = 8,
        backoff_ms: int = 250,
        batch_max: int = 500,
        poll_ms: int = 100,
        keys: KeyRing | None = None,
        tracer: "Tracer | None" = None,
    ) -> None:
        self.reaction = reaction
        self._call = reaction.handle if tracer is None else traced_reaction(tracer, reaction.name, reaction.handle)
        self._source = source
        self._store = store
        self._codecs = {name: KindCodec(kind, keys) for name, kind in kinds.items() if name in reaction.kinds}
        self._tags = [tag.encode() for tag in reaction.events]
        self._clock = clock
        self._attempts_max = attempts_max
        self._backoff_ms = backoff_ms
        self._batch_max = batch_max
        self._poll_ms = poll_ms
        self._cursor: Cursor | None = None
        self._blocked: set[tuple[str, str]] = set()
        self._looked_ms = 0
        self._kept: Cursor | None = None
        self._kept_ms = 0
        self._away = 0
        self.handled = 0
        self.lag_ms = 0

    def forget_place(self) -> None:
        """Read the cursor again before going on: another runner may have moved it."""
        self._cursor = None

    async def run_forever(self) -> None:
        pause = self._poll_ms
        while True:
            try:
                busy = await self.step()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("reaction_waits", reaction=self.reaction.name, error=repr(error))
                pause = min(pause * 2, 5_000)
                await asyncio.sleep(pause / 1000)
                continue
            pause = self._poll_ms
            if not busy:
                await asyncio.sleep(pause / 1000)

    async def step(self) -> bool:
        """Handle one batch and what is due again; whether there was anything to do, or is more to read.

        Rows that are no concern of this reaction come in batches, not one by one.
        """
        if self._cursor is None:
            self._cursor = self._kept = await self._store.cursor(self.reaction.name)
            self._blocked = set()
            self._looked_ms = 0
        retried = await self._retry_due() if await self._look_for_set_aside() else False
        rows = await self._source.read_after(self._cursor, self._batch_max)
        self.lag_ms = max(0, self._clock.now_ms() - rows[0].time_ms) if rows else 0
        about: list[Row] = []
        if rows:
            await self._learn_keys(rows)
            about = [row for row in rows if self._is_about(row)]
            await self._handle(about)
            self._cursor = Cursor(rows[-1].xid, rows[-1].position)
            self._away = 0
        await self._keep_place(at_once=bool(about))
        return retried or bool(about) or len(rows) >= self._batch_max

    async def _keep_place(self, *, at_once: bool) -> None:
        now_ms = self._clock.now_ms()
        if self._cursor is None or self._cursor == self._kept:
            return
        if at_once or not 0 <= now_ms - self._kept_ms < _KEEP_PLACE_MS:
            await self._store.advance(self.reaction.name, self._cursor)
            self._kept, self._kept_ms = self._cursor, now_ms

    def _is_about(self, row: Row) -> bool:
        """By the bytes of the payload, which hold every tag: a tag within somebody's text costs a look, no more."""
        codec = self._codecs.get(row.kind)
        if codec is None or not self._tags:
            return codec is not None
        try:
            payload = codec.opened(row.id, row.version, row.payload)
        except UnreadableError:
            return True  # it fails as an entry, and so comes before people
        return any(tag in payload for tag in self._tags)

    async def _learn_keys(self, rows: Sequence[Row]) -> None:
        for name, codec in self._codecs.items():
            await codec.learn_keys(row.payload for row in rows if row.kind == name)

    async def _look_for_set_aside(self) -> bool:
        """Whether anything is set aside. People requeue dead letters behind our back: look again now and then."""
        now_ms = self._clock.now_ms()
        if not self._blocked and not 0 <= now_ms - self._looked_ms < _LOOK_AGAIN_MS:
            self._looked_ms = now_ms
            self._blocked = await self._store.blocked(self.reaction.name)
        return bool(self._blocked)

    async def _handle(self, rows: Sequence[Row]) -> None:
        free = [row for row in rows if (row.kind, row.id) not in self._blocked]
        for row in rows:
            if (row.kind, row.id) in self._blocked:
                await self._store.set_aside(
                    self.reaction.name, row, 0, self._clock.now_ms(), "waits for an earlier one"
                )
        if not free:
            return
        try:
            await self._call([self._entry(row) for row in free])
            self.handled += len(free)
        except (Temporary, OSError):
            self._away += 1
            if self._away < _PATIENCE or not await self._set_silent_aside(free):
                raise
        except Exception:
            for row in free:
                if (row.kind, row.id) in self._blocked:
                    await self._store.set_aside(self.reaction.name, row, 0, self._clock.now_ms(), "waits")
                else:
                    await self._try(row, 0)

    async def _set_silent_aside(self, rows: Sequence[Row]) -> bool:
        """Whether it was not the world: then what did not answer waits alone, and no attempt counts."""
        silent: dict[tuple[str, str], list[Row]] = {}
        answered = False
        for row in rows:
            key = (row.kind, row.id)
            if key in silent:
                silent[key].append(row)
            elif key in self._blocked:
                await self._store.set_aside(self.reaction.name, row, 0, self._clock.now_ms(), "waits")
            else:
                try:
                    answered = await self._try(row, 0) or answered
                except (Temporary, OSError):
                    silent[key] = [row]
                    if not answered and len(silent) >= _SILENT_MAX:
                        return False
        if not answered:
            return False
        for row in (row for waiting in silent.values() for row in waiting):
            await self._wait_longer(row, 0)
        return True

    async def _wait_longer(self, row: Row, attempts: int) -> None:
        due_ms = self._clock.now_ms() + _LOOK_AGAIN_MS
        await self._store.set_aside(self.reaction.name, row, attempts, due_ms, "no answer")
        self._blocked.add((row.kind, row.id))

    async def _try(self, row: Row, attempts: int) -> bool:
        """One entry by itself; whether it is out of the way (handled or parked)."""
        name = self.reaction.name
        try:
            await self._call([self._entry(row)])
        except (Temporary, OSError, asyncio.CancelledError):
            raise
        except Exception as error:
            attempts += 1
            log.warning(
                "reaction_failed", reaction=name, kind=row.kind, id=row.id, version=row.version, attempts=attempts
            )
            if attempts >= self._attempts_max:
                await self._store.park(name, row, attempts, repr(error))
                return True
            due_ms = self._clock.now_ms() + self._backoff_ms * 2 ** (attempts - 1)
            await self._store.set_aside(name, row, attempts, due_ms, repr(error))
            self._blocked.add((row.kind, row.id))
            return False
        self.handled += 1
        return True

    async def _retry_due(self) -> bool:
        name = self.reaction.name
        due = await self._store.due(name, self._clock.now_ms(), self._batch_max)
        for aside in due:
            rows = await self._source.rows(aside.kind, aside.id, after=aside.version - 1, upto=aside.version)
            await self._learn_keys(rows)
            try:
                out_of_the_way = not rows or await self._try(rows[0], aside.attempts)
            except (Temporary, OSError):
                await self._wait_longer(rows[0], aside.attempts)  # and nobody waits for it meanwhile
                break
            if out_of_the_way:
                await self._store.done(name, aside.kind, aside.id, aside.version)
        if due:
            self._blocked = await self._store.blocked(name)
        return bool(due)

    def _entry(self, row: Row) -> JournalEntry:
        return JournalEntry(
            row.kind,
            row.id,
            row.version,
            row.position,
            row.time_ms,
            row.actor,
            row.device,
            row.command_id,
            plain(row.correlation),
            self._codecs[row.kind].events(row.id, row.version, row.payload),
            trace_of(row.correlation),
        )
