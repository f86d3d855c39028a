"""Answers to commands that were executed before (invariant 4): the first result, read from the journal.

The reply map is kept in the journal row; the view is the entity folded to that row's version. Repeats of one
entity that arrive together are answered by one fold, so that a hot entity survives a failover in which every
caller asks again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Final

import structlog

from actors.runtime.cell import Cell
from actors.runtime.limits import Limits
from actors.runtime.replay import apply_row
from actors.runtime.turns import Sink, encode_view
from actors.runtime.wire import FAILED, OK, RETRY, VIEW_NONE, Envelope, Reply
from actors.runtime.writer import Entry
from domain.errors import Failure, TooMany
from storage.journal.interface import Journal, Row

log = structlog.get_logger()

PAGE_ROWS: Final = 500
"""Journal rows folded between two moments in which the host does something else."""

_TOO_MANY = TooMany("this entity has too many repeats waiting", code="mailbox_full", retry_after_ms=200).failure

_Asked = tuple[int, Envelope, Sink]


class Repeats:
    def __init__(
        self, journal: Journal, limits: Limits, gate: Callable[[Entry], None], spawn: Callable[[Any], object]
    ) -> None:
        """`gate` takes what must wait for the commits that are under way."""
        self._journal = journal
        self._limits = limits
        self._gate = gate
        self._spawn = spawn
        self._asked: dict[str, list[_Asked]] = {}
        self.answered = 0

    def answer(self, cell: Cell, env: Envelope, sink: Sink, version: int) -> None:
        """Answer `env` with the result that made `version`, which must be durable."""
        key = f"{cell.kind}/{cell.id}"
        waiting = self._asked.get(key)
        if waiting is None:
            self._asked[key] = [(version, env, sink)]
            self._spawn(self._resolve(cell, key))
        elif len(waiting) < self._limits.mailbox_commands_max:
            waiting.append((version, env, sink))
        else:
            sink(Reply(env.corr, FAILED, failure=_TOO_MANY))

    def answer_after_commit(self, cell: Cell, env: Envelope, sink: Sink, version: int) -> None:
        """A repeat of a command that is still at the gate: answer when its first execution has committed."""
        corr = env.corr
        self._gate(Entry(cell, lambda: self.answer(cell, env, sink, version), lambda _: sink(Reply(corr, RETRY))))

    async def find(self, cell: Cell, command_ids: Collection[bytes]) -> Mapping[bytes, int] | None:
        """The versions that these commands made, those that made any; None when the journal does not say."""
        try:
            return await self._journal.find_commands(cell.kind, cell.id, list(command_ids))
        except Exception as error:
            log.warning("lookup_failed", kind=cell.kind, id=cell.id, error=repr(error))
            return None

    async def _resolve(self, cell: Cell, key: str) -> None:
        """One fold of an entity at a time: who asks meanwhile is answered by the next one."""
        await asyncio.sleep(0)  # let the others of this batch join
        while asked := self._asked[key]:
            self._asked[key] = []
            await self._answer(cell, asked)
        del self._asked[key]

    async def _answer(self, cell: Cell, asked: list[_Asked]) -> None:
        try:
            answers = await self._answers(cell, asked)
        except Exception as error:
            log.warning("repeat_unreadable", kind=cell.kind, id=cell.id, error=repr(error))
            for _, env, sink in asked:
                sink(Reply(env.corr, RETRY))
            return
        self.answered += len(asked)
        cell.codec.tally.repeated += len(asked)
        for (_, _, sink), reply in zip(asked, answers, strict=True):
            sink(reply)

    async def _answers(self, cell: Cell, asked: list[_Asked]) -> list[Reply]:
        wanted: dict[int, set[int]] = {}
        for version, env, _ in asked:
            wanted.setdefault(version, set()).add(env.want)
        fold_upto = max((version for version, env, _ in asked if env.want != VIEW_NONE), default=0)
        found: dict[int, Row] = {}
        views: dict[tuple[int, int], bytes] = {}
        state, at = None, 0
        for version in sorted(wanted):
            at = at if version <= fold_upto else version - 1
            async for row in self._rows(cell, at, version):
                if version <= fold_upto:
                    state = apply_row(cell.codec, state, at, row)
                at = row.version
                if at == version:
                    found[version] = row
            for want in wanted[version] - {VIEW_NONE} if version in found else ():
                views[version, want] = encode_view(cell.codec.kind.view(state, {}, version), want)
        return [self._reply(cell, env, found.get(version), views) for version, env, _ in asked]

    async def _rows(self, cell: Cell, after: int, upto: int) -> AsyncIterator[Row]:
        """A page at a time: a long journal fills no memory, and its host goes on with others in between."""
        while after < upto:
            page = await self._journal.rows(cell.kind, cell.id, after=after, upto=min(after + PAGE_ROWS, upto))
            if not page:
                return
            await cell.codec.learn_keys(row.payload for row in page)
            for row in page:
                yield row
            after = page[-1].version

    def _reply(self, cell: Cell, env: Envelope, row: Row | None, views: dict[tuple[int, int], bytes]) -> Reply:
        if row is None or row.command_id != env.command_id:
            return Reply(env.corr, RETRY)
        if row.command_hash != env.body_hash:
            failure = Failure("idempotency_key_reused", 422, "this command id was used with another body")
            return Reply(env.corr, FAILED, failure=failure)
        view = views.get((row.version, env.want), b"")
        data = cell.codec.reply(row.id, row.version, row.payload)
        return Reply(env.corr, OK, row.version, duplicate=True, data=data, view=view)
