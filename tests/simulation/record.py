"""What a simulation writes down while it runs: one order of all that happened, for the checkers and for people."""

from collections import deque
from typing import TYPE_CHECKING, Any

from actors.runtime.entity import Actor
from actors.runtime.wire import Change
from tests.simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from actors.runtime.client import Answer
    from domain.errors import AtriumError

_TRACE_MAX = 4_000


class Op:
    """One request of one caller, from its invocation to its outcome.

    `identity` names the command id that it was sent under (repeats share it). `invoked` and `done` are places
    in the order of everything; `done` 0: no outcome was ever seen (pending, or its caller went away).
    """

    def __init__(self, index: int, entity: str, command: Any, identity: str, actor: Actor) -> None:
        self.index = index
        self.entity = entity
        self.command = command
        self.identity = identity
        self.actor = actor
        self.command_id: bytes | None = None
        self.want = 0
        self.expect = -1
        self.invoked = 0
        self.done = 0
        self.invoked_at = 0.0
        self.done_at = 0.0
        self.cancelled = False
        self.answer: Answer | None = None
        self.error: AtriumError | None = None

    @property
    def is_read(self) -> bool:
        return self.command is None

    def __str__(self) -> str:
        return f"op {self.index} {self.entity} {'read' if self.is_read else self.command} as {self.identity}"


class CommitFact:
    """When, and by which incarnation, one row was committed."""

    __slots__ = ("at", "host", "lease_epoch", "order")

    def __init__(self, order: int, at: float, host: str, lease_epoch: int) -> None:
        self.order = order
        self.at = at
        self.host = host
        self.lease_epoch = lease_epoch


class Published:
    """One change told to one gateway."""

    __slots__ = ("change", "epoch", "gateway", "host", "order")

    def __init__(self, order: int, host: str, epoch: int, gateway: str, change: Change) -> None:
        self.order = order
        self.host = host
        self.epoch = epoch
        self.gateway = gateway
        self.change = change


class Record:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.order = 0
        self.ops: list[Op] = []
        self.commits: dict[tuple[str, int], CommitFact] = {}
        """(entity id, version) → fact."""
        self.published: list[Published] = []
        self.grouped: set[str] = set()
        """Gateways that watch a group, whose members come and go: they hear of some versions only."""
        self.faults: list[tuple[float, float, str]] = []
        """(from, until, what): while the promises about time do not hold."""
        self.violations: list[str] = []
        self.counts: dict[str, int] = {}
        self._trace: deque[str] = deque(maxlen=_TRACE_MAX)

    def next(self) -> int:
        self.order += 1
        return self.order

    def note(self, what: str) -> None:
        self._trace.append(f"{self.loop.time():9.4f} {what}")

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def violate(self, promise: str, what: str) -> None:
        """A broken promise; `promise` is the invariant's number and name."""
        if len(self.violations) < 20:
            self.violations.append(f"[{promise}] {what}")
        self.note(f"VIOLATION [{promise}] {what}")

    def fault(self, what: str, lasting: float = 0.0, *, planned: bool = False) -> None:
        """Something goes wrong from now on for so long. `planned` ones must not be felt by callers."""
        now = self.loop.time()
        self.faults.append((now, now + lasting, "planned" if planned else what))
        self.count(what)
        self.note(f"fault: {what}" + (f" for {lasting:.3f} s" if lasting else ""))

    def disturbed(self, start: float, end: float, *, planned_too: bool = False) -> bool:
        """Whether a fault was active between two moments."""
        return any(
            begun <= end and over >= start and (planned_too or what != "planned") for begun, over, what in self.faults
        )

    def tail(self, lines: int) -> list[str]:
        return list(self._trace)[-lines:]

    def digest_lines(self) -> list[str]:
        return list(self._trace)
