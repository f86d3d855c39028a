"""One job in a process of its own, as a Ray task: its connections live as long as it does."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import structlog

from actors.kinds import KINDS
from actors.runtime.clock import SystemClock
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.ray_cluster import connect_client
from services.clinic_stores import AuditStore
from services.entities import Entities
from services.history import History
from services.jobs.running import Handler, JobRunner
from services.mail.mailer import MAIL_FOLDER
from services.privacy import erasure, export, retention
from services.privacy.entities import PersonalEntities
from services.privacy.erasure import Erasing
from services.privacy.export import EXPORTS_FOLDER, Exporting
from services.privacy.limits import DEFAULTS, PrivacyLimits
from services.privacy.retention import Retaining
from services.privacy.retention_rules import chosen_days
from storage.crypto import KeyRing
from storage.db import Database
from storage.jobs import JobTables
from storage.journal.postgres import PostgresJournal
from storage.logs import configure_logging
from storage.privacy.accounts import ErasedAccounts
from storage.privacy.personal import PersonalTables
from storage.privacy.records import PrivacyTables
from storage.privacy.retention import RetentionTables
from storage.privacy.rewriting import JournalRewriting
from storage.settings import Settings

log = structlog.get_logger("jobs")

KINDS_OF_JOBS: Final = (export.KIND, erasure.KIND, retention.KIND)
"""What the reactor hands out. A test sees to it that there is a handler for each."""


def run_claimed(config: RuntimeConfig, settings: Settings, job_id: str, holder: str) -> None:
    """Run a job that `holder` has claimed, to its end. This is the Ray task."""
    configure_logging(config.log_path("jobs"), service="jobs")
    asyncio.run(_run(config, settings, job_id, holder))


async def _run(config: RuntimeConfig, settings: Settings, job_id: str, holder: str) -> None:
    async with AsyncExitStack() as parts:
        keys = await config.open_keys()
        client = await connect_client(config, f"job-{job_id}")
        parts.push_async_callback(client.close)
        patient = settings.model_copy(update={"database_timeout_s": DEFAULTS.statement_seconds})
        database = Database(config.database_url, patient)
        parts.push_async_callback(database.close)
        journal = await PostgresJournal(config.database_url).open()
        parts.push_async_callback(journal.close)
        store = JobTables(database)
        job = await store.job(job_id)
        if job is None or job.holder != holder or job.status != "running":
            log.info("job_not_ours_any_more", job=job_id)
            return
        handlers = handlers_of(database, journal, keys, client, settings)
        await JobRunner(store, handlers, SystemClock()).run(job, holder)


def handlers_of(
    database: Database,
    journal: PostgresJournal,
    keys: KeyRing,
    client: Entities,
    settings: Settings,
    limits: PrivacyLimits = DEFAULTS,
) -> dict[str, Handler]:
    """A handler for each of `KINDS_OF_JOBS`."""
    clock, folder = SystemClock(), settings.data_dir.absolute()
    records, tables = PrivacyTables(database, keys), PersonalTables(database, keys)
    entities = PersonalEntities(client, History(journal, KINDS, keys), JournalRewriting(database), KINDS, keys)
    accounts, trail = ErasedAccounts(database, keys), AuditStore(database, keys)
    exports = folder / EXPORTS_FOLDER
    retaining = Retaining(
        RetentionTables(database),
        records,
        entities,
        exports,
        folder / MAIL_FOLDER,
        chosen_days(settings.retention_file),
        limits,
    )
    return {
        export.KIND: Exporting(tables, records, entities, exports, clock, limits).run,
        erasure.KIND: Erasing(tables, records, entities, accounts, trail, exports, clock).run,
        retention.KIND: retaining.run,
    }
