"""Durable timers (invariant 6): reminders are rows, this only wakes entities when they come due.

Those due within the horizon are held in memory; a scan finds the rest, also after a crash. Firing is at
least once: the row goes in the commit of the turn it caused, and until then every scan finds it again.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from actors.runtime.clock import Clock
from actors.runtime.limits import Limits
from storage.journal.interface import Journal, NewRow, Reminder

log = structlog.get_logger()

_Key = tuple[str, str, str]


class Timers:
    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        shards: Callable[[], Iterable[int]],
        fire: Callable[[Reminder], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._limits = limits
        self._shards = shards
        self._fire = fire
        self._due: dict[_Key, tuple[Reminder, asyncio.TimerHandle]] = {}
        self._fired: dict[_Key, tuple[int, float]] = {}
        self._failed: dict[_Key, tuple[Reminder, int, float]] = {}
        self._changed: set[_Key] = set()
        self._task: asyncio.Task[None] | None = None
        self.fired = 0
        self.overdue_ms = 0

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._scan_forever())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        for _, handle in self._due.values():
            handle.cancel()
        self._due.clear()

    def committed(self, row: NewRow) -> None:
        """A commit set or removed reminders: mind those that come due before the next scans would see them."""
        for change in row.reminders:
            key = (row.kind, row.id, change.name)
            self._changed.add(key)
            self._failed.pop(key, None)
            self._forget(key)
            if change.due_ms is not None and change.due_ms - self._clock.now_ms() < self._limits.timer_horizon_ms:
                self._hold(Reminder(row.shard, row.kind, row.id, change.name, change.due_ms))

    async def _scan_forever(self) -> None:
        while True:
            try:
                await self.scan()
            except Exception as error:
                log.warning("timer_scan_failed", error=repr(error))
            await asyncio.sleep(self._limits.timer_scan_ms / 1000)

    async def scan(self) -> None:
        """Take up reminders of the owned shards that are due or soon will be."""
        now_ms = self._clock.now_ms()
        before = now_ms + self._limits.timer_horizon_ms
        shards = list(self._shards())
        changed = self._changed = set()
        found = await self._journal.due_reminders(shards, before, self._scan_size()) if shards else []
        self._forget_fired()
        self.overdue_ms = max((now_ms - reminder.due_ms for reminder in found), default=0)
        for reminder in found:
            key = (reminder.kind, reminder.id, reminder.name)
            held = self._due.get(key)
            overdue = reminder.due_ms <= now_ms  # yet held: the wall clock was set forward
            if key not in changed and (held is None or held[0].due_ms != reminder.due_ms or overdue):
                self._forget(key)
                self._hold(reminder)

    def lost(self, reminder: Reminder, hopeless: bool) -> None:
        """Its firing came to nothing: the next scan repeats it, or, where that looks `hopeless`, ever later ones."""
        key = (reminder.kind, reminder.id, reminder.name)
        self._fired.pop(key, None)
        if hopeless:
            before = self._failed.get(key)
            attempts = before[1] + 1 if before is not None and before[0].due_ms == reminder.due_ms else 0
            pause = min(_REFIRE_SECONDS * 2**attempts, _REFIRE_SECONDS_MAX)
            self._failed[key] = (reminder, min(attempts, 10), asyncio.get_running_loop().time() + pause)

    def _scan_size(self) -> int:
        """As many as are new: those that are known already must not hide the ones due after them."""
        known = min(len(self._due) + len(self._fired), _KNOWN_BATCHES_MAX * self._limits.timer_batch_max)
        return self._limits.timer_batch_max + len(self._failed) + known

    def forget_shards(self, shards: Iterable[int]) -> None:
        """These are another host's now: what is held of them will not be kept up to date."""
        gone = set(shards)
        for key in [key for key, (reminder, _) in self._due.items() if reminder.shard in gone]:
            self._forget(key)
        self._failed = {key: failed for key, failed in self._failed.items() if failed[0].shard not in gone}

    def _hold(self, reminder: Reminder) -> None:
        key = (reminder.kind, reminder.id, reminder.name)
        fired = self._fired.get(key)
        if fired is not None and fired[0] == reminder.due_ms:
            return
        loop = asyncio.get_running_loop()
        failed = self._failed.get(key)
        if failed is not None and failed[0].due_ms == reminder.due_ms and loop.time() < failed[2]:
            return
        delay = max(0, reminder.due_ms - self._clock.now_ms()) / 1000
        self._due[key] = (reminder, loop.call_later(delay, self._ring, key))

    def _forget(self, key: _Key) -> None:
        held = self._due.pop(key, None)
        if held is not None:
            held[1].cancel()

    def _ring(self, key: _Key) -> None:
        reminder, _ = self._due.pop(key)
        early_ms = reminder.due_ms - self._clock.now_ms()
        if early_ms > 0:  # the wall clock was set back: an entity that is asked too early may take it for a repeat
            if early_ms < self._limits.timer_horizon_ms:
                self._hold(reminder)
            return
        self.fired += 1
        self._fired[key] = (reminder.due_ms, asyncio.get_running_loop().time())
        self._fire(reminder)

    def _forget_fired(self) -> None:
        """A firing that left no trace is repeated after a while."""
        now = asyncio.get_running_loop().time()
        patience = _REFIRE_SECONDS
        self._fired = {key: mark for key, mark in self._fired.items() if now - mark[1] < patience}
        patience = _REFIRE_SECONDS_MAX
        self._failed = {key: failed for key, failed in self._failed.items() if now - failed[2] < patience}


_REFIRE_SECONDS = 1.0
"""A row still there so long after its firing is fired again: long enough for the commit, short for the promise."""

_REFIRE_SECONDS_MAX = 60.0
"""Longest pause between two firings of a timer whose entity cannot answer it; the first is `_REFIRE_SECONDS`."""

_KNOWN_BATCHES_MAX = 10
"""How many batches of timers that are held already one scan reads past."""
