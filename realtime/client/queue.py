"""A device's commands until their results are stored, and which of them may be on the way.

`CommandQueue` is the seam for a durable queue (`sqlite_queue`): `append` is one local transaction.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.client.limits import DEFAULTS

Body = dict[str, Any]
"""`ent`, `op`, `args`, `hlc` and perhaps `base_ver`, `base_fver`: a command without `epoch` and `seq`."""


class CommandQueue(Protocol):
    """`seq` runs 1, 2, 3 … within an `epoch`. A command is there until its result is committed."""

    @property
    def device_id(self) -> str: ...
    @property
    def epoch(self) -> int: ...

    def append(self, body: Body) -> int:
        """Store a command, durably; its `seq`."""

    def first_unacked(self) -> int:
        """The lowest `seq` without a result, or the next one to be given."""

    def after(self, seq: int) -> tuple[int, Body] | None:
        """The first command beyond `seq` that has no result."""

    def resolve(self, seq: int, result: dict[str, Any]) -> None:
        """Store the result with the next `commit`; only then is the command gone. A second result changes nothing."""

    def commit(self) -> None:
        """What was resolved is on disk when this returns, and only then may it be acknowledged.

        Raises `StoreError`: it is as if the results had not come yet; try again.
        """

    def renumber(self) -> dict[int, int]:
        """The server does not know this count: go on under a higher epoch with what is queued as 1, 2, 3 …

        Old `seq` to new, in one transaction.
        """

    def skip_to(self, seq: int) -> None:
        """The server has counted further than this device knows (an older copy of its storage came back): the next
        command gets at least `seq`."""


class OpenCommands:
    """The commands of a queue that have no result, in memory, oldest first."""

    last_seq: int
    _open: dict[int, Body]

    def first_unacked(self) -> int:
        return next(iter(self._open), self.last_seq + 1)

    def after(self, seq: int) -> tuple[int, Body] | None:
        for candidate in range(max(seq + 1, self.first_unacked()), self.last_seq + 1):
            body = self._open.get(candidate)
            if body is not None:
                return candidate, body
        return None


@dataclass
class MemoryQueue(OpenCommands):
    """A queue that ends with the process."""

    device_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    epoch: int = 1
    last_seq: int = 0
    _open: dict[int, Body] = field(default_factory=dict)

    def append(self, body: Body) -> int:
        self.last_seq += 1
        self._open[self.last_seq] = body
        return self.last_seq

    def resolve(self, seq: int, result: dict[str, Any]) -> None:  # noqa: ARG002 - a durable queue stores it
        self._open.pop(seq, None)

    def commit(self) -> None:
        pass

    def renumber(self) -> dict[int, int]:
        numbers = {seq: number for number, seq in enumerate(self._open, 1)}
        self._open = dict(enumerate(self._open.values(), 1))
        self.last_seq = len(self._open)
        self.epoch += 1
        return numbers

    def skip_to(self, seq: int) -> None:
        self.last_seq = max(self.last_seq, seq - 1)


class Window:
    """Which commands of a queue go out next: in order, at most `in_flight_max` without a result.

    A temporary refusal holds the queue; `rewind` starts it again from the first command without a result.
    """

    def __init__(self, queue: CommandQueue, in_flight_max: int = DEFAULTS.commands_in_flight_max) -> None:
        self._queue = queue
        self._in_flight_max = in_flight_max
        self._sent = 0
        self._highest = 0
        self._in_flight: set[int] = set()
        self.held = True
        self.resent = 0

    def hold(self) -> None:
        self.held = True

    def renumbered(self) -> None:
        """Nothing of the new numbers was ever sent."""
        self._in_flight.clear()
        self._highest = 0

    def rewind(self) -> None:
        self._in_flight.clear()
        self._sent = self._queue.first_unacked() - 1
        self.held = False

    def outgoing(self) -> Iterator[tuple[int, Body]]:
        """Commands to send now. Each one counts as sent when it has been taken."""
        while not self.held and len(self._in_flight) < self._in_flight_max:
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

    @property
    def waiting(self) -> int:
        """Commands sent on this connection and not answered."""
        return len(self._in_flight)

    def awaits(self, seq: int) -> bool:
        return seq in self._in_flight

    def settled(self, seq: int) -> None:
        self._in_flight.discard(seq)
