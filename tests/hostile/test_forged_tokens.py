"""Access tokens that somebody made themselves, on every way in."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from domain.errors import Unauthenticated
from domain.ids import new_id
from realtime.ports import Credentials
from serve.live.adapters import TokenAuthenticator
from services.signing_keys import public_jwk, thumbprint
from services.tokens import Tokens
from tests.hostile.operations import operations
from tests.serve.access.accounts import give_accounts, logged_in
from tests.serve.house import ADMIN, ALICE, SIGNING_KEY, House

OWN = generate_private_key(public_exponent=65_537, key_size=2048)
OWN_ID = thumbprint(OWN.public_key())
PUBLIC_PEM = SIGNING_KEY.public.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
CURVE = ec.generate_private_key(ec.SECP256R1())
Claims = dict[str, Any]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(header: dict[str, Any], claims: Claims) -> str:
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"


def _unsigned(alg: str) -> Callable[[Claims], str]:
    return lambda claims: f"{_parts({'alg': alg, 'typ': 'JWT', 'kid': SIGNING_KEY.kid}, claims)}."


def _hmac_with_the_public_key(secret: bytes) -> Callable[[Claims], str]:
    """The classic: the verifier takes the public key, which everybody has, for a shared secret."""

    def forge(claims: Claims) -> str:
        said = _parts({"alg": "HS256", "typ": "JWT", "kid": SIGNING_KEY.kid}, claims)
        return f"{said}.{_b64(hmac.new(secret, said.encode(), hashlib.sha256).digest())}"

    return forge


def _own_key(**header: Any) -> Callable[[Claims], str]:
    return lambda claims: jwt.encode(claims, OWN, algorithm="RS256", headers={"kid": SIGNING_KEY.kid, **header})


def _other_algorithm(algorithm: str, key: Any) -> Callable[[Claims], str]:
    return lambda claims: jwt.encode(claims, key, algorithm=algorithm, headers={"kid": SIGNING_KEY.kid})


def _spliced(claims: Claims) -> str:
    """A real signature over other claims."""
    weak = jwt.encode({**claims, "roles": ["customer"]}, SIGNING_KEY.private, "RS256", {"kid": SIGNING_KEY.kid})
    return f"{_parts({'alg': 'RS256', 'typ': 'JWT', 'kid': SIGNING_KEY.kid}, claims)}.{weak.rpartition('.')[2]}"


FORGERIES: dict[str, Callable[[Claims], str]] = {
    **{f"alg {alg}": _unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "")},
    "HS256 with the public key": _hmac_with_the_public_key(PUBLIC_PEM),
    "HS256 with the stripped public key": _hmac_with_the_public_key(PUBLIC_PEM.strip()),
    "HS256 with nothing": _hmac_with_the_public_key(b""),
    "a key of their own under our kid": _own_key(),
    "a key of their own under its kid": _own_key(kid=OWN_ID),
    "kid is a path": _own_key(kid="../../../../dev/null"),
    "kid is SQL": _own_key(kid="x' UNION SELECT 'secret'--"),
    "kid is an address": _own_key(kid="https://evil.example/key.pem"),
    "kid is nothing": _own_key(kid=""),
    "jwk in the header": _own_key(kid=OWN_ID, jwk=public_jwk(OWN_ID, OWN.public_key())),
    "jku in the header": _own_key(kid=OWN_ID, jku="https://evil.example/jwks.json"),
    "x5u in the header": _own_key(kid=OWN_ID, x5u="https://evil.example/cert.pem"),
    "x5c in the header": _own_key(kid=OWN_ID, x5c=[_b64(PUBLIC_PEM)]),
    "a critical extension": _own_key(crit=["exp"], exp=1),
    "ES256": _other_algorithm("ES256", CURVE),
    "PS256 by our own key": _other_algorithm("PS256", SIGNING_KEY.private),
    "RS512 by our own key": _other_algorithm("RS512", SIGNING_KEY.private),
    "a signature of other claims": _spliced,
    "no signature": lambda claims: _own_key()(claims).rpartition(".")[0] + ".",
    "two parts": lambda claims: _own_key()(claims).rpartition(".")[0],
    "five parts": lambda claims: _own_key()(claims) + ".x.y",
}


def claims_of(house: House, **changes: Any) -> Claims:
    now = house.clock.now_ms() // 1_000
    said = {"aud": "atrium", "iss": "atrium", "sub": ADMIN, "roles": ["admin"], "orgs": [], "iat": now, "exp": now + 60}
    return {**said, **changes}


async def is_refused(house: House, token: str) -> str:
    """Over HTTP and on a socket; the code."""
    answer = await house.http.get("/api/v1/admin/dead-letters", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    with pytest.raises(Unauthenticated) as refused:
        await TokenAuthenticator(house.tokens).authenticate(Credentials(token=token))
    assert refused.value.failure.code == answer.json()["code"]
    return str(answer.json()["code"])


async def test_the_same_claims_rightly_signed_are_let_in(house: House) -> None:
    token = jwt.encode(claims_of(house), SIGNING_KEY.private, "RS256", {"kid": SIGNING_KEY.kid})
    answer = await house.http.get("/api/v1/admin/dead-letters", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_token_is_refused_everywhere(house: House, forge: Callable[[Claims], str]) -> None:
    assert await is_refused(house, forge(claims_of(house))) == "token_invalid"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, "token_expired"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_060}, "token_not_yet_valid"),
        ({"nbf": 4_000_000_000}, "token_not_yet_valid"),
        ({"exp": "never"}, "token_invalid"),
        ({"exp": 1e300}, "token_invalid"),
        ({"exp": True}, "token_invalid"),
        ({"aud": "atrium/share"}, "token_invalid"),
        ({"aud": ["other"]}, "token_invalid"),
        ({"iss": "https://evil.example"}, "token_invalid"),
        ({"sub": "share:" + new_id()}, "token_invalid"),
        ({"sub": "' OR 1=1"}, "token_invalid"),
        ({"sub": ["a"]}, "token_invalid"),
        ({"roles": ["system"]}, "token_invalid"),
        ({"roles": "admin"}, "token_invalid"),
        ({"orgs": ["*"]}, "token_invalid"),
        ({"orgs": {"a": 1}}, "token_invalid"),
    ],
)
async def test_what_our_own_key_would_never_sign_is_refused_though_signed(
    house: House, changes: Claims, code: str
) -> None:
    token = jwt.encode(claims_of(house, **changes), SIGNING_KEY.private, "RS256", {"kid": SIGNING_KEY.kid})
    assert await is_refused(house, token) == code


async def test_an_expired_token_opens_no_operation_of_the_document(house: House) -> None:
    headers = house.bearer(ADMIN, "admin")
    house.clock.advance(seconds=2 * 3_600)
    for operation in operations():
        if operation.secured:
            answer = await house.http.request(operation.method, operation.url({}), headers=headers, json={})
            assert answer.status_code == 401, operation.name


async def test_a_token_of_another_installation_is_refused(house: House) -> None:
    """Same code, other key: even under the same names."""
    other = Tokens(house.clock, signing=type(SIGNING_KEY)(SIGNING_KEY.kid, OWN))
    assert await is_refused(house, other.issue(ALICE, ("customer",))) == "token_invalid"


async def test_a_token_travels_only_in_its_header(house: House) -> None:
    token = house.bearer()["Authorization"].removeprefix("Bearer ")
    for headers in (
        {"Authorization": token},
        {"Authorization": f"Token {token}"},
        {"Authorization": f"Basic {token}"},
        {"Proxy-Authorization": f"Bearer {token}"},
        {"X-Access-Token": token},
        {"X-Forwarded-User": ALICE},
        {"X-User-Id": ALICE, "X-Roles": "admin"},
    ):
        assert (await house.http.get("/api/v1/carts", headers=headers)).status_code == 401, headers
    for name in ("access_token", "token", "authorization"):
        assert (await house.http.get("/api/v1/carts", params={name: token})).status_code == 401, name


async def test_used_refresh_tokens_end_the_whole_login(house: House) -> None:
    await give_accounts(house)
    first = (await logged_in(house))["refresh_token"]

    async def refresh(token: str) -> Any:
        return await house.http.post("/api/v1/auth/refresh", json={"refresh_token": token})

    second = (await refresh(first)).json()["refresh_token"]
    house.clock.advance(seconds=60)
    replayed = await refresh(first)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "refresh_token_reused")
    assert (await refresh(second)).status_code == 401, "the family ended with it"
    access = house.bearer()["Authorization"].removeprefix("Bearer ")
    assert (await refresh(access)).status_code == 422, "an access token is too long to be one"
    for odd in (second + "A", second[:-1], "0" * 43, second.swapcase()):
        assert (await refresh(odd)).json()["code"] == "refresh_token_invalid"
