"""Counts of what stands in the tables, on the real journal."""

import msgspec
import pytest
from sqlalchemy import text

from actors.order_status import OrderStatus
from actors.room_status import RoomStatus
from jobs.standing import Standing, samples_of
from storage.db import Database
from storage.figures import FigureTables, OrderFigures, StoredFigures

NOTHING = StoredFigures(reactions=(), reminders_overdue=0, quarantined=0, conflicts=0, sessions={}, rooms={}, orders=())

STANDING = """
INSERT INTO reaction_cursors (name) VALUES ('topics');
INSERT INTO dead_letters (id, reaction, kind, entity_id, version, attempts, error)
VALUES ('l', 'topics', 'order', 'o', 1, 8, 'no');
INSERT INTO reminders (kind, id, name, shard, due_at) VALUES ('cart', 'c', 'expire', 1, now() - interval '1 hour');
INSERT INTO journal (version, time, command_id, shard, kind, id, command_hash, actor, device, correlation, payload)
VALUES (1, now() - interval '5 seconds', gen_random_uuid(), 1, 'cart', 'c', '', '', '', '', '');
INSERT INTO orders
    (id, version, user_id, merchant_id, status, currency, total_minor, lines_count, placed_at, updated_at)
SELECT 'o' || n, 1, 'u', 'm', CASE n WHEN 3 THEN 'cancelled' ELSE 'placed' END, 'EUR', 100, 1,
       now() - CASE n WHEN 4 THEN interval '25 hours' ELSE interval '1 hour' END, now()
FROM generate_series(1, 4) n
"""


@pytest.mark.stack
async def test_what_stands_in_the_tables_is_counted(database: Database) -> None:
    async with database.session() as session:
        for statement in STANDING.split(";"):
            await session.execute(text(statement))
    found = await FigureTables(database).read()
    (topics,) = found.reactions
    assert (topics.name, topics.dead_letters, topics.retries) == ("topics", 1, 0)
    assert 5 <= topics.lag_seconds < 60
    assert (found.reminders_overdue, found.quarantined, found.conflicts) == (1, 0, 0)
    assert sorted(found.orders, key=lambda one: one.status) == [
        OrderFigures("cancelled", "EUR", 1, 100),
        OrderFigures("placed", "EUR", 2, 200),
    ]


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
    class Away:
        away = False

        async def read(self) -> StoredFigures:
            if self.away:
                raise ConnectionError
            return NOTHING

    source = Away()
    standing = Standing(source)
    await standing.read()
    assert standing.samples
    source.away = True
    await standing.read()
    assert standing.samples == []
