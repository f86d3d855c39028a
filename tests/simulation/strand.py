"""The kind that the simulation runs: every row changes a chain of digests, so that any wrong order shows.

Everything it says (replies, refusals, views) carries the version and the chain it was decided on: a checker
can tell from one reply alone which committed state it rests on, or that there is none.
"""

import hashlib
from typing import Any, ClassVar

import msgspec

from actors.runtime.entity import (
    Actor,
    CancelReminder,
    Context,
    Decision,
    EntityKind,
    IndexRow,
    Meta,
    SetReminder,
    Signal,
)
from domain.errors import Conflict, Invalid, NotFound

_KEPT = 4


class Append(msgspec.Struct, tag="append"):
    tag: str


class Put(msgspec.Struct, tag="put"):
    """Set a register if it still holds what the caller saw (compare and set)."""

    field: str
    value: int
    was: int


class Look(msgspec.Struct, tag="look"):
    """An accepted no-op: answers and writes nothing."""


class Refuse(msgspec.Struct, tag="refuse"):
    """Always in conflict."""


class Arm(msgspec.Struct, tag="arm"):
    name: str
    due_ms: int


class Disarm(msgspec.Struct, tag="disarm"):
    name: str


class Wave(msgspec.Struct, tag="wave"):
    x: int


class Explode(msgspec.Struct, tag="explode"):
    """A handler that raises: in `decide`, or half way through `apply`."""

    where: str


class Bloat(msgspec.Struct, tag="bloat"):
    """More events than one row may hold."""


class Appended(msgspec.Struct, tag="appended"):
    tag: str


class Putted(msgspec.Struct, tag="putted"):
    field: str
    value: int


class Armed(msgspec.Struct, tag="armed"):
    name: str
    due_ms: int


class Disarmed(msgspec.Struct, tag="disarmed"):
    name: str


class Rang(msgspec.Struct, tag="rang"):
    name: str
    due_ms: int


class Exploded(msgspec.Struct, tag="exploded"):
    pass


class Strand(msgspec.Struct):
    chain: str = ""
    count: int = 0
    last: list[str] = []
    fields: dict[str, int] = {}
    alarms: dict[str, int] = {}
    owner: str = ""


class StrandKind(EntityKind[Strand]):
    name: ClassVar[str] = "strand"
    commands: ClassVar[tuple[type, ...]] = (Append, Put, Look, Refuse, Arm, Disarm, Wave, Explode, Bloat)
    events: ClassVar[tuple[type, ...]] = (Appended, Putted, Armed, Disarmed, Rang, Exploded)
    state: ClassVar[type] = Strand

    def decide(self, state: Strand | None, command: Any, ctx: Context) -> Decision:  # noqa: PLR0912 - one case a command
        seen = evidence(state, ctx.version)
        if ctx.actor.subject == "stranger":
            raise NotFound("unknown", extra=seen)
        match command:
            case Append(tag=tag):
                return Decision((Appended(tag),), seen)
            case Put(field=field, value=value, was=was):
                if (state.fields.get(field, 0) if state else 0) != was:
                    raise Conflict("it holds something else", extra=seen)
                return Decision((Putted(field, value), Appended(field)), seen)
            case Look():
                return Decision(reply=seen)
            case Refuse():
                raise Conflict("always", extra=seen)
            case Arm(name=name, due_ms=due_ms):
                return Decision((Armed(name, due_ms),), seen, reminders=(SetReminder(name, due_ms),))
            case Disarm(name=name):
                return Decision((Disarmed(name),), seen, reminders=(CancelReminder(name),))
            case Wave(x=x):
                return Decision(reply=seen, signals=(Signal("wave", {"x": x}),))
            case Explode(where="decide"):
                raise ZeroDivisionError("on purpose")
            case Explode():
                return Decision((Appended("never"), Exploded()), seen)
            case Bloat():
                return Decision((Appended("b" * 10_000),), seen)
            case _:
                raise Invalid("no such command")

    def on_timer(self, state: Strand | None, name: str, ctx: Context) -> Decision:
        due_ms = state.alarms.get(name) if state is not None else None
        if due_ms is None or due_ms > ctx.now_ms:
            return Decision()
        return Decision((Rang(name, due_ms),))

    def apply(self, state: Strand | None, event: Any, meta: Meta) -> Strand:
        state = state or Strand(owner=meta.actor)
        state.chain = hashlib.blake2b(f"{state.chain}|{meta.version}|{event!r}".encode(), digest_size=6).hexdigest()
        match event:
            case Appended(tag=tag):
                state.count += 1
                state.last = [*state.last, tag][-_KEPT:]
            case Putted(field=field, value=value):
                state.fields = {**state.fields, field: value}
            case Armed(name=name, due_ms=due_ms):
                state.alarms = {**state.alarms, name: due_ms}
            case Disarmed(name=name) | Rang(name=name):
                state.alarms = {key: due for key, due in state.alarms.items() if key != name}
            case Exploded():
                raise ZeroDivisionError("on purpose, half way")
        return state

    def view(self, state: Strand, signals: dict[str, Any], version: int) -> Any:
        return {
            "version": version,
            "chain": state.chain,
            "count": state.count,
            "last": state.last,
            "fields": state.fields,
            "alarms": state.alarms,
        }

    def may_read(self, state: Strand, actor: Actor) -> bool:
        return actor.subject != "stranger"

    def index_row(self, state: Strand) -> IndexRow | None:
        return IndexRow("strands", {"count": state.count, "chain": state.chain})

    def groups(self, state: Strand) -> tuple[str, ...]:
        return (f"parity/{state.count % 2}",)


def evidence(state: Strand | None, version: int) -> dict[str, Any]:
    """What a decision saw."""
    return {"saw_version": version, "saw_chain": state.chain if state is not None else ""}


STRAND = StrandKind()
KINDS = {"strand": STRAND}
ACTOR = Actor("someone")
STRANGER = Actor("stranger")
