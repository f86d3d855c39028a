"""An erasure takes out what is personal, keeps what the law wants, says so, and may be killed and repeated."""

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from services.clinic_stores import AuditStore
from services.jobs.running import JobRunner
from services.privacy.erasure import Erasing
from storage.accounts.records import UserStatus
from storage.crypto import KeyRing
from storage.models import Base, Erasure
from storage.privacy.accounts import STAYS, ErasedAccounts, erased_values
from storage.privacy.records import HoldRecord
from storage.privacy.registry import REGISTRY, Fate
from tests.services.privacy.household import CLOCK, EMAIL, NAME, NOTE, STREET, open_household

pytestmark = pytest.mark.stack

GROWING = {"jobs", "audit"}
"""Nouns that an erasure itself adds to."""


@pytest.fixture
async def household(database_url, tmp_path):
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


def settled(result):
    return {noun: each for noun, each in result["outcome"].items() if noun not in GROWING}


async def test_nothing_personal_is_left_anywhere_and_others_keep_theirs(household):
    await household.export()
    before = await household.everything()
    assert all(word in before for word in (EMAIL, NAME))
    assert before.count(STREET) >= 4
    result = await household.erase()
    assert result["finished"]
    after = await household.everything()
    assert not [word for word in (EMAIL, NAME, f"{NAME}'s phone") if word in after]
    assert "bob@example.com" in after
    assert "Bob's phone" in after
    assert after.count(STREET) == before.count(STREET) / 2  # the other person's order and cart
    assert after.count(NOTE) == before.count(NOTE) / 2
    assert list(household.folder.iterdir()) == []
    assert (await household.stores.users.user(household.other)).name == "Bob"


async def test_every_noun_is_answered_with_its_fate_and_its_ground(household):
    outcome = (await household.erase())["outcome"]
    assert set(outcome) == {entry.noun for entry in REGISTRY}
    for entry in REGISTRY:
        assert outcome[entry.noun]["fate"] == entry.fate
        assert outcome[entry.noun].get("ground", "") == entry.ground
    counts = {noun: each["count"] for noun, each in outcome.items()}
    assert {noun: counts[noun] for noun in ("account", "logins", "memberships", "carts", "orders", "deliveries")} == {
        "account": 1,
        "logins": 1,
        "memberships": 1,
        "carts": 1,
        "orders": 1,
        "deliveries": 1,
    }
    assert counts["medical_records"] == 1


async def test_what_the_law_wants_stays(household):
    before = await household.entities.shown("order", household.order_id)
    await household.erase()
    order = await household.entities.shown("order", household.order_id)
    assert (order["total"], order["lines_count"], order["placed_at"]) == (
        before["total"],
        before["lines_count"],
        before["placed_at"],
    )
    assert "address" not in order
    assert "Ice applied to Grace." in str(await household.entities.shown("document", household.document_id))
    delivered = await household.entities.shown("order", household.delivered_id)
    assert delivered["address"]["line1"] == STREET
    assert await household.entities.positions(household.order_id) != []


async def test_the_address_is_free_again_and_the_account_dead(household):
    assert await household.stores.users.user_by_email(EMAIL) is not None
    await household.erase()
    assert await household.stores.users.user_by_email(EMAIL) is None
    gone = await household.stores.users.user(household.grace)
    assert (gone.email, gone.name, gone.status, gone.roles) == ("", "", UserStatus.DELETED, ())


async def test_a_second_erasure_has_the_same_outcome(household):
    first = await household.erase()
    again = await household.erase()
    assert settled(again) == settled(first)
    assert again["finished"]
    events = sa.text("SELECT count(*) FROM audit_events WHERE action = 'erased' AND object_id = :person")
    async with household.database.session() as session:
        assert await session.scalar(events, {"person": household.grace}) == 1


@pytest.mark.parametrize("step", ["logins", "carts", "medical_records", "account"])
async def test_an_erasure_that_is_killed_in_the_middle_goes_on_and_comes_to_the_same(household, step):
    """The process dies right after a step, before it is noted."""

    class Killed(BaseException):
        pass

    class Dying(Erasing):
        async def _erase(self, entry, person):
            outcome = await super()._erase(entry, person)
            if entry.noun == step:
                raise Killed
            return outcome

    dying = Dying(
        household.erasing._tables,
        household.records,
        household.entities,
        ErasedAccounts(household.database, household.keys),
        AuditStore(household.database, household.keys),
        household.folder,
        CLOCK,
    )
    job = await household.jobs.start("user_erasure", household.grace, owner="system", person=household.grace)
    with pytest.raises(Killed):
        await JobRunner(household.store, {"user_erasure": dying.run}, CLOCK).run_due("p1")
    half = await household.store.job(job.id)
    assert (half.status, half.step) == ("running", step)
    async with household.database.session() as session:
        await session.execute(sa.text("UPDATE jobs SET held_until = now() - interval '1 second'"))
    assert await household.runner.run_due("p2") == 1
    ended = await household.store.job(job.id)
    assert (ended.status, ended.attempts) == ("succeeded", 2)
    assert set(ended.result["outcome"]) == {entry.noun for entry in REGISTRY}
    after = await household.everything()
    assert not [word for word in (EMAIL, NAME) if word in after]


async def test_an_order_that_is_being_carried_out_is_left_until_it_is_closed(household):
    open_id = await household.order(household.grace, courier=household.other, until="ready")
    first = await household.erase()
    assert not first["finished"]
    assert first["outcome"]["orders"]["open"] == 1
    assert (await household.entities.shown("order", open_id))["address"]["line1"] == STREET
    async with household.database.session() as session:
        row = await session.get(Erasure, household.grace)
    assert row.finished_at is None
    # Asked for by an admin, there was no grace that would have to be over.
    assert await household.records.due_erasures(CLOCK.now_ms() - 3_600_000, 10) == [household.grace]


async def test_who_is_on_legal_hold_is_not_erased(household):
    hold = HoldRecord(
        id=new_id(), user_id=household.grace, reason="claim", placed_by=new_id(), placed_at_ms=CLOCK.now_ms()
    )
    assert await household.records.hold(hold)
    assert await household.erase() == {"held": True}
    assert EMAIL in await household.everything()
    assert await household.records.release(household.grace, CLOCK.now_ms())
    assert (await household.erase())["finished"]


async def test_deleted_accounts_come_up_when_their_grace_is_over_and_until_they_are_erased(household):
    now = CLOCK.now_ms()
    due = household.records.due_erasures
    assert await due(now, 10) == []
    async with household.database.session() as session:
        deleted = sa.text("UPDATE users SET status = 'deleted', deleted_at = now() - interval '1 hour' WHERE id = :id")
        await session.execute(deleted, {"id": household.grace})
    assert await due(now - 2 * 3_600_000, 10) == []
    assert await due(now, 10) == [household.grace]
    await household.erase()
    assert await due(now, 10) == []


def test_every_column_of_an_account_is_overwritten_or_said_to_stay():
    columns = set(Base.metadata.tables["users"].columns.keys())
    assert set(erased_values(KeyRing.ephemeral(), new_id())) | STAYS == columns
    assert {entry.fate for entry in REGISTRY if entry.table == "users"} == {Fate.ANONYMIZED}
