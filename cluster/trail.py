"""What operators do by the command line to keys, in the audit trail."""

from typing import Final

from actors.runtime.clock import SystemClock
from services.audit import OPERATIONS
from storage.audit import AuditRecord, AuditTables
from storage.db import Database

OPERATOR: Final = "operator"
"""The actor of the command line: whoever has the data folder or the database's password."""


async def note_command(url: str, action: str, kind: str, object_id: str, reason: str = "") -> None:
    """Write one event down. Ids and names only."""
    event = AuditRecord(
        at_ms=SystemClock().now_ms(),
        actor=OPERATOR,
        action=action,
        kind=kind,
        object_id=object_id,
        reason=reason,
        purpose=OPERATIONS,
    )
    database = Database(url)
    try:
        await AuditTables(database).add([event])
    finally:
        await database.close()
