"""Attempts to prove something by guessing: counted before they are looked at, and locked for longer and longer."""

from domain.errors import TooMany
from domain.times import SECOND_MS
from services.accounts.limits import AccountLimits, lock_ms
from services.accounts.store import LoginStore
from services.lookups import Clock


class Attempts:
    """`who` is an address, or `second_factor(user_id)`, which no address looks like."""

    def __init__(self, logins: LoginStore, clock: Clock, limits: AccountLimits) -> None:
        self._logins = logins
        self._clock = clock
        self._limits = limits

    async def count(self, who: str) -> None:
        """Raises `TooMany` with code `login_locked`, whether or not there is somebody of this name."""
        now = self._clock.now_ms()
        locked_until = await self._logins.attempt(
            who,
            now_ms=now,
            window_ms=self._limits.attempts_window_seconds * SECOND_MS,
            lock_ms=lambda count: lock_ms(count, self._limits),
        )
        if locked_until:
            raise TooMany(
                "Too many attempts: wait, or choose a new password.",
                code="login_locked",
                retry_after_ms=max(SECOND_MS, locked_until - now),
            )

    async def forget(self, who: str) -> None:
        """After a success."""
        await self._logins.forget_attempts(who)


def second_factor(user_id: str) -> str:
    """What a person's attempts with codes are counted under."""
    return f"second-factor:{user_id}"
