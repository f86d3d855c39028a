"""The journal of one entity, decoded: what happened to it, in order."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from actors.runtime.codec import KindCodec
from actors.runtime.entity import EntityKind, Meta
from actors.runtime.replay import meta_of
from domain.errors import Unavailable
from storage.crypto import KeyRing
from storage.journal.interface import JournalError, Row


class JournalRows(Protocol):
    """The reading side of `storage.journal.interface.Journal`."""

    async def rows(self, kind: str, id: str, after: int = 0, upto: int | None = None) -> Sequence[Row]: ...


class Recorded(msgspec.Struct, frozen=True):
    """The events of one journal row, and what the row says of them."""

    meta: Meta
    events: tuple[Any, ...]


class History:
    def __init__(self, journal: JournalRows, kinds: Mapping[str, EntityKind[Any]], keys: KeyRing | None = None) -> None:
        """`keys` are needed if one of `kinds` is sensitive."""
        self._journal = journal
        self._codecs = {name: KindCodec(kind, keys) for name, kind in kinds.items()}

    async def of(self, kind: str, entity_id: str, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """Rows with `after < version <= upto`, oldest first; none for an unknown entity. Raises `Unavailable`."""
        codec = self._codecs[kind]
        try:
            rows = await self._journal.rows(kind, entity_id, after=after, upto=upto)
            await codec.learn_keys(row.payload for row in rows)
        except (JournalError, OSError) as error:
            raise Unavailable("The journal does not answer.", code="journal_away", retry_after_ms=1_000) from error
        return [Recorded(meta_of(row), codec.events(row.id, row.version, row.payload)) for row in rows]
