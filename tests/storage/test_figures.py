"""Counts of what stands in the tables, on the real journal."""

import pytest
from sqlalchemy import text

from storage.db import Database
from storage.figures import FigureTables, OrderFigures

STANDING = """
INSERT INTO reaction_cursors (name) VALUES ('topics');
INSERT INTO dead_letters (id, reaction, kind, entity_id, version, attempts, error)
VALUES ('l', 'topics', 'order', 'o', 1, 8, 'no');
INSERT INTO jobs (id, kind, key, owner, status, due_at, created_at, finished_at)
VALUES ('1', 'export', '1', 'u', 'queued', now() - interval '5 minutes', now(), NULL),
       ('2', 'export', '2', 'u', 'failed', now(), now(), now() - interval '1 hour'),
       ('3', 'export', '3', 'u', 'failed', now(), now(), now() - interval '25 hours');
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
    failed, queued = sorted(found.jobs, key=lambda one: one.status)
    assert (failed.status, failed.number, failed.waiting_seconds) == ("failed", 1, 0)
    assert (queued.status, queued.number) == ("queued", 1)
    assert 300 <= queued.waiting_seconds < 360
    assert sorted(found.orders, key=lambda one: one.status) == [
        OrderFigures("cancelled", "EUR", 1, 100),
        OrderFigures("placed", "EUR", 2, 200),
    ]
