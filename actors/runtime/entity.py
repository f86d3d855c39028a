"""What a kind of live entity is: pure functions over commands, events and a state.

A kind decides (`state, command → events`), applies (`state, event → state`) and shows (`state → view`).
It never does I/O, never reads a clock, never draws a random number: time and identifiers come in the
`Context`, so that a replay of the journal gives the same state on every host and in every test.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from domain.hlc import parse
from domain.ids import derived_id
from domain.roles import SYSTEM as SYSTEM_ROLE


class Actor(msgspec.Struct, frozen=True, array_like=True):
    """Who sends a command: the token's subject (a user id, `guest:…`, or `system`), roles, organizations.

    What that makes them to a thing is asked of `actors.parties` alone.
    """

    subject: str
    roles: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()


SYSTEM = Actor(SYSTEM_ROLE, (SYSTEM_ROLE,))
"""The runtime itself: timers, reactions and processes. Never comes from a token."""


class Context(msgspec.Struct, frozen=True):
    """The circumstances of one turn. `version` is the entity's version before the turn (0: does not exist).

    `hlc` is the sending device's clock stamp, "" without one; `hlc_raw` what it said when that had to be replaced.
    """

    kind: str
    id: str
    version: int
    now_ms: int
    actor: Actor
    device: str
    command_id: bytes
    hlc: str = ""
    hlc_raw: str = ""

    @property
    def occurred_ms(self) -> int:
        """When the device says that it happened, which for an offline edit is long before `now_ms`; never after it."""
        return min(parse(self.hlc)[0], self.now_ms) if self.hlc else self.now_ms

    def new_id(self, salt: str = "") -> str:
        """An id that a retry of this very command gives again."""
        return derived_id(self.command_id, self.kind, self.id, salt)


class Meta(msgspec.Struct, frozen=True):
    """What the journal row says of an event besides the event: the same live and on replay."""

    version: int
    time_ms: int
    actor: str
    device: str
    command_id: bytes


class Signal(msgspec.Struct, frozen=True):
    """A fact for those who watch, not journaled (a courier's position). The newest of each name is shown."""

    name: str
    args: dict[str, Any]


class SetReminder(msgspec.Struct, frozen=True):
    """Wake this entity with `on_timer(name)` at `due_ms`; replaces an earlier one of that name."""

    name: str
    due_ms: int


class CancelReminder(msgspec.Struct, frozen=True):
    name: str


class IndexRow(msgspec.Struct, frozen=True):
    """The row by which an entity is listed: `columns` of `table`, keyed by the entity's id."""

    table: str
    columns: dict[str, Any]


class Decision(msgspec.Struct, frozen=True):
    """The outcome of a turn. No events: an accepted no-op (nothing is journaled, the version stays).

    `reply` is a small map for the caller, kept with the journal row and given again to a repeat.
    """

    events: tuple[Any, ...] = ()
    reply: dict[str, Any] | None = None
    signals: tuple[Signal, ...] = ()
    reminders: tuple[SetReminder | CancelReminder, ...] = ()


NOTHING = Decision()

S = TypeVar("S")


class EntityKind(ABC, Generic[S]):
    """One kind of live entity. Instances hold no state: one serves all entities of the kind.

    `commands` and `events` are tagged `msgspec.Struct` classes (`tag="add_line"`, `omit_defaults=True`);
    the tag is the operation's name in the API, the protocol and the journal. What a `sensitive` kind stores is sealed;
    `once_clear`: an older release stored it in clear, and that is read too. Raise `domain.errors.Rejected`
    from `decide` to refuse. `state` is `None` before the first event. `apply` may change `state` in place
    and returns it; `decide` must not touch it.
    """

    name: ClassVar[str]
    schema: ClassVar[int] = 1
    sensitive: ClassVar[bool] = False
    once_clear: ClassVar[bool] = False
    commands: ClassVar[tuple[type, ...]]
    events: ClassVar[tuple[type, ...]]
    state: ClassVar[type]

    @abstractmethod
    def decide(self, state: S | None, command: Any, ctx: Context) -> Decision: ...

    @abstractmethod
    def apply(self, state: S | None, event: Any, meta: Meta) -> S: ...

    @abstractmethod
    def view(self, state: S, signals: dict[str, Any], version: int) -> Any:
        """What people see: a Struct or builtins without any null (a merge patch cannot set one).

        Collections that change line by line are maps by id, so that patches stay small.
        """

    @abstractmethod
    def may_read(self, state: S, actor: Actor) -> bool: ...

    def on_timer(self, state: S | None, name: str, ctx: Context) -> Decision:  # noqa: ARG002
        """A reminder came due. Must be safe to see twice."""
        return NOTHING

    def index_row(self, state: S) -> IndexRow | None:  # noqa: ARG002
        return None

    def groups(self, state: S) -> tuple[str, ...]:  # noqa: ARG002
        """The group channels this entity belongs to now (`merchant/{id}/orders`)."""
        return ()

    def tells(self, events: tuple[Any, ...]) -> bool:  # noqa: ARG002
        """Whether those who watch are told of these events at once.

        If not, the next that is told shows them too: it is told as the whole state.
        """
        return True

    def upcast_event(self, schema: int, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Bring one journaled event (a map with its tag under `type`) from `schema` to the current one."""
        return event

    def upcast_state(self, schema: int, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """Bring a snapshot forward, or return None to have it rebuilt from the journal."""
        return None
