"""What operators do by the command line to keys and legal holds, in the audit trail."""

from typing import Final

from actors.runtime.clock import SystemClock
from services.audit import OPERATIONS
from storage.audit import Event, along
from storage.db import Also

OPERATOR: Final = "operator"
"""The actor of the command line: whoever has the data folder or the database's password."""


def noted(action: str, kind: str, object_id: str, reason: str = "", actor: str = OPERATOR) -> Also:
    """One event, in the transaction of what it is about: there is no act without it. Ids and names only."""
    event = Event(
        at_ms=SystemClock().now_ms(),
        actor=actor,
        action=action,
        kind=kind,
        object_id=object_id,
        reason=reason,
        purpose=OPERATIONS,
    )
    return along([event])
