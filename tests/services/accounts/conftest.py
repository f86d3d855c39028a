"""Every test of accounts runs on memory and on Postgres: the same contract."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from services.accounts.accounts import postgres_stores
from services.audit import Audit
from services.tokens import Tokens
from storage.crypto import KeyRing
from storage.db import Database
from storage.models import Organization
from tests.serve.clinic import CLINIC, OTHER_CLINIC, MemoryAudit
from tests.serve.house import SIGNING_KEY, ManualClock
from tests.services.accounts.memory import memory_stores
from tests.services.accounts.people import Mailbox, People, make_accounts


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def url(request) -> str:
    """ "" for memory."""
    return "" if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def people(url) -> AsyncIterator[People]:
    database = None
    if not url:
        stores = memory_stores({CLINIC, OTHER_CLINIC})
    else:
        database = Database(url)
        async with database.session() as session:
            for id_ in (CLINIC, OTHER_CLINIC):
                await session.execute(insert(Organization).values(id=id_, kind="clinic", name="C", currency="EUR"))
        stores = postgres_stores(database, KeyRing.ephemeral())
    clock, trail, mail = ManualClock(), MemoryAudit(), Mailbox()
    tokens = Tokens(clock, signing=SIGNING_KEY)
    accounts = make_accounts(stores, tokens, clock, Audit(trail, clock), mail)
    yield People(accounts, stores, clock, mail, tokens, trail)
    await accounts.close()
    if database is not None:
        await database.close()
