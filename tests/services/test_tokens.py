import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.entity import Actor
from domain.errors import Forbidden, Unauthenticated
from domain.ids import new_id
from services.signing_keys import PRIVATE_KEY_FILE, load_or_create_signing_key, signing_key, verifying_key
from services.tokens import TokenRules, Tokens
from tests.serve.house import SIGNING_KEY, ManualClock

USER = new_id()
ORG = new_id()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens(clock, signing=SIGNING_KEY)


def claims(clock: ManualClock, **changes: Any) -> dict[str, Any]:
    now = clock.now_ms() // 1_000
    plain = {"iss": "atrium", "aud": "atrium", "sub": USER, "roles": ["customer"], "orgs": [], "iat": now}
    return {key: value for key, value in {**plain, "exp": now + 60, **changes}.items() if value is not ...}


def forge(payload: dict[str, Any], key: Any = SIGNING_KEY.private, algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": SIGNING_KEY.kid, **header})


def segment(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token)
    return caught.value.failure.code


def test_a_token_says_who_asks(tokens: Tokens) -> None:
    actor = tokens.verify(tokens.issue(USER, ("merchant_staff",), (ORG,))).actor
    assert (actor.subject, actor.roles, actor.organizations) == (USER, ("merchant_staff",), (ORG,))


def test_a_token_expires_also_when_it_has_been_seen(tokens: Tokens, clock: ManualClock) -> None:
    token = tokens.issue(USER, ("customer",), ttl_seconds=60)
    tokens.verify(token)
    clock.advance(seconds=60 + 9)
    tokens.verify(token)
    clock.advance(seconds=1)
    assert refused(tokens, token) == "token_expired"
    assert refused(tokens, token) == "token_expired"


def test_a_token_of_the_future_waits(tokens: Tokens, clock: ManualClock) -> None:
    now = clock.now_ms() // 1_000
    assert refused(tokens, forge(claims(clock, nbf=now + 30))) == "token_not_yet_valid"
    assert refused(tokens, forge(claims(clock, iat=now + 30))) == "token_not_yet_valid"
    tokens.verify(forge(claims(clock, nbf=now + 5)))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "someone"},
        {"aud": "another"},
        {"aud": "atrium/share"},
        {"sub": "system"},
        {"sub": "share:" + USER},
        {"sub": 7},
        {"roles": ["system"]},
        {"roles": ["customer", "share"]},
        {"roles": "admin"},
        {"roles": [["admin"]]},
        {"orgs": ["not-an-id"]},
        {"orgs": "x"},
        {"exp": "soon"},
        {"exp": 1e99},
        {"exp": True},
        {"auth_time": "just now"},
        {"auth_time": None},
        {"iat": None},
        {"exp": ...},
        {"iss": ...},
        {"sub": ...},
        {"aud": ...},
        {"iat": ...},
    ],
    ids=str,
)
def test_claims_that_do_not_fit_are_refused_though_signed(
    tokens: Tokens, clock: ManualClock, changes: dict[str, Any]
) -> None:
    assert refused(tokens, forge(claims(clock, **changes))) == "token_invalid"


def test_only_rs256_by_a_key_we_know_counts(tokens: Tokens, clock: ManualClock) -> None:
    payload = claims(clock)
    stranger = generate_private_key(public_exponent=65_537, key_size=2048)
    public = SIGNING_KEY.public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = {"typ": "JWT", "kid": SIGNING_KEY.kid}
    unsigned = f"{segment({**head, 'alg': 'none'})}.{segment(payload)}."
    signature = tokens.issue(USER, ("customer",)).rpartition(".")[2]
    for token in (
        unsigned,
        unsigned + signature,
        f"{segment({**head, 'alg': 'None'})}.{segment(payload)}.",
        _hs256(head, payload, public),
        forge(payload, SIGNING_KEY.private, "RS512"),
        forge(payload, SIGNING_KEY.private, "PS256"),
        forge(payload, ec_key(SECP256R1()), "ES256"),
        forge(payload, stranger),
        forge(payload, stranger, kid="unknown"),
        jwt.encode(payload, SIGNING_KEY.private, algorithm="RS256"),
        f"{segment({**head, 'alg': 'RS256'})}.{segment({**payload, 'roles': ['admin']})}.{signature}",
    ):
        assert refused(tokens, token) == "token_invalid"


def _hs256(head: dict[str, Any], payload: dict[str, Any], public: bytes) -> str:
    """The public key's text as an HMAC secret: the classic confusion of algorithms."""
    import hashlib
    import hmac

    signed = f"{segment({**head, 'alg': 'HS256'})}.{segment(payload)}"
    mac = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_\-]{0,40}(\.[A-Za-z0-9_\-]{0,40}){0,4}", fullmatch=True))
def test_garbage_is_refused_and_nothing_else_happens(text: str) -> None:
    assert refused(Tokens(ManualClock(), signing=SIGNING_KEY), text) == "token_invalid"


def test_a_huge_token_is_refused_unread(tokens: Tokens) -> None:
    assert refused(tokens, "x" * 8_193) == "token_invalid"


def test_a_share_token_opens_its_order_and_passes_for_nothing_else(tokens: Tokens, clock: ManualClock) -> None:
    order_id = new_id()
    token, expires = tokens.issue_share(order_id)
    shared = tokens.verify_share(token)
    assert (shared.order_id, shared.actor.subject, shared.expires) == (order_id, f"share:{order_id}", expires)
    assert refused(tokens, token) == "token_invalid"
    for bad in (tokens.issue(USER, ("customer",)), forge(claims(clock, aud="atrium/share", sub=f"share:{order_id}"))):
        with pytest.raises(Unauthenticated):
            tokens.verify_share(bad)
    mixed = forge(claims(clock, aud="atrium/share", sub=f"share:{order_id}", order=new_id()))
    with pytest.raises(Unauthenticated):
        tokens.verify_share(mixed)


def test_what_was_verified_is_remembered_within_bounds(clock: ManualClock) -> None:
    tokens = Tokens(clock, signing=SIGNING_KEY, rules=TokenRules(cache_entries_max=2))
    made = [tokens.issue(new_id(), ("customer",)) for _ in range(3)]
    first = tokens.verify(made[0])
    assert tokens.verify(made[0]) is first
    for token in made[1:]:
        tokens.verify(token)
    assert len(tokens._seen) == 2
    assert tokens.verify(made[0]) is not first


def test_a_refused_token_is_not_remembered(tokens: Tokens) -> None:
    refused(tokens, "a.b.c")
    assert tokens._seen == {}


def test_nothing_is_issued_that_would_be_refused(tokens: Tokens) -> None:
    for subject, roles in (("system", ("customer",)), (USER, ("system",)), (USER, ("share",)), ("guest:x", ())):
        with pytest.raises(ValueError, match="token's"):
            tokens.issue(subject, roles)
    with pytest.raises(ValueError, match="no signing key"):
        Tokens(ManualClock(), verifying={}).issue(USER, ("customer",))


def test_a_guest_gets_a_subject_of_their_own(tokens: Tokens) -> None:
    token, subject, _ = tokens.issue_guest()
    assert subject.startswith("guest:")
    assert tokens.verify(token).actor.subject == subject


PIA = Actor(USER, ("provider",), (ORG,))


def test_a_fresh_login_proves_who_signs(tokens: Tokens, clock: ManualClock) -> None:
    began = clock.now_ms() // 1_000 * 1_000
    proof = tokens.issue(USER, ("provider",), (ORG,))
    clock.advance(seconds=300)
    assert tokens.proof(proof, PIA, 300) == began
    clock.advance(seconds=1)
    assert not_proved(tokens, proof)
    assert tokens.verify(proof).actor == PIA


def test_a_token_that_was_only_renewed_keeps_the_time_of_its_login(tokens: Tokens, clock: ManualClock) -> None:
    began = clock.now_ms() // 1_000
    clock.advance(seconds=600)
    renewed = tokens.issue(USER, ("provider",), (ORG,), auth_time=began)
    assert tokens.verify(renewed).auth_time == began
    assert not_proved(tokens, renewed)
    assert tokens.proof(renewed, PIA, 600) == began * 1_000


def test_nobody_signs_by_somebody_elses_login_nor_by_what_is_none(tokens: Tokens, clock: ManualClock) -> None:
    now = clock.now_ms() // 1_000
    for proof in (
        tokens.issue(new_id(), ("provider",), (ORG,)),
        tokens.issue(USER, ("provider",), (ORG,), auth_time=0),
        tokens.issue(USER, ("provider",), (ORG,), auth_time=now + 60),
        tokens.issue_share(new_id())[0],
        forge(claims(clock)),
        forge(claims(clock, auth_time=now), generate_private_key(public_exponent=65_537, key_size=2048)),
        "",
        "x" * 10_000,
    ):
        assert not_proved(tokens, proof)
    guest, subject, _ = tokens.issue_guest()
    with pytest.raises(Forbidden):
        tokens.proof(guest, Actor(subject, ("customer",)), 300)


def not_proved(tokens: Tokens, proof: str) -> bool:
    with pytest.raises(Forbidden) as caught:
        tokens.proof(proof, PIA, 300)
    return caught.value.failure.code == "reauthentication_required"


def test_the_public_keys_verify_elsewhere(tokens: Tokens, clock: ManualClock) -> None:
    pem = SIGNING_KEY.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    kid, public = verifying_key(pem)
    assert kid == SIGNING_KEY.kid
    token = tokens.issue(USER, ("customer",))
    assert Tokens(clock, verifying={kid: public}).verify(token).actor.subject == USER
    (published,) = tokens.jwks()["keys"]
    assert jwt.PyJWK(published).key.public_numbers() == SIGNING_KEY.public.public_numbers()


def test_the_key_file_is_made_once_for_the_owners_eyes_only(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: load_or_create_signing_key(folder).kid, range(6)))
    assert len(set(made)) == 1
    assert stat.S_IMODE((folder / PRIVATE_KEY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == [PRIVATE_KEY_FILE]
    assert load_or_create_signing_key(folder).kid == made[0]


def test_a_key_that_is_not_rsa_is_refused() -> None:
    pem = ec_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="RSA"):
        signing_key(pem)
