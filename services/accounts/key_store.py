"""Where API keys and service accounts are kept. Each method is one transaction; all raise `Unavailable`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from storage.accounts.api_keys import ApiKeyRecord, ServiceAccountRecord


class KeyStore(Protocol):
    async def add_key(self, key: ApiKeyRecord, hashed: bytes, *, live_max: int, now_ms: int) -> bool:
        """False, and nothing written, when its owner has `live_max` that hold."""

    async def rotate_key(
        self, old_id: str, key: ApiKeyRecord, hashed: bytes, *, until_ms: int, live_max: int, now_ms: int
    ) -> bool | None:
        """Add `key`, and let the owner's `old_id` hold until `until_ms` at most. False as `add_key`; None, and nothing
        written, when the old one was revoked."""

    async def key_by_hash(self, hashed: bytes) -> ApiKeyRecord | None: ...
    async def key(self, owner_id: str, key_id: str) -> ApiKeyRecord | None: ...
    async def keys(self, owner_id: str, now_ms: int) -> Sequence[ApiKeyRecord]:
        """Those that hold, the newest first."""

    async def revoke_key(self, owner_id: str, key_id: str, reason: str, now_ms: int) -> bool:
        """False when there is none, or it was revoked before. Writes the revocation with it."""

    async def used_keys(self, used_ms: Mapping[str, int]) -> None:
        """When each was used last, by id."""

    async def add_service(self, service: ServiceAccountRecord, *, count_max: int) -> bool | None:
        """False when the organization has `count_max`, None when there is no such organization."""

    async def service(self, service_id: str) -> ServiceAccountRecord | None: ...
    async def services(self, organization_id: str, after: str, limit: int) -> Sequence[ServiceAccountRecord]:
        """By id, without deleted ones."""

    async def change_service(
        self, organization_id: str, service_id: str, changes: Mapping[str, Any], now_ms: int
    ) -> ServiceAccountRecord | None:
        """Set `name`, `roles` or `status`, and outdate what is known of it. None: there is none there."""

    async def organization_active(self, organization_id: str) -> bool: ...
