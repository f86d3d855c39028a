"""Where it is kept what people chose, where they are, what they may do and what became of them.

Each method is one transaction; `storage.accounts.people` implements them on Postgres. All raise `Unavailable` when the
database is away. `expected` is the version a person must be at, -1 for any; each change makes it one more.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from storage.accounts.records import Changed, MembershipRecord, PositionRecord, UserRecord, UserStatus


class PeopleStore(Protocol):
    async def preferences(self, user_id: str) -> dict[str, Any]:
        """As they were put; {} before."""

    async def put_preferences(self, user_id: str, preferences: dict[str, Any], now_ms: int) -> None: ...

    async def position(self, user_id: str, now_ms: int) -> PositionRecord | None:
        """Unless it has run out."""

    async def put_position(self, user_id: str, position: PositionRecord) -> None: ...

    async def forget_position(self, user_id: str) -> None: ...

    async def search(
        self, words: Sequence[str], organization_ids: Sequence[str] | None, after_id: str, limit: int
    ) -> Sequence[UserRecord]:
        """People, active or suspended, with a word in their name that begins with each of `words`
        (`domain.search_words.words_of`), who have a role at one of the organizations (None: anywhere), by id."""

    async def memberships(self, user_ids: Sequence[str]) -> Sequence[MembershipRecord]:
        """Of all of these, by person, organization and role."""

    async def set_status(
        self, user_id: str, allowed: Sequence[UserStatus], status: UserStatus, *, expected: int, now_ms: int
    ) -> Changed:
        """`MISSING` unless their status is one of `allowed`. Whatever they were issued ends, unless it is `ACTIVE` now.

        Who is the last admin of the platform stays active; who is the only admin of an organization is not deleted.
        """

    async def set_roles(self, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int) -> Changed:
        """Exactly these, without an organization; access tokens of before are outdated. The last admin of the platform
        stays one."""

    async def set_member_roles(
        self, organization_id: str, user_id: str, roles: Sequence[str], *, expected: int, now_ms: int
    ) -> Changed:
        """Exactly these, of somebody who has one there; access tokens of before are outdated. The organization's last
        admin stays one."""

    async def seal_names(self, limit: int) -> int:
        """Seal names that an older release kept in clear; how many were."""
