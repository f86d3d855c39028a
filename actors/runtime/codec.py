"""Bytes of the journal and of snapshots, one codec per kind, with upcasting of what older releases wrote.

A journal payload is msgpack `[schema, events, reply]`; a snapshot is msgpack `[state, recent, complete]`
(`recent` as `recent.py` packs it). What carries the current schema is decoded straight into the kind's
structs; anything older passes through the kind's upcasters as plain maps first.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar, Union

import msgspec

from actors.runtime.entity import EntityKind
from domain.errors import FieldError, Invalid

S = TypeVar("S")
_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder()


class UnreadableError(Exception):
    """Journal or snapshot bytes that no upcaster understands: written by a newer release, or damaged."""


class _Payload(msgspec.Struct, array_like=True):
    schema: int
    events: msgspec.Raw
    reply: dict[str, Any] | None = None


class _SnapshotData(msgspec.Struct, array_like=True):
    state: msgspec.Raw
    recent: bytes
    complete: bool


class KindCodec(Generic[S]):
    """Encodes and decodes what one kind stores and receives."""

    def __init__(self, kind: EntityKind[S]) -> None:
        self.kind = kind
        self._commands = msgspec.msgpack.Decoder(Union[kind.commands])  # noqa: UP007 - built at run time
        self._events = msgspec.msgpack.Decoder(tuple[Union[kind.events], ...])  # type: ignore[name-defined] # noqa: UP007
        self._state: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind.state)
        self._payload = msgspec.msgpack.Decoder(_Payload)
        self._snapshot = msgspec.msgpack.Decoder(_SnapshotData)

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

    def pack_events(self, events: Iterable[Any], reply: dict[str, Any] | None) -> bytes:
        return _pack.encode((self.kind.schema, events, reply))

    def events(self, payload: bytes) -> tuple[Any, ...]:
        """Decode the events of one journal row, upcasting older schemas."""
        parts = self._decode_payload(payload)
        schema = self.kind.schema
        if parts.schema == schema:
            return self._events.decode(parts.events)
        if parts.schema > schema:
            raise UnreadableError(f"{self.kind.name} event of schema {parts.schema}, this release reads {schema}")
        raw = _unpack.decode(parts.events)
        upcast = [self.kind.upcast_event(parts.schema, event) for event in raw]
        return self._events.decode(_pack.encode(upcast))

    def reply(self, payload: bytes) -> dict[str, Any] | None:
        return self._decode_payload(payload).reply

    def _decode_payload(self, payload: bytes) -> _Payload:
        try:
            return self._payload.decode(payload)
        except msgspec.DecodeError as error:
            raise UnreadableError(f"{self.kind.name} journal payload: {error}") from error

    def pack_snapshot(self, state: S, recent: bytes, complete: bool) -> bytes:
        return _pack.encode((state, recent, complete))

    def snapshot(self, schema: int, data: bytes) -> tuple[S, bytes, bool] | None:
        """Decode a snapshot to (state, recent commands, whether those are all); None: rebuild from the journal."""
        try:
            parts = self._snapshot.decode(data)
            if schema == self.kind.schema:
                return self._state.decode(parts.state), parts.recent, parts.complete
            old = self.kind.upcast_state(schema, _unpack.decode(parts.state)) if schema < self.kind.schema else None
            if old is None:
                return None
            return self._state.decode(_pack.encode(old)), parts.recent, parts.complete
        except msgspec.DecodeError:
            return None
