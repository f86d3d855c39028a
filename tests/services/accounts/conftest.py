"""Every test of accounts runs on memory and on Postgres: the same contract."""

from collections.abc import AsyncIterator

import pytest

from services.accounts.accounts import postgres_stores
from services.audit import Audit
from services.clinic_stores import OrganizationStore
from services.organizations import Organization
from services.tokens import Tokens
from storage.crypto import KeyRing
from storage.db import Database
from tests.serve.clinic import CLINIC, OTHER_CLINIC, MemoryAudit, MemoryOrganizations
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
    clinics = [Organization(id=id_, kind="clinic", name="Clinic", currency="EUR") for id_ in (CLINIC, OTHER_CLINIC)]
    if not url:
        inactive: set[str] = set()
        stores = memory_stores({CLINIC, OTHER_CLINIC}, inactive)
        organizations = MemoryOrganizations(set(), inactive)
    else:
        database = Database(url)
        organizations = OrganizationStore(database)
        stores = postgres_stores(database, KeyRing.ephemeral())
    for clinic in clinics:
        await organizations.add_organization(clinic)
    clock, trail, mail = ManualClock(), MemoryAudit(), Mailbox()
    tokens = Tokens(clock, signing=SIGNING_KEY)
    accounts = make_accounts(stores, tokens, clock, Audit(trail, clock), mail)
    yield People(accounts, stores, clock, mail, tokens, trail, organizations)
    await accounts.close()
    if database is not None:
        await database.close()
