"""A token bucket on an injected clock."""


class TokenBucket:
    """`rate` tokens a second up to `burst`; starts full. `now` is monotonic seconds and may stand still."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token if there is one."""
        if now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_ms(self) -> int:
        """How long until one token is there, in milliseconds, at least 1."""
        return max(1, int((1.0 - self._tokens) / self._rate * 1000) + 1)
