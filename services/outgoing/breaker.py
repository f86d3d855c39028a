"""Circuit breakers: a host that fails again and again is left alone for a while, and asked carefully after it.

    closed ──failures in a row──▶ open ──time──▶ half-open ──successes in a row──▶ closed
                                    ▲               │
                                    └───a failure───┘  (for twice as long)

In half-open, one call at a time is let through. What comes of a call that began before the last change of state
no longer counts.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

from services.outgoing.errors import CircuitOpenError, RefusedError
from services.outgoing.limits import DEFAULTS, OutgoingLimits

Seconds = Callable[[], float]
"""A clock that never goes back."""


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """The circuit of one host. Ask `admit` before each call, and give what it answered to one of the others after."""

    def __init__(self, host: str, limits: OutgoingLimits = DEFAULTS, seconds: Seconds = time.monotonic) -> None:
        self.host = host
        self._limits = limits
        self._seconds = seconds
        self._state = State.CLOSED
        self._epoch = 0
        self._failures = 0
        self._successes = 0
        self._trial = False
        self._open_for = limits.open_seconds
        self._open_until = 0.0
        self.calls: Counter[str] = Counter()
        """By outcome: `done`, `failed`, `abandoned` (told nothing of the host), `suspended` (not made)."""

    @property
    def state(self) -> State:
        if self._state is State.OPEN and self._seconds() >= self._open_until:
            return State.HALF_OPEN
        return self._state

    @property
    def is_spotless(self) -> bool:
        """Nothing would be lost with it."""
        return self._state is State.CLOSED and not self._failures

    def admit(self) -> int:
        """A ticket for one call. Raises `CircuitOpenError` when there may be none now."""
        state = self.state
        if state is State.OPEN:
            raise CircuitOpenError(self.host, max(1, int((self._open_until - self._seconds()) * 1_000)))
        if state is State.HALF_OPEN:
            if self._state is State.OPEN:
                self._enter(State.HALF_OPEN)
            if self._trial:
                raise CircuitOpenError(self.host, 1_000)
            self._trial = True
        return self._epoch

    def succeeded(self, ticket: int) -> None:
        if ticket != self._epoch:
            return
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._trial = False
            self._successes += 1
            if self._successes >= self._limits.successes_to_close:
                self._open_for = self._limits.open_seconds
                self._enter(State.CLOSED)

    def failed(self, ticket: int) -> None:
        if ticket != self._epoch:
            return
        if self._state is State.HALF_OPEN:
            self._open_for = min(self._open_for * 2, self._limits.open_seconds_max)
            self._open()
            return
        self._failures += 1
        if self._failures >= self._limits.failures_to_open:
            self._open()

    def abandoned(self, ticket: int) -> None:
        """The call ended without telling anything of the host: it was cancelled, or refused by ourselves."""
        if ticket == self._epoch and self._state is State.HALF_OPEN:
            self._trial = False

    def _open(self) -> None:
        self._open_until = self._seconds() + self._open_for
        self._enter(State.OPEN)

    def _enter(self, state: State) -> None:
        self._state = state
        self._epoch += 1
        self._failures = self._successes = 0
        self._trial = False


class Guarded:
    """A call under way."""

    failed = False
    """Set it for an answer that shows the host in trouble."""


class Breakers:
    """The circuits of one process, by host."""

    def __init__(self, limits: OutgoingLimits = DEFAULTS, seconds: Seconds = time.monotonic) -> None:
        self._limits = limits
        self._seconds = seconds
        self._by_host: dict[str, Breaker] = {}

    def of(self, host: str) -> Breaker:
        found = self._by_host.pop(host, None) or Breaker(host, self._limits, self._seconds)
        self._by_host[host] = found  # the newest is last
        while len(self._by_host) > self._limits.circuits_max:
            spotless = (name for name, each in self._by_host.items() if each.is_spotless and each is not found)
            del self._by_host[next(spotless, next(iter(self._by_host)))]
        return found

    def all(self) -> Sequence[Breaker]:
        return tuple(self._by_host.values())

    async def check(self) -> None:
        """For `Health`. Raises `CircuitOpenError` while any host is not asked."""
        for each in self._by_host.values():
            if each.state is State.OPEN:
                raise CircuitOpenError(each.host, 0)

    @asynccontextmanager
    async def guard(self, host: str) -> AsyncIterator["Guarded"]:
        """One call to `host`. An exception is a failure of it, but for `RefusedError` and its being cancelled; so is
        what is marked as `failed`."""
        breaker, guarded = self.of(host), Guarded()
        try:
            ticket = breaker.admit()
        except CircuitOpenError:
            breaker.calls["suspended"] += 1
            raise
        outcome = "abandoned"
        try:
            yield guarded
            outcome = "failed" if guarded.failed else "done"
        except RefusedError:
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            breaker.calls[outcome] += 1
            {"done": breaker.succeeded, "failed": breaker.failed, "abandoned": breaker.abandoned}[outcome](ticket)
