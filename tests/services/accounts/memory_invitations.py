"""`services.accounts.invitation_store.InvitationStore` in memory."""

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.errors import Conflict, NotFound
from storage.accounts.invitations import InvitationRecord, Joined
from storage.accounts.records import UserRecord, UserStatus


class MemoryInvitations:
    def __init__(self, users: Any, members: Any) -> None:
        self._users = users
        self._members = members
        self.by_id: dict[str, InvitationRecord] = {}
        self.hashes: dict[bytes, str] = {}
        self.ended: set[str] = set()
        members.void_invitations = self.void

    async def add(
        self, invitation: InvitationRecord, hashed: bytes, *, since_ms: int, count_max: int, same_max: int
    ) -> bool:
        if invitation.organization_id not in self._members.organizations:
            raise NotFound("There is no such organization.")
        if invitation.organization_id in self._members.inactive:
            raise Conflict("It is inactive.", code="organization_state", extra={"current": "inactive"})
        there = [one for one in self.by_id.values() if one.organization_id == invitation.organization_id]
        lately = [one for one in there if one.created_at_ms >= since_ms]
        same = [one for one in there if one.email.lower() == invitation.email.lower()]
        if len(lately) >= count_max or len([one for one in lately if one in same]) >= same_max:
            return False
        self.ended.update(one.id for one in same)
        self.by_id[invitation.id] = invitation
        self.hashes[hashed] = invitation.id
        return True

    async def invitations(self, organization_id: str, after: str, limit: int) -> Sequence[InvitationRecord]:
        there = (one for one in self.by_id.values() if one.organization_id == organization_id)
        left = (one for one in there if one.id not in self.ended and one.id > after)
        return sorted(left, key=lambda one: one.id)[:limit]

    async def revoke(self, organization_id: str, invitation_id: str, now_ms: int) -> InvitationRecord | None:
        found = self.by_id.get(invitation_id)
        if found is None or found.organization_id != organization_id or found.id in self.ended:
            return None
        self.ended.add(found.id)
        return found

    async def by_hash(self, hashed: bytes, now_ms: int) -> InvitationRecord | None:
        found = self.by_id.get(self.hashes.get(hashed, ""))
        if found is None or found.id in self.ended or found.expires_at_ms <= now_ms:
            return None
        return None if found.organization_id in self._members.inactive else found

    async def accept(self, hashed: bytes, user_id: str, now_ms: int) -> Joined | None:
        found, user = await self.by_hash(hashed, now_ms), self._users.by_id[user_id]
        if found is None or user.status is not UserStatus.ACTIVE or user.email.lower() != found.email.lower():
            return None
        return self._joined(found, user_id)

    async def register(self, hashed: bytes, user: UserRecord, now_ms: int) -> Joined | None:
        found, kept = await self.by_hash(hashed, now_ms), await self._users.user_by_email(user.email)
        if found is None or user.email.lower() != found.email.lower():
            return None
        if kept is not None and kept.status is not UserStatus.PENDING:
            return None
        user = user if kept is None else msgspec.structs.replace(user, id=kept.id, version=kept.version + 1)
        self._users.by_id[user.id] = user
        self._users.void_mailed(user.id)
        return self._joined(found, user.id)

    def void(self, organization_id: str, user_id: str) -> None:
        """All that are open to this person's address there."""
        address = self._users.by_id[user_id].email.lower() if user_id in self._users.by_id else ""
        there = (one for one in self.by_id.values() if one.organization_id == organization_id)
        self.ended.update(one.id for one in there if one.email.lower() == address)

    def _joined(self, invitation: InvitationRecord, user_id: str) -> Joined:
        self.ended.add(invitation.id)
        place = (user_id, invitation.organization_id)
        before = tuple(sorted(row[2] for row in self._members.rows if row[:2] == place))
        self._members.rows |= {(*place, role) for role in invitation.roles}
        self._users.change(user_id, version=self._users.by_id[user_id].version + 1)
        return Joined(user_id, before, tuple(sorted({*before, *invitation.roles})))
