"""Where accounts are kept. Each method is one transaction; `storage.accounts` implements them on Postgres.

All raise `Unavailable` when the database is away. Records are those of `storage.accounts.records`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from services.accounts.factor_store import FactorStore
from services.accounts.invitation_store import InvitationStore
from services.accounts.key_store import KeyStore
from services.accounts.people_store import PeopleStore
from services.accounts.revocations import RevocationStore
from storage.accounts.records import LoginRecord, MembershipRecord, Rotated, TokenRecord, UserRecord


class UserStore(Protocol):
    async def user(self, user_id: str) -> UserRecord | None: ...
    async def users(self, ids: Sequence[str]) -> dict[str, UserRecord]: ...
    async def user_by_email(self, email: str) -> UserRecord | None:
        """Without regard to case."""

    async def add_user(self, user: UserRecord) -> bool:
        """False, and nothing written, when the address or the id is taken."""

    async def put_profile(
        self, user_id: str, *, name: str, phone: str, locale: str, time_zone: str, expected: int, now_ms: int
    ) -> bool:
        """False, and nothing written, unless the person is at version `expected` (-1: at any)."""

    async def upgrade_password(self, user_id: str, old_hash: str, new_hash: str) -> None:
        """Nothing when the password is another one by now."""

    async def change_password(self, user_id: str, new_hash: str, now_ms: int) -> None:
        """And revoke all logins, void what was mailed before and what a login was asked for."""

    async def add_token(self, token: TokenRecord, *, since_ms: int, count_max: int) -> bool:
        """False, and nothing written, when this person was given `count_max` since `since_ms`."""

    async def token(self, token_hash: bytes, purposes: Sequence[str], now_ms: int) -> TokenRecord | None:
        """A token that can still be spent."""

    async def activate(
        self, token: TokenRecord, *, password_hash: str, name: str, locale: str, time_zone: str, now_ms: int
    ) -> bool:
        """Spend it, and make the pending person active with this password. False when it was spent or they are not."""

    async def reset_password(self, token: TokenRecord, new_hash: str, now_ms: int) -> bool:
        """Spend it, and do as `change_password`; who is pending has proved the address. False when spent."""

    async def change_email(self, token: TokenRecord, email: str, now_ms: int) -> bool:
        """Spend it, and change the address. False when it was spent, or the address has become another's."""


class LoginStore(Protocol):
    async def open_login(self, login: LoginRecord, token: str, expires_at_ms: int, *, password_hash: str) -> bool:
        """With its first refresh token. False, and nothing written, unless the person is active and has this password
        ("" for none) still: what was proved before it was changed is no login any more."""

    async def login_of(self, token: str) -> LoginRecord | None: ...
    async def rotate(
        self, token: str, successor: str, *, organization_id: str, now_ms: int, expires_at_ms: int, reuse_ms: int
    ) -> Rotated:
        """Use `token` up for `successor`. Within `reuse_ms` the same successor again, also for two at once; after
        that the login is revoked with all its tokens."""

    async def live_logins(self, user_id: str, now_ms: int) -> Sequence[LoginRecord]:
        """Last used first."""

    async def revoke(self, user_id: str, login_id: str, reason: str, now_ms: int) -> int:
        """One login, or with "" all of this person's, with their access tokens; how many were still live."""

    async def attempt(self, email: str, *, now_ms: int, window_ms: int, lock_ms: Callable[[int], int]) -> int:
        """Count an attempt by this address, anybody's or not; 0 if it may be made, else until when it is locked."""

    async def forget_attempts(self, email: str) -> None: ...


class MembershipStore(Protocol):
    async def memberships(self, user_id: str) -> Sequence[MembershipRecord]:
        """By organization and role."""

    async def members(self, organization_id: str, after_user: str, limit: int) -> Sequence[MembershipRecord]:
        """Of the next `limit` people, all their roles there, by person."""

    async def add_membership(self, membership: MembershipRecord, now_ms: int) -> bool | None:
        """False when it was there before, None when there is no such organization."""

    async def remove_memberships(
        self, organization_id: str, user_id: str, role: str, keep_role: str, now_ms: int
    ) -> int | None:
        """How many roles were taken away (`role` "" is all); access tokens of before are outdated.

        None, and nothing done, when that would take `keep_role` from the last who has it.
        """


class AccountStores(msgspec.Struct, frozen=True):
    users: UserStore
    logins: LoginStore
    members: MembershipStore
    people: PeopleStore
    revocations: RevocationStore
    keys: KeyStore
    factors: FactorStore
    invitations: InvitationStore
