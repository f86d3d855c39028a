"""What waits to be sent on one socket, bounded in bytes and age.

Frames with a key belong to a tracking channel: when the consumer is slow they are dropped, the key is remembered,
and once the rest has drained the newest state (and the newest signal of each name) goes out in their place.
Frames without a key are never dropped: when they alone pass the bound, the consumer is too slow. Snapshots are what
it has asked for: as long as they take, nobody is slow, only dead (the pong deadline sees to that); they have a bound
of their own.
"""

import math
from collections.abc import Callable
from typing import Final

Key = tuple[str, str, str]
"""Channel, entity (`kind/id`), and the signal's name or `""` for the state."""

EXEMPT: Final[Key] = ("", "", "")
"""For pings: kept, ahead of what waits, and their age is the pong deadline's business."""
ASKED: Final[Key] = ("", "", "snapshot")
"""For snapshots."""

_Waiting = tuple[bytes, float, Key | None]


class Outbox:
    __slots__ = (
        "_asked_at",
        "_asked_bytes",
        "_asked_bytes_max",
        "_bytes",
        "_bytes_max",
        "_newest",
        "_queue",
        "_seconds_max",
        "_sending",
        "_stale",
    )

    def __init__(
        self,
        bytes_max: int,
        seconds_max: float,
        newest: Callable[[str, str], bytes | None] = lambda _ch, _ent: None,
        asked_bytes_max: int | None = None,
    ) -> None:
        """`newest(channel, entity)` encodes the newest state, or None when it is no longer subscribed.

        `asked_bytes_max` bounds the snapshots, None for as much as everything else.
        """
        self._bytes_max = bytes_max
        self._asked_bytes_max = bytes_max if asked_bytes_max is None else asked_bytes_max
        self._asked_bytes = 0
        self._asked_at = -math.inf
        self._seconds_max = seconds_max
        self._newest = newest
        self._queue: list[_Waiting] = []  # mostly empty: an empty deque is ten times the size
        self._bytes = 0
        self._sending: _Waiting | None = None
        self._stale: dict[tuple[str, str], dict[str, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._queue) or bool(self._stale)

    @property
    def waiting_bytes(self) -> int:
        return self._bytes + self._asked_bytes

    @property
    def behind(self) -> bool:
        """Whether the newest state goes out later, in place of what the consumer could not take."""
        return bool(self._stale)

    def push(self, frame: bytes, now: float, key: Key | None = None) -> bool:
        """Queue a frame; False when the consumer is too slow to be kept."""
        if key is not None and self._stale:
            signals = self._stale.get(key[:2])
            if signals is not None:
                if key[2]:
                    signals[key[2]] = frame
                return True
        if key is EXEMPT:
            self._queue.insert(0, (frame, now, key))
        else:
            self._queue.append((frame, now, key))
        if key is ASKED:
            self._asked_bytes += len(frame)
            return self._asked_bytes <= self._asked_bytes_max
        self._bytes += len(frame)
        return self._bytes <= self._bytes_max or self._coalesce()

    def pop(self, now: float) -> bytes | None:
        """The next frame to send, or None. The one before counts as sent."""
        if not self._queue and self._stale:
            self._refill(now)
        if not self._queue:
            self._sending = None
            return None
        entry = self._queue.pop(0)
        if entry[2] is ASKED:
            self._asked_bytes -= len(entry[0])
        else:
            self._bytes -= len(entry[0])
        self._sending = entry
        return entry[0]

    def keeps_up(self, now: float) -> bool:
        """False when a frame that cannot be dropped has waited for too long. Coalesces the others."""
        limit = now - self._seconds_max
        sending = self._sending
        if self._asked_bytes or (sending is not None and sending[2] is ASKED):
            self._asked_at = now
        if self._asked_at >= limit:
            return True
        if sending is not None and sending[2] is None and sending[1] < limit:
            return False
        if not any(at < limit for _, at, _ in self._queue):
            return True
        self._coalesce()
        return not any(key is None and at < limit for _, at, key in self._queue)

    def clear(self) -> None:
        self._queue.clear()
        self._stale.clear()
        self._bytes = self._asked_bytes = 0

    def _coalesce(self) -> bool:
        kept: list[_Waiting] = []
        for entry in self._queue:
            frame, _, key = entry
            if key is None or key is EXEMPT or key is ASKED:
                kept.append(entry)
                continue
            signals = self._stale.setdefault(key[:2], {})
            if key[2]:
                signals[key[2]] = frame
        self._queue = kept
        self._bytes = sum(len(frame) for frame, _, key in kept if key is not ASKED)
        return self._bytes <= self._bytes_max

    def _refill(self, now: float) -> None:
        while self._stale and not self._queue:
            target = next(iter(self._stale))
            signals = self._stale.pop(target)
            state = self._newest(*target)
            if state is None:
                continue
            self._append(state, now, (*target, ""))
            for name, frame in signals.items():
                self._append(frame, now, (*target, name))

    def _append(self, frame: bytes, now: float, key: Key) -> None:
        self._queue.append((frame, now, key))
        self._bytes += len(frame)
