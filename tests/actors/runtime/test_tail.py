"""Reactions: at least once, in order per entity, set aside with backoff, parked in the end."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from actors.runtime.local import LOCAL_KEYS, LocalRuntime
from actors.runtime.tail import JournalEntry, Reaction, TailRunner
from domain.errors import DeadlineExceeded, Temporary, Unavailable
from storage.crypto import KeyRing
from storage.journal.interface import Cursor, Row
from storage.journal.memory import MemoryJournal, MemoryStore
from tests.actors.runtime.counter import KINDS, OWNER, Add
from tests.actors.runtime.secret import SECRETS, Note


class Aside(msgspec.Struct):
    kind: str
    id: str
    version: int
    attempts: int
    due_ms: int


class MemoryReactions:
    """The reaction tables as dictionaries."""

    def __init__(self) -> None:
        self.cursors: dict[str, Cursor] = {}
        self.aside: dict[tuple[str, str, int], Aside] = {}
        self.parked: list[tuple[str, int, int]] = []

    async def cursor(self, reaction: str) -> Cursor:
        return self.cursors.get(reaction, Cursor())

    async def advance(self, reaction: str, cursor: Cursor) -> None:
        self.cursors[reaction] = cursor

    async def blocked(self, reaction: str) -> set[tuple[str, str]]:
        return {(one.kind, one.id) for one in self.aside.values()}

    async def set_aside(self, reaction: str, row: Row, attempts: int, due_ms: int, error: str) -> None:
        self.aside[row.kind, row.id, row.version] = Aside(row.kind, row.id, row.version, attempts, due_ms)

    async def due(self, reaction: str, now_ms: int, limit: int) -> Sequence[Aside]:
        first: dict[tuple[str, str], Aside] = {}
        for key in sorted(self.aside):
            first.setdefault(key[:2], self.aside[key])
        return [one for one in first.values() if one.due_ms <= now_ms]

    async def done(self, reaction: str, kind: str, id: str, version: int) -> None:
        self.aside.pop((kind, id, version), None)

    async def park(self, reaction: str, row: Row, attempts: int, error: str) -> None:
        self.parked.append((row.id, row.version, attempts))


class HandClock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


class World:
    def __init__(self) -> None:
        self.journal = MemoryJournal(MemoryStore())
        self.store = MemoryReactions()
        self.clock = HandClock()
        self.seen: list[tuple[str, int]] = []
        self.failing: set[tuple[str, int]] = set()
        self.away = False
        self.mute: set[str] = set()

    async def handle(self, entries: Sequence[JournalEntry]) -> None:
        if self.away:
            raise Unavailable("the world is away")
        for entry in entries:
            if entry.id in self.mute:
                raise DeadlineExceeded("this one does not answer")
            if (entry.id, entry.version) in self.failing:
                raise ZeroDivisionError("on purpose")
        self.seen.extend((entry.id, entry.version) for entry in entries)

    def runner(self, **options: Any) -> TailRunner:
        reaction = Reaction("test", frozenset({"counter"}), self.handle)
        return TailRunner(reaction, self.journal, self.store, KINDS, self.clock, attempts_max=3, **options)

    async def add(self, *ids: str) -> None:
        async with LocalRuntime(self.journal, self.journal, KINDS) as runtime:
            for id_ in ids:
                await runtime.client.ask("counter", id_, Add(1), actor=OWNER)

    async def drain(self, runner: TailRunner) -> None:
        while await runner.step():
            pass


@pytest.fixture
def world() -> World:
    return World()


async def test_every_accepted_command_is_seen_in_journal_order(world: World) -> None:
    await world.add("a", "b", "a", "c", "a")
    await world.drain(world.runner())
    assert world.seen == [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("a", 3)]


async def test_a_restarted_runner_goes_on_where_the_cursor_stands(world: World) -> None:
    await world.add("a", "b")
    await world.drain(world.runner())
    await world.add("c")
    await world.drain(world.runner())
    assert world.seen == [("a", 1), ("b", 1), ("c", 1)]


async def test_while_the_world_is_away_nothing_is_blamed_and_nothing_skipped(world: World) -> None:
    await world.add("a")
    world.away = True
    runner = world.runner()
    for _ in range(10):
        with pytest.raises(Unavailable):
            await runner.step()
    world.away = False
    await world.drain(runner)
    assert world.seen == [("a", 1)]
    assert not world.store.aside
    assert not world.store.parked


async def test_a_failing_entry_holds_back_later_ones_of_its_entity_only(world: World) -> None:
    await world.add("a", "a", "b")
    world.failing = {("a", 1)}
    runner = world.runner()
    await world.drain(runner)
    assert world.seen == [("b", 1)]
    world.failing.clear()
    world.clock.ms += 60_000
    await world.drain(runner)
    assert world.seen == [("b", 1), ("a", 1), ("a", 2)]


async def test_after_its_last_attempt_an_entry_is_parked_and_the_entity_goes_on(world: World) -> None:
    await world.add("a", "a")
    world.failing = {("a", 1)}
    runner = world.runner()
    for _ in range(5):
        await world.drain(runner)
        world.clock.ms += 60_000
    assert world.store.parked == [("a", 1, 3)]
    assert world.seen == [("a", 2)]
    assert not world.store.aside


async def test_a_dead_letter_requeued_by_people_is_taken_up(world: World) -> None:
    await world.add("a")
    world.failing = {("a", 1)}
    runner = world.runner()
    for _ in range(5):
        await world.drain(runner)
        world.clock.ms += 60_000
    world.failing.clear()
    world.store.aside["counter", "a", 1] = Aside("counter", "a", 1, 0, 0)
    await world.drain(runner)
    assert world.seen == [("a", 1)]


async def test_a_runner_that_leads_again_knows_what_another_set_aside_meanwhile(world: World) -> None:
    await world.add("a", "b")
    world.failing = {("a", 1)}
    runner = world.runner()
    await world.drain(runner)
    runner.forget_place()
    later = world.clock.ms + 60_000
    world.store.aside["counter", "b", 1] = Aside("counter", "b", 1, 1, later)
    world.store.aside["counter", "a", 1].due_ms = later
    world.seen.clear()
    await world.add("b")
    await world.drain(runner)
    assert world.seen == []


async def test_a_wall_clock_that_is_set_back_does_not_hide_requeued_dead_letters(world: World) -> None:
    await world.add("a")
    runner = world.runner()
    await world.drain(runner)
    world.seen.clear()
    world.clock.ms -= 500_000
    world.store.aside["counter", "a", 1] = Aside("counter", "a", 1, 0, 0)
    await world.drain(runner)
    assert world.seen == [("a", 1)]


async def test_an_entity_that_never_answers_does_not_hold_up_the_others_for_ever(world: World) -> None:
    await world.add("a", "b", "b", "c")
    world.mute = {"b"}
    runner = world.runner()
    for _ in range(6):
        with suppress(Temporary):
            await runner.step()
    assert world.seen == [("a", 1), ("c", 1)]
    await world.add("a")
    await world.drain(runner)
    assert world.seen == [("a", 1), ("c", 1), ("a", 2)]
    assert not world.store.parked
    world.mute.clear()
    world.clock.ms += 60_000
    await world.drain(runner)
    assert world.seen[3:] == [("b", 1), ("b", 2)]
    assert not world.store.aside


async def test_of_a_sensitive_kind_too_only_rows_with_such_an_event_are_handled(world: World) -> None:
    async with LocalRuntime(world.journal, world.journal, SECRETS) as runtime:
        await runtime.client.ask("secret", "a", Note("the word joined is in here"), actor=OWNER)
        await runtime.client.ask("secret", "b", Note("nothing to see"), actor=OWNER)
    for about, seen in (("other", []), ("joined", [("a", 1)]), ("noted", [("a", 1), ("b", 1)])):
        world.seen.clear()
        reaction = Reaction(f"about {about}", frozenset({"secret"}), world.handle, frozenset({about}))
        await world.drain(
            TailRunner(reaction, world.journal, world.store, SECRETS, world.clock, keys=LOCAL_KEYS, attempts_max=3)
        )
        assert world.seen == seen


async def test_a_sealed_row_that_does_not_open_comes_before_people(world: World) -> None:
    async with LocalRuntime(world.journal, world.journal, SECRETS) as runtime:
        for entity in ("a", "b"):
            await runtime.client.ask("secret", entity, Note("well"), actor=OWNER)
    reaction = Reaction("test", frozenset({"secret"}), world.handle, frozenset({"noted"}))
    runner = TailRunner(
        reaction, world.journal, world.store, SECRETS, world.clock, keys=KeyRing.ephemeral(), attempts_max=1
    )
    await world.drain(runner)
    assert world.seen == []
    assert world.store.parked == [("a", 1, 1), ("b", 1, 1)]


async def test_rows_without_an_event_that_a_reaction_is_about_are_passed_over(world: World) -> None:
    await world.add("a", "b")
    reaction = Reaction("test", frozenset({"counter"}), world.handle, frozenset({"joined"}))
    await world.drain(TailRunner(reaction, world.journal, world.store, KINDS, world.clock))
    assert world.seen == []
    assert world.store.cursors["test"].position == 2
    reaction = Reaction("other", frozenset({"counter"}), world.handle, frozenset({"added", "joined"}))
    await world.drain(TailRunner(reaction, world.journal, world.store, KINDS, world.clock))
    assert world.seen == [("a", 1), ("b", 1)]


async def test_a_place_among_rows_of_no_concern_is_stored_now_and_then_only(world: World) -> None:
    reaction = Reaction("test", frozenset({"counter"}), world.handle, frozenset({"joined"}))
    runner = TailRunner(reaction, world.journal, world.store, KINDS, world.clock)
    for id_ in ("a", "b", "c"):
        await world.add(id_)
        assert await runner.step() is False  # nothing to do: the next rows come together
    assert world.store.cursors["test"].position == 1
    world.clock.ms += 1_000
    await runner.step()
    assert world.store.cursors["test"].position == 3


async def test_of_rows_of_no_concern_a_full_batch_is_followed_by_the_next_at_once(world: World) -> None:
    await world.add("a", "b", "c")
    reaction = Reaction("test", frozenset({"counter"}), world.handle, frozenset({"joined"}))
    runner = TailRunner(reaction, world.journal, world.store, KINDS, world.clock, batch_max=2)
    assert await runner.step() is True
    assert await runner.step() is False
