"""Figures of what stands in the tables, and of the reactor that reads them."""

from collections.abc import Sequence

import msgspec

from actors.order_status import OrderStatus
from actors.room_status import RoomStatus
from actors.runtime.figures import REACTOR_FAMILIES, unpacked
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.tail import JournalEntry, Reaction, TailRunner
from jobs.reactor import Leader, Reactor
from jobs.standing import Standing, samples_of
from storage.figures import JobFigures, OrderFigures, ReactionFigures, StoredFigures
from storage.journal.memory import MemoryJournal, MemoryStore
from storage.settings import Settings
from tests.actors.runtime.counter import KINDS
from tests.actors.runtime.test_tail import HandClock, MemoryReactions

NOTHING = StoredFigures(reactions=(), reminders_overdue=0, quarantined=0, conflicts=0, sessions={}, rooms={}, orders=())


class Tables:
    def __init__(self, stored: StoredFigures = NOTHING) -> None:
        self.stored = stored
        self.away = False

    async def read(self) -> StoredFigures:
        if self.away:
            raise ConnectionError
        return self.stored


def test_revenue_is_of_orders_that_were_paid_for_and_not_called_off_by_currency() -> None:
    orders = tuple(OrderFigures(status, "EUR", 1, 10) for status in OrderStatus)
    yen = OrderFigures(OrderStatus.DELIVERED, "JPY", 2, 700)
    stored = msgspec.structs.replace(NOTHING, orders=(*orders, yen))
    found = {(one.family, one.labels): one.value for one in samples_of(stored)}
    assert found["atrium_revenue_last_day_minor_units", ("EUR",)] == 10 * (len(OrderStatus) - 4)
    assert found["atrium_revenue_last_day_minor_units", ("JPY",)] == 700
    assert found["atrium_orders_last_day", ("delivered",)] == 3


def test_each_status_has_a_figure_also_when_nothing_is_in_it() -> None:
    found = {one.labels for one in samples_of(NOTHING) if one.family == "atrium_rooms"}
    assert found == {(status,) for status in RoomStatus}


async def test_figures_that_cannot_be_read_are_not_shown_as_they_were() -> None:
    source = Tables()
    standing = Standing(source)
    await standing.read()
    assert standing.samples
    source.away = True
    await standing.read()
    assert standing.samples == []


async def test_a_reactor_says_everything_that_is_declared_of_it() -> None:
    async def handle(_: Sequence[JournalEntry]) -> None: ...

    stored = msgspec.structs.replace(
        NOTHING,
        reactions=(ReactionFigures("topics", 3.5, 1, 2),),
        orders=(OrderFigures("placed", "EUR", 1, 100),),
        jobs=(JobFigures("export", "queued", 2, 30.0),),
    )
    reactor = Reactor(RuntimeConfig("", ""), Settings())
    reactor._standing = Standing(Tables(stored))
    await reactor._standing.read()
    reaction = Reaction("topics", frozenset({"counter"}), handle)
    runner = TailRunner(reaction, MemoryJournal(MemoryStore()), MemoryReactions(), KINDS, HandClock())
    reactor._leaders = [Leader(runner, None, "reactor-1")]  # type: ignore[arg-type]  # it asks for no lease here
    said = unpacked(await reactor.figures())
    assert {one.family for one in said} == set(REACTOR_FAMILIES)
    for one in said:
        assert len(one.labels) == len(REACTOR_FAMILIES[one.family].labels)
    found = {(one.family, one.labels): one.value for one in said}
    assert found["atrium_reaction_lag_seconds", ("topics",)] == 3.5
    assert found["atrium_dead_letters", ("topics",)] == 2
    assert (found["atrium_jobs", ("export", "queued")], found["atrium_jobs_waiting_seconds", ()]) == (2, 30)
    assert found["atrium_reaction_running", ("topics",)] == 0
