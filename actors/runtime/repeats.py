"""Answers to commands that were executed before (invariant 4): the first result, read from the journal.

The reply map is kept in the journal row; the view is the entity folded to that row's version. Repeats of one
entity that arrive together are answered by one fold, so that a hot entity survives a failover in which every
caller asks again.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from actors.runtime.cell import Cell
from actors.runtime.replay import states_at
from actors.runtime.turns import Sink, encode_view
from actors.runtime.wire import FAILED, OK, RETRY, VIEW_NONE, Envelope, Reply
from domain.errors import Failure
from storage.journal.interface import Journal, Row

log = structlog.get_logger()

_Asked = tuple[int, Envelope, Sink]


class Repeats:
    def __init__(self, journal: Journal, spawn: Callable[[Any], object]) -> None:
        self._journal = journal
        self._spawn = spawn
        self._asked: dict[str, list[_Asked]] = {}
        self.answered = 0

    def answer(self, cell: Cell, env: Envelope, sink: Sink, version: int) -> None:
        """Answer `env` with the result that made `version`, which must be durable."""
        key = f"{cell.kind}/{cell.id}"
        waiting = self._asked.setdefault(key, [])
        waiting.append((version, env, sink))
        if len(waiting) == 1:
            self._spawn(self._resolve(cell, key))

    async def _resolve(self, cell: Cell, key: str) -> None:
        await asyncio.sleep(0)  # let the others of this batch join
        asked = self._asked.pop(key)
        try:
            answers = await self._answers(cell, asked)
        except Exception as error:
            log.warning("repeat_unreadable", kind=cell.kind, id=cell.id, error=repr(error))
            for _, env, sink in asked:
                sink(Reply(env.corr, RETRY))
            return
        self.answered += len(asked)
        for (_, _, sink), reply in zip(asked, answers, strict=True):
            sink(reply)

    async def _answers(self, cell: Cell, asked: list[_Asked]) -> list[Reply]:
        versions = {version for version, _, _ in asked}
        whole = any(env.want != VIEW_NONE for _, env, _ in asked)
        after = 0 if whole else min(versions) - 1
        rows = await self._journal.rows(cell.kind, cell.id, after=after, upto=max(versions))
        by_version = {row.version: row for row in rows if row.version in versions}
        views: dict[tuple[int, int], bytes] = {}
        if whole:
            wanted = {(version, env.want) for version, env, _ in asked}
            for version, state in states_at(cell.codec, rows, versions):
                view = cell.codec.kind.view(state, {}, version)
                for want in (want for at, want in wanted if at == version):
                    views[version, want] = encode_view(view, want)
        return [self._reply(cell, env, by_version.get(version), views) for version, env, _ in asked]

    def _reply(self, cell: Cell, env: Envelope, row: Row | None, views: dict[tuple[int, int], bytes]) -> Reply:
        if row is None or row.command_id != env.command_id:
            return Reply(env.corr, RETRY)
        if row.command_hash != env.body_hash:
            failure = Failure("idempotency_key_reused", 422, "this command id was used with another body")
            return Reply(env.corr, FAILED, failure=failure)
        view = views.get((row.version, env.want), b"")
        return Reply(env.corr, OK, row.version, duplicate=True, data=cell.codec.reply(row.payload), view=view)
