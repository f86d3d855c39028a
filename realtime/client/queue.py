"""A device's commands until their results are stored, and which of them may be on the way.

`CommandQueue` is the seam for a durable queue: `append` in the same local transaction as the optimistic edit.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

Body = dict[str, Any]
"""`ent`, `op`, `args` and perhaps `base_ver`, `base_fver`: a command without `epoch` and `seq`."""

IN_FLIGHT_MAX = 64


class CommandQueue(Protocol):
    """`seq` runs 1, 2, 3 … within an `epoch`. A command is there until `resolve`."""

    device_id: str
    epoch: int

    def append(self, body: Body) -> int:
        """Store a command; its `seq`."""

    def first_unacked(self) -> int:
        """The lowest `seq` without a result, or the next one to be given."""

    def after(self, seq: int) -> tuple[int, Body] | None:
        """The first command beyond `seq` that has no result."""

    def resolve(self, seq: int, result: dict[str, Any]) -> None:
        """Store the result; only then is the command gone."""


@dataclass
class MemoryQueue:
    """A queue that ends with the process."""

    device_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    epoch: int = 1
    last_seq: int = 0
    _open: dict[int, Body] = field(default_factory=dict)

    def append(self, body: Body) -> int:
        self.last_seq += 1
        self._open[self.last_seq] = body
        return self.last_seq

    def first_unacked(self) -> int:
        return next(iter(self._open), self.last_seq + 1)

    def after(self, seq: int) -> tuple[int, Body] | None:
        for candidate in range(seq + 1, self.last_seq + 1):
            body = self._open.get(candidate)
            if body is not None:
                return candidate, body
        return None

    def resolve(self, seq: int, result: dict[str, Any]) -> None:  # noqa: ARG002 - a durable queue stores it
        self._open.pop(seq, None)


class Window:
    """Which commands of a queue go out next: in order, at most `IN_FLIGHT_MAX` without a result.

    A temporary refusal holds the queue; `rewind` starts it again from the first command without a result.
    """

    def __init__(self, queue: CommandQueue) -> None:
        self._queue = queue
        self._sent = 0
        self._highest = 0
        self._in_flight: set[int] = set()
        self.held = True
        self.resent = 0

    def hold(self) -> None:
        self.held = True

    def rewind(self) -> None:
        self._in_flight.clear()
        self._sent = self._queue.first_unacked() - 1
        self.held = False

    def outgoing(self) -> Iterator[tuple[int, Body]]:
        """Commands to send now. Each one counts as sent when it has been taken."""
        while not self.held and len(self._in_flight) < IN_FLIGHT_MAX:
            found = self._queue.after(self._sent)
            if found is None:
                return
            seq = found[0]
            self._sent = seq
            self._in_flight.add(seq)
            if seq <= self._highest:
                self.resent += 1
            self._highest = max(self._highest, seq)
            yield found

    def awaits(self, seq: int) -> bool:
        return seq in self._in_flight

    def settled(self, seq: int) -> None:
        self._in_flight.discard(seq)
