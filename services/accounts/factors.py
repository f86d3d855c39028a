"""Second factors at a login: whether one is asked for, and whether the answer is right."""

from typing import Final

from actors.runtime.entity import Actor
from domain.errors import Unauthenticated
from domain.times import SECOND_MS
from services.accounts.attempts import Attempts, second_factor
from services.accounts.factor_codes import is_totp, matching_step, recovery_hash
from services.accounts.factor_store import FactorStore
from services.accounts.limits import AccountLimits
from services.audit import Audit
from services.lookups import Clock
from services.mail.post import Post
from services.tokens import MFA
from storage.accounts.factor_records import ChallengeRecord, Purpose
from storage.accounts.records import UserRecord
from storage.accounts.secret_tokens import new_token, token_hash

BY_CODE: Final = ("otp", MFA)
"""What a right code adds to the ways in which somebody proved who they are (RFC 8176)."""


class SecondFactors:
    def __init__(
        self, store: FactorStore, attempts: Attempts, post: Post, audit: Audit, clock: Clock, limits: AccountLimits
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._post = post
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def kinds(self, user_id: str) -> frozenset[str]:
        """Of this person's factors: `totp`, `passkey`. Empty: their password is enough."""
        return await self._store.kinds(user_id)

    async def ask(
        self, user: UserRecord, *, device: str, organization_id: str, amr: tuple[str, ...]
    ) -> Unauthenticated:
        """The refusal of a login that needs a second factor: `mfa_required`, with the challenge to answer."""
        kinds = await self._store.kinds(user.id)
        challenge = await self.challenge(
            "login",
            user.id,
            self._limits.challenge_ttl_seconds,
            device=device,
            organization_id=organization_id,
            amr=amr,
        )
        return Unauthenticated(
            "Prove yourself by a second factor.",
            code="mfa_required",
            extra={
                "challenge": challenge,
                "methods": sorted({*kinds, "recovery_code"}),
                "expires_in": self._limits.challenge_ttl_seconds,
            },
        )

    async def challenge(
        self,
        purpose: Purpose,
        user_id: str,
        seconds: int,
        *,
        token: str = "",
        device: str = "",
        organization_id: str = "",
        amr: tuple[str, ...] = (),
    ) -> str:
        """A new challenge; what answers it (`token` if that was chosen already)."""
        now, token = self._clock.now_ms(), token or new_token()
        await self._store.add_challenge(
            ChallengeRecord(
                hash=token_hash(token),
                purpose=purpose,
                issued_at_ms=now,
                expires_at_ms=now + seconds * SECOND_MS,
                user_id=user_id,
                device=device,
                organization_id=organization_id,
                amr=amr,
            )
        )
        return token

    async def challenged(self, token: str, *purposes: Purpose) -> ChallengeRecord:
        """Whom and what this was asked. Raises `Unauthenticated` with code `challenge_spent`."""
        found = await self._store.challenge(token_hash(token), self._clock.now_ms())
        if found is None or found.purpose not in purposes:
            raise _spent()
        return found

    async def spend(self, challenge: ChallengeRecord) -> None:
        """Once, also by two at once. Raises like `challenged`."""
        if not await self._store.spend_challenge(challenge.hash, self._clock.now_ms()):
            raise _spent()

    async def prove(self, user: UserRecord, code: str) -> None:
        """By a code of their authenticator app, of a time step not used before, or by a recovery code, once.

        Raises `Unauthenticated` with code `mfa_failed`, `TooMany` with code `login_locked`.
        """
        who = second_factor(user.id)
        await self._attempts.count(who)
        if not await (self._by_totp(user, code) if is_totp(code) else self._by_recovery_code(user, code)):
            raise mfa_failed()
        await self._attempts.forget(who)

    async def _by_totp(self, user: UserRecord, code: str) -> bool:
        factor, now = await self._store.totp(user.id), self._clock.now_ms()
        if factor is None or not factor.confirmed_at_ms:
            return False
        step = matching_step(
            factor.secret, code, now, after=factor.last_step, drift_steps=self._limits.totp_drift_steps
        )
        return step >= 0 and await self._store.use_totp(factor.id, step, now)

    async def _by_recovery_code(self, user: UserRecord, code: str) -> bool:
        hashed = recovery_hash(user.id, code)
        if not await self._store.spend_recovery_code(user.id, hashed, self._clock.now_ms()):
            return False
        self._post.send("recovery_code_used", user.email, user.locale)
        await self._audit.note(Actor(user.id), "recovery_code_used", "user", user.id)
        return True


def mfa_failed() -> Unauthenticated:
    return Unauthenticated("This code is not right, or was used already.", code="mfa_failed")


def _spent() -> Unauthenticated:
    return Unauthenticated("This was answered already, or has run out: begin again.", code="challenge_spent")
