"""The audit trail as a measure of what a database holds: events written to it, and counted."""

import asyncpg

from storage.audit import AuditTables
from storage.db import Database
from tests.storage.test_audit import READ


async def write_events(url: str, count: int) -> None:
    database = Database(url)
    await AuditTables(database).add([READ] * count)
    await database.close()


async def count_events(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM audit_events"))
    finally:
        await connection.close()
