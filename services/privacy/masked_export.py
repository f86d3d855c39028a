"""A copy of the installation's tables for where there must be no personal data: masked row by row, into a zip.

`<table>.jsonl` per table, `journal.jsonl` with the events of `JOURNALS`. Ids are other ids, the same everywhere, so
rows still belong together; with the same key, every export has the same ones.
"""

import zipfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from sqlalchemy import Table, select, tuple_

from actors.runtime.codec import KindCodec
from actors.runtime.entity import EntityKind
from storage.crypto import KeyRing
from storage.db import Database
from storage.key_files import key_bytes, new_key_text, write_once
from storage.models import Base
from storage.privacy.masking import LEFT_OUT, Masker

JOURNALS: Final = ("cart", "order")
"""Kinds whose events are in the copy. Clinical ones never are."""
JOURNAL: Final = "journal"
PAGE_ROWS: Final = 1_000

_JOURNAL_COLUMNS: Final = ("kind", "id", "version", "time", "actor", "device")
_encode = msgspec.json.Encoder().encode


class MaskedExport:
    def __init__(self, database: Database, keys: KeyRing, kinds: Mapping[str, EntityKind[Any]], masker: Masker) -> None:
        self._database = database
        self._codecs = {name: KindCodec(kinds[name], keys) for name in JOURNALS}
        self._masker = masker

    async def write(self, file: BinaryIO) -> dict[str, int]:
        """Rows by table."""
        counts: dict[str, int] = {}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, table in sorted(Base.metadata.tables.items()):
                if name in LEFT_OUT:
                    continue
                with archive.open(f"{name}.jsonl", "w", force_zip64=True) as member:
                    counts[name] = 0
                    async for document in self._documents(table):
                        member.write(_encode(document) + b"\n")
                        counts[name] += 1
        return counts

    async def _documents(self, table: Table) -> AsyncIterator[dict[str, Any]]:
        async for row in self._rows(table):
            if table.name != JOURNAL:
                yield self._masker.row(table.name, row)
            elif row["kind"] in self._codecs:
                yield await self._journaled(row)

    async def _journaled(self, row: Mapping[str, Any]) -> dict[str, Any]:
        codec = self._codecs[row["kind"]]
        await codec.learn_keys((row["payload"],))
        events = codec.events(row["id"], row["version"], row["payload"])
        shown = self._masker.row(JOURNAL, {name: row[name] for name in _JOURNAL_COLUMNS})
        return shown | {"events": [self._masker.document(msgspec.to_builtins(event)) for event in events]}

    async def _rows(self, table: Table) -> AsyncIterator[dict[str, Any]]:
        keys = list(table.primary_key.columns)
        after: tuple[Any, ...] = ()
        while True:
            query = select(table).order_by(*keys).limit(PAGE_ROWS)
            if after:
                query = query.where(tuple_(*keys) > tuple_(*after))
            async with self._database.session() as session:
                page = (await session.execute(query)).mappings().all()
            for row in page:
                yield dict(row)
            if len(page) < PAGE_ROWS:
                return
            after = tuple(page[-1][key.name] for key in keys)


def masking_key(folder: Path) -> bytes:
    """The installation's key of pseudonyms, made at the first time. Raises `OSError`, `ValueError`."""
    path = folder / "masking.key"
    write_once(path, new_key_text().encode())
    return key_bytes(path.read_text(encoding="ascii"))
