"""What a closed-loop load run measures: throughput, percentiles, refusals and a worker's longest pause."""

import math
from array import array
from collections import Counter
from collections.abc import Sequence

import msgspec


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of an ascending sequence: a value that really occurred.

    `share` is in (0, 1]; an empty sequence gives 0.
    """
    if not ordered:
        return 0.0
    rank = max(1, math.ceil(share * len(ordered)))
    return ordered[min(rank, len(ordered)) - 1]


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times are milliseconds.

    `acknowledged[w]` counts every success of worker `w`, warm-up and tail included; `requests` and the
    latencies cover the measured window only. `longest_pause_ms` is the longest that any one worker went
    without a success, retries included, so a pause of a single host shows although others go on.
    `unresolved[w]` counts requests that got no answer, or a 5xx: they may or may not have happened.
    """

    requests: int
    seconds: float
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    longest_pause_ms: float
    errors: int
    retried: int
    outcomes: dict[str, int]
    acknowledged: list[int]
    unresolved: list[int]

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.per_second:,.0f}/s, p50 {self.p50_ms:,.1f} ms, p99 {self.p99_ms:,.1f} ms, "
            f"longest pause {self.longest_pause_ms:,.0f} ms, {self.outcomes}"
        )


class Recorder:
    """Collects the outcomes of `workers` closed loops. Times are seconds of one monotonic clock.

    Before `open` nothing but `acknowledged` is counted (warm-up); after `close` likewise (the tail).
    """

    def __init__(self, workers: int) -> None:
        self.acknowledged = [0] * workers
        self.unresolved = [0] * workers
        self._latencies = array("d")
        self._last_success = [0.0] * workers
        self._outcomes: Counter[str] = Counter()
        self._errors = 0
        self._retried = 0
        self._longest_pause = 0.0
        self._opened = 0.0
        self._closed = 0.0
        self._measuring = False

    def open(self, now: float) -> None:
        self._opened = now
        self._last_success = [now] * len(self._last_success)
        self._measuring = True

    def close(self, now: float) -> None:
        self._closed = now
        for last in self._last_success:
            self._longest_pause = max(self._longest_pause, now - last)
        self._measuring = False

    def success(self, worker: int, started: float, now: float) -> None:
        """One acknowledged request; `started` is its first attempt."""
        self.acknowledged[worker] += 1
        if not self._measuring:
            return
        self._latencies.append(now - started)
        pause = now - self._last_success[worker]
        self._longest_pause = max(self._longest_pause, pause)
        self._last_success[worker] = now

    def outcome(self, label: str) -> None:
        """One answer of any kind (`200`, `503`, `lost`, `applied`), for the breakdown."""
        if self._measuring:
            self._outcomes[label] += 1

    def error(self) -> None:
        """One request that was given up: an answer that is no success and is not retried."""
        if self._measuring:
            self._errors += 1

    def retry(self) -> None:
        """One attempt that will be sent again under the same key."""
        if self._measuring:
            self._retried += 1

    def leave_unresolved(self, worker: int) -> None:
        """A request still unanswered when the run ended: it may or may not have happened."""
        self.unresolved[worker] += 1

    def result(self) -> LoadResult:
        """The measured window; call after `close`."""
        seconds = max(self._closed - self._opened, 1e-9)
        ordered = sorted(self._latencies)
        return LoadResult(
            requests=len(ordered),
            seconds=round(seconds, 3),
            per_second=round(len(ordered) / seconds, 1),
            p50_ms=round(percentile(ordered, 0.50) * 1000, 3),
            p99_ms=round(percentile(ordered, 0.99) * 1000, 3),
            max_ms=round((ordered[-1] if ordered else 0.0) * 1000, 3),
            longest_pause_ms=round(self._longest_pause * 1000, 3),
            errors=self._errors,
            retried=self._retried,
            outcomes=dict(sorted(self._outcomes.items())),
            acknowledged=list(self.acknowledged),
            unresolved=list(self.unresolved),
        )
