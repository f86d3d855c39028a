"""Committed changes on their way from hosts to the gateways that watch, by Redis."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.runtime.wire import Change

_encode = msgspec.msgpack.Encoder().encode


class Channels(Protocol):
    """`storage.sealed_bus.SealedBus`: never blocks, never raises."""

    def publish(self, channel: str, payload: bytes) -> None: ...


def gateway_channel(gateway: str) -> str:
    """Where one gateway listens."""
    return f"atrium:gateway:{gateway}"


class BusPublisher:
    """One message for each gateway and commit. `bus` seals it, of whichever kinds it is."""

    def __init__(self, bus: Channels) -> None:
        self._bus = bus

    def publish(self, gateway: str, changes: Sequence[Change]) -> None:
        self._bus.publish(gateway_channel(gateway), _encode(changes))
