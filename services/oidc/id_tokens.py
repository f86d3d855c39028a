"""What an ID token must be like to be believed (OpenID Connect Core 1.0, 3.1.3.7)."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from math import isfinite
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from services.oidc.errors import RefusedLoginError
from services.oidc.limits import OidcLimits

KEY_TYPES: Final[Mapping[str, str]] = {"RS256": "RSA", "ES256": "EC"}
"""Algorithms that are accepted. Nothing symmetric: the client's secret, or a public key, must not sign."""

_RSA_BITS_MIN: Final = 2_048
_SUBJECT_CHARACTERS_MAX: Final = 255

Key = RSAKey | ECKey


class SigningKeys(msgspec.Struct, frozen=True):
    """Of one provider, by algorithm and id ("" without)."""

    keys: tuple[tuple[str, str, Key], ...]

    def named(self, algorithm: str, kid: str) -> Key | None:
        """The key with this id; without an id, the only one there is."""
        fitting = [(known, key) for known_for, known, key in self.keys if known_for == algorithm]
        if kid:
            return next((key for known, key in fitting if known == kid), None)
        return fitting[0][1] if len(fitting) == 1 else None


class Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an ID token. Times are seconds."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: int | float
    iat: int | float
    nbf: int | float = 0
    azp: str = ""
    nonce: str = ""
    at_hash: str = ""
    auth_time: int | float = 0
    email: str = ""
    email_verified: bool | str = False
    name: str = ""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What one login expects of its token. `fresh_since` (seconds): they must have proved themselves after it."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    now_seconds: int
    fresh_since: int = 0


def signing_keys(document: Any, keys_max: int) -> SigningKeys:
    """From a JSON Web Key Set. What is of no use here is left out."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found: list[tuple[str, str, Key]] = []
    for jwk in listed[:keys_max] if isinstance(listed, list) else ():
        if isinstance(jwk, dict) and jwk.get("use", "sig") == "sig" and isinstance(jwk.get("kid", ""), str):
            algorithm = next((alg for alg, kty in KEY_TYPES.items() if kty == jwk.get("kty")), "")
            key = _key(jwk) if algorithm and jwk.get("alg", algorithm) == algorithm else None
            if key is not None:
                found.append((algorithm, jwk.get("kid", ""), key))
    return SigningKeys(tuple(found))


def header_of(token: str, limits: OidcLimits) -> Header:
    """Of a token whose signature is not checked yet. Raises `RefusedLoginError` for algorithms we do not take."""
    if len(token) > limits.id_token_bytes_max or token.count(".") != 2:
        raise RefusedLoginError("no_jws")
    part = token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=Header)
    except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
        raise RefusedLoginError("no_jws") from None
    if header.alg not in KEY_TYPES:
        raise RefusedLoginError("algorithm")
    return header


def verified(token: str, key: Key, header: Header, expected: Expected, limits: OidcLimits) -> Claims:
    """The claims of a token that holds. Raises `RefusedLoginError`."""
    try:
        raw = jwt.decode(token, key, algorithms=[header.alg]).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise RefusedLoginError("signature") from None
    try:
        claims = msgspec.convert({name: value for name, value in raw.items() if value is not None}, Claims)
    except msgspec.ValidationError:
        raise RefusedLoginError("claims") from None
    _check_parties(claims, expected)
    _check_times(claims, expected, limits)
    if not _same(claims.nonce, expected.nonce):
        raise RefusedLoginError("nonce")
    if claims.at_hash and not _same(claims.at_hash, half_hash(expected.access_token)):
        raise RefusedLoginError("at_hash")
    return claims


def half_hash(access_token: str) -> str:
    """`at_hash` for algorithms with SHA-256: its left half."""
    return base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()


def _check_parties(claims: Claims, expected: Expected) -> None:
    audiences: Sequence[str] = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if claims.iss != expected.issuer:
        raise RefusedLoginError("issuer")
    if expected.client_id not in audiences:
        raise RefusedLoginError("audience")
    if (claims.azp or len(audiences) > 1) and claims.azp != expected.client_id:
        raise RefusedLoginError("authorized_party")
    if not 0 < len(claims.sub) <= _SUBJECT_CHARACTERS_MAX or not claims.sub.isprintable():
        raise RefusedLoginError("subject")


def _check_times(claims: Claims, expected: Expected, limits: OidcLimits) -> None:
    now, leeway = expected.now_seconds, limits.leeway_seconds
    if not all(isfinite(each) for each in (claims.exp, claims.iat, claims.nbf, claims.auth_time)):
        raise RefusedLoginError("claims")
    if now >= claims.exp + leeway:
        raise RefusedLoginError("expired")
    if max(claims.iat, claims.nbf, claims.auth_time) > now + leeway:
        raise RefusedLoginError("not_yet_valid")
    if claims.iat < now - limits.id_token_age_seconds_max - leeway:
        raise RefusedLoginError("too_old")
    if expected.fresh_since and claims.auth_time < expected.fresh_since - leeway:
        raise RefusedLoginError("not_fresh")


def _same(said: str, expected: str) -> bool:
    """JSON can say halves of characters, which no encoding has."""
    return compare_digest(said.encode(errors="surrogatepass"), expected.encode())


def _key(jwk: dict[str, Any]) -> Key | None:
    """Its public half only; None if it is of no use."""
    try:
        if jwk["kty"] == "RSA":
            if len(jwk["n"]) * 6 < _RSA_BITS_MIN:  # the library would import it, and warn
                return None
            rsa = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
            return rsa if rsa.public_key.key_size >= _RSA_BITS_MIN else None
        if jwk.get("crv") != "P-256":
            return None
        return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
