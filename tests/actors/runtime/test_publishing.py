"""What hosts tell gateways: sealed if the kind is sensitive, as it is otherwise, and each in its order."""

import msgspec
import pytest

from actors.runtime.publishing import BusPublisher, comes_in_clear, gateway_channel
from actors.runtime.wire import Change
from tests.actors.runtime.counter import KINDS
from tests.actors.runtime.secret import SECRETS

BOTH = KINDS | SECRETS


class Kept:
    def __init__(self) -> None:
        self.published: list[tuple[str, list[tuple[str, int]]]] = []

    def publish(self, channel: str, payload: bytes) -> None:
        changes = msgspec.msgpack.decode(payload, type=list[Change])
        self.published.append((channel, [(one.kind, one.version) for one in changes]))


def change(kind: str, version: int) -> Change:
    return Change(kind, "a", version, b"\x80", (), "", b"", 0)


@pytest.mark.parametrize(
    ("kinds", "sealed", "clear"),
    [
        ("ss", [("secret", 0), ("secret", 1)], []),
        ("cc", [], [("counter", 0), ("counter", 1)]),
        ("scsc", [("secret", 0), ("secret", 2)], [("counter", 1), ("counter", 3)]),
    ],
)
def test_what_is_sensitive_goes_sealed_and_nothing_else_does(
    kinds: str, sealed: list[tuple[str, int]], clear: list[tuple[str, int]]
) -> None:
    bus, sealing = Kept(), Kept()
    changes = [change({"s": "secret", "c": "counter"}[one], at) for at, one in enumerate(kinds)]
    BusPublisher(bus, sealing, BOTH).publish("gw", changes)
    assert bus.published == ([(gateway_channel("gw"), clear)] if clear else [])
    assert sealing.published == ([(gateway_channel("gw"), sealed)] if sealed else [])


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        (msgspec.msgpack.encode([change("counter", 1), change("counter", 2)]), True),
        (msgspec.msgpack.encode([change("counter", 1), change("secret", 2)]), False),
        (msgspec.msgpack.encode([change("unheard_of", 1)]), False),
        (b"\x91", False),
        (msgspec.msgpack.encode({"kind": "counter"}), False),
    ],
)
def test_in_clear_comes_only_what_is_not_sensitive(message: bytes, passes: bool) -> None:
    assert comes_in_clear(BOTH)(message) is passes
