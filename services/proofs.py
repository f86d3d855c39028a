"""Proofs of who signs: an access token of a login just now, by all the factors that its person has (C1)."""

from collections.abc import Awaitable, Callable

from actors.runtime.entity import Actor
from domain.errors import Forbidden
from services.tokens import MFA, Tokens

HasFactors = Callable[[str], Awaitable[bool]]
"""Whether this person has a second factor."""


async def _nobody(_user_id: str) -> bool:
    return False


class Proofs:
    """`has_factors` None: there are no accounts here, and so no factors."""

    def __init__(self, tokens: Tokens, has_factors: HasFactors | None = None) -> None:
        self._tokens = tokens
        self._has_factors = has_factors or _nobody

    async def proved(self, token: str, actor: Actor, max_age_seconds: int) -> int:
        """When `actor` proved who they are (ms). Raises `Forbidden` with code `reauthentication_required`."""
        proved_ms = self._tokens.proof(token, actor, max_age_seconds)
        if MFA not in self._tokens.verify(token).amr and await self._has_factors(actor.subject):
            raise Forbidden("Log in again with your second factor.", code="reauthentication_required")
        return proved_ms
