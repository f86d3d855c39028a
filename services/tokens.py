"""Who is asking: RS256 access tokens, and share tokens that open one order to whoever holds the link.

Claims of an access token: `iss`, `aud`, `sub` (a user's UUID or `guest:<uuid>`), `roles`, `orgs`, `iat`,
`exp`; `auth_time` when somebody proved who they are, `amr` and `acr` how; `sid`, their login, and `iat_ms`, since when
what it says was so: by these it can be taken back. A share token has another audience and names its order, so that
neither passes for the other.
"""

import hashlib
import sys
from collections.abc import Mapping
from typing import Any, Final, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import Forbidden, Unauthenticated
from domain.ids import is_uuid, new_id
from domain.roles import ROLES
from domain.times import SECOND_MS
from services.csrf import Csrf
from services.revocation_list import RevocationList
from services.signing_keys import SigningKey, public_jwk
from storage.accounts.revocations import Ending
from storage.settings import Settings

GUEST_PREFIX: Final = "guest:"
SHARE_PREFIX: Final = "share:"
SHARE_ROLE: Final = "share"
"""Never read from a token's `roles`, like the runtime's own."""

MFA: Final = "mfa"
"""In `amr` (RFC 8176) of whoever proved themselves by two factors, or by a passkey that verified them."""

_ALGORITHM: Final = "RS256"
_NO_KEY: Final = "this process has no signing key"
_METHODS_MAX: Final = 16


class TokenRules(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens must say and how long they hold. Share tokens have the audience `<audience>/share`."""

    issuer: str = "atrium"
    audience: str = "atrium"
    access_ttl_seconds: int = 3_600
    guest_ttl_seconds: int = 30 * 24 * 3_600
    share_ttl_seconds: int = 24 * 3_600
    leeway_seconds: int = 10
    """How far another machine's clock may be off: `nbf` and `iat` ahead of ours, `exp` behind."""
    token_bytes_max: int = 8_192
    """A longer token is refused before any work is done on it."""
    cache_entries_max: int = 20_000
    """Verified tokens remembered; an RS256 check takes some fifty times as long as finding one here."""


def rules_of(settings: Settings) -> TokenRules:
    """The rules of an installation."""
    return TokenRules(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        access_ttl_seconds=settings.access_token_ttl_s,
        share_ttl_seconds=settings.share_link_ttl_s,
        leeway_seconds=settings.jwt_leeway_s,
    )


class Clock(Protocol):
    def now_ms(self) -> int: ...


class Verified(msgspec.Struct, frozen=True):
    """A token that holds: the actor it speaks for, and until when (seconds since the epoch)."""

    actor: Actor
    expires: int
    order_id: str = ""
    """Set by a share token only: the one order that it opens."""
    auth_time: int = 0
    """When they proved who they are (seconds since the epoch); 0: they did not, as guests."""
    amr: tuple[str, ...] = ()
    """How: `pwd`, `otp`, `pop` (a passkey), `mfa`."""
    login: str = ""
    """The login or API key that it is of, "" for none (guests, `atrium token`)."""
    issued_ms: int = 0
    scopes: frozenset[str] | None = None
    """What an API key was made for (`services.access.scopes`); None: whatever its person may do."""

    @property
    def subject(self) -> str:
        return self.actor.subject

    @property
    def organizations(self) -> tuple[str, ...]:
        return self.actor.organizations


class Tokens:
    """Issues tokens when it has a private key, verifies with the public ones, remembers what it verified.

    `revoked` is what has been taken back; whoever takes something back puts it there (`Revocations`).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        signing: SigningKey | None = None,
        verifying: Mapping[str, RSAPublicKey] | None = None,
        rules: TokenRules | None = None,
    ) -> None:
        self.revoked = RevocationList()
        self._clock = clock
        self._signing = signing
        self._keys = dict(verifying or {})
        if signing is not None:
            self._keys.setdefault(signing.kid, signing.public)
        self._rules = rules or TokenRules()
        self._csrf = None if signing is None else Csrf(signing)
        self._share_audience = f"{self._rules.audience}/share"
        self._seen: dict[bytes, Verified] = {}

    @property
    def access_ttl_seconds(self) -> int:
        """How long an access token holds unless it was issued for another time."""
        return self._rules.access_ttl_seconds

    @property
    def csrf(self) -> Csrf:
        """Of logins that are in cookies. Raises `ValueError` in a process without a signing key."""
        if self._csrf is None:
            raise ValueError(_NO_KEY)
        return self._csrf

    def issue(
        self,
        subject: str,
        roles: tuple[str, ...],
        organizations: tuple[str, ...] = (),
        ttl_seconds: int | None = None,
        auth_time: int | None = None,
        amr: tuple[str, ...] = (),
        login: str = "",
        as_of_ms: int | None = None,
    ) -> str:
        """A signed access token. Raises `ValueError` for a subject or role that `verify` would refuse.

        `auth_time` (seconds) is when they proved who they are: None for now (a login), an earlier time for a
        token that only renews another one, 0 for never. `amr`: how they did; `acr` follows from it.
        `login` is the login session that it is of. `as_of_ms` is when it was begun to look up what it says: None for
        now. A role that is taken away in between takes it back.
        """
        _check_actor(subject, roles, organizations)
        claims: dict[str, Any] = {
            "aud": self._rules.audience,
            "sub": subject,
            "roles": list(roles),
            "orgs": list(organizations),
            "iat_ms": self._clock.now_ms() if as_of_ms is None else as_of_ms,
        }
        if login:
            claims["sid"] = login
        proved = self._now() if auth_time is None else auth_time
        if proved:
            claims["auth_time"] = proved
            if amr:
                claims |= {"amr": list(amr), "acr": "aal2" if MFA in amr else "aal1"}
        return self._sign(claims, self._rules.access_ttl_seconds if ttl_seconds is None else ttl_seconds)

    def issue_guest(self) -> tuple[str, str, int]:
        """A token for somebody without a login: (token, subject, seconds until it expires)."""
        subject = f"{GUEST_PREFIX}{new_id()}"
        ttl = self._rules.guest_ttl_seconds
        return self.issue(subject, ("customer",), ttl_seconds=ttl, auth_time=0), subject, ttl

    def issue_share(self, order_id: str, ttl_seconds: int | None = None) -> tuple[str, int]:
        """A token that opens this order, to be looked at only: (token, expiry in epoch seconds)."""
        ttl = self._rules.share_ttl_seconds if ttl_seconds is None else ttl_seconds
        token = self._sign({"aud": self._share_audience, "sub": f"{SHARE_PREFIX}{order_id}", "order": order_id}, ttl)
        return token, self._now() + ttl

    def verify(self, token: str) -> Verified:
        """Whom an access token speaks for. Raises `Unauthenticated` with a code that says what to do."""
        return self._cached(token, self._rules.audience)

    def verify_share(self, token: str) -> Verified:
        """Which order a share token opens. Raises `Unauthenticated`."""
        return self._cached(token, self._share_audience)

    def proof(self, token: str, actor: Actor, max_age_seconds: int) -> int:
        """When `actor` proved who they are (ms), by an access token of theirs from a login just now (C1).

        Raises `Forbidden` with code `reauthentication_required` for anything else.
        """
        try:
            proved = self.verify(token)
        except Unauthenticated:
            raise _reauthenticate() from None
        age = self._now() - proved.auth_time
        if not is_oneself(proved.actor, actor.subject) or not -self._rules.leeway_seconds <= age <= max_age_seconds:
            raise _reauthenticate()
        return proved.auth_time * SECOND_MS

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set."""
        return {"keys": [public_jwk(kid, key) for kid, key in sorted(self._keys.items())]}

    def _now(self) -> int:
        return self._clock.now_ms() // 1_000

    def _sign(self, claims: dict[str, Any], ttl_seconds: int) -> str:
        if self._signing is None:
            raise ValueError(_NO_KEY)
        now = self._now()
        claims |= {"iss": self._rules.issuer, "iat": now, "exp": now + ttl_seconds, "jti": new_id()}
        return jwt.encode(claims, self._signing.private, algorithm=_ALGORITHM, headers={"kid": self._signing.kid})

    def _cached(self, token: str, audience: str) -> Verified:
        if len(token) > self._rules.token_bytes_max:
            raise _refused("the token is too long")
        try:
            key = hashlib.sha256(token.encode("ascii")).digest() + audience.encode()
        except UnicodeEncodeError:
            raise _refused("the token is not ASCII") from None
        seen = self._seen.get(key)
        if seen is None:
            seen = self._check(token, audience)
            while len(self._seen) >= self._rules.cache_entries_max:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = seen
        if seen.expires + self._rules.leeway_seconds <= self._now():
            self._seen.pop(key, None)
            raise Unauthenticated("the token has expired", code="token_expired")
        ending = self.revoked.ending(seen)
        if ending is not None:
            raise taken_back(ending)
        return seen

    def _check(self, token: str, audience: str) -> Verified:
        claims = self._decode(token, audience)
        expires, issued = claims["exp"], claims["iat"]
        begins, proved = claims.get("nbf", issued), claims.get("auth_time", 0)
        if not all(type(moment) is int for moment in (expires, issued, begins, proved)):
            raise _refused("a time in the token is not a whole number")
        if max(issued, begins) > self._now() + self._rules.leeway_seconds:
            raise Unauthenticated("the token is not valid yet", code="token_not_yet_valid")
        if audience == self._share_audience:
            order_id = claims.get("order")
            if not isinstance(order_id, str) or claims["sub"] != f"{SHARE_PREFIX}{order_id}" or not is_uuid(order_id):
                raise _refused("the share token names no order")
            return Verified(Actor(claims["sub"], (SHARE_ROLE,)), expires, order_id)
        roles, organizations = claims.get("roles", []), claims.get("orgs", [])
        try:
            _check_actor(claims["sub"], roles, organizations)
        except ValueError as error:
            raise _refused(str(error)) from None
        methods = claims.get("amr", [])
        if not isinstance(methods, list) or len(methods) > _METHODS_MAX or not all(type(one) is str for one in methods):
            raise _refused("the token's methods are not known")
        login, issued_ms = claims.get("sid", ""), claims.get("iat_ms", issued * SECOND_MS)
        if type(issued_ms) is not int or not (login == "" or (isinstance(login, str) and is_uuid(login))):
            raise _refused("the token's login is not known")
        # Told by thousands of tokens: kept once.
        roles, organizations, amr = (tuple(map(sys.intern, each)) for each in (roles, organizations, methods))
        actor = Actor(claims["sub"], roles, organizations)
        return Verified(actor, expires, auth_time=proved, amr=amr, login=login, issued_ms=issued_ms)

    def _decode(self, token: str, audience: str) -> dict[str, Any]:
        """Signature, algorithm, key, issuer and audience. Times are checked by our own clock afterwards."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(str(header.get("kid", "")))
            if key is None or header.get("alg") != _ALGORITHM:
                raise _refused("the token is not signed by a key we know")
            return jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=self._rules.issuer,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise _refused("the token is not valid here") from None


def _check_actor(subject: object, roles: object, organizations: object) -> None:
    plain = subject.removeprefix(GUEST_PREFIX) if isinstance(subject, str) else ""
    if not is_uuid(plain):
        raise ValueError("the token's subject is neither a user's id nor a guest's")
    if not isinstance(roles, list | tuple) or not all(isinstance(role, str) and role in ROLES for role in roles):
        raise ValueError("the token's roles are not known")
    if not isinstance(organizations, list | tuple) or not all(
        isinstance(each, str) and is_uuid(each) for each in organizations
    ):
        raise ValueError("the token's organizations are not ids")


def taken_back(ending: Ending) -> Unauthenticated:
    if ending is Ending.OUTDATED:
        return Unauthenticated("Their rights have changed: refresh the token.", code="token_outdated")
    return Unauthenticated("The login has ended: log in again.", code="token_revoked")


def _reauthenticate() -> Forbidden:
    return Forbidden("Log in again, and send the new access token as proof.", code="reauthentication_required")


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, code="token_invalid")
