"""What the real-time room needs from the floors below, in its own terms."""

import msgspec

from domain.errors import NotFound, Unauthenticated
from domain.times import SECOND_MS
from realtime.ports import Credentials, Identity
from services.orders import TRACKED_FIELDS
from services.tokens import Tokens, Verified


class TokenAuthenticator:
    """`realtime.ports.Authenticator`: the hello's token, else the upgrade's, else the order's share link."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def authenticate(self, credentials: Credentials) -> Identity:
        token = credentials.token or credentials.bearer
        if token:
            return _identity(self._tokens.verify(token))
        if credentials.share and credentials.order_id:
            shared = self._tokens.verify_share(credentials.share)
            if shared.order_id != credentials.order_id:
                raise NotFound("There is no such order.")
            return msgspec.structs.replace(_identity(shared), shown=TRACKED_FIELDS)
        raise Unauthenticated("An access token or a share link is required.", code="token_missing")


def _identity(verified: Verified) -> Identity:
    return Identity(verified.actor, verified.expires * SECOND_MS)
