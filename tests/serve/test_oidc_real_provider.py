"""Logins at a provider of somebody else's making, over real sockets."""

import re
import time
import warnings
from contextlib import asynccontextmanager

import httpx
import pytest

from services.outgoing.addresses import networks_of
from services.outgoing.client import Outgoing
from storage.oidc_providers import OidcProvider
from tests.serve.test_oidc import begin, come_back, exchange, identities, refused, use_providers

with warnings.catch_warnings(record=True):
    from oidc_provider_mock import User, run_server_in_thread

pytestmark = pytest.mark.filterwarnings("ignore")

GRACE = User(sub="grace", claims={"email": "grace@example.test", "email_verified": True, "name": "Grace Hopper"})
EVE = User(sub="eve", claims={"email": "grace@example.test", "email_verified": False})


@asynccontextmanager
async def real_provider(house, private="127.0.0.0/8, ::1"):
    house.clock.ms = time.time_ns() // 1_000_000
    with run_server_in_thread(user_claims=[GRACE, EVE], require_nonce=True) as server:
        settings = OidcProvider(
            name="real",
            issuer=f"http://localhost:{server.server_port}",
            client_id="shop",
            client_secret="secret",
        )
        outgoing = Outgoing(private=networks_of(private))
        use_providers(house, (settings,), outgoing)
        try:
            yield outgoing
        finally:
            await outgoing.close()


async def at_the_provider(location, **form):
    """What a person does there, and what the browser then comes back with."""
    async with httpx.AsyncClient() as browser:
        page = await browser.get(location)
        assert page.status_code == 200
        assert re.search(r"<form", page.text)
        sent_back = await browser.post(location, data=form)
    assert sent_back.status_code == 302, sent_back.text
    back = httpx.URL(sent_back.headers["location"])
    assert str(back).startswith("http://test/api/v1/auth/oidc/real/callback?")
    return dict(back.params)


async def test_a_person_logs_in_there_and_is_known_the_next_time(house):
    async with real_provider(house) as outgoing:
        people = []
        for _ in range(2):
            started = await begin(house, "real")
            said = await at_the_provider(started.headers["location"], sub="grace")
            back = await come_back(house, "real", **said)
            assert back.status_code == 200, back.text
            login = await exchange(house, back.json()["code"])
            assert login.status_code == 200, login.text
            people.append(login.json())
        assert people[0]["user"]["id"] == people[1]["user"]["id"]
        assert people[0]["user"]["name"] == "Grace Hopper"
        assert [each["provider"] for each in await identities(house, people[1])] == ["real"]
        (host,) = outgoing.breakers.all()
        assert host.calls == {"done": 4}  # configuration and keys once, a code twice


async def test_a_code_is_good_once_there_as_well_and_a_refusal_is_a_refusal(house):
    async with real_provider(house):
        started = await begin(house, "real")
        said = await at_the_provider(started.headers["location"], sub="grace")
        assert (await come_back(house, "real", **said)).status_code == 200
        again = await begin(house, "real")
        fresh = await at_the_provider(again.headers["location"], sub="grace")
        replayed = await come_back(house, "real", state=fresh["state"], code=said["code"])
        await refused(replayed, 401, "oidc_refused")


async def test_an_address_that_it_does_not_vouch_for_is_nobodys(house):
    async with real_provider(house):
        started = await begin(house, "real")
        back = await come_back(house, "real", **await at_the_provider(started.headers["location"], sub="eve"))
        await refused(await exchange(house, back.json()["code"]), 403, "oidc_email_unverified")


async def test_a_provider_at_a_private_address_is_not_called_unless_its_network_is_named(house):
    async with real_provider(house, private=""):
        await refused(await begin(house, "real"), 503, "oidc_unavailable")
