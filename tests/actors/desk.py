"""One entity without a runtime: commands in, events journaled as bytes, timers by hand, replay at will."""

from typing import Any, Generic, TypeVar, Union

import msgspec

from actors.runtime.entity import (
    SYSTEM,
    Actor,
    CancelReminder,
    Context,
    Decision,
    EntityKind,
    Meta,
    SetReminder,
)
from domain.ids import derived_command_id

S = TypeVar("S")

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


class Desk(Generic[S]):
    """Runs turns as a host would; fails when `decide` touches the state or a view holds a null."""

    def __init__(self, kind: EntityKind[S], entity_id: str) -> None:
        self.kind = kind
        self.id = entity_id
        self.state: S | None = None
        self.version = 0
        self.now_ms = START_MS
        self.journal: list[tuple[bytes, Meta]] = []
        self.reminders: dict[str, int] = {}
        self.signals: dict[str, Any] = {}
        self._turns = 0
        self._events = msgspec.msgpack.Decoder(tuple[Union[kind.events], ...])  # noqa: UP007 - built at run time
        self._commands = msgspec.msgpack.Decoder(Union[kind.commands])  # noqa: UP007 - same
        self._state = msgspec.msgpack.Decoder(kind.state)

    def do(self, command: Any, actor: Actor, device: str = "", hlc: str = "", hlc_raw: str = "") -> Decision:
        command = self._commands.decode(msgspec.msgpack.encode(command))
        return self._turn(lambda ctx: self.kind.decide(self.state, command, ctx), actor, device, hlc, hlc_raw)

    def fire(self, name: str) -> Decision:
        """The reminder comes due now, whatever its time."""
        return self._turn(lambda ctx: self.kind.on_timer(self.state, name, ctx), SYSTEM, "")

    def wait(self, ms: int) -> None:
        """Let time pass; due reminders fire in order, each at its own time."""
        until = self.now_ms + ms
        while self.reminders and min(self.reminders.values()) <= until:
            name = min(self.reminders, key=self.reminders.__getitem__)
            self.now_ms = max(self.now_ms, self.reminders.pop(name))
            self.fire(name)
        self.now_ms = until

    def view(self) -> dict[str, Any]:
        assert self.state is not None
        view: dict[str, Any] = msgspec.to_builtins(self.kind.view(self.state, self.signals, self.version))
        _no_nulls(view)
        return view

    def sees(self, actor: Actor) -> bool:
        assert self.state is not None
        return self.kind.may_read(self.state, actor)

    def events(self) -> list[Any]:
        return [event for payload, _ in self.journal for event in self._events.decode(payload)]

    def replayed(self) -> S | None:
        state = None
        for payload, meta in self.journal:
            for event in self._events.decode(payload):
                state = self.kind.apply(state, event, meta)
        return state

    def restored(self) -> S:
        """The state by way of a snapshot."""
        state: S = self._state.decode(msgspec.msgpack.encode(self.state))
        return state

    def _turn(self, decide: Any, actor: Actor, device: str, hlc: str = "", hlc_raw: str = "") -> Decision:
        self._turns += 1
        command_id = derived_command_id(self.id, str(self._turns))
        ctx = Context(self.kind.name, self.id, self.version, self.now_ms, actor, device, command_id, hlc, hlc_raw)
        before = msgspec.msgpack.encode(self.state)
        decision: Decision = decide(ctx)
        assert msgspec.msgpack.encode(self.state) == before, "decide must not touch the state"
        if decision.events or decision.reminders:
            self.version += 1
            meta = Meta(self.version, self.now_ms, actor.subject, device, command_id)
            payload = msgspec.msgpack.encode(decision.events)
            self.journal.append((payload, meta))
            for event in self._events.decode(payload):
                self.state = self.kind.apply(self.state, event, meta)
        for change in decision.reminders:
            if isinstance(change, SetReminder):
                self.reminders[change.name] = change.due_ms
            else:
                assert isinstance(change, CancelReminder)
                self.reminders.pop(change.name, None)
        for signal in decision.signals:
            self.signals[signal.name] = signal.args
        return decision


def _no_nulls(value: Any) -> None:
    assert value is not None, "a view never contains null"
    if isinstance(value, dict):
        for item in value.values():
            _no_nulls(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _no_nulls(item)
