"""What a tablet knows: confirmed states with the own edits over them, edits without a result, and who listens."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

import structlog

from realtime.client.errors import LiveClosedError, LiveRefusedError, StoreError
from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.client.notices import Changed, Edit, Linked, Notice, Refused, Withdrawn
from realtime.client.observer import Observer
from realtime.client.optimism import Optimism
from realtime.client.outcome import Result
from realtime.client.queue import Body
from realtime.client.replica import Update
from realtime.client.sqlite_queue import SqliteQueue
from realtime.client.state_cache import StateCache
from realtime.client.store import DeviceStore

log = structlog.get_logger()


class Screen(Observer):
    """Fed by the live client. `last_stamp`: the newest that an earlier run gave, "" for none."""

    def __init__(self, store: DeviceStore, queue: SqliteQueue, limits: ClientLimits = DEFAULTS) -> None:
        self.optimism = Optimism(store.subject, store.device_id, queue.epoch, limits=limits)
        self._limits = limits
        self.edits: dict[int, Edit] = {}
        self.created: Callable[[str], object] = lambda _: None
        """Told of a document that exists now and was asked for before."""
        self.last_stamp = ""
        self._store = store
        self._queue = queue
        self._cache = StateCache(store)
        self._members: dict[str, set[str]] = {}
        self._tokens: dict[str, tuple[int, int]] = {}
        self._awaited: set[str] = set()
        self._listeners: list[Callable[[Notice], None]] = []
        self._news = asyncio.Event()
        self._over: LiveClosedError | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._restore()

    def channels(self) -> tuple[str, ...]:
        """Those that an earlier run followed, and that showed something."""
        return self._cache.channels()

    def known(self, channel: str) -> dict[str, tuple[int, object]]:
        """What the store has of a channel."""
        known = self._cache.load(channel)
        self._members.setdefault(channel, set()).update(known)
        return known

    def queued(self, seq: int, body: Body) -> Edit:
        ent = body["ent"]
        self.optimism.queued(seq, body)
        edit = self.edits[seq] = Edit.of(seq, body)
        edit.stop(self._over)
        self._tell(Changed(ent, self.optimism.version(ent), self.optimism.state(ent)))
        return edit

    def claim_token(self, ent: str) -> int:
        """The newest of what the result of a claim said and what is confirmed."""
        version, token = self._tokens.get(ent, (0, 0))
        if version > self.optimism.version(ent):
            return token
        claim = (self.optimism.confirmed(ent) or {}).get("claim", {})
        own = (claim.get("by"), claim.get("device")) == (self._store.subject, self._store.device_id)
        return int(claim["token"]) if own else 0

    def unseen(self) -> Iterator[Refused]:
        for kept in self._queue.unseen():
            edit = Edit.of(kept.seq, kept.body)
            edit.settle(Result.of({**(kept.result or {}), "seq": kept.seq, "ent": edit.ent}))
            yield Refused(kept.key, edit)

    def revive(self) -> None:
        """The client comes back after an end: results are to be expected again."""
        self._over = None
        for edit in self.edits.values():
            edit.stop(None)

    def drop_channel(self, channel: str) -> None:
        self._cache.forget(channel)
        self._forget(self._members.pop(channel, set()))
        self._keep_states()

    def close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        self._cache.flush()

    # -- those who listen ---------------------------------------------------------------------------

    async def changed(self) -> None:
        """Wait for the next notice, or anything else that is new."""
        self._news.clear()
        await self._news.wait()

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def notices(self) -> AsyncIterator[Notice]:
        """Every notice from now on, also those before the reader asks for the first."""
        waiting: deque[Notice] = deque(maxlen=self._limits.notices_kept_max)
        return self._read(waiting, self.listen(waiting.append))

    async def _read(self, waiting: deque[Notice], stop: Callable[[], None]) -> AsyncIterator[Notice]:
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                await self.changed()
        finally:
            stop()

    def _tell(self, *notices: Notice) -> None:
        for notice in notices:
            for listener in list(self._listeners):
                listener(notice)
        self._news.set()

    # -- what the client tells ----------------------------------------------------------------------

    def connected(self) -> None:
        self._tell(Linked(online=True))

    def updated(self, channel: str, update: Update) -> None:
        ent = update.ent
        if update.what == "signal":
            self._tell()
            return
        self.optimism.confirm(ent, update.version, update.state, update.by)
        if update.what == "left":
            self._members.get(channel, set()).discard(ent)
            self._cache.leave(channel, ent)
            self._forget({ent})
        else:
            self._members.setdefault(channel, set()).add(ent)
            self._cache.keep(channel, ent, update.version, update.state)
            self._tell(Changed(ent, update.version, self.optimism.state(ent)))
        self._keep_states()

    def resulted(self, result: Result) -> None:
        self.optimism.resulted(result)
        edit = self.edits.pop(result.seq, None)
        if edit is None:
            self._tell()
            return
        ent = edit.ent
        edit.settle(result)
        if not result.ok:
            self._tell(Refused(self._queue.key_of(result.seq), edit))
        elif "token" in result.reply:
            self._tokens[ent] = (result.version or 0, int(result.reply["token"]))
        if ent in self._awaited and not self._creates(ent):
            self._awaited.discard(ent)
            self.created(ent)
        self._tell(Changed(ent, self.optimism.version(ent), self.optimism.state(ent)))

    def refused(self, seq: int, error: LiveRefusedError) -> None:
        edit = self.edits.get(seq)
        if edit is not None:
            edit.stop(error)

    def renumbered(self, numbers: dict[int, int]) -> None:
        self.edits = {numbers[seq]: edit for seq, edit in self.edits.items() if seq in numbers}
        for seq, edit in self.edits.items():
            edit.seq = seq
        self.optimism.renumbered(self._queue.epoch, numbers)

    def withdrawn(self, channel: str, code: str) -> None:
        """A document that is to be created has no channel yet: it is asked for again when it has been."""
        if self._creates(channel):
            self._awaited.add(channel)
            return
        self.drop_channel(channel)
        self._tell(Withdrawn(channel, code))

    def invalidated(self) -> None:
        known = self.optimism.entities()
        try:
            self._cache.drop()
        except StoreError:
            log.exception("states_not_dropped")
        for members in self._members.values():
            members.clear()
        self.optimism.forget()
        self._tell(*(Changed(ent, 0, self.optimism.state(ent)) for ent in sorted(known)))

    def disconnected(self, code: int) -> None:
        self._tell(Linked(online=False, code=code))

    def ended(self, error: LiveClosedError) -> None:
        self._over = error
        for edit in self.edits.values():
            edit.stop(error)
        self._tell(Linked(online=False, code=error.code))

    # -- inside -------------------------------------------------------------------------------------

    def _restore(self) -> None:
        for channel in self._cache.channels():
            for ent, (version, state) in self.known(channel).items():
                self.optimism.confirm(ent, version, state)
        for kept in self._queue.kept():
            self.last_stamp = max(self.last_stamp, kept.body.get("hlc", ""))
            if kept.result is not None:
                self.optimism.kept(kept.body, Result.of({**kept.result, "seq": 0, "ent": kept.body["ent"]}))
            else:
                self.optimism.queued(kept.seq, kept.body)
                self.edits[kept.seq] = Edit.of(kept.seq, kept.body)

    def _creates(self, ent: str) -> bool:
        return any(one.ent == ent and one.op == "create" for one in self.edits.values())

    def _forget(self, ents: set[str]) -> None:
        """Those that no channel has any more."""
        gone = [ent for ent in ents if not any(ent in members for members in self._members.values())]
        self.optimism.forget(gone)
        self._tell(*(Changed(ent, 0, self.optimism.state(ent)) for ent in gone))

    def _keep_states(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(self._limits.states_seconds, self._flush_states)

    def _flush_states(self) -> None:
        self._flushing = None
        try:
            self._cache.flush()
        except StoreError:
            log.exception("states_not_stored")
            self._keep_states()
