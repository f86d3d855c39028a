"""Emergency access in memory."""

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.emergency_access import Grant


class MemoryEmergencies:
    """`services.access.emergency.EmergencyStore`."""

    def __init__(self) -> None:
        self.kept: dict[str, Grant] = {}

    async def add(self, grant: Grant, *, since_ms: int, count_max: int) -> Grant | None:
        for each in await self.active(grant.subject, grant.patient_id, grant.granted_at_ms):
            if each.organization_id == grant.organization_id:
                return each
        if (
            sum(one.subject == grant.subject and one.granted_at_ms > since_ms for one in self.kept.values())
            >= count_max
        ):
            return None
        self.kept[grant.id] = grant
        return grant

    async def active(self, subject: str, patient_id: str, now_ms: int) -> Sequence[Grant]:
        return [
            one
            for one in reversed(self.kept.values())
            if (one.subject, one.patient_id) == (subject, patient_id)
            and one.expires_at_ms > now_ms
            and not one.revoked_at_ms
        ]

    async def grant(self, grant_id: str) -> Grant | None:
        return self.kept.get(grant_id)

    async def grants(
        self, organization_ids: Sequence[str], *, unreviewed: bool, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Grant]:
        found = [
            one
            for one in sorted(self.kept.values(), key=lambda one: (one.granted_at_ms, one.id), reverse=True)
            if one.organization_id in organization_ids
            and not (unreviewed and one.reviewed_at_ms)
            and (after is None or (one.granted_at_ms, one.id) < after)
        ]
        return found[:limit]

    async def revoke(self, grant_id: str, by: str, now_ms: int) -> bool:
        grant = self.kept[grant_id]
        if grant.revoked_at_ms or grant.expires_at_ms <= now_ms:
            return False
        return self._change(grant, revoked_at_ms=now_ms, revoked_by=by)

    async def review(self, grant_id: str, by: str, note: str, now_ms: int) -> bool:
        grant = self.kept[grant_id]
        return not grant.reviewed_at_ms and self._change(grant, reviewed_at_ms=now_ms, reviewed_by=by, note=note)

    def _change(self, grant: Grant, **changes: Any) -> bool:
        self.kept[grant.id] = msgspec.structs.replace(grant, **changes)
        return True
