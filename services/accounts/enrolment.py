"""A person's factors: taking them up, listing them, giving them up. Whoever has one has recovery codes too."""

from collections.abc import Sequence

import msgspec

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, NotFound
from domain.ids import new_id
from domain.text import check_text
from services.access.check import require
from services.access.policy import Permission
from services.accounts.attempts import Attempts, second_factor
from services.accounts.factor_codes import matching_step, new_recovery_codes, new_secret, otpauth_uri, recovery_hash
from services.accounts.factors import SecondFactors, mfa_failed
from services.accounts.limits import AccountLimits
from services.accounts.people import REASON_CHARACTERS_MAX
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.factor_records import PASSKEY, TOTP, ChallengeRecord, Kind, TotpRecord
from storage.accounts.records import UserRecord


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is given, and the challenge that its first code answers."""

    challenge: str
    secret: str
    otpauth_uri: str
    expires_in: int


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """Times in milliseconds UTC; `last_used_at_ms` 0: never."""

    id: str
    kind: Kind
    name: str
    created_at_ms: int
    last_used_at_ms: int
    backed_up: bool = False


class Enrolments:
    def __init__(
        self,
        stores: AccountStores,
        factors: SecondFactors,
        attempts: Attempts,
        revocations: Revocations,
        post: Post,
        audit: Audit,
        clock: Clock,
        limits: AccountLimits,
        *,
        issuer: str,
    ) -> None:
        """`issuer` is what authenticator apps call this installation."""
        self._stores = stores
        self._store = stores.factors
        self._factors = factors
        self._attempts = attempts
        self._revocations = revocations
        self._post = post
        self._audit = audit
        self._clock = clock
        self._limits = limits
        self._issuer = issuer

    async def begin(self, user_id: str, name: str = "") -> Enrolment:
        """An authenticator app that holds once `confirm` has its first code.

        Raises `Forbidden` (`account_required`), `Invalid`, `Conflict` (`factor_exists`: one each).
        """
        check_text(name, "name", length_max=self._limits.device_characters_max)
        user = await self.user(user_id)
        secret, seconds = new_secret(), self._limits.enrolment_ttl_seconds
        now = self._clock.now_ms()
        factor = TotpRecord(id=new_id(), user_id=user.id, name=name, secret=secret, created_at_ms=now)
        if not await self._store.put_totp(factor):
            raise Conflict("There is an authenticator app already: remove it first.", code="factor_exists")
        challenge = await self._factors.challenge("enrolment", user.id, seconds)
        uri = otpauth_uri(secret, user.email, self._issuer)
        return Enrolment(challenge=challenge, secret=secret, otpauth_uri=uri, expires_in=seconds)

    async def confirm(self, challenge: ChallengeRecord, code: str) -> tuple[str, ...]:
        """The factor holds from now on. New recovery codes for who had none, shown this once; else ().

        Raises `Unauthenticated` (`mfa_failed`, `challenge_spent`), `TooMany` (`login_locked`).
        """
        user = await self.user(challenge.user_id)
        who, now = second_factor(user.id), self._clock.now_ms()
        await self._attempts.count(who)
        factor = await self._store.totp(user.id)
        if factor is None or factor.confirmed_at_ms:
            raise mfa_failed()
        step = matching_step(factor.secret, code, now, after=0, drift_steps=self._limits.totp_drift_steps)
        if step < 0:
            raise mfa_failed()
        await self._factors.spend(challenge)
        codes = new_recovery_codes(self._limits.recovery_codes)
        added = await self._store.confirm_totp(factor.id, step, hashes_of(user.id, codes), now)
        if added.refused:
            raise mfa_failed()
        await self._attempts.forget(who)
        await self.told(user, factor.id)
        return codes if added.codes else ()

    async def told(self, user: UserRecord, factor_id: str) -> None:
        """Say and write down that there is a new factor."""
        self._post.send("factor_added", user.email, user.locale)
        await self._audit.note(Actor(user.id), "factor_added", "factor", factor_id)

    async def list(self, user_id: str) -> tuple[Sequence[Factor], int]:
        """Those that hold, the oldest first, and how many recovery codes are left."""
        found = [
            Factor(
                id=one.id,
                kind=PASSKEY,
                name=one.name,
                created_at_ms=one.created_at_ms,
                last_used_at_ms=one.last_used_at_ms,
                backed_up=one.backed_up,
            )
            for one in await self._store.passkeys(user_id)
        ]
        totp = await self._store.totp(user_id)
        if totp is not None and totp.confirmed_at_ms:
            found.append(
                Factor(
                    id=totp.id,
                    kind=TOTP,
                    name=totp.name,
                    created_at_ms=totp.created_at_ms,
                    last_used_at_ms=totp.last_used_at_ms,
                )
            )
        found.sort(key=lambda one: (one.created_at_ms, one.id))
        return found, await self._store.recovery_codes_left(user_id)

    async def regenerate(self, user_id: str) -> tuple[str, ...]:
        """New recovery codes; the old ones are void. Raises `Forbidden`, `Conflict` (`no_factor`)."""
        user = await self.user(user_id)
        if not await self._store.kinds(user.id):
            raise Conflict("Take up a second factor first: the codes stand in for it.", code="no_factor")
        codes = new_recovery_codes(self._limits.recovery_codes)
        await self._store.put_recovery_codes(user.id, hashes_of(user.id, codes), self._clock.now_ms())
        await self._audit.note(Actor(user.id), "recovery_codes_made", "user", user.id)
        return codes

    async def remove(self, user_id: str, factor_id: str) -> None:
        """One of their own. Raises `NotFound`, `Forbidden`."""
        user = await self.user(user_id)
        if not await self._store.remove(user.id, factor_id):
            raise NotFound("There is no such factor.")
        self._post.send("factor_removed", user.email, user.locale)
        await self._audit.note(Actor(user.id), "factor_removed", "factor", factor_id)

    async def reset(self, actor: Actor, user_id: str, reason: str, *, correlation: str = "") -> int:
        """All factors of somebody who has lost them; all their logins and tokens end. For who runs the platform.

        How many factors there were. Raises `NotFound` (to all others too), `Invalid`.
        """
        self.check_may_reset(actor)
        check_text(reason, "reason", length_max=REASON_CHARACTERS_MAX, required=True)
        user = await self._stores.users.user(user_id)
        if user is None:
            raise NotFound("There is no such person.")
        await self._audit.note(actor, "factors_reset", "user", user.id, reason=reason, correlation=correlation)
        count = await self._store.remove_all(user.id)
        await self._revocations.revoke_person(user.id, "factors_reset")
        self._post.send("factors_reset", user.email, user.locale)
        return count

    def check_may_reset(self, actor: Actor) -> None:
        """Raises `NotFound` for all but who runs the platform."""
        require(actor, Permission.PLATFORM_RUN)

    async def user(self, user_id: str) -> UserRecord:
        """Raises `Forbidden` with code `account_required` for guests and services."""
        user = await self._stores.users.user(user_id)
        if user is None:
            raise Forbidden("Only people with an account can do this.", code="account_required")
        return user


def hashes_of(user_id: str, codes: Sequence[str]) -> list[bytes]:
    return [recovery_hash(user_id, code) for code in codes]
