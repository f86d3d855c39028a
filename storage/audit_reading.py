"""Walking the audit trail's chain in Postgres, a page at a time, while others add to it."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import text

from storage.audit_chain import MORE, START, TEXTS, ChainWalk, Head, Link, More
from storage.db import Database

PAGE_EVENTS: Final = 2_000
"""Events read at a time."""

ALTERED: Final = "altered"
"""This event is not what follows from the one before: it was changed, or one before it was taken out or put in."""
MISSING: Final = "missing"
"""Events up to the head are not there any more."""
INSERTED: Final = "inserted"
"""An event behind the head, which nobody added by the way all are added."""
OTHER_HEAD: Final = "other_head"
"""The event at the position of a head that somebody kept has another hash: the chain was made anew."""

_LINKS: Final = text(
    "SELECT position, (extract(epoch FROM at) * 1000000)::bigint, hash, "  # noqa: S608 - of constants only
    f"{', '.join((*MORE, *TEXTS))} FROM audit_events "
    "WHERE position > :after AND position <= :last ORDER BY position LIMIT :limit"
)
_HEAD: Final = text("SELECT position, hash FROM audit_head")
_AT: Final = text("SELECT position, hash FROM audit_events WHERE position <= :position ORDER BY position DESC LIMIT 1")
# One statement, one snapshot: what is added meanwhile moves both.
_BEHIND: Final = text(
    "SELECT min(event.position) FROM audit_events AS event, audit_head AS head WHERE event.position > head.position"
)


class Break(msgspec.Struct, frozen=True):
    """The first position at which the trail is not what was written, and what is wrong there."""

    position: int
    reason: str


class Verified(msgspec.Struct, frozen=True):
    """How many events were checked, up to which one, where the chain ends, and what is wrong (None: nothing)."""

    checked: int
    last: Head
    head: Head
    broken: Break | None


class AuditChain:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> Head:
        """Where the chain ends now."""
        async with self._database.session() as session:
            found = (await session.execute(_HEAD)).one_or_none()
        return START if found is None else Head(found[0], found[1])

    async def verify(
        self,
        after: int = 0,
        limit: int | None = None,
        kept: Head | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Verified:
        """Check the events after a position, at most `limit`, as of now.

        The event at `after` is taken as it is: what follows must follow from it. `kept` is a head of earlier
        times, which must be on the chain. `progress` is told the position and the last one.
        """
        head = await self.head()
        walk = ChainWalk(await self._at(after) if after else START)
        broken = await self._kept_is_there(kept, head) if kept is not None else None
        while broken is None and walk.head.position < head.position:
            wanted = PAGE_EVENTS if limit is None else min(PAGE_EVENTS, limit - walk.checked)
            if wanted <= 0:
                return Verified(walk.checked, walk.head, head, None)
            links = await self._links(walk.head.position, head.position, wanted)
            wrong = walk.take(links)
            if wrong is not None:
                broken = Break(wrong.position, ALTERED)
            elif not links:
                broken = Break(walk.head.position + 1, MISSING)
            elif progress is not None:
                progress(walk.head.position, head.position)
        if broken is None and walk.head != head and after <= head.position:
            broken = Break(head.position, OTHER_HEAD)
        return Verified(walk.checked, walk.head, head, broken or await self._behind_the_head())

    async def _links(self, after: int, last: int, limit: int) -> list[Link]:
        async with self._database.session() as session:
            rows = await session.execute(_LINKS, {"after": after, "last": last, "limit": limit})
            return [Link(row[0], row[1], tuple(row[6:]), row[2], More(*row[3:6])) for row in rows]

    async def _at(self, position: int) -> Head:
        """The event there or, if there is none, the one before."""
        async with self._database.session() as session:
            found = (await session.execute(_AT, {"position": position})).one_or_none()
        return START if found is None else Head(found[0], found[1])

    async def _kept_is_there(self, kept: Head, head: Head) -> Break | None:
        if kept.position > head.position:
            return Break(head.position + 1, MISSING)
        at: Any = START if kept.position == 0 else await self._at(kept.position)
        if at.position != kept.position:
            return Break(kept.position, MISSING)
        return None if at == kept else Break(kept.position, OTHER_HEAD)

    async def _behind_the_head(self) -> Break | None:
        async with self._database.session() as session:
            position = await session.scalar(_BEHIND)
        return None if position is None else Break(position, INSERTED)
