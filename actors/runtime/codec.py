"""Bytes of the journal and of snapshots, one codec per kind, with upcasting of what older releases wrote.

A journal payload is msgpack `[schema, events, reply]`; a snapshot is msgpack `[state, recent, complete]`
(`recent` as `recent.py` packs it). What carries the current schema is decoded straight into the kind's
structs; anything older passes through the kind's upcasters as plain maps first.

Those of a sensitive kind are sealed (`storage/crypto.py`), bound to the entity and the version they belong to. Of a
kind that was not sensitive once, bytes that are not sealed are read as they are.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar, Union

import msgspec

from actors.runtime.entity import EntityKind
from actors.runtime.tallies import KindTally
from domain.errors import FieldError, Invalid
from storage.crypto import KeyRing, SealError, key_id_of
from storage.sealed_columns import journal_place, snapshot_place

S = TypeVar("S")
_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder()


class UnreadableError(Exception):
    """Bytes that cannot be read: written by a newer release, damaged, moved, or sealed by an unknown key."""


class _Payload(msgspec.Struct, array_like=True):
    schema: int
    events: msgspec.Raw
    reply: dict[str, Any] | None = None


class _SnapshotData(msgspec.Struct, array_like=True):
    state: msgspec.Raw
    recent: bytes
    complete: bool


class CommandCodec(Generic[S]):
    """Decodes what one kind receives."""

    def __init__(self, kind: EntityKind[S]) -> None:
        self.kind = kind
        self._commands = msgspec.msgpack.Decoder(Union[kind.commands])  # noqa: UP007 - built at run time

    def command(self, body: bytes) -> Any:
        """Decode a command. Raises `Invalid` with the field's path."""
        try:
            return self._commands.decode(body)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at ")
            field = path.strip("`").removeprefix("$.") or "$"
            raise Invalid(message, errors=[FieldError(field, "invalid", message)]) from None
        except msgspec.DecodeError as error:
            raise Invalid(f"the command is not valid msgpack: {error}") from None


class KindCodec(CommandCodec[S]):
    """Encodes and decodes what one kind stores too. `keys` seal it if the kind is sensitive, else they are not used."""

    def __init__(self, kind: EntityKind[S], keys: KeyRing | None = None) -> None:
        """Raises `ValueError` for a sensitive kind without keys: it would be written in clear."""
        super().__init__(kind)
        self.tally = KindTally()
        if kind.sensitive and keys is None:
            raise ValueError(f"{kind.name} is a sensitive kind: it cannot be stored without keys")
        self._keys = keys if kind.sensitive else None
        self._events = msgspec.msgpack.Decoder(tuple[Union[kind.events], ...])  # type: ignore[name-defined] # noqa: UP007
        self._state: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind.state)
        self._payload = msgspec.msgpack.Decoder(_Payload)
        self._snapshot = msgspec.msgpack.Decoder(_SnapshotData)

    async def learn_keys(self, stored: Iterable[bytes]) -> None:
        """If one of these was sealed by a key that another process made since, read the keys again, once.

        Raises `OSError`, `JournalError`, `EncryptionKeyError` of the keys' source.
        """
        if self._keys is not None and any(self._keys.lacks(sealed) for sealed in stored):
            await self._keys.refresh()

    def pack_events(self, id: str, version: int, events: Iterable[Any], reply: dict[str, Any] | None) -> bytes:
        """The payload of the journal row that makes `version` of this entity."""
        payload = _pack.encode((self.kind.schema, events, reply))
        return payload if self._keys is None else self._keys.seal(payload, self._row(id, version))

    def opened(self, id: str, version: int, payload: bytes) -> bytes:
        """The payload of a journal row in clear, undecoded. Raises `UnreadableError`."""
        return payload if self._keys is None else self._open(self._keys, payload, self._row(id, version))

    def events(self, id: str, version: int, payload: bytes) -> tuple[Any, ...]:
        """Decode the events of one journal row, upcasting older schemas. Raises `UnreadableError`."""
        parts = self._decode_payload(self.opened(id, version, payload))
        schema = self.kind.schema
        if parts.schema == schema:
            return self._events.decode(parts.events)
        if parts.schema > schema:
            raise UnreadableError(f"{self.kind.name} event of schema {parts.schema}, this release reads {schema}")
        raw = _unpack.decode(parts.events)
        upcast = [self.kind.upcast_event(parts.schema, event) for event in raw]
        return self._events.decode(_pack.encode(upcast))

    def reply(self, id: str, version: int, payload: bytes) -> dict[str, Any] | None:
        """The reply map that is kept with one journal row. Raises `UnreadableError`."""
        return self._decode_payload(self.opened(id, version, payload)).reply

    def _decode_payload(self, payload: bytes) -> _Payload:
        try:
            return self._payload.decode(payload)
        except msgspec.DecodeError as error:
            raise UnreadableError(f"{self.kind.name} journal payload: {error}") from error

    def pack_snapshot(self, id: str, version: int, state: S, recent: bytes, complete: bool) -> bytes:
        data = _pack.encode((state, recent, complete))
        return data if self._keys is None else self._keys.seal(data, self._cache(id, version, self.kind.schema))

    def snapshot(self, id: str, version: int, schema: int, data: bytes) -> tuple[S, bytes, bool] | None:
        """Decode a snapshot to (state, recent commands, whether those are all); None: rebuild from the journal."""
        try:
            if self._keys is not None:
                data = self._open(self._keys, data, self._cache(id, version, schema))
            parts = self._snapshot.decode(data)
            if schema == self.kind.schema:
                return self._state.decode(parts.state), parts.recent, parts.complete
            old = self.kind.upcast_state(schema, _unpack.decode(parts.state)) if schema < self.kind.schema else None
            if old is None:
                return None
            return self._state.decode(_pack.encode(old)), parts.recent, parts.complete
        except (msgspec.DecodeError, UnreadableError):
            return None

    def _open(self, keys: KeyRing, sealed: bytes, place: bytes) -> bytes:
        if self.kind.once_clear and key_id_of(sealed) is None:  # msgpack of an array never looks like sealed bytes
            return sealed
        try:
            return keys.open(sealed, place)
        except SealError as error:
            raise UnreadableError(f"{self.kind.name}: {error}") from error

    def _row(self, id: str, version: int) -> bytes:
        """What a payload is bound to: it opens nowhere else."""
        return journal_place(self.kind.name, id, version)

    def _cache(self, id: str, version: int, schema: int) -> bytes:
        return snapshot_place(self.kind.name, id, version, schema)
