"""What turns tell those who watch, held until the commit it rests on (invariant 3)."""

from collections.abc import Sequence
from typing import Protocol

from actors.runtime.watches import Told
from actors.runtime.wire import Change


class Publisher(Protocol):
    """Where committed changes of watched entities go. Must not block and must not raise."""

    def publish(self, gateway: str, changes: Sequence[Change]) -> None: ...


class Announcer:
    """Collects what the turns of one commit tell: one message for each gateway, however many turns there were."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self._told: dict[str, list[Change]] = {}

    def tell(self, told: Told) -> None:
        """Its commit has landed; it goes out with the others of that commit."""
        for gateway in sorted(told.gateways):
            self._told.setdefault(gateway, []).append(told.change)

    def publish(self) -> None:
        told, self._told = self._told, {}
        for gateway, changes in told.items():
            self.publisher.publish(gateway, changes)
