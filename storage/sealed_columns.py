"""Which columns hold sealed bytes, and what they are bound to: all that a rotation of data keys must visit."""

from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Final

import msgspec

_pack = msgspec.msgpack.Encoder().encode


def journal_place(kind: str, id: str, version: int) -> bytes:
    """What the payload of a journal row is bound to."""
    return _pack(("journal", kind, id, version))


def snapshot_place(kind: str, id: str, version: int, schema: int) -> bytes:
    """What a snapshot is bound to."""
    return _pack(("snapshot", kind, id, version, schema))


def column_place(table: str, column: str, key: str | bytes) -> bytes:
    """What a value of a plain table is bound to: the row's key, in hexadecimal if it is bytes."""
    return f"{table}/{column}/{key.hex() if isinstance(key, bytes) else key}".encode()


class SealedColumn(msgspec.Struct, frozen=True):
    """A column of sealed bytes; of the runtime's tables, for one `kind`.

    `key`: the columns, with their types, that tell one row from another in the order in which they are walked.
    `also`: what `place` is given after them. Values may be NULL. `fixed`: never sealed anew. `once_clear`: an older
    release left values in clear, which are msgpack and are sealed when they are met.
    """

    table: str
    column: str
    key: tuple[tuple[str, str], ...]
    place: Callable[..., bytes]
    kind: str = ""
    also: tuple[str, ...] = ()
    fixed: bool = False
    once_clear: bool = False

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}" + (f" of {self.kind}" if self.kind else "")


PLAIN: Final = (
    ("lookup_keys", "sealed", "name", "text"),
    ("users", "email", "id", "text"),
    ("users", "profile", "id", "text"),
    ("user_positions", "position", "user_id", "text"),
    ("one_time_tokens", "payload", "hash", "bytea"),
    ("refresh_tokens", "successor", "hash", "bytea"),
    ("personal_exports", "file_key", "id", "text"),
    ("idempotency_keys", "request", "id", "bytea"),
    ("idempotency_keys", "answer", "id", "bytea"),
    ("totp_factors", "secret", "id", "text"),
    ("emergency_access", "reason", "id", "text"),
    ("emergency_access", "note", "id", "text"),
    ("invitations", "email", "id", "text"),
)
"""Table, column, key and its type. A new sealed column belongs here, or its keys could be taken for unused."""


FIXED: Final = (("audit_events", "changes", "position", "bigint"),)
"""Likewise, of rows that may never be changed: they stay under the key that sealed them, which stays readable."""


def sealed_columns(kinds: Sequence[str], once_clear: Container[str] = ()) -> list[SealedColumn]:
    """All of them; `kinds` are the sensitive ones, `once_clear` those of them that were not so once."""
    columns: list[SealedColumn] = []
    for kind in kinds:
        key = (("id", "text"), ("version", "bigint"))
        clear = kind in once_clear
        place: Callable[..., bytes] = partial(journal_place, kind)
        columns.append(SealedColumn("journal", "payload", key, place, kind, once_clear=clear))
        more = ("version", "schema")
        place = partial(snapshot_place, kind)
        columns.append(SealedColumn("snapshots", "data", (("id", "text"),), place, kind, more, once_clear=clear))
    for table, column, name, type_ in PLAIN:
        columns.append(SealedColumn(table, column, ((name, type_),), partial(column_place, table, column)))
    for table, column, name, type_ in FIXED:
        place = partial(column_place, table, column)
        columns.append(SealedColumn(table, column, ((name, type_),), place, fixed=True))
    return columns
