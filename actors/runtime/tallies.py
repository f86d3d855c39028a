"""What a host counts, per entity kind: plain integers, because they are counted in every turn."""

from bisect import bisect_left
from itertools import accumulate
from typing import Final

COMMIT_SECONDS_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Latency:
    """A histogram of seconds: `counts` has one more than `bounds`, for what is above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = COMMIT_SECONDS_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[float, float]]:
        """(upper bound, how many were at most that), as Prometheus counts; the last bound is infinite."""
        return list(zip((*self.bounds, float("inf")), map(float, accumulate(self.counts)), strict=True))


class KindTally:
    """Since the start of this process. `conflicts` are those of `rejected` that a wrong state was the reason of."""

    __slots__ = (
        "activations",
        "commits",
        "conflicts",
        "executed",
        "poisoned",
        "rejected",
        "repeated",
        "replayed_rows",
        "rows",
    )

    def __init__(self) -> None:
        self.executed = 0
        self.rejected = 0
        self.conflicts = 0
        self.poisoned = 0
        self.repeated = 0
        self.activations = 0
        self.replayed_rows = 0
        self.rows = 0
        self.commits = Latency()
