"""`atrium retention`: what runs out when, running it now, and legal holds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress

from actors.runtime.clock import SystemClock
from cluster.console import DataOption, JsonOption, err, out, print_json, settings_with, table
from cluster.datadir import DataDir
from cluster.errors import BadSettingsError, ClusterError, NotFoundError, NotRunningError
from cluster.stores import database_for_command, open_keys
from cluster.trail import noted
from domain.ids import is_uuid, new_id
from domain.times import to_rfc3339
from services.jobs.service import Jobs
from services.mail.mailer import MAIL_FOLDER
from services.privacy import retention
from services.privacy.export import EXPORTS_FOLDER
from services.privacy.limits import DEFAULTS
from services.privacy.retention import Retaining
from services.privacy.retention_rules import KEPT, NEVER, RULES, RetentionError, chosen_days
from storage.crypto import KeyRing
from storage.db import Database
from storage.jobs import JobRecord, JobTables
from storage.privacy.records import HoldRecord, PrivacyTables
from storage.privacy.retention import RetentionTables
from storage.settings import Settings

CONSOLE: Final = "console"
"""Who asks: whoever has the data folder and its keys."""
_TAKEN_UP_SECONDS: Final = 30.0
"""A job that no reactor has taken up by then is called off."""
_LOOK_SECONDS: Final = 0.5

UserArgument = Annotated[str, typer.Argument(metavar="USER_ID")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="How long data is kept, and legal holds.", no_args_is_help=True)
    group.command("rules")(rules)
    group.command("run")(run)
    group.command("hold")(hold)
    group.command("release")(release)
    group.command("holds")(holds)
    app.add_typer(group, name="retention")


def rules(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List how long each kind of data is kept, and what never runs out."""
    days = _days(settings_with(data))
    if as_json:
        print_json({"days": {name: NEVER if each is None else each for name, each in days.items()}, "kept": KEPT})
        return
    rows = table("rule", "#days", "what")
    for rule in RULES:
        chosen = days[rule.name]
        rows.add_row(rule.name, NEVER if chosen is None else str(chosen), rule.what)
    for name, why in KEPT.items():
        rows.add_row(name, "", why)
    out.print(rows)


def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would run out.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Have everything run out that is old enough, or count it. The reactor does it by itself once a day."""
    settings = settings_with(data)
    days = _days(settings)
    with database_for_command(settings) as url:
        if dry_run:
            found = asyncio.run(_count(settings, url, days))
        else:
            if settings.database_url is None and DataDir(settings.data_dir).running() is None:
                raise NotRunningError("carts and orders forget by themselves: start `atrium up`, or use --dry-run")
            found = asyncio.run(_run(url))
    if as_json:
        print_json({"dry_run": dry_run, "rules": found})
        return
    rows = table("rule", "#days", "#would run out" if dry_run else "#run out", "what")
    for rule in RULES:
        each = found.get(rule.name, {})
        rows.add_row(rule.name, str(each.get("days", NEVER)), str(each.get("count", "")), rule.what)
    out.print(rows)


def hold(
    user_id: UserArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why it must be kept: the case, not the story.")],
    data: DataOption = None,
) -> None:
    """Keep everything of a person, whatever runs out and whoever asks for an erasure."""
    if not 1 <= len(reason) <= DEFAULTS.hold_reason_characters_max:
        raise BadSettingsError(f"--reason has 1 to {DEFAULTS.hold_reason_characters_max} characters")
    settings = settings_with(data)
    with database_for_command(settings) as url:
        asyncio.run(_hold(settings, url, user_id, reason))
    out.print(f"{user_id} is held")


def release(user_id: UserArgument, data: DataOption = None) -> None:
    """End a legal hold: what ran out meanwhile does so at the next run."""
    settings = settings_with(data)
    with database_for_command(settings) as url:
        asyncio.run(_release(settings, url, user_id))
    out.print(f"{user_id} is not held any more")


def holds(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the legal holds in force."""
    settings = settings_with(data)
    with database_for_command(settings) as url:
        found = asyncio.run(_holds(settings, url))
    shown = [{"user_id": each.user_id, "since": to_rfc3339(each.placed_at_ms), "reason": each.reason} for each in found]
    if as_json:
        print_json(shown)
        return
    rows = table("person", "since", "reason")
    for one in shown:
        rows.add_row(*one.values())
    out.print(rows)


def _days(settings: Settings) -> dict[str, int | None]:
    try:
        return chosen_days(settings.retention_file)
    except RetentionError as error:
        raise BadSettingsError(str(error)) from error


async def _count(settings: Settings, url: str, days: dict[str, int | None]) -> dict[str, Any]:
    folder = settings.data_dir.absolute()
    async with _opened(settings, url) as (database, keys):
        records, tables = PrivacyTables(database, keys), RetentionTables(database)
        exports, mail = folder / EXPORTS_FOLDER, folder / MAIL_FOLDER
        return await Retaining(tables, records, None, exports, mail, days, DEFAULTS).count()


async def _run(url: str) -> dict[str, Any]:
    database = Database(url)
    try:
        store, clock = JobTables(database), SystemClock()
        job = await Jobs(store, clock).start(retention.KIND, "run", owner=CONSOLE, params={"dry_run": False})
        with Progress(console=err, transient=True) as shown:
            task = shown.add_task("waiting for the reactor", total=None)
            until = time.monotonic() + _TAKEN_UP_SECONDS
            while job.live:
                shown.update(task, description=job.step or "waiting", completed=job.done, total=job.total or None)
                if job.status == "queued" and time.monotonic() > until:
                    await store.cancel(job.id, clock.now_ms())
                    raise NotRunningError("no reactor took the job up: is Atrium running on this database?")
                await asyncio.sleep(_LOOK_SECONDS)
                job = await _still(store, job)
        if job.status != "succeeded":
            raise ClusterError(f"the job {job.id} {job.status}: {job.error or 'called off'}")
        found: dict[str, Any] = job.result["rules"]
        return found
    finally:
        await database.close()


async def _still(store: JobTables, job: JobRecord) -> JobRecord:
    found = await store.job(job.id)
    if found is None:
        raise ClusterError(f"the job {job.id} is gone")
    return found


async def _hold(settings: Settings, url: str, user_id: str, reason: str) -> None:
    async with _opened(settings, url) as (database, keys):
        tables = PrivacyTables(database, keys)
        if not is_uuid(user_id) or not await tables.person_exists(user_id):
            raise NotFoundError("there is no such person")
        now = SystemClock().now_ms()
        record = HoldRecord(id=new_id(), user_id=user_id, reason=reason, placed_by=CONSOLE, placed_at_ms=now)
        if not await tables.hold(record, noted("legal_hold", "user", user_id, reason, actor=CONSOLE)):
            raise BadSettingsError("they are held already")


async def _release(settings: Settings, url: str, user_id: str) -> None:
    async with _opened(settings, url) as (database, keys):
        now = SystemClock().now_ms()
        also = noted("legal_hold_released", "user", user_id, actor=CONSOLE)
        if not await PrivacyTables(database, keys).release(user_id, now, also):
            raise NotFoundError("they are not held")


async def _holds(settings: Settings, url: str) -> list[HoldRecord]:
    async with _opened(settings, url) as (database, keys):
        return list(await PrivacyTables(database, keys).holds())


@asynccontextmanager
async def _opened(settings: Settings, url: str) -> AsyncIterator[tuple[Database, KeyRing]]:
    database = Database(url)
    try:
        yield database, await open_keys(settings, url)
    finally:
        await database.close()
