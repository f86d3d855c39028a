"""A small kind for tests of the runtime: a counter with everything a kind can do, and a few misbehaviours."""

from typing import Any, ClassVar

import msgspec

from actors.parties import is_system
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
from domain.errors import Conflict, NotFound


class Add(msgspec.Struct, tag="add", omit_defaults=True):
    amount: int
    limit: int = 1 << 60


class Explode(msgspec.Struct, tag="explode"):
    where: str


class Alarm(msgspec.Struct, tag="alarm"):
    due_ms: int


class Silence(msgspec.Struct, tag="silence"):
    pass


class Point(msgspec.Struct, tag="point"):
    x: int


class Join(msgspec.Struct, tag="join"):
    group: str


class Added(msgspec.Struct, tag="added"):
    amount: int


class Exploded(msgspec.Struct, tag="exploded"):
    pass


class Rang(msgspec.Struct, tag="rang"):
    name: str


class Armed(msgspec.Struct, tag="armed"):
    due_ms: int


class Joined(msgspec.Struct, tag="joined"):
    group: str


class Counter(msgspec.Struct):
    total: int = 0
    adds: int = 0
    rang: int = 0
    group: str = ""
    owner: str = ""
    due_ms: int = 0


class CounterKind(EntityKind[Counter]):
    name: ClassVar[str] = "counter"
    commands: ClassVar[tuple[type, ...]] = (Add, Explode, Alarm, Silence, Point, Join)
    events: ClassVar[tuple[type, ...]] = (Added, Exploded, Rang, Armed, Joined)
    state: ClassVar[type] = Counter

    def decide(self, state: Counter | None, command: Any, ctx: Context) -> Decision:
        if state is not None and state.owner != ctx.actor.subject and not _rules(ctx.actor):
            raise NotFound("there is no counter with this id")
        match command:
            case Add(amount=0):
                return Decision(reply={"total": state.total if state else 0})
            case Add(amount=amount, limit=limit):
                total = (state.total if state else 0) + amount
                if total > limit:
                    raise Conflict("over the limit", extra={"current": total - amount})
                return Decision((Added(amount),), {"total": total})
            case Explode(where="decide"):
                raise ZeroDivisionError("on purpose")
            case Explode():
                return Decision((Exploded(),))
            case Alarm(due_ms=due_ms):
                return Decision((Armed(due_ms),), reminders=(SetReminder("alarm", due_ms),))
            case Silence():
                return Decision((Armed(0),), reminders=(CancelReminder("alarm"),))
            case Point(x=x):
                return Decision(signals=(Signal("point", {"x": x}),))
            case Join(group=group):
                return Decision((Joined(group),))
            case _:
                raise AssertionError(command)

    def on_timer(self, state: Counter | None, name: str, ctx: Context) -> Decision:
        return Decision((Rang(name),))

    def apply(self, state: Counter | None, event: Any, meta: Meta) -> Counter:
        state = state or Counter(owner=meta.actor)
        match event:
            case Added(amount=amount):
                state.total += amount
                state.adds += 1
            case Rang():
                state.rang += 1
            case Joined(group=group):
                state.group = group
            case Exploded():
                state.total = -1
                raise ZeroDivisionError("on purpose, half way")
        return state

    def view(self, state: Counter, signals: dict[str, Any], version: int) -> Any:
        view: dict[str, Any] = {
            "total": state.total,
            "adds": state.adds,
            "rang": state.rang,
            "version": version,
        }
        return view | {"signals": dict(signals)} if signals else view

    def may_read(self, state: Counter, actor: Actor) -> bool:
        return state.owner == actor.subject or _rules(actor)

    def index_row(self, state: Counter) -> IndexRow | None:
        return None

    def groups(self, state: Counter) -> tuple[str, ...]:
        return (state.group,) if state.group else ()


def _rules(actor: Actor) -> bool:
    return is_system(actor) or "any" in actor.roles


KINDS = {"counter": CounterKind()}
OWNER = Actor("someone")
ANYONE = Actor("anyone", ("any",))
