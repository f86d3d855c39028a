"""Idempotency keys in Postgres. Each method is one transaction.

Answers are sealed, and so are the hashes of requests: bodies have passwords, which would be guessed by a bare hash.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from sqlalchemy import Executable, Table, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from storage.crypto import KeyRing
from storage.db import Database
from storage.models import IdempotencyKey
from storage.sealed_columns import column_place
from storage.times import from_ms

PRUNED_MAX: Final = 1_000
"""Rows deleted at a time: a transaction that lasts holds up the journal's tail."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to run once. `key` and `request` are hashes, `id` tells one attempt from another.

    Nobody else runs it before `running_until_ms`; it is forgotten after `expires_at_ms`.
    """

    key: bytes
    request: bytes
    id: str
    now_ms: int
    running_until_ms: int
    expires_at_ms: int


class Earlier(msgspec.Struct, frozen=True):
    """What there is already by this key. `answer` None: it is still running."""

    request: bytes
    answer: bytes | None


_TABLE: Final = cast("Table", IdempotencyKey.__table__)
_ROW: Final = _TABLE.c
_NEW: Final = insert(_TABLE).values(
    {name: bindparam(name) for name in ("id", "request", "attempt", "running_until", "expires_at")}
)
_BEGIN: Final = _NEW.on_conflict_do_update(
    index_elements=["id"],
    set_={
        **{name: _NEW.excluded[name] for name in ("request", "attempt", "running_until", "expires_at")},
        "answer": None,
    },
    where=or_(_ROW.expires_at <= bindparam("now"), and_(_ROW.answer.is_(None), _ROW.running_until <= bindparam("now"))),
).returning(_ROW.id)
_FIND: Final = select(_ROW.request, _ROW.answer).where(_ROW.id == bindparam("id"))
_MINE: Final = and_(_ROW.id == bindparam("key"), _ROW.attempt == bindparam("mine"), _ROW.answer.is_(None))
_FINISH: Final = update(_TABLE).where(_MINE).values(answer=bindparam("sealed"))
_FORGET: Final = delete(_TABLE).where(_MINE)
_OLD: Final = select(_ROW.id).where(_ROW.expires_at <= bindparam("now")).limit(PRUNED_MAX)
_PRUNE: Final = delete(_TABLE).where(_ROW.id.in_(_OLD)).returning(_ROW.id)


class IdempotencyTable:
    """Raises `Unavailable` when the database is away."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def begin(self, attempt: Attempt) -> Earlier | None:
        """None: it is this attempt's to run. Else what another one of this key asked and was answered."""
        values = {
            "id": attempt.key,
            "request": self._keys.seal(attempt.request, _place("request", attempt.key)),
            "attempt": attempt.id,
            "running_until": from_ms(attempt.running_until_ms),
            "expires_at": from_ms(attempt.expires_at_ms),
            "now": from_ms(attempt.now_ms),
        }
        if await self._run(_BEGIN, values):
            return None
        rows = await self._run(_FIND, {"id": attempt.key})
        if not rows:  # it was refused just now
            return Earlier(attempt.request, None)
        request, answer = rows[0]
        opened = None if answer is None else await self._opened(answer, _place("answer", attempt.key))
        return Earlier(await self._opened(request, _place("request", attempt.key)), opened)

    async def finish(self, key: bytes, attempt_id: str, answer: bytes) -> None:
        """Keep the answer. Nothing, when the attempt took so long that another one took its place."""
        sealed = self._keys.seal(answer, _place("answer", key))
        await self._run(_FINISH, {"key": key, "mine": attempt_id, "sealed": sealed})

    async def forget(self, key: bytes, attempt_id: str) -> None:
        """The attempt came to nothing: the key is free again."""
        await self._run(_FORGET, {"key": key, "mine": attempt_id})

    async def prune(self, now_ms: int) -> int:
        """Delete what has expired, some rows at a time; how many."""
        count = 0
        while found := len(await self._run(_PRUNE, {"now": from_ms(now_ms)})):
            count += found
            if found < PRUNED_MAX:
                break
        return count

    async def _run(self, statement: Executable, values: dict[str, Any]) -> Sequence[Any]:
        """The rows that it returns, if it does."""
        async with self._database.session() as session:
            result: Any = await session.execute(statement, values)
            return result.all() if result.returns_rows else ()

    async def _opened(self, sealed: bytes, place: bytes) -> bytes:
        if self._keys.lacks(sealed):
            await self._keys.refresh()
        return self._keys.open(sealed, place)


def _place(column: str, key: bytes) -> bytes:
    return column_place("idempotency_keys", column, key)
