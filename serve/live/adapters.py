"""What the real-time room needs from the floors below, in its own terms."""

import msgspec

from actors.runtime.entity import Actor
from domain.errors import NotFound, Unauthenticated
from domain.times import SECOND_MS
from realtime.ports import Credentials, Identity
from serve.platform.credentials import Keys
from services.access.scopes import may_on_socket
from services.accounts.key_format import looks_like_key
from services.documents import Documents
from services.entities import DOCUMENT, Sender
from services.orders import TRACKED_FIELDS
from services.tokens import Tokens, Verified


class AuditWitness:
    """`realtime.ports.Witness`: whoever follows a document, or a list of them, is in the trail first (C8)."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def shown(self, actor: Actor, channel: str, device: str, correlation: str) -> None:
        await self._note(actor, channel, "", device, correlation)

    async def refused(self, actor: Actor, channel: str, code: str, device: str, correlation: str) -> None:
        await self._note(actor, channel, code, device, correlation)

    async def _note(self, actor: Actor, channel: str, outcome: str, device: str, correlation: str) -> None:
        """Groups of documents write down themselves what they list."""
        kind, _, entity_id = channel.partition("/")
        if kind == DOCUMENT and "/" not in entity_id:
            await self._documents.followed(Sender(actor, correlation, device=device), entity_id, outcome)


class TokenAuthenticator:
    """`realtime.ports.Authenticator`: the hello's token or API key, else the upgrade's, else the order's share link."""

    def __init__(self, tokens: Tokens, keys: Keys | None = None) -> None:
        self._tokens = tokens
        self._keys = keys

    async def authenticate(self, credentials: Credentials) -> Identity:
        token = credentials.token or credentials.bearer
        if self._keys is not None and looks_like_key(token):
            return _identity(await self._keys.verify(token))
        if token:
            return _identity(self._tokens.verify(token))
        if credentials.share and credentials.order_id:
            shared = self._tokens.verify_share(credentials.share)
            if shared.order_id != credentials.order_id:
                raise NotFound("There is no such order.")
            return msgspec.structs.replace(_identity(shared), shown=TRACKED_FIELDS)
        raise Unauthenticated("An access token or a share link is required.", code="token_missing")


def _identity(verified: Verified) -> Identity:
    return Identity(
        verified.actor,
        verified.expires * SECOND_MS,
        login_ms=verified.auth_time * SECOND_MS,
        ticket=verified,
        may=None if verified.scopes is None else may_on_socket(verified.scopes),
        scopes=verified.scopes,
    )
