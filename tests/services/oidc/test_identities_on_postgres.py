"""Logins by a provider on the real tables: many at once with one identity, or one address, make one account."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest

from services.accounts.accounts import postgres_stores
from services.audit import Audit
from services.oidc.flows import challenge_of
from services.oidc.opening import oidc_for
from services.outgoing.client import Outgoing
from services.tokens import Tokens
from storage.crypto import KeyRing
from storage.db import Database
from storage.settings import Settings
from tests.serve.clinic import MemoryAudit
from tests.serve.house import SIGNING_KEY, ManualClock
from tests.services.accounts.people import Mailbox, make_accounts
from tests.services.oidc.scripted import SETTINGS, ScriptedProvider

pytestmark = pytest.mark.stack

VERIFIER = "v" * 43


@pytest.fixture
async def shop(database_url, tmp_path):
    """Two gateways on one database, and the provider."""
    clock, database, keys = ManualClock(), Database(database_url), KeyRing.ephemeral()
    provider = ScriptedProvider(clock)
    outgoing = Outgoing(transport=httpx.MockTransport(provider.handle))
    named = f'[{{"name": "test", "issuer": "{SETTINGS.issuer}", "client_id": "shop:1", "client_secret": "s3cr3t/+"}}]'
    settings = Settings(data_dir=tmp_path, oidc_providers=named, public_url="https://api.test")
    gateways = []
    for _ in range(2):
        stores, audit = postgres_stores(database, keys), Audit(MemoryAudit(), clock)
        accounts = make_accounts(stores, Tokens(clock, signing=SIGNING_KEY), clock, audit, Mailbox())
        gateways.append((oidc_for(settings, outgoing, database, keys, stores, accounts, audit, clock), accounts))
    yield [oidc for oidc, _ in gateways], provider
    for _, accounts in gateways:
        await accounts.close()
    await outgoing.close()
    await database.close()


async def code_of(oidc, provider, sub, **claims):
    started = await oidc.flows.start("test", challenge=challenge_of(VERIFIER), return_to="", fresh=False)
    assert urlsplit(started.location).netloc == "login.test"
    said = provider.authorize(started.location, sub, **claims)
    flow = await oidc.flows.under_way("test", started.cookie, said["state"])
    return (await oidc.flows.finish("test", flow, said)).code


@pytest.mark.parametrize("same", ["identity", "address"])
async def test_many_at_once_are_one_account(shop, same):
    (first, second), provider = shop
    ada = {"email": "Ada@example.test", "email_verified": True, "name": "Ada"}
    codes = [await code_of(first, provider, "ada" if same == "identity" else f"ada-{n}", **ada) for n in range(6)]
    opened = await asyncio.gather(
        *((first, second)[n % 2].identities.log_in(code, VERIFIER) for n, code in enumerate(codes))
    )
    assert len({each.user.id for each in opened}) == 1
    held = await first.identities.list(opened[0].user.id)
    assert len(held) == (1 if same == "identity" else 6)


async def test_a_code_that_comes_twice_at_once_logs_in_once(shop):
    (first, second), provider = shop
    code = await code_of(first, provider, "ada", email="ada@example.test", email_verified=True)
    tries = [each.identities.log_in(code, VERIFIER) for each in (first, second) * 3]
    opened = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in opened) == 1
    assert {each.failure.code for each in opened if isinstance(each, Exception)} == {"oidc_flow_unknown"}
