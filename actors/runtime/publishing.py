"""Committed changes on their way from hosts to the gateways that watch, by Redis.

Changes of sensitive kinds are sealed (`storage/sealed_bus.py`), those of one commit for one gateway together; of all
others nothing is. So a gateway takes nothing of a sensitive kind that comes in clear.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from actors.runtime.entity import EntityKind
from actors.runtime.wire import Change

_encode = msgspec.msgpack.Encoder().encode


class _Head(msgspec.Struct, array_like=True):
    """Of a change, what says how it must come."""

    kind: str


_heads = msgspec.msgpack.Decoder(list[_Head]).decode


class Channels(Protocol):
    """`storage.bus.Bus` and `storage.sealed_bus.SealedBus`: never blocks, never raises."""

    def publish(self, channel: str, payload: bytes) -> None: ...


def gateway_channel(gateway: str) -> str:
    """Where one gateway listens."""
    return f"atrium:gateway:{gateway}"


class BusPublisher:
    """One message for each gateway and commit; two, if there are changes of both sorts of kinds in it."""

    def __init__(self, bus: Channels, sealed: Channels, kinds: Mapping[str, EntityKind[Any]]) -> None:
        self._bus = bus
        self._sealed = sealed
        self._sensitive = frozenset(name for name, kind in kinds.items() if kind.sensitive)

    def publish(self, gateway: str, changes: Sequence[Change]) -> None:
        channel, sensitive = gateway_channel(gateway), self._sensitive
        secret = [change for change in changes if change.kind in sensitive]
        if secret:
            self._sealed.publish(channel, _encode(secret))
        if len(secret) < len(changes):
            self._bus.publish(channel, _encode([change for change in changes if change.kind not in sensitive]))


def comes_in_clear(kinds: Mapping[str, EntityKind[Any]]) -> Callable[[bytes], bool]:
    """Whether a message that is not sealed may be taken: it is changes, and all of kinds that are not sensitive."""
    open_kinds = frozenset(name for name, kind in kinds.items() if not kind.sensitive)

    def may_pass(message: bytes) -> bool:
        try:
            return all(head.kind in open_kinds for head in _heads(message))
        except msgspec.DecodeError:
            return False

    return may_pass
