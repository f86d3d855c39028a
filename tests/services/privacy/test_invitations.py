"""Invitations are personal: sealed at rest, shown to whom they were sent, gone with them and after their time."""

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from services.jobs.running import JobRunner
from services.privacy.limits import PrivacyLimits
from services.privacy.retention import Retaining
from services.privacy.retention_rules import chosen_days
from storage.accounts.invitations import InvitationRecord
from storage.accounts.secret_tokens import token_hash
from storage.privacy.records import HoldRecord
from storage.privacy.retention import RetentionTables
from tests.services.privacy.household import CLOCK, EMAIL, MERCHANT, open_household

pytestmark = pytest.mark.stack

BOB = "bob@example.com"
STRANGER = "stranger@example.com"
DAY_MS = 24 * 3_600_000
TOKEN = "a token that was mailed"


@pytest.fixture
async def household(database_url, tmp_path):
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


async def invite(household, email, by, *, ends_in_days=7, token=""):
    now = CLOCK.now_ms()
    made = InvitationRecord(
        id=new_id(),
        organization_id=MERCHANT,
        email=email,
        roles=("billing",),
        locale="en",
        invited_by=by,
        created_at_ms=now,
        expires_at_ms=now + ends_in_days * DAY_MS,
    )
    hashed = token_hash(token or made.id)
    assert await household.stores.invitations.add(made, hashed, since_ms=0, count_max=99, same_max=99)
    return made.id


async def left(household):
    async with household.database.session() as session:
        return set(await session.scalars(sa.text("SELECT id FROM invitations")))


async def retain(household):
    retaining = Retaining(
        RetentionTables(household.database),
        household.records,
        household.entities,
        household.folder,
        household.folder / "mail",
        chosen_days(None),
        PrivacyLimits(retention_batch_rows=2),
    )
    job = await household.jobs.start("retention", new_id(), owner="system", params={"dry_run": False})
    assert await JobRunner(household.store, {"retention": retaining.run}, CLOCK).run_due("p1") == 1
    return (await household.store.job(job.id)).result["rules"]["invitations"]["count"]


async def test_neither_the_address_nor_the_token_lies_open(household):
    await invite(household, STRANGER, household.other, token=TOKEN)
    async with household.database.session() as session:
        rows = (await session.execute(sa.text("SELECT * FROM invitations"))).all()
    kept = b"".join(each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row)
    assert STRANGER.encode() not in kept
    assert TOKEN.encode() not in kept


async def test_an_export_shows_what_one_was_sent_and_of_what_one_sent_only_when(household):
    await invite(household, EMAIL.upper(), household.other)
    await invite(household, BOB, household.grace)
    files = await household.export()
    [got] = files["invitations.json"]
    assert (got["email"], got["roles"]) == (EMAIL.upper(), ["billing"])
    assert household.other not in str(got)
    [sent] = files["invitations_sent.json"]
    assert BOB not in str(sent)
    assert "created_at" in sent


async def test_an_erasure_takes_out_what_they_were_sent(household):
    await invite(household, EMAIL, household.other)
    sent = await invite(household, BOB, household.grace)
    outcome = (await household.erase())["outcome"]
    assert outcome["invitations"] == {"fate": "deleted", "count": 1}
    assert outcome["invitations_sent"]["count"] == 1
    assert await left(household) == {sent}


async def test_they_run_out_a_month_after_they_held(household):
    young = await invite(household, STRANGER, household.other)
    await invite(household, "old@example.com", household.other, ends_in_days=-31)
    revoked = await invite(household, "revoked@example.com", household.other)
    accepted = await invite(household, BOB, household.other)
    long_ago = "now() - make_interval(days => 31)"
    async with household.database.session() as session:
        for column, id_ in (("revoked_at", revoked), ("accepted_at", accepted)):
            await session.execute(sa.text(f"UPDATE invitations SET {column} = {long_ago} WHERE id = '{id_}'"))
    held = await invite(household, EMAIL, household.other, ends_in_days=-31)
    now = CLOCK.now_ms()
    hold = HoldRecord(id=new_id(), user_id=household.grace, reason="c", placed_by="ada", placed_at_ms=now)
    assert await household.records.hold(hold)
    assert await retain(household) == 3
    assert await left(household) == {young, held}
