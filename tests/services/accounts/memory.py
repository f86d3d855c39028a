"""Accounts in memory: `services.accounts.store` without a database. The tests of accounts run on both."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from domain.errors import Unavailable
from services.accounts.store import AccountStores
from storage.accounts.records import LoginRecord, MembershipRecord, Rotated, TokenRecord, UserRecord, UserStatus
from storage.accounts.revocations import Ending, Revocation, for_ever, up_to
from storage.accounts.secret_tokens import token_hash
from tests.services.accounts.memory_factors import MemoryFactors
from tests.services.accounts.memory_invitations import MemoryInvitations
from tests.services.accounts.memory_keys import MemoryKeys
from tests.services.accounts.memory_people import MemoryPeople


class MemoryRevocations:
    """What is `recent` is so for ever."""

    def __init__(self) -> None:
        self.rows: list[Revocation] = []
        self.down = False
        self.logins = MemoryLogins(self)

    async def add(self, revocations: Sequence[Revocation]) -> None:
        self.rows += revocations

    async def end_person(self, user_id: str, reason: str, now_ms: int) -> int:
        self.rows.append(up_to(user_id, Ending.ENDED, now_ms))
        return await self.logins.revoke(user_id, "", reason, now_ms)

    async def recent(self) -> Sequence[Revocation]:
        if self.down:
            raise Unavailable("The database does not answer.")
        return list(self.rows)

    async def all(self, now_ms: int, limit: int) -> Sequence[Revocation]:
        return [one for one in reversed(await self.recent()) if one.expires_ms > now_ms][:limit]

    async def prune(self, now_ms: int) -> None:
        self.rows[:] = [one for one in self.rows if one.expires_ms > now_ms]


class MemoryLogins:
    def __init__(self, revocations: MemoryRevocations) -> None:
        self.revocations = revocations
        self.people: dict[str, UserRecord] = {}
        self.logins: dict[str, LoginRecord] = {}
        self.tokens: dict[bytes, list] = {}
        self.failures: dict[str, tuple[int, int, int]] = {}

    async def open_login(self, login: LoginRecord, token: str, expires_at_ms: int, *, password_hash: str) -> bool:
        user = self.people[login.user_id]
        if (user.status, user.password_hash) != (UserStatus.ACTIVE, password_hash):
            return False
        self.logins[login.id] = login
        self.tokens[token_hash(token)] = [login.id, expires_at_ms, 0, ""]
        return True

    async def login_of(self, token: str) -> LoginRecord | None:
        kept = self.tokens.get(token_hash(token))
        return None if kept is None else self.logins[kept[0]]

    async def rotate(
        self, token: str, successor: str, *, organization_id: str, now_ms: int, expires_at_ms: int, reuse_ms: int
    ) -> Rotated:
        kept = self.tokens.get(token_hash(token))
        if kept is None:
            return Rotated(refused="unknown")
        login_id, ends, used, next_one = kept
        login = self.logins[login_id]
        if login.revoked_at_ms:
            return Rotated(refused="revoked")
        if login.expires_at_ms <= now_ms or ends <= now_ms:
            return Rotated(refused="expired")
        if used and used + reuse_ms > now_ms:
            return Rotated(login=login, token=next_one)
        if used:
            self._change(login, revoked_at_ms=now_ms, revoked_for="refresh_token_reused")
            self.revocations.rows.append(for_ever(login.id, now_ms))
            return Rotated(login=login, refused="reused")
        kept[2:] = [now_ms, successor]
        login = self._change(login, last_used_at_ms=now_ms, organization_id=organization_id)
        self.tokens[token_hash(successor)] = [login_id, min(expires_at_ms, login.expires_at_ms), 0, ""]
        return Rotated(login=login, token=successor)

    async def live_logins(self, user_id: str, now_ms: int) -> Sequence[LoginRecord]:
        found = [one for one in self._live(user_id) if one.expires_at_ms > now_ms]
        return sorted(found, key=lambda one: (-one.last_used_at_ms, one.id))

    async def revoke(self, user_id: str, login_id: str, reason: str, now_ms: int) -> int:
        ended = [one for one in self._live(user_id) if login_id in {"", one.id}]
        for one in ended:
            self._change(one, revoked_at_ms=now_ms, revoked_for=reason)
            self.revocations.rows.append(for_ever(one.id, now_ms))
        return len(ended)

    async def attempt(self, email: str, *, now_ms: int, window_ms: int, lock_ms: Callable[[int], int]) -> int:
        count, last, locked = self.failures.get(email.lower(), (0, now_ms, 0))
        if locked > now_ms:
            return locked
        count = 1 if last < now_ms - window_ms else count + 1
        lock = lock_ms(count)
        self.failures[email.lower()] = (count, now_ms, now_ms + lock if lock else 0)
        return 0

    async def forget_attempts(self, email: str) -> None:
        self.failures.pop(email.lower(), None)

    def _live(self, user_id: str) -> list[LoginRecord]:
        return [one for one in self.logins.values() if one.user_id == user_id and not one.revoked_at_ms]

    def _change(self, login: LoginRecord, **fields: object) -> LoginRecord:
        self.logins[login.id] = msgspec.structs.replace(login, **fields)
        return self.logins[login.id]


class MemoryUsers:
    def __init__(self, logins: MemoryLogins, factors: MemoryFactors) -> None:
        self.by_id = logins.people
        self._factors = factors
        self.tokens: dict[bytes, TokenRecord] = {}
        self.spent: set[bytes] = set()
        self._logins = logins

    async def user(self, user_id: str) -> UserRecord | None:
        return self.by_id.get(user_id)

    async def users(self, ids: Sequence[str]) -> dict[str, UserRecord]:
        return {id_: self.by_id[id_] for id_ in ids if id_ in self.by_id}

    async def user_by_email(self, email: str) -> UserRecord | None:
        return next((one for one in self.by_id.values() if one.email.lower() == email.lower()), None)

    async def add_user(self, user: UserRecord) -> bool:
        if user.id in self.by_id or await self.user_by_email(user.email) is not None:
            return False
        self.by_id[user.id] = user
        return True

    async def put_profile(
        self, user_id: str, *, name: str, phone: str, locale: str, time_zone: str, expected: int, now_ms: int
    ) -> bool:
        version = self.by_id[user_id].version
        if expected not in {-1, version}:
            return False
        changes = {"name": name, "phone": phone, "locale": locale, "time_zone": time_zone}
        self.change(user_id, **changes, version=version + 1, updated_at_ms=now_ms)
        return True

    async def upgrade_password(self, user_id: str, old_hash: str, new_hash: str) -> None:
        if self.by_id[user_id].password_hash == old_hash:
            self.change(user_id, password_hash=new_hash)

    async def change_password(self, user_id: str, new_hash: str, now_ms: int) -> None:
        self.change(user_id, password_hash=new_hash, updated_at_ms=now_ms)
        self.void_mailed(user_id)
        asked = self._factors.challenges
        for hashed in [each for each, one in asked.items() if one.user_id == user_id]:
            del asked[hashed]
        await self._logins.revoke(user_id, "", "password_changed", now_ms)

    async def add_token(self, token: TokenRecord, *, since_ms: int, count_max: int) -> bool:
        if sum(one.user_id == token.user_id and one.issued_at_ms >= since_ms for one in self._all()) >= count_max:
            return False
        self.tokens[token.hash] = token
        return True

    async def token(self, token_hash: bytes, purposes: Sequence[str], now_ms: int) -> TokenRecord | None:
        found = self.tokens.get(token_hash)
        if found is None or found.hash in self.spent or found.purpose not in purposes or found.expires_at_ms <= now_ms:
            return None
        return found

    async def activate(
        self, token: TokenRecord, *, password_hash: str, name: str, locale: str, time_zone: str, now_ms: int
    ) -> bool:
        if not self._spend(token) or self.by_id[token.user_id].status is not UserStatus.PENDING:
            return False
        chosen = {"password_hash": password_hash, "name": name, "locale": locale, "time_zone": time_zone}
        self.change(token.user_id, status=UserStatus.ACTIVE, verified_at_ms=now_ms, updated_at_ms=now_ms, **chosen)
        return True

    async def reset_password(self, token: TokenRecord, new_hash: str, now_ms: int) -> bool:
        if not self._spend(token):
            return False
        if self.by_id[token.user_id].status is UserStatus.PENDING:
            self.change(token.user_id, status=UserStatus.ACTIVE, verified_at_ms=now_ms)
        await self.change_password(token.user_id, new_hash, now_ms)
        return True

    async def change_email(self, token: TokenRecord, email: str, now_ms: int) -> bool:
        if not self._spend(token):
            return False
        other = await self.user_by_email(email)
        if other is not None and other.id != token.user_id:
            return False
        self.change(token.user_id, email=email, verified_at_ms=now_ms, updated_at_ms=now_ms)
        return True

    def _all(self) -> Iterable[TokenRecord]:
        return self.tokens.values()

    def _spend(self, token: TokenRecord) -> bool:
        if token.hash in self.spent:
            return False
        self.void_mailed(token.user_id)
        return True

    def void_mailed(self, user_id: str) -> None:
        self.spent.update(one.hash for one in self._all() if one.user_id == user_id)

    def change(self, user_id: str, **fields: object) -> None:
        self.by_id[user_id] = msgspec.structs.replace(self.by_id[user_id], **fields)


class MemoryMembers:
    def __init__(self, organizations: set[str], inactive: set[str], revocations: MemoryRevocations) -> None:
        self.organizations = organizations
        self.inactive = inactive
        self.revocations = revocations
        self.rows: set[tuple[str, str, str]] = set()
        self.void_invitations: Callable[[str, str], None] = lambda *_: None

    async def memberships(self, user_id: str) -> Sequence[MembershipRecord]:
        return [self._membership(row) for row in sorted(self.rows, key=lambda row: row[1:]) if row[0] == user_id]

    async def members(self, organization_id: str, after_user: str, limit: int) -> Sequence[MembershipRecord]:
        there = sorted(row for row in self.rows if row[1] == organization_id and row[0] > after_user)
        people = sorted({row[0] for row in there})[:limit]
        return [self._membership(row) for row in there if row[0] in people]

    async def add_membership(self, membership: MembershipRecord, now_ms: int) -> bool | None:
        if membership.organization_id not in self.organizations:
            return None
        row = (membership.user_id, membership.organization_id, membership.role)
        if row in self.rows:
            return False
        self.rows.add(row)
        return True

    async def remove_memberships(
        self, organization_id: str, user_id: str, role: str, keep_role: str, now_ms: int
    ) -> int | None:
        holding = {row[0] for row in self.rows if row[1:] == (organization_id, keep_role)}
        if role in {"", keep_role} and holding == {user_id}:
            return None
        gone = {row for row in self.rows if row[:2] == (user_id, organization_id) and role in {"", row[2]}}
        self.rows -= gone
        if gone:
            self.void_invitations(organization_id, user_id)
            self.revocations.rows.append(up_to(user_id, Ending.OUTDATED, now_ms))
        return len(gone)

    def _membership(self, row: tuple[str, str, str]) -> MembershipRecord:
        active = row[1] not in self.inactive
        return MembershipRecord(user_id=row[0], organization_id=row[1], role=row[2], active=active)


def memory_stores(organizations: set[str], inactive: set[str] | None = None) -> AccountStores:
    inactive = set() if inactive is None else inactive
    revocations = MemoryRevocations()
    factors = MemoryFactors()
    users, members = MemoryUsers(revocations.logins, factors), MemoryMembers(organizations, inactive, revocations)
    people = MemoryPeople(users, members)
    keys = MemoryKeys(organizations, inactive, revocations.rows)
    invitations = MemoryInvitations(users, members)
    return AccountStores(users, revocations.logins, members, people, revocations, keys, factors, invitations)
