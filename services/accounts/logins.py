"""Logging in and staying in: logins, their refresh tokens and the access tokens that those give."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.parties import organizations_of
from actors.runtime.entity import Actor
from domain.errors import Forbidden, NotFound, Unauthenticated, invalid_field
from domain.ids import new_id
from domain.text import check_text
from domain.times import SECOND_MS
from services.accounts.emails import check_email
from services.accounts.factors import BY_CODE, SecondFactors, mfa_failed
from services.accounts.grants import Grant, grant_for
from services.accounts.limits import AccountLimits
from services.accounts.passkeys import BY_PASSKEY, Passkeys
from services.accounts.proving import Prover, check_active
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.tokens import MFA, Tokens
from storage.accounts.factor_records import ChallengeRecord
from storage.accounts.records import LoginRecord, UserRecord, UserStatus
from storage.accounts.secret_tokens import new_token

BY_PASSWORD: Final = ("pwd",)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What a login or a refresh gives. `refresh_token` is "" after a mere reauthentication."""

    user: UserRecord
    grant: Grant
    access_token: str
    login: LoginRecord | None = None
    refresh_token: str = ""


class Logins:
    def __init__(
        self,
        stores: AccountStores,
        tokens: Tokens,
        prover: Prover,
        factors: SecondFactors,
        passkeys: Passkeys,
        revocations: Revocations,
        audit: Audit,
        clock: Clock,
        limits: AccountLimits,
    ) -> None:
        self._stores = stores
        self._tokens = tokens
        self._prover = prover
        self._factors = factors
        self._passkeys = passkeys
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def login(self, email: str, password: str, *, device: str = "", organization_id: str = "") -> Opened:
        """A new login. For the person themselves, or for an organization of theirs.

        Raises like `Prover.prove` and `begin`.
        """
        check_text(device, "device", length_max=self._limits.device_characters_max)
        user = await self._prover.prove(check_email(email), password)
        return await self.begin(user, device=device, organization_id=organization_id, amr=BY_PASSWORD)

    async def begin(
        self,
        user: UserRecord,
        *,
        device: str = "",
        organization_id: str = "",
        auth_time_ms: int | None = None,
        amr: tuple[str, ...] = (),
    ) -> Opened:
        """The login of an active person who has proved by one factor to be themselves; `amr` says by which.

        `auth_time_ms` as for `open`; whoever is asked for a second factor proves themselves with that.
        Raises as `open`, and `Unauthenticated` with code `mfa_required` when they have second factors:
        its `challenge` is for `finish`.
        """
        if MFA not in amr and await self._factors.kinds(user.id):
            check_text(device, "device", length_max=self._limits.device_characters_max)
            await self._grant(user, organization_id)
            raise await self._factors.ask(user, device=device, organization_id=organization_id, amr=amr)
        return await self.open(user, device=device, organization_id=organization_id, auth_time_ms=auth_time_ms, amr=amr)

    async def finish(self, challenge: ChallengeRecord, code: str) -> Opened:
        """A login that was begun, by a code. Raises like `SecondFactors.prove` and `open`, and `Unauthenticated` with
        code `challenge_spent`."""
        user = await self._stores.users.user(challenge.user_id)
        if user is None or user.status is UserStatus.DELETED:
            raise mfa_failed()
        await self._factors.prove(check_active(user), code)
        await self._grant(user, challenge.organization_id)
        await self._factors.spend(challenge)
        amr = (*challenge.amr, *BY_CODE)
        return await self.open(user, device=challenge.device, organization_id=challenge.organization_id, amr=amr)

    async def open(
        self,
        user: UserRecord,
        *,
        device: str = "",
        organization_id: str = "",
        auth_time_ms: int | None = None,
        amr: tuple[str, ...] = (),
        action: str = "login",
    ) -> Opened:
        """A login session of an active person who has proved to be themselves, by whatever.

        `auth_time_ms` is when they did: None for now, 0 if that is not known; `amr` how. The audit trail says `action`.
        Raises `Invalid`, `Forbidden` with code `not_a_member`, and `Unauthenticated` with code `login_failed` when they
        were shut out, or their password was changed, since `user` was read.
        """
        check_text(device, "device", length_max=self._limits.device_characters_max)
        now = self._clock.now_ms()
        grant = await self._grant(user, organization_id)
        login = LoginRecord(
            id=new_id(),
            user_id=user.id,
            organization_id=organization_id,
            device=device,
            amr=amr,
            auth_time_ms=now if auth_time_ms is None else auth_time_ms,
            created_at_ms=now,
            last_used_at_ms=now,
            expires_at_ms=now + self._limits.login_ttl_seconds * SECOND_MS,
        )
        token = new_token()
        ends = now + self._limits.refresh_ttl_seconds * SECOND_MS
        if not await self._stores.logins.open_login(login, token, ends, password_hash=user.password_hash):
            raise Unauthenticated("The account was changed just now: log in again.", code="login_failed")
        await self._audit.note(Actor(user.id), action, "login", login.id)
        return self._opened(user, grant, login, token, now)

    async def refresh(self, token: str, organization_id: str | None = None) -> Opened:
        """The next refresh token, and an access token with the roles of now.

        `organization_id` None: as before ("" when they have no role there any more). Raises `Unauthenticated`
        (`refresh_token_invalid`, `refresh_token_reused`), `Forbidden` (`not_a_member`; the token is not used up).
        """
        now = self._clock.now_ms()
        login = await self._stores.logins.login_of(token)
        user = None if login is None else await self._stores.users.user(login.user_id)
        if login is None or user is None or user.status is not UserStatus.ACTIVE:
            raise _invalid_refresh()
        wanted = login.organization_id if organization_id is None else organization_id
        try:
            grant = await self._grant(user, wanted)
        except Forbidden:
            if organization_id is not None:
                raise
            wanted, grant = "", await self._grant(user, "")
        rotated = await self._stores.logins.rotate(
            token,
            new_token(),
            organization_id=wanted,
            now_ms=now,
            expires_at_ms=now + self._limits.refresh_ttl_seconds * SECOND_MS,
            reuse_ms=self._limits.refresh_reuse_seconds * SECOND_MS,
        )
        if rotated.refused == "reused":
            await self._revocations.spread()
            await self._audit.note(Actor(user.id), "refresh", "login", login.id, outcome="refresh_token_reused")
            raise Unauthenticated("This token was used before: log in again.", code="refresh_token_reused")
        if rotated.refused or rotated.login is None:
            raise _invalid_refresh()
        return self._opened(user, grant, rotated.login, rotated.token, now)

    async def reauthenticate(self, actor: Actor, password: str, code: str = "", login_id: str = "") -> Opened:
        """A fresh access token of the login `login_id`, for what asks for a proof of who they are.

        `code` is asked of people with second factors. Raises like `Prover.prove_again`, and `Invalid` on `code`.
        """
        now = self._clock.now_ms()
        proved = await self._prover.prove_again(actor.subject, password, "password")
        amr: tuple[str, ...] = BY_PASSWORD
        if await self._factors.kinds(proved.id):
            if not code:
                raise invalid_field("code", "required", "A code of your authenticator app, or a recovery code.")
            try:
                await self._factors.prove(proved, code)
            except Unauthenticated:
                raise invalid_field("code", "wrong_code", "This code is not right, or was used already.") from None
            amr = (*BY_PASSWORD, *BY_CODE)
        return await self._again(actor, proved, amr, login_id, now)

    async def reauthenticate_by_passkey(self, actor: Actor, credential: dict[str, Any], login_id: str = "") -> Opened:
        """As `reauthenticate`. Raises like `Passkeys.prove_again`."""
        now = self._clock.now_ms()
        proved = await self._passkeys.prove_again(actor.subject, credential)
        return await self._again(actor, proved, BY_PASSKEY, login_id, now)

    async def login_id(self, token: str) -> str:
        """Which login this refresh token is of, "" for none."""
        login = await self._stores.logins.login_of(token)
        return "" if login is None else login.id

    async def logout(self, token: str) -> None:
        """End the login of this refresh token, used up or not; nothing for an unknown one."""
        login = await self._stores.logins.login_of(token)
        if login is not None:
            await self._stores.logins.revoke(login.user_id, login.id, "logout", self._clock.now_ms())
            await self._revocations.spread()

    async def list(self, user_id: str) -> Sequence[LoginRecord]:
        return await self._stores.logins.live_logins(user_id, self._clock.now_ms())

    async def revoke(self, user_id: str, login_id: str = "") -> int:
        """One of their own logins, or all; how many ended. Raises `NotFound` for one that is not there."""
        count = await self._stores.logins.revoke(user_id, login_id, "revoked", self._clock.now_ms())
        if login_id and not count:
            raise NotFound("There is no such session.")
        await self._revocations.spread()
        await self._audit.note(Actor(user_id), "sessions_revoked", "user", user_id)
        return count

    async def _again(
        self, actor: Actor, proved: UserRecord, amr: tuple[str, ...], login_id: str, now_ms: int
    ) -> Opened:
        grant = await self._grant(proved, next(iter(organizations_of(actor)), ""))
        await self._audit.note(Actor(proved.id), "reauthenticate", "user", proved.id)
        access = self._access(proved, grant, self._clock.now_ms(), amr, login_id, now_ms)
        return Opened(user=proved, grant=grant, access_token=access)

    async def _grant(self, user: UserRecord, organization_id: str) -> Grant:
        memberships = await self._stores.members.memberships(user.id) if organization_id else ()
        return grant_for(user, memberships, organization_id, self._limits.organizations_per_token_max)

    def _access(
        self, user: UserRecord, grant: Grant, auth_time_ms: int, amr: tuple[str, ...], login_id: str, as_of_ms: int
    ) -> str:
        """`as_of_ms` is from before their roles were looked up."""
        return self._tokens.issue(
            user.id,
            grant.roles,
            grant.organizations,
            auth_time=auth_time_ms // SECOND_MS,
            amr=amr,
            login=login_id,
            as_of_ms=as_of_ms,
        )

    def _opened(self, user: UserRecord, grant: Grant, login: LoginRecord, token: str, as_of_ms: int) -> Opened:
        access = self._access(user, grant, login.auth_time_ms, login.amr, login.id, as_of_ms)
        return Opened(user=user, grant=grant, access_token=access, login=login, refresh_token=token)


def _invalid_refresh() -> Unauthenticated:
    return Unauthenticated("This refresh token does not hold: log in again.", code="refresh_token_invalid")
