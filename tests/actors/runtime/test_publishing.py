"""What hosts tell gateways: one message for each commit, whatever is in it, and in its order."""

import msgspec

from actors.runtime.publishing import BusPublisher, gateway_channel
from actors.runtime.wire import Change


class Kept:
    def __init__(self) -> None:
        self.published: list[tuple[str, list[tuple[str, int]]]] = []

    def publish(self, channel: str, payload: bytes) -> None:
        changes = msgspec.msgpack.decode(payload, type=list[Change])
        self.published.append((channel, [(one.kind, one.version) for one in changes]))


def test_changes_of_one_commit_go_together_and_in_order() -> None:
    bus = Kept()
    kinds = ("secret", "counter", "secret")
    BusPublisher(bus).publish("gw", [Change(kind, "a", at, b"\x80", (), "", b"", 0) for at, kind in enumerate(kinds)])
    assert bus.published == [(gateway_channel("gw"), [("secret", 0), ("counter", 1), ("secret", 2)])]
