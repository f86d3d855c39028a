"""Lists of provider sessions, from their index rows."""

from collections.abc import Sequence
from typing import Protocol

from services.listings import Place
from storage.sessions import ListedSession, SessionFilter

__all__ = ["ListedSession", "SessionFilter", "SessionListings"]


class SessionListings(Protocol):
    """Newest first. It reads its own writes: index rows are written in the entity's commit."""

    async def sessions(self, wanted: SessionFilter, after: Place | None, limit: int) -> Sequence[ListedSession]: ...
