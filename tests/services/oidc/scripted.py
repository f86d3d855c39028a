"""A login provider that follows a script: it checks what a client must send, and lies when it is told to."""

import base64
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from services.oidc.flows import challenge_of
from storage.oidc_providers import OidcProvider

ISSUER = "https://login.test"
SETTINGS = OidcProvider(name="test", issuer=ISSUER, client_id="shop:1", client_secret="s3cr3t/+", label="Test")
BASIC = "Basic " + base64.b64encode(b"shop%3A1:s3cr3t%2F%2B").decode()

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"}, private=True)
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig"}, private=True)
EMAIL = {"email": "ada@example.test", "email_verified": True}


class ScriptedProvider:
    """`handle` serves it, for `httpx.MockTransport`. `claims` go over what a right token says; `sign` makes it."""

    def __init__(self, clock: Any, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.clock = clock
        self.keys = [RSA, EC]
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.token: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = signed_by(RSA, "RS256")
        self.codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.away: set[str] = set()

    def authorize(self, location: str, sub: str = "ada-1", **claims: Any) -> dict[str, str]:
        """What the browser comes back with after `sub` has logged in there."""
        assert location.startswith(f"{self.issuer}/authorize?")
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = (asked, {"sub": sub, **claims})
        return {"code": code, "state": asked["state"]}

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.away:
            return httpx.Response(503)
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self._metadata())
        if path == "/jwks":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        if path == "/token":
            return self._token(request)
        if path == "/userinfo":
            assert request.headers["authorization"].startswith("Bearer at-")
            return httpx.Response(200, json=self.userinfo)
        return httpx.Response(404)

    def _metadata(self) -> dict[str, Any]:
        endpoints = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        return {"issuer": self.issuer, **{n: f"{self.issuer}/{p}" for n, p in endpoints.items()}, **self.metadata}

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked, claims = self.codes.pop(form["code"], ({}, {}))
        right = (
            asked
            and request.headers.get("authorization") == BASIC
            and form["redirect_uri"] == asked["redirect_uri"]
            and challenge_of(form["code_verifier"]) == asked["code_challenge"]
        )
        if not right:
            return httpx.Response(400, json={"error": "invalid_grant"})
        now = self.clock.now_ms() // 1_000
        said = {
            "iss": self.issuer,
            "aud": asked["client_id"],
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            **claims,
            **self.claims,
        }
        said = {name: value for name, value in said.items() if value is not ...}
        body = {"access_token": f"at-{form['code']}", "token_type": "Bearer", "id_token": self.sign(said), **self.token}
        return httpx.Response(200, json=body)


def signed_by(key: Any, algorithm: str, **header: str) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        said = json.dumps(claims).encode()
        return jws.serialize_compact({"alg": algorithm, "kid": key.kid, **header}, said, key, algorithms=[algorithm])

    return sign


def by_hand(header: dict[str, Any], signature: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], str]:
    """A token that no library would make."""

    def sign(claims: dict[str, Any]) -> str:
        signed = f"{part(header)}.{part(claims)}"
        return f"{signed}.{base64.urlsafe_b64encode(signature(signed.encode())).rstrip(b'=').decode()}"

    return sign


def part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
