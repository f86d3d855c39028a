"""Step-up: what only somebody may do who has proved a moment ago that it is them, with all the factors they have."""

from domain.errors import Forbidden
from services.accounts.factor_store import FactorStore
from services.accounts.limits import AccountLimits
from services.lookups import Clock
from services.tokens import MFA, Verified


class StepUp:
    """For whatever moves money, changes who may log in, or is signed."""

    def __init__(self, store: FactorStore, clock: Clock, limits: AccountLimits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits

    async def check(self, verified: Verified | None) -> None:
        """Whether this access token is from a login, or a reauthentication, just now. None: there is no token.

        Raises `Forbidden` with code `reauthentication_required`.
        """
        now = self._clock.now_ms() // 1_000
        seconds = self._limits.step_up_seconds
        if verified is None or not verified.auth_time or now - verified.auth_time > seconds:
            raise _reauthenticate()
        await self.check_factor(verified)

    async def check_factor(self, verified: Verified) -> None:
        """Whether whoever has a second factor has used it. Raises like `check`."""
        if MFA not in verified.amr and await self._store.kinds(verified.actor.subject):
            raise _reauthenticate()


def _reauthenticate() -> Forbidden:
    return Forbidden(
        "Prove who you are once more (`POST /auth/reauthenticate`), and use the new access token.",
        code="reauthentication_required",
    )
