"""Identities in memory: `services.oidc.store` without a database."""

from collections.abc import Sequence

import msgspec

from services.accounts.store import AccountStores
from storage.accounts.identities import IdentityRecord, Linked
from storage.accounts.records import UserStatus


class MemoryIdentities:
    def __init__(self, stores: AccountStores) -> None:
        self._people = stores.users
        self.by_id: dict[str, IdentityRecord] = {}
        self.spent: dict[bytes, int] = {}

    async def identity(self, issuer: str, subject: str) -> IdentityRecord | None:
        return next((one for one in self.by_id.values() if (one.issuer, one.subject) == (issuer, subject)), None)

    async def identities(self, user_id: str) -> Sequence[IdentityRecord]:
        found = [one for one in self.by_id.values() if one.user_id == user_id]
        return sorted(found, key=lambda one: (one.linked_at_ms, one.id))

    async def add(self, identity: IdentityRecord, count_max: int) -> Linked:
        user = await self._people.user(identity.user_id)
        if user is None or user.status is not UserStatus.ACTIVE:
            return Linked.MISSING
        if len(await self.identities(identity.user_id)) >= count_max:
            return Linked.FULL
        if await self.identity(identity.issuer, identity.subject) is not None:
            return Linked.TAKEN
        self.by_id[identity.id] = identity
        return Linked.DONE

    async def remove(self, user_id: str, identity_id: str, *, other_way: bool) -> Linked:
        user, held = await self._people.user(user_id), await self.identities(user_id)
        if identity_id not in {one.id for one in held} or user is None:
            return Linked.MISSING
        if len(held) == 1 and not user.password_hash and not other_way:
            return Linked.LAST
        del self.by_id[identity_id]
        return Linked.DONE

    async def used(self, identity_id: str, now_ms: int) -> None:
        self.by_id[identity_id] = msgspec.structs.replace(self.by_id[identity_id], last_used_at_ms=now_ms)

    async def claim(self, user_id: str, now_ms: int) -> bool:
        people = self._people.by_id
        if people[user_id].status is not UserStatus.PENDING:
            return False
        changes = {"status": UserStatus.ACTIVE, "password_hash": "", "verified_at_ms": now_ms, "updated_at_ms": now_ms}
        people[user_id] = msgspec.structs.replace(people[user_id], **changes)
        return True

    async def spend(self, hashed: bytes, expires_at_ms: int, now_ms: int) -> bool:
        self.spent = {key: ends for key, ends in self.spent.items() if ends >= now_ms}
        if hashed in self.spent:
            return False
        self.spent[hashed] = expires_at_ms
        return True
