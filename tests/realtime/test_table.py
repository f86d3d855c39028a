"""The hub's memory by itself, for orders of events that are hard to bring about from outside."""

import json
from typing import Any

from actors.runtime.entity import Actor
from realtime.codec import JSON
from realtime.feed import Feed, Read
from realtime.limits import DEFAULTS
from realtime.outbox import Key
from realtime.table import Table
from tests.realtime.entities import Entities, pack, ref
from tests.realtime.fakes import ALICE, ORDER, Client
from tests.realtime.subscribing import BOARD


class Listener:
    codec = JSON
    actor: Actor = ALICE

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def deliver(self, frame: bytes, key: Key | None) -> None:
        self.frames.append(json.loads(frame))

    def lost(self, channel: str, code: str) -> None:
        raise AssertionError(channel)

    def view(self) -> Any:
        return Client().absorb(self.frames).views.get(ORDER)


def test_a_snapshot_for_one_does_not_hide_a_resynchronization_from_the_others() -> None:
    gaps: list[Feed] = []
    table = Table(DEFAULTS, gaps.append, lambda: 0)
    entities = Entities()
    entities.groups_of[ref(ORDER)] = (BOARD,)
    first, second = Listener(), Listener()
    table.activate(table.join(first, BOARD, None), [], {}, None)
    table.changed([entities.change(ORDER, 3, {"n": 3})])
    late = table.join(second, BOARD, None)
    table.activate(late, [Read(ref(ORDER), 3, pack({"n": 3}))], {}, None)
    (feed,) = gaps
    assert (first.view(), second.view()) == (None, {"n": 3})
    table.resynced(feed, 3, pack({"n": 3}))
    table.changed([entities.change(ORDER, 4, {"n": 4})])
    assert first.view() == second.view() == {"n": 4}


def test_a_resynchronization_older_than_the_change_that_caused_it_is_repeated() -> None:
    gaps: list[Feed] = []
    table = Table(DEFAULTS, gaps.append, lambda: 0)
    entities = Entities()
    listener = Listener()
    table.activate(table.join(listener, ORDER, ref(ORDER)), [Read(ref(ORDER), 1, pack({"n": 1}))], {}, None)
    table.changed([entities.change(ORDER, 4, {"n": 4})])
    table.resynced(gaps[0], 2, pack({"n": 2}))
    assert len(gaps) == 2
    table.resynced(gaps[1], 4, pack({"n": 4}))
    assert listener.view() == {"n": 4}


def test_a_change_that_cannot_be_read_is_replaced_by_the_state() -> None:
    gaps: list[Feed] = []
    table = Table(DEFAULTS, gaps.append, lambda: 0)
    entities = Entities()
    listener = Listener()
    table.activate(table.join(listener, ORDER, ref(ORDER)), [Read(ref(ORDER), 1, pack({"n": 1}))], {}, None)
    change = entities.change(ORDER, 2, {"n": 2})
    change.patch = b"\xc1"
    table.changed([change, entities.change(ORDER, 3, {"n": 3})])
    assert len(gaps) == 1
    table.resynced(gaps[0], 3, pack({"n": 3}))
    assert listener.view() == {"n": 3}


def test_a_leave_reaches_who_read_that_very_version_before() -> None:
    table = Table(DEFAULTS, lambda _: None, lambda: 0)
    entities = Entities()
    entities.groups_of[ref(ORDER)] = (BOARD,)
    first, second = Listener(), Listener()
    table.activate(table.join(first, BOARD, None), [Read(ref(ORDER), 1, pack({"n": 1}))], {}, None)
    table.activate(table.join(second, BOARD, None), [Read(ref(ORDER), 2, pack({"n": 2}))], {}, None)
    assert second.view() == {"n": 2}
    leaving = entities.change(ORDER, 2, {"n": 2})
    leaving.left = (BOARD,)
    table.changed([leaving])
    assert first.view() is second.view() is None


def test_a_leave_before_a_return_is_not_told_again_after_a_resynchronization() -> None:
    gaps: list[Feed] = []
    table = Table(DEFAULTS, gaps.append, lambda: 0)
    entities = Entities()
    entities.groups_of[ref(ORDER)] = (BOARD,)
    listener = Listener()
    table.activate(table.join(listener, BOARD, None), [Read(ref(ORDER), 1, pack({"n": 1}))], {}, None)
    leaving = entities.change(ORDER, 4, {"n": 4})
    leaving.left = (BOARD,)
    table.join(Listener(), ORDER, ref(ORDER))
    table.changed([entities.change(ORDER, 3, {"n": 3}), leaving, entities.change(ORDER, 5, {"n": 5})])
    table.resynced(gaps[0], 3, pack({"n": 3}))
    assert listener.view() == {"n": 5}
