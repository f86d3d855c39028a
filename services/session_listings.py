"""Lists of provider sessions, from their index rows."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from services.listings import Place


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of these organizations, at one location or of one person ("" for any).

    `quarantined`: only those that have commands in quarantine.
    """

    organization_ids: tuple[str, ...] = ()
    location_id: str = ""
    user_id: str = ""
    statuses: tuple[str, ...] = ()
    quarantined: bool = False


class ListedSession(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session as it is listed; times in ms."""

    id: str
    version: int
    organization_id: str
    user_id: str
    device_id: str
    status: str
    access: str
    created_at_ms: int
    updated_at_ms: int
    location_id: str = ""
    room_id: str = ""
    patient_id: str = ""
    quarantined: int = 0


class SessionListings(Protocol):
    """Newest first. It reads its own writes: index rows are written in the entity's commit."""

    async def sessions(self, wanted: SessionFilter, after: Place | None, limit: int) -> Sequence[ListedSession]: ...
