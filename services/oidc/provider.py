"""One login provider: its metadata and keys, kept for a while, and what it gives for a code."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Literal, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import structlog

from domain.errors import Unavailable
from domain.times import SECOND_MS
from services.lookups import Clock
from services.oidc.errors import RefusedLoginError
from services.oidc.id_tokens import Claims, Expected, SigningKeys, header_of, signing_keys, verified
from services.oidc.limits import OidcLimits
from services.outgoing.client import Outgoing, Reply
from services.outgoing.errors import OutgoingError
from storage.oidc_providers import OidcProvider

T = TypeVar("T")

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_RETRY_MS: Final = 5_000
_log = structlog.get_logger("services.oidc")


class Metadata(msgspec.Struct, frozen=True):
    """What is read of a provider's configuration (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Granted(msgspec.Struct, frozen=True):
    """What a provider gives for a code."""

    id_token: str
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name


class UserInfo(msgspec.Struct, frozen=True):
    sub: str
    email: str = ""
    email_verified: bool | str = False
    name: str = ""


class Kept(Generic[T]):
    """A value that is fetched again when it is too old; while that fails, the old one holds for some time."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock, ttl_seconds: int, stale_seconds: int) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ttl_ms = ttl_seconds * SECOND_MS
        self._stale_ms = stale_seconds * SECOND_MS
        self._lock = asyncio.Lock()
        self._held: tuple[int, T] | None = None
        self._failed_at_ms = -_RETRY_MS

    async def get(self, not_older_than_ms: int | None = None) -> T:
        """Raises what the fetching raises, when there is nothing else to give."""
        oldest = self._ttl_ms if not_older_than_ms is None else not_older_than_ms
        async with self._lock:
            now, held = self._clock.now_ms(), self._held
            if held is not None and (now - held[0] < oldest or now - self._failed_at_ms < _RETRY_MS):
                return held[1]
            try:
                self._held = (now, await self._fetch())
            except Unavailable:
                if held is None or now - held[0] >= self._stale_ms:
                    raise
                self._failed_at_ms = now
                return held[1]
            return self._held[1]


class Provider:
    def __init__(self, settings: OidcProvider, outgoing: Outgoing, clock: Clock, limits: OidcLimits) -> None:
        self.settings = settings
        self._outgoing = outgoing
        self._clock = clock
        self._limits = limits
        stale = limits.stale_seconds_max
        self._metadata = Kept(self._discover, clock, limits.metadata_ttl_seconds, stale)
        self._keys = Kept(self._fetch_keys, clock, limits.keys_ttl_seconds, stale)

    async def metadata(self) -> Metadata:
        """Raises `Unavailable` with code `oidc_unavailable`."""
        return await self._metadata.get()

    async def grant(self, code: str, verifier: str, redirect_uri: str) -> Granted:
        """Raises `RefusedLoginError`, `Unavailable`. It is asked once: a code holds for one use."""
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.settings.client_id,
        }
        headers = {"accept": "application/json"}
        methods = metadata.token_endpoint_auth_methods_supported
        if self.settings.client_secret:
            if "client_secret_basic" in methods or "client_secret_post" not in methods:
                headers["authorization"] = _basic(self.settings.client_id, self.settings.client_secret)
                del form["client_id"]
            else:
                form["client_secret"] = self.settings.client_secret
        reply = await self._asked("POST", metadata.token_endpoint, headers, form)
        if reply.status >= 500:
            raise self._unavailable("token_endpoint")
        if reply.status != 200:
            raise RefusedLoginError("code")
        granted = _read(reply, Granted)
        if granted is None or granted.token_type.lower() != "bearer":
            raise RefusedLoginError("token_response")
        return granted

    async def claims(self, granted: Granted, nonce: str, fresh_since: int) -> Claims:
        """Of the ID token, once it holds; with what only the userinfo endpoint tells. Raises like `grant`."""
        header = header_of(granted.id_token, self._limits)
        key = (await self._keys.get()).named(header.alg, header.kid)
        if key is None:  # they may have changed their keys
            key = (await self._keys.get(self._limits.keys_refetch_seconds * SECOND_MS)).named(header.alg, header.kid)
        if key is None:
            raise RefusedLoginError("key")
        expected = Expected(
            issuer=self.settings.issuer,
            client_id=self.settings.client_id,
            nonce=nonce,
            access_token=granted.access_token,
            now_seconds=self._clock.now_ms() // SECOND_MS,
            fresh_since=fresh_since,
        )
        claims = verified(granted.id_token, key, header, expected, self._limits)
        metadata = await self.metadata()
        if claims.email or not metadata.userinfo_endpoint:
            return claims
        headers = {"authorization": f"Bearer {granted.access_token}"}
        reply = await self._asked("GET", metadata.userinfo_endpoint, headers)
        info = _read(reply, UserInfo) if reply.status == 200 else None
        if info is None or info.sub != claims.sub:
            raise RefusedLoginError("userinfo")
        return msgspec.structs.replace(
            claims, email=info.email, email_verified=info.email_verified, name=claims.name or info.name
        )

    async def _discover(self) -> Metadata:
        reply = await self._asked("GET", self.settings.issuer.rstrip("/") + _WELL_KNOWN)
        metadata = _read(reply, Metadata) if reply.status == 200 else None
        if metadata is None or metadata.issuer != self.settings.issuer or not _leads_to_a_page(metadata):
            raise self._unavailable("metadata")
        return metadata

    async def _fetch_keys(self) -> SigningKeys:
        reply = await self._asked("GET", (await self.metadata()).jwks_uri)
        document = _read(reply, dict) if reply.status == 200 else None
        if document is None:
            raise self._unavailable("keys")
        return signing_keys(document, self._limits.keys_max)

    async def _asked(
        self,
        method: Literal["GET", "POST"],
        url: str,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Reply:
        try:
            return await self._outgoing.request(method, url, headers=headers, form=form)
        except OutgoingError as error:
            raise self._unavailable(type(error).__name__, error.retry_after_ms) from None

    def _unavailable(self, problem: str, retry_after_ms: int = 0) -> Unavailable:
        _log.warning("oidc_provider_unavailable", provider=self.settings.name, problem=problem)
        return Unavailable(
            "This login provider cannot be reached now.",
            code="oidc_unavailable",
            retry_after_ms=retry_after_ms or _RETRY_MS,
        )


def _leads_to_a_page(metadata: Metadata) -> bool:
    """Whether browsers can be sent there: never away from TLS, and to no script."""
    scheme = urlsplit(metadata.authorization_endpoint).scheme
    return scheme == "https" or scheme == urlsplit(metadata.issuer).scheme


def _read(reply: Reply, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(reply.body, type=type_)
    except (msgspec.DecodeError, RecursionError):
        return None


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749, 2.3.1: both are form-encoded before they are joined."""
    joined = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {base64.b64encode(joined.encode()).decode()}"
