"""Retention: what is old enough runs out, batch by batch; what is young, held or evidence stays."""

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from domain.ids import new_id
from services.jobs.running import JobRunner
from services.privacy.limits import PrivacyLimits
from services.privacy.retention import Retaining
from services.privacy.retention_rules import BY_NAME, KEPT, RULES, RetentionError, chosen_days
from storage.models import Base
from storage.privacy.records import HoldRecord
from storage.privacy.registry import REGISTRY
from storage.privacy.retention import EntityRule, RetentionTables, RowRule
from tests.services.privacy.household import CLOCK, NOTE, STREET, Household, open_household

stack = pytest.mark.stack
DAY_MS = 24 * 3_600_000
AGES = {
    "login_failures": ("last_at",),
    "one_time_tokens": ("expires_at",),
    "refresh_tokens": ("expires_at",),
    "logins": ("expires_at",),
    "orders": ("updated_at",),
    "carts": ("updated_at",),
    "dead_letters": ("failed_at",),
    "jobs": ("finished_at",),
    "personal_exports": ("expires_at",),
}


@pytest.fixture
async def household(database_url, tmp_path):
    async with open_household(database_url, tmp_path / "exports") as opened:
        yield opened


def retaining(household: Household, mail: Path | None = None, **days: int | None) -> Retaining:
    """The defaults, with other days for some; two rows a batch."""
    return Retaining(
        RetentionTables(household.database),
        household.records,
        household.entities,
        household.folder,
        mail or household.folder / "mail",
        chosen_days(None) | days,
        PrivacyLimits(retention_batch_rows=2),
    )


async def run(household: Household, one: Retaining, *, dry: bool = False):
    job = await household.jobs.start("retention", new_id(), owner="system", params={"dry_run": dry})
    assert await JobRunner(household.store, {"retention": one.run}, CLOCK).run_due("p1") == 1
    ended = await household.store.job(job.id)
    assert ended.status == "succeeded", ended.error
    return {name: rule["count"] for name, rule in ended.result["rules"].items()}


async def sql(household: Household, statement: str, **values):
    async with household.database.session() as session:
        result = await session.execute(sa.text(statement), values)
        return result.scalar() if result.returns_rows else None


async def age(household: Household, days: int) -> None:
    """Everything becomes older by so many days."""
    for table, columns in AGES.items():
        for column in columns:
            await sql(household, f"UPDATE {table} SET {column} = {column} - make_interval(days => :days)", days=days)


@stack
async def test_nothing_that_is_young_runs_out(household):
    assert set((await run(household, retaining(household))).values()) == {0}


@stack
async def test_old_rows_run_out_in_batches_and_the_second_run_finds_nothing(household):
    for number in range(5):
        await sql(
            household,
            "INSERT INTO login_failures VALUES (:hash, 1, now() - interval '31 days', NULL)",
            hash=bytes([number]),
        )
    await age(household, 200)
    counted = await run(household, retaining(household), dry=True)
    assert counted == await run(household, retaining(household))
    assert (counted["login_attempts"], counted["logins"], counted["refresh_tokens"]) == (5, 2, 2)
    assert await sql(household, "SELECT count(*) FROM login_failures") == 0
    assert await sql(household, "SELECT count(*) FROM logins") == 0
    again = await run(household, retaining(household))
    assert {name: count for name, count in again.items() if name != "jobs"} == dict.fromkeys(
        (name for name in again if name != "jobs"), 0
    )


@stack
async def test_a_dry_run_changes_nothing(household):
    await age(household, 5_000)
    before = await household.everything()
    counted = await run(household, retaining(household), dry=True)
    assert counted["order_addresses"] == 2
    after = await household.everything()
    assert after.count(STREET) == before.count(STREET)
    assert await sql(household, "SELECT count(*) FROM logins") == 2


@stack
async def test_carts_positions_and_addresses_are_forgotten_each_in_its_time(household):
    assert (await household.everything()).count(STREET) == 4
    await age(household, 31)
    first = await run(household, retaining(household))
    assert (first["courier_positions"], first["carts"], first["order_addresses"]) == (2, 0, 0)
    assert [each["lat"] for each in await household.entities.positions(household.order_id)] == [0.0]
    await age(household, 90)
    second = await run(household, retaining(household))
    assert (second["courier_positions"], second["carts"], second["order_addresses"]) == (0, 2, 0)
    assert (await household.everything()).count(STREET) == 2
    await age(household, 1_000)
    assert (await run(household, retaining(household)))["order_addresses"] == 2
    text = await household.everything()
    assert STREET not in text
    assert NOTE not in text
    order = await household.entities.shown("order", household.order_id)
    assert order["total"]["amount"] == 400


@stack
async def test_nothing_of_who_is_on_legal_hold_runs_out_until_it_is_released(household):
    hold = HoldRecord(id=new_id(), user_id=household.grace, reason="c", placed_by="ada", placed_at_ms=CLOCK.now_ms())
    assert await household.records.hold(hold)
    assert not await household.records.hold(hold)
    await age(household, 5_000)
    counts = await run(household, retaining(household))
    assert (counts["order_addresses"], counts["logins"], counts["carts"]) == (1, 1, 1)
    assert "address" in await household.entities.shown("order", household.order_id)
    assert "address" not in await household.entities.shown("order", household.delivered_id)
    assert await household.records.release(household.grace, CLOCK.now_ms())
    assert await household.records.holds() == []
    await run(household, retaining(household))
    assert "address" not in await household.entities.shown("order", household.order_id)


@stack
async def test_expired_exports_and_old_mail_are_removed(household, tmp_path):
    await household.export()
    mail = tmp_path / "mail"
    mail.mkdir()
    for name in ("old.eml", "new.eml", "old.txt"):
        (mail / name).write_text("x")
        if name.startswith("old"):
            os.utime(mail / name, (0, 0))
    await age(household, 8)
    counts = await run(household, retaining(household, mail))
    assert (counts["exports"], counts["mail_files"]) == (1, 1)
    assert list(household.folder.iterdir()) == []
    assert sorted(path.name for path in mail.iterdir()) == ["new.eml", "old.txt"]


@stack
async def test_a_rule_of_never_does_nothing(household):
    await age(household, 5_000)
    counts = await run(household, retaining(household, logins=None))
    assert "logins" not in counts
    assert await sql(household, "SELECT count(*) FROM logins") == 2


def test_without_a_file_the_defaults_hold_and_a_file_changes_some(tmp_path):
    assert chosen_days(None) == {rule.name: rule.days for rule in RULES}
    file = tmp_path / "retention.toml"
    file.write_text('[days]\nlogins = 10\norder_addresses = "never"\n')
    chosen = chosen_days(file)
    assert (chosen["logins"], chosen["order_addresses"]) == (10, None)
    assert chosen["carts"] == BY_NAME["carts"].days


@pytest.mark.parametrize(
    "content",
    [
        "[days]\nloginz = 1\n",
        "[days]\nlogins = -1\n",
        "[days]\nlogins = true\n",
        '[days]\nlogins = "soon"\n',
        "[weeks]\nlogins = 1\n",
        "days = 3\n",
        "logins",
    ],
)
def test_a_file_that_says_nonsense_is_refused(tmp_path, content):
    file = tmp_path / "retention.toml"
    file.write_text(content)
    with pytest.raises(RetentionError):
        chosen_days(file)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(RetentionError):
        chosen_days(tmp_path / "none.toml")


def test_rules_are_of_tables_and_columns_that_there_are():
    for rule in RULES:
        if isinstance(rule.of, RowRule | EntityRule):
            columns = Base.metadata.tables[rule.of.table].columns
            assert not rule.of.person or rule.of.person.startswith("(SELECT ") or rule.of.person in columns
        if isinstance(rule.of, RowRule):
            assert {*rule.of.key} == {column.name for column in columns if column.primary_key}
    assert set(KEPT) <= set(Base.metadata.tables)


def test_a_legal_hold_keeps_the_rows_of_every_rule_that_are_somebodys():
    of_people = {entry.table for entry in REGISTRY}
    for rule in RULES:
        if isinstance(rule.of, RowRule) and rule.of.table in of_people:
            assert rule.of.person, rule.name


@stack
async def test_what_is_found_through_other_tables_is_held_too(household):
    now = CLOCK.now_ms()
    hold = HoldRecord(id=new_id(), user_id=household.grace, reason="c", placed_by="ada", placed_at_ms=now)
    assert await household.records.hold(hold)
    await sql(household, "INSERT INTO login_failures SELECT email_hash, 1, now(), NULL FROM users")
    await sql(household, "INSERT INTO login_failures VALUES ('nobodys', 1, now(), NULL)")
    await age(household, 5_000)
    counts = await run(household, retaining(household))
    assert (counts["refresh_tokens"], counts["login_attempts"]) == (1, 2)
    assert await sql(household, "SELECT count(*) FROM refresh_tokens") == 1
    assert await household.records.release(household.grace, now)
    counts = await run(household, retaining(household))
    assert (counts["refresh_tokens"], counts["login_attempts"]) == (1, 1)
