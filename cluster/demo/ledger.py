"""What the demo's clients saw acknowledged, and how long each request took."""

from array import array
from collections import Counter
from typing import Final

import msgspec


class Bought(msgspec.Struct):
    """What one shopper was told about one basket. `order_id` is empty until the order was acknowledged."""

    cart_id: str = ""
    lines: Counter[str] = msgspec.field(default_factory=Counter)
    order_id: str = ""
    total_minor: int = 0


class Timings:
    """Begin and end of every request, on one monotonic clock in seconds; retries are inside."""

    def __init__(self) -> None:
        self._begins: Final = array("d")
        self._ends: Final = array("d")

    def __len__(self) -> int:
        return len(self._begins)

    def add(self, begin: float, end: float) -> None:
        self._begins.append(begin)
        self._ends.append(end)

    def percentiles_ms(self, *shares: float) -> list[float]:
        """For each share (0.5, 0.99) the duration that so many requests stayed within."""
        durations = sorted(map(float.__sub__, self._ends, self._begins))
        if not durations:
            return [0.0 for _ in shares]
        last = len(durations) - 1
        return [durations[min(last, int(share * len(durations)))] * 1_000 for share in shares]

    def longest_ms(self, since: float, until: float) -> float:
        """The longest duration among requests that were under way at some moment of this time."""
        pairs = zip(self._begins, self._ends, strict=True)
        return max((end - begin for begin, end in pairs if end >= since and begin <= until), default=0.0) * 1_000

    def between(self, since: float, until: float) -> int:
        """How many requests ended in this time."""
        return sum(1 for end in self._ends if since <= end < until)


class Ledger:
    """By basket number. Everything in here was acknowledged: it must be found again."""

    def __init__(self) -> None:
        self.bought: dict[int, Bought] = {}
        self.delivered: dict[str, int] = {}
        """Order id → the version at which its delivery was acknowledged."""
        self.accepted: set[str] = set()
        self.failures: list[str] = []
        """Requests that never got an acknowledgement, as sentences."""
        self.timings = Timings()
        self.orders = 0
        self.lines = 0

    def line(self, basket: int, item: str) -> None:
        self.bought[basket].lines[item] += 1
        self.lines += 1

    def order(self, basket: int, order_id: str, total_minor: int) -> None:
        bought = self.bought[basket]
        bought.order_id = order_id
        bought.total_minor = total_minor
        self.orders += 1
