"""`services.accounts.people_store.PeopleStore` in memory."""

from collections.abc import Sequence
from typing import Any

from domain.search_words import beginnings_of
from storage.accounts.records import Changed, MembershipRecord, PositionRecord, UserRecord, UserStatus


class MemoryPeople:
    def __init__(self, users: Any, members: Any) -> None:
        self._users = users
        self._members = members
        self._preferences: dict[str, dict[str, Any]] = {}
        self._positions: dict[str, PositionRecord] = {}

    async def preferences(self, user_id: str) -> dict[str, Any]:
        return self._preferences.get(user_id, {})

    async def put_preferences(self, user_id: str, preferences: dict[str, Any], now_ms: int) -> None:
        self._preferences[user_id] = preferences

    async def position(self, user_id: str, now_ms: int) -> PositionRecord | None:
        found = self._positions.get(user_id)
        return None if found is None or found.expires_at_ms <= now_ms else found

    async def put_position(self, user_id: str, position: PositionRecord) -> None:
        self._positions[user_id] = position

    async def forget_position(self, user_id: str) -> None:
        self._positions.pop(user_id, None)

    async def search(
        self, words: Sequence[str], organization_ids: Sequence[str] | None, after_id: str, limit: int
    ) -> Sequence[UserRecord]:
        there = {row[0] for row in self._members.rows if organization_ids is None or row[1] in organization_ids}
        found = [
            one
            for one in sorted(self._users.by_id.values(), key=lambda one: one.id)
            if one.status in {UserStatus.ACTIVE, UserStatus.SUSPENDED}
            and one.id > after_id
            and set(words) <= set(beginnings_of(one.name))
            and (organization_ids is None or one.id in there)
        ]
        return found[:limit]

    async def memberships(self, user_ids: Sequence[str]) -> Sequence[MembershipRecord]:
        return [
            MembershipRecord(user_id=row[0], organization_id=row[1], role=row[2])
            for row in sorted(self._members.rows)
            if row[0] in user_ids
        ]

    async def set_status(
        self, user_id: str, allowed: Sequence[UserStatus], status: UserStatus, *, expected: int, now_ms: int
    ) -> Changed:
        refused = self._refused(user_id, allowed, expected)
        if refused is not None:
            return refused
        if status is not UserStatus.ACTIVE and self._admins() == {user_id}:
            return Changed.LAST_ADMIN
        if status is UserStatus.DELETED and self._only_admin_somewhere(user_id):
            return Changed.LAST_ADMIN
        deleted_at = now_ms if status is UserStatus.DELETED else 0
        self._change(user_id, status=status, deleted_at_ms=deleted_at, updated_at_ms=now_ms)
        if status is not UserStatus.ACTIVE:
            self._users.void_mailed(user_id)
        if status is UserStatus.DELETED:
            await self.forget_position(user_id)
        return Changed.DONE

    async def set_roles(self, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int) -> Changed:
        refused = self._refused(user_id, (UserStatus.ACTIVE,), expected)
        if refused is not None:
            return refused
        if "admin" not in roles and self._admins() == {user_id}:
            return Changed.LAST_ADMIN
        self._change(user_id, roles=tuple(roles), updated_at_ms=now_ms)
        return Changed.DONE

    async def set_member_roles(
        self, organization_id: str, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int
    ) -> Changed:
        refused = self._refused(user_id, (UserStatus.ACTIVE, UserStatus.SUSPENDED), expected)
        if refused is not None:
            return refused
        held = {row for row in self._members.rows if row[:2] == (user_id, organization_id)}
        if not held:
            return Changed.MISSING
        admins = {row[0] for row in self._members.rows if row[1:] == (organization_id, "admin")}
        if "admin" not in roles and admins == {user_id}:
            return Changed.LAST_ADMIN
        self._members.void_invitations(organization_id, user_id)
        self._members.rows -= held
        self._members.rows |= {(user_id, organization_id, role) for role in roles}
        self._change(user_id)
        return Changed.DONE

    async def seal_names(self, limit: int) -> int:
        return 0

    def _admins(self) -> set[str]:
        people = self._users.by_id.values()
        return {one.id for one in people if "admin" in one.roles and one.status is UserStatus.ACTIVE}

    def _only_admin_somewhere(self, user_id: str) -> bool:
        admins = {row[:2] for row in self._members.rows if row[2] == "admin"}
        own = {organization for user, organization in admins if user == user_id}
        return any({user for user, there in admins if there == each} == {user_id} for each in own)

    def _refused(self, user_id: str, allowed: Sequence[UserStatus], expected: int) -> Changed | None:
        user = self._users.by_id.get(user_id)
        if user is None or user.status not in allowed:
            return Changed.MISSING
        return Changed.STALE if expected not in {-1, user.version} else None

    def _change(self, user_id: str, **fields: object) -> None:
        self._users.change(user_id, version=self._users.by_id[user_id].version + 1, **fields)
