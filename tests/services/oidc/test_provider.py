"""What is kept of a provider: for how long, what a changed key does, and what serves while it is away."""

import asyncio
import json

import httpx
import pytest

from domain.errors import Unavailable
from services.oidc.errors import RefusedLoginError
from services.oidc.id_tokens import signing_keys
from services.oidc.limits import DEFAULTS
from services.oidc.opening import own_origins
from services.oidc.provider import Granted, Provider
from services.outgoing.breaker import Breakers
from services.outgoing.client import Outgoing
from services.outgoing.limits import OutgoingLimits
from storage.oidc_providers import providers_of
from storage.settings import Settings
from tests.serve.house import ManualClock
from tests.services.oidc.scripted import EC, ISSUER, OTHER_RSA, RSA, SETTINGS, ScriptedProvider, signed_by

FAST = OutgoingLimits(backoff_ms=1, failures_to_open=1_000)
CONFIGURATION = "/.well-known/openid-configuration"


class Door:
    """A provider of ours in front of a scripted one."""

    def __init__(self):
        self.clock = ManualClock()
        self.scripted = ScriptedProvider(self.clock)
        self.outgoing = Outgoing(
            transport=httpx.MockTransport(self.scripted.handle), limits=FAST, breakers=Breakers(FAST)
        )
        self.provider = Provider(SETTINGS, self.outgoing, self.clock, DEFAULTS)

    def fetched(self, path):
        return self.scripted.asked.count(path)

    async def claims(self, key=RSA, algorithm="RS256"):
        now = self.clock.now_ms() // 1_000
        said = {"iss": ISSUER, "aud": SETTINGS.client_id, "sub": "ada", "nonce": "n", "iat": now, "exp": now + 60}
        token = signed_by(key, algorithm)(said)
        return await self.provider.claims(Granted(token, "at"), "n", 0)


@pytest.fixture
async def door():
    opened = Door()
    yield opened
    await opened.outgoing.close()


async def test_many_at_once_fetch_once_and_again_after_an_hour(door):
    await asyncio.gather(*(door.claims() for _ in range(10)))
    assert (door.fetched(CONFIGURATION), door.fetched("/jwks")) == (1, 1)
    door.clock.advance(seconds=DEFAULTS.keys_ttl_seconds - 1)
    await door.claims()
    assert door.fetched("/jwks") == 1
    door.clock.advance(seconds=1)
    await door.claims(EC, "ES256")
    assert (door.fetched(CONFIGURATION), door.fetched("/jwks")) == (2, 2)


async def test_a_new_key_is_found_without_waiting_and_an_old_one_that_is_gone_holds_no_more(door):
    await door.claims()
    door.scripted.keys = [OTHER_RSA]
    door.clock.advance(seconds=DEFAULTS.keys_refetch_seconds)
    assert (await door.claims(OTHER_RSA)).sub == "ada"
    with pytest.raises(RefusedLoginError):
        await door.claims(RSA)


async def test_tokens_with_made_up_keys_do_not_make_us_ask_all_the_time(door):
    await door.claims()
    for _ in range(20):
        with pytest.raises(RefusedLoginError):
            await door.claims(OTHER_RSA)
    assert door.fetched("/jwks") == 1
    door.clock.advance(seconds=DEFAULTS.keys_refetch_seconds)
    for _ in range(20):
        with pytest.raises(RefusedLoginError):
            await door.claims(OTHER_RSA)
    assert door.fetched("/jwks") == 2


async def test_while_it_is_away_what_was_fetched_serves_for_a_day_without_asking_all_the_time(door):
    await door.claims()
    door.scripted.away = {CONFIGURATION, "/jwks"}
    door.clock.advance(seconds=DEFAULTS.keys_ttl_seconds)
    for _ in range(5):
        await door.claims()
    assert door.fetched("/jwks") == 1 + FAST.attempts_max
    door.clock.advance(seconds=DEFAULTS.stale_seconds_max)
    with pytest.raises(Unavailable) as away:
        await door.claims()
    assert (away.value.failure.code, away.value.failure.retry_after_ms) == ("oidc_unavailable", 5_000)
    door.scripted.away = set()
    door.clock.advance(seconds=5)
    await door.claims()


async def test_a_provider_whose_circuit_is_open_is_unavailable_for_as_long(door):
    breaker = door.outgoing.breakers.of("login.test")
    for _ in range(FAST.failures_to_open):
        breaker.failed(breaker.admit())
    with pytest.raises(Unavailable) as away:
        await door.claims()
    assert 14_000 < away.value.failure.retry_after_ms <= 15_000
    assert door.scripted.asked == []


async def test_a_token_without_a_key_id_is_of_the_only_key_or_of_none(door):
    door.scripted.keys = [RSA, EC]
    assert (await door.claims(_nameless(RSA))).sub == "ada"
    door.scripted.keys = [RSA, OTHER_RSA]
    door.clock.advance(seconds=DEFAULTS.keys_ttl_seconds)
    with pytest.raises(RefusedLoginError):
        await door.claims(_nameless(RSA))


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": ["x", None, {"kty": "RSA"}]}])
def test_what_is_no_key_set_has_no_keys(document):
    assert signing_keys(document, 10).keys == ()


def test_of_a_key_set_only_so_many_are_looked_at():
    keys = [{**RSA.as_dict(private=False), "kid": str(n)} for n in range(20)]
    assert len(signing_keys({"keys": keys}, 5).keys) == 5


def test_providers_are_read_from_the_setting_and_do_not_show_their_secret():
    text = '[{"name": "a", "issuer": "https://a.test", "client_id": "c", "client_secret": "hunter2"}]'
    (provider,) = providers_of(text)
    assert (provider.client_secret, provider.scopes) == ("hunter2", "openid email profile")
    assert "hunter2" not in repr(provider)


_RIGHT = {"name": "a", "issuer": "https://a.test", "client_id": "c", "client_secret": "hunter2"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "A b"}, "small letters"),
        ({"issuer": "a.test"}, "https URL"),
        ({"issuer": "https://a.test?x=1"}, "https URL"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": 7}, "Expected `str`"),
        ({"scopes": "email"}, "openid"),
        ({"unknown": 1}, "unknown field"),
        ({"response_mode": "fragment"}, "Invalid enum"),
    ],
)
def test_what_names_no_provider_is_refused_without_showing_its_secret(changes, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        providers_of(json.dumps([{**_RIGHT, **changes}]))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("hunter2", "JSON list"), (json.dumps(_RIGHT), "Expected `array`"), (json.dumps([_RIGHT] * 2), "same name")],
)
def test_what_is_no_list_of_providers_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        providers_of(text)
    assert "hunter2" not in str(refused.value)


def test_providers_need_to_know_where_browsers_come_back_to():
    named = json.dumps([_RIGHT])
    with pytest.raises(ValueError, match="public_url") as refused:
        Settings(oidc_providers=named)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Settings(oidc_providers=named, public_url="https://api.test"))


def test_a_login_may_return_to_pages_that_are_named_one_by_one():
    settings = Settings(
        public_url="https://API.test/", app_url="https://shop.test/app", cors_origins="*, https://other.test"
    )
    assert own_origins(settings) == ("https://shop.test", "https://api.test", "https://other.test")


def _nameless(key):
    return type(key).import_key({**key.as_dict(private=True), "kid": ""})
