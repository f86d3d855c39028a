"""Reconnecting with full jitter: anywhere between nothing and a ceiling that doubles with each failure."""

import random


class FullJitter:
    """Seconds. A success resets it."""

    def __init__(self, first: float = 0.5, ceiling: float = 30.0, rng: random.Random | None = None) -> None:
        self._first = first
        self._ceiling = ceiling
        self._rng = rng or random.Random()
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0

    def next_pause(self) -> float:
        pause = self._rng.uniform(0, min(self._ceiling, self._first * 2 ** min(self._failures, 32)))
        self._failures += 1
        return pause

    def between(self, low: float, high: float) -> float:
        return self._rng.uniform(low, high)
