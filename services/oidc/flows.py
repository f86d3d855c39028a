"""The way of a browser to a provider and back: authorization code with PKCE, state and nonce.

What the browser brings back ends as a code of our own: sealed, for one minute, for one use, and only for whoever has
the verifier of the challenge that the way began with. So neither a page that the browser is led to, nor a history or a
log that shows an address, gets at tokens, and nobody can make another's browser log in as themselves.
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec
import structlog

from domain.errors import NotFound, Unauthenticated, invalid_field
from domain.times import SECOND_MS
from services.accounts.emails import EMAIL_CHARACTERS_MAX
from services.locations import NAME_LENGTH_MAX
from services.lookups import Clock
from services.oidc.errors import RefusedLoginError, flow_unknown
from services.oidc.id_tokens import Claims
from services.oidc.limits import OidcLimits
from services.oidc.provider import Provider
from services.oidc.sealing import Sealing
from services.oidc.store import IdentityStore

RETURN_TO_CHARACTERS_MAX: Final = 1_000
CHALLENGE_PATTERN: Final = r"^[A-Za-z0-9_-]{43}$"
VERIFIER_PATTERN: Final = r"^[A-Za-z0-9._~-]{43,128}$"
CALLBACK: Final = "/api/v1/auth/oidc/{provider}/callback"

_PROOF: Final = "oidc/proof"
_RETURN_TO: Final = re.compile(r"(https?://[^/?#\\\s@]+)(?:[/?][\x21\x24-\x5b\x5d-\x7e]*)?")
"""An origin, a path and a query of plain characters: no user, no fragment, no backslash, nothing unseen, no quotes."""
_log = structlog.get_logger("services.oidc")


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A login under way: what the browser's cookie holds."""

    state: str
    nonce: str
    verifier: str
    challenge: str
    return_to: str
    fresh: bool
    started_at_ms: int


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Who somebody is at a provider: what a code of ours holds. `auth_time_ms` 0: the provider does not say when they
    proved themselves."""

    id: str
    challenge: str
    expires_at_ms: int
    provider: str
    issuer: str
    subject: str
    email: str
    name: str
    auth_time_ms: int


class Started(msgspec.Struct, frozen=True):
    """Where the browser goes, and what it keeps meanwhile."""

    location: str
    cookie: str


class Finished(msgspec.Struct, frozen=True):
    """The code for the page that began, and where that page is ("": whoever asked takes the answer itself)."""

    code: str
    return_to: str


class Flows:
    def __init__(
        self,
        providers: Sequence[Provider],
        sealing: Sealing,
        store: IdentityStore,
        clock: Clock,
        limits: OidcLimits,
        *,
        public_url: str,
        origins: Sequence[str],
    ) -> None:
        """`origins`: of pages that a login may return to."""
        self._providers = {each.settings.name: each for each in providers}
        self._sealing = sealing
        self._store = store
        self._clock = clock
        self._limits = limits
        self._public_url = public_url.rstrip("/")
        self._origins = frozenset(origins)

    @property
    def providers(self) -> Sequence[Provider]:
        return tuple(self._providers.values())

    def provider(self, name: str) -> Provider:
        """Raises `NotFound`."""
        found = self._providers.get(name)
        if found is None:
            raise NotFound("There is no such login provider.")
        return found

    async def start(self, name: str, *, challenge: str, return_to: str, fresh: bool) -> Started:
        """`fresh`: they must prove themselves now, even if the provider knows them already.

        Raises `NotFound`, `Invalid`, `Unavailable`.
        """
        provider = self.provider(name)
        if return_to:
            self._check_return(return_to)
        metadata = await provider.metadata()
        flow = Flow(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            challenge=challenge,
            return_to=return_to,
            fresh=fresh,
            started_at_ms=self._clock.now_ms(),
        )
        settings = provider.settings
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": self._redirect_uri(name),
            "scope": settings.scopes,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge_of(flow.verifier),
            "code_challenge_method": "S256",
        }
        if settings.response_mode != "query":
            query["response_mode"] = settings.response_mode
        if fresh:
            query |= {"prompt": "login", "max_age": "0"}
        endpoint = metadata.authorization_endpoint
        joint = "&" if urlsplit(endpoint).query else "?"
        return Started(f"{endpoint}{joint}{urlencode(query)}", self._sealing.seal(flow, _flow_place(name)))

    async def under_way(self, name: str, cookie: str, state: str) -> Flow:
        """The login that this browser began and now comes back from, once. Raises `Unauthenticated`, `NotFound`."""
        self.provider(name)
        flow = await self._sealing.open(cookie, _flow_place(name), Flow) if cookie else None
        now = self._clock.now_ms()
        if flow is None or not compare_digest(flow.state.encode(), state.encode()):
            raise flow_unknown()
        ends = flow.started_at_ms + self._limits.flow_ttl_seconds * SECOND_MS
        if ends <= now or not await self._store.spend(_hashed(f"state:{flow.state}"), ends, now):
            raise flow_unknown()
        return flow

    async def finish(self, name: str, flow: Flow, parameters: Mapping[str, str]) -> Finished:
        """`parameters`: of the provider's answer. Raises `Unauthenticated`, `Unavailable`."""
        provider = self.provider(name)
        metadata = await provider.metadata()
        issuer = parameters.get("iss", "")
        if (issuer or metadata.authorization_response_iss_parameter_supported) and issuer != provider.settings.issuer:
            raise self._refused(name, RefusedLoginError("answer_of_another_issuer"))
        if "error" in parameters or not parameters.get("code"):
            raise Unauthenticated("The provider did not log you in.", code="oidc_denied")
        try:
            granted = await provider.grant(parameters["code"], flow.verifier, self._redirect_uri(name))
            fresh_since = flow.started_at_ms // SECOND_MS if flow.fresh else 0
            claims = await provider.claims(granted, flow.nonce, fresh_since)
        except RefusedLoginError as refused:
            raise self._refused(name, refused) from None
        return Finished(self._sealing.seal(self._proof(provider, flow, claims), _PROOF), flow.return_to)

    async def redeem(self, code: str, verifier: str) -> Proof:
        """What a code of ours says, once. Raises `Unauthenticated`."""
        proof = await self._sealing.open(code, _PROOF, Proof)
        now = self._clock.now_ms()
        if proof is None or proof.expires_at_ms <= now:
            raise flow_unknown()
        if not compare_digest(challenge_of(verifier), proof.challenge):
            raise flow_unknown()
        if not await self._store.spend(_hashed(f"proof:{proof.id}"), proof.expires_at_ms, now):
            raise flow_unknown()
        return proof

    def _proof(self, provider: Provider, flow: Flow, claims: Claims) -> Proof:
        now = self._clock.now_ms()
        vouched = claims.email_verified in (True, "true") and claims.email.isascii()
        name = "".join(each for each in claims.name if each.isprintable())
        return Proof(
            id=secrets.token_urlsafe(16),
            challenge=flow.challenge,
            expires_at_ms=now + self._limits.code_ttl_seconds * SECOND_MS,
            provider=provider.settings.name,
            issuer=provider.settings.issuer,
            subject=claims.sub,
            email=claims.email[: EMAIL_CHARACTERS_MAX + 1] if vouched else "",
            name=name.strip()[:NAME_LENGTH_MAX],
            auth_time_ms=max(0, min(now, int(claims.auth_time) * SECOND_MS)),
        )

    def _check_return(self, return_to: str) -> None:
        plain = _RETURN_TO.fullmatch(return_to)
        if plain is None or plain[1].lower() not in self._origins:
            raise invalid_field("return_to", "foreign_page", "Must be a page of the application, without a fragment.")

    def _redirect_uri(self, name: str) -> str:
        return self._public_url + CALLBACK.format(provider=name)

    def _refused(self, name: str, refused: RefusedLoginError) -> RefusedLoginError:
        _log.warning("oidc_login_refused", provider=name, reason=refused.reason)
        return refused


def challenge_of(verifier: str) -> str:
    """S256 of RFC 7636."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _flow_place(name: str) -> str:
    return f"oidc/flow/{name}"


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
