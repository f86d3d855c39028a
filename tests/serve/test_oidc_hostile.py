"""Providers, pages and people that would get in by another's login: nobody does."""

import hmac
from hashlib import sha256

import httpx
import pytest
from joserfc.jwk import RSAKey

from services.oidc.flows import challenge_of
from services.outgoing.client import Outgoing
from storage.oidc_providers import OidcProvider
from tests.serve.test_oidc import AUTH, VERIFIER, begin, code_of, come_back, exchange, refused, use_providers
from tests.services.oidc.scripted import (
    EC,
    EMAIL,
    ISSUER,
    OTHER_RSA,
    RSA,
    SETTINGS,
    ScriptedProvider,
    by_hand,
    part,
    signed_by,
)

NOW = 1_772_357_400
PEM = RSA.as_pem(private=False)
OTHER = OidcProvider(name="other", issuer="https://other.test", client_id="shop:1", client_secret="s3cr3t/+")


async def back_with(house, **claims):
    """The answer to a browser that comes back from a login at which the provider says this."""
    started = await begin(house)
    return await come_back(house, **house.provider.authorize(started.headers["location"], **EMAIL, **claims))


def hs256(key):
    return by_hand({"alg": "HS256", "kid": "rsa-1"}, lambda signed: hmac.new(key, signed, sha256).digest())


UNSIGNED = {"alg": "none"}


class Listed:
    """A key that no library makes any more."""

    def __init__(self, **jwk):
        self.jwk = jwk

    def as_dict(self, **_):
        return self.jwk


SIGNERS = {
    "alg none": by_hand(UNSIGNED, lambda _: b""),
    "alg None": by_hand({"alg": "None", "kid": "rsa-1"}, lambda _: b""),
    "no alg": by_hand({"kid": "rsa-1"}, lambda _: b""),
    "HS256 by the public key": hs256(PEM),
    "HS256 by the client's secret": hs256(SETTINGS.client_secret.encode()),
    "HS256 by nothing": hs256(b""),
    "RS256 by an unknown key": signed_by(OTHER_RSA, "RS256"),
    "RS256 by another key of the same id": signed_by(OTHER_RSA, "RS256", kid="rsa-1"),
    "RS256 said of an EC key": signed_by(RSA, "RS256", kid="ec-1"),
    "ES256 said of an RSA key": signed_by(EC, "ES256", kid="rsa-1"),
    "RS512": signed_by(RSA, "RS512"),
    "PS256": signed_by(RSA, "PS256"),
    "a key in the header": by_hand({"alg": "RS256", "jwk": OTHER_RSA.as_dict(private=False)}, lambda _: b"x" * 256),
    "an unknown critical header": by_hand(
        {"alg": "RS256", "kid": "rsa-1", "crit": ["x"], "x": 1}, lambda _: b"x" * 256
    ),
    "no token": lambda _: "a.b.c",
    "two parts": lambda claims: part({"alg": "RS256"}) + "." + part(claims),
    "a long one": lambda claims: part({"alg": "RS256"}) + "." + "A" * 20_000 + ".A",
    "a deep one": lambda _: part({"alg": "RS256", "kid": "rsa-1"}) + "." + "W1tb" * 3_000 + ".A",
    "a nested header": lambda _: "W1tb" * 3_000 + ".A.A",
}


@pytest.mark.parametrize("kind", SIGNERS)
async def test_a_token_that_is_not_signed_by_the_provider_is_refused(house, kind):
    house.provider.sign = SIGNERS[kind]
    await refused(await back_with(house), 401, "oidc_refused")
    assert house.identities.by_id == {}


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": ...},
        {"nonce": "\ud800"},
        {"iss": "https://other.test"},
        {"iss": ISSUER + "/"},
        {"iss": ...},
        {"aud": "another-client"},
        {"aud": ["shop:1", "another-client"]},
        {"aud": ["shop:1", "another-client"], "azp": "another-client"},
        {"aud": []},
        {"azp": "another-client"},
        {"exp": NOW - 61},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iat": NOW + 61},
        {"iat": NOW - 661},
        {"iat": float("nan")},
        {"iat": ...},
        {"nbf": NOW + 61},
        {"auth_time": NOW + 61},
        {"auth_time": float("nan")},
        {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
        {"at_hash": "\ud800"},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"sub": 7},
        {"sub": None},
        {"email": 7},
    ],
)
async def test_a_token_that_was_not_made_for_this_login_is_refused(house, claims):
    house.provider.claims = claims
    await refused(await back_with(house), 401, "oidc_refused")
    assert house.identities.by_id == {}


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["shop:1"]},
        {"aud": ["shop:1", "another-client"], "azp": "shop:1"},
        {"exp": NOW - 59},
        {"iat": NOW + 59},
        {"picture": None, "locale": None, "name": None},
        {"name": "A\ud800\u202eda\x00"},
        {"auth_time": -5},
    ],
)
async def test_what_is_merely_unusual_is_not(house, claims):
    house.provider.claims = claims
    answer = await exchange(house, (await back_with(house)).json()["code"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["name"] in {"ada", "Ada"}


async def test_every_accepted_algorithm_is_accepted(house):
    for sign in (signed_by(RSA, "RS256"), signed_by(EC, "ES256")):
        house.provider.sign = sign
        assert (await back_with(house)).status_code == 200


async def test_a_key_that_is_too_short_or_for_something_else_is_no_key(house):
    encrypting = RSAKey.import_key({**RSA.as_dict(private=True), "kid": "enc", "use": "enc"})
    symmetric = Listed(kty="oct", kid="oct", k="c2VjcmV0")
    short = Listed(kty="RSA", kid="short", n="w" * 171, e="AQAB")
    house.provider.keys = [encrypting, symmetric, short, Listed(kty="RSA", kid="rsa-1"), Listed(kty=7)]
    for kid in ("enc", "oct", "short", "rsa-1"):
        house.provider.sign = signed_by(RSA, "RS256", kid=kid)
        await refused(await back_with(house), 401, "oidc_refused")


async def test_a_login_that_another_browser_began_is_not_finished_here(house):
    """Login CSRF: the victim's browser comes with the attacker's state and code, but not with their cookie."""
    started = await begin(house)
    attackers = house.provider.authorize(started.headers["location"], **EMAIL)
    house.http.cookies.clear()
    await refused(await come_back(house, **attackers), 401, "oidc_flow_unknown")
    await begin(house)
    await refused(await come_back(house, **attackers), 401, "oidc_flow_unknown")
    assert house.provider.asked.count("/token") == 0


async def test_a_state_holds_once_and_not_for_ever(house):
    started = await begin(house)
    cookie = dict(house.http.cookies)
    said = house.provider.authorize(started.headers["location"], **EMAIL)
    assert (await come_back(house, **said)).status_code == 200
    house.http.cookies.update(cookie)
    await refused(await come_back(house, **said), 401, "oidc_flow_unknown")
    late = house.provider.authorize((await begin(house)).headers["location"])
    house.clock.advance(seconds=600)
    await refused(await come_back(house, **late), 401, "oidc_flow_unknown")
    assert house.provider.asked.count("/token") == 1


@pytest.mark.parametrize("cookie", ["", "AAAA", "%%%", "Ä", "x" * 3_000])
async def test_a_cookie_that_is_not_ours_is_none(house, cookie):
    said = house.provider.authorize((await begin(house)).headers["location"])
    house.http.cookies.clear()
    headers = {"cookie": f"atrium-oidc={cookie}".encode()}
    answer = await house.http.get(f"{AUTH}/oidc/test/callback", params=said, headers=headers)
    await refused(answer, 401, "oidc_flow_unknown")


async def test_a_stolen_code_is_of_no_use_in_another_login(house):
    """The thief begins a login of their own, and comes back with the victim's code: its challenge is another."""
    victims = house.provider.authorize((await begin(house)).headers["location"], **EMAIL)
    house.http.cookies.clear()
    own = house.provider.authorize((await begin(house)).headers["location"], "mallory")
    await refused(await come_back(house, state=own["state"], code=victims["code"]), 401, "oidc_refused")
    assert house.identities.by_id == {}


async def test_a_code_of_ours_is_of_no_use_to_whoever_only_sees_it(house):
    code = await code_of(house, **EMAIL)
    for verifier in ("x" * 43, challenge_of(VERIFIER)):
        await refused(await exchange(house, code, verifier), 401, "oidc_flow_unknown")
    headers = house.bearer()
    stolen = {"code": code, "verifier": "x" * 43}
    answer = await house.http.post(f"{AUTH}/identities", json=stolen, headers=headers)
    assert answer.status_code in {401, 403}
    assert house.identities.by_id == {}


async def test_providers_are_not_mixed_up(house):
    """A login that began at one provider, and answers of another: by the path, by `iss`, by its tokens."""
    other = ScriptedProvider(house.clock, OTHER.issuer)

    def handle(request):
        return (other if request.url.host == "other.test" else house.provider).handle(request)

    outgoing = Outgoing(transport=httpx.MockTransport(handle))
    use_providers(house, (SETTINGS, OTHER), outgoing)
    said = house.provider.authorize((await begin(house)).headers["location"], **EMAIL)
    await refused(await come_back(house, "other", **said), 401, "oidc_flow_unknown")
    said = house.provider.authorize((await begin(house)).headers["location"], **EMAIL)
    await refused(await come_back(house, **said, iss=OTHER.issuer), 401, "oidc_refused")
    house.provider.metadata = {"authorization_response_iss_parameter_supported": True}
    house.clock.advance(seconds=3_601)
    said = house.provider.authorize((await begin(house)).headers["location"], **EMAIL)
    await refused(await come_back(house, **said), 401, "oidc_refused")
    said = house.provider.authorize((await begin(house)).headers["location"], **EMAIL)
    assert (await come_back(house, **said, iss=ISSUER)).status_code == 200
    house.provider.metadata = {}
    house.clock.advance(seconds=3_601)
    # The same person's name at another provider is another person.
    first = await exchange(house, await code_of(house, sub="same", **EMAIL))
    started = await begin(house, "other")
    said = other.authorize(started.headers["location"], "same", email="eve@example.test", email_verified=True)
    second = await exchange(house, (await come_back(house, "other", **said)).json()["code"])
    assert first.json()["user"]["id"] != second.json()["user"]["id"]
    await outgoing.close()


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.test"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://login.test/authorize"},
        {"token_endpoint": 7},
    ],
)
async def test_a_configuration_that_is_not_of_this_issuer_or_leads_elsewhere_is_none(house, metadata):
    house.provider.metadata = metadata
    await refused(await begin(house), 503, "oidc_unavailable")


@pytest.mark.parametrize("token", [{"token_type": "mac"}, {"id_token": 7}, {"access_token": None}])
async def test_an_answer_without_what_it_must_have_is_refused(house, token):
    house.provider.token = token
    await refused(await back_with(house), 401, "oidc_refused")


@pytest.mark.parametrize("challenge", ["", "short", "x" * 44, "ä" * 43])
async def test_a_login_without_a_challenge_does_not_begin(house, challenge):
    await refused(await begin(house, challenge=challenge), 422, "invalid")


async def test_a_form_with_too_many_fields_or_of_too_many_bytes_is_refused(house):
    path = f"{AUTH}/oidc/test/callback"
    answer = await house.http.post(path, data={f"f{n}": "x" for n in range(65)})
    assert answer.status_code == 422
    answer = await house.http.post(path, data={"state": "x" * 2_000_000})
    assert answer.status_code == 413
    answer = await house.http.post(path, data={"state": "a\x00"})
    assert answer.status_code == 422
    answer = await house.http.post(path, data={"state": "x" * 5_000})
    assert answer.status_code == 422
