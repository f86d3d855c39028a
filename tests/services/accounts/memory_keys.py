"""API keys and service accounts in memory: `services.accounts.key_store` without a database."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from storage.accounts.api_keys import ApiKeyRecord, ServiceAccountRecord
from storage.accounts.revocations import Ending, Revocation, for_ever, up_to


class MemoryKeys:
    def __init__(self, organizations: set[str], inactive: set[str], rows: list[Revocation]) -> None:
        self.organizations = organizations
        self.inactive = inactive
        self.rows = rows
        self.by_id: dict[str, ApiKeyRecord] = {}
        self.hashes: dict[bytes, str] = {}
        self.by_service: dict[str, ServiceAccountRecord] = {}
        self.lookups = 0

    async def add_key(self, key: ApiKeyRecord, hashed: bytes, *, live_max: int, now_ms: int) -> bool:
        if len(await self.keys(key.owner_id, now_ms)) >= live_max:
            return False
        self.by_id[key.id] = key
        self.hashes[hashed] = key.id
        return True

    async def rotate_key(
        self, old_id: str, key: ApiKeyRecord, hashed: bytes, *, until_ms: int, live_max: int, now_ms: int
    ) -> bool | None:
        if self.by_id[old_id].revoked_at_ms:
            return None
        if not await self.add_key(key, hashed, live_max=live_max + 1, now_ms=now_ms):
            return False
        self._change(old_id, expires_at_ms=min(self.by_id[old_id].expires_at_ms, until_ms))
        self.rows.append(up_to(old_id, Ending.OUTDATED, now_ms))
        return True

    async def key_by_hash(self, hashed: bytes) -> ApiKeyRecord | None:
        self.lookups += 1
        return self.by_id.get(self.hashes.get(hashed, ""))

    async def key(self, owner_id: str, key_id: str) -> ApiKeyRecord | None:
        found = self.by_id.get(key_id)
        return found if found is not None and found.owner_id == owner_id else None

    async def keys(self, owner_id: str, now_ms: int) -> Sequence[ApiKeyRecord]:
        live = (one for one in self.by_id.values() if not one.revoked_at_ms and one.expires_at_ms > now_ms)
        return sorted((one for one in live if one.owner_id == owner_id), key=lambda one: (-one.created_at_ms, one.id))

    async def revoke_key(self, owner_id: str, key_id: str, reason: str, now_ms: int) -> bool:
        found = await self.key(owner_id, key_id)
        if found is None or found.revoked_at_ms:
            return False
        self._change(key_id, revoked_at_ms=now_ms)
        self.rows.append(for_ever(key_id, now_ms))
        return True

    async def used_keys(self, used_ms: Mapping[str, int]) -> None:
        for key_id, ms in used_ms.items():
            self._change(key_id, last_used_at_ms=max(ms, self.by_id[key_id].last_used_at_ms))

    async def add_service(self, service: ServiceAccountRecord, *, count_max: int) -> bool | None:
        if service.organization_id not in self.organizations:
            return None
        if len(await self.services(service.organization_id, "", count_max)) >= count_max:
            return False
        self.by_service[service.id] = service
        return True

    async def service(self, service_id: str) -> ServiceAccountRecord | None:
        return self.by_service.get(service_id)

    async def services(self, organization_id: str, after: str, limit: int) -> Sequence[ServiceAccountRecord]:
        there = (one for one in self.by_service.values() if one.organization_id == organization_id)
        live = (one for one in there if one.status != "deleted" and one.id > after)
        return sorted(live, key=lambda one: one.id)[:limit]

    async def change_service(
        self, organization_id: str, service_id: str, changes: Mapping[str, Any], now_ms: int
    ) -> ServiceAccountRecord | None:
        found = self.by_service.get(service_id)
        if found is None or found.organization_id != organization_id or found.status == "deleted":
            return None
        self.by_service[service_id] = msgspec.structs.replace(found, **changes, updated_at_ms=now_ms)
        self.rows.append(up_to(service_id, Ending.OUTDATED, now_ms))
        return self.by_service[service_id]

    async def organization_active(self, organization_id: str) -> bool:
        return organization_id in self.organizations - self.inactive

    def _change(self, key_id: str, **fields: object) -> None:
        self.by_id[key_id] = msgspec.structs.replace(self.by_id[key_id], **fields)
