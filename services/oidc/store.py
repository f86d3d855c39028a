"""Where identities are kept. Each method is one transaction; `storage.accounts.identities` has them on Postgres."""

from collections.abc import Sequence
from typing import Protocol

from storage.accounts.identities import IdentityRecord, Linked


class IdentityStore(Protocol):
    async def identity(self, issuer: str, subject: str) -> IdentityRecord | None: ...
    async def identities(self, user_id: str) -> Sequence[IdentityRecord]:
        """Of one person, in the order in which they were linked."""

    async def add(self, identity: IdentityRecord, count_max: int) -> Linked:
        """`DONE`, `TAKEN` by anybody, `FULL` with `count_max` of them, or `MISSING` when the person is not active."""

    async def remove(self, user_id: str, identity_id: str, *, other_way: bool) -> Linked:
        """`DONE`, `MISSING`, or `LAST` for the only way of somebody without a password, unless there is an
        `other_way`."""

    async def used(self, identity_id: str, now_ms: int) -> None: ...
    async def claim(self, user_id: str, now_ms: int) -> bool:
        """A pending person becomes active, without a password. False when they are not pending."""

    async def spend(self, hashed: bytes, expires_at_ms: int, now_ms: int) -> bool:
        """Remember a one-time value until then. False when it was used before."""
