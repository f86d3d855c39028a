"""The reactor: the process that tails the journal and does what follows from events.

One runs at a time per reaction, by a lease in Postgres; handlers are idempotent, so a moment with two is
harmless. Its own figures go to the log; dead letters show in `atrium dead-letters` and `/admin/dead-letters`.
"""

import asyncio
from typing import Final

import structlog

from actors.kinds import KINDS
from actors.runtime.clock import SystemClock
from actors.runtime.figures import Sample, packed
from actors.runtime.garbage import settle_forever
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.ray_cluster import connect_client
from actors.runtime.ray_tasks import run_task
from actors.runtime.tail import Reaction, TailRunner
from domain.ids import new_id
from jobs.board import Calendar, JobBoard
from jobs.standing import Standing
from jobs.tasks import KINDS_OF_JOBS, run_claimed
from services.carts import Carts
from services.hand_offs import HandOffs
from services.history import History
from services.jobs.service import Jobs
from services.placement import Placements
from services.products import ProductCache
from services.reactions import reactions
from services.stores import CatalogStore
from storage.bus import Bus
from storage.crypto import KeyRing
from storage.db import Database
from storage.figures import FigureTables
from storage.jobs import JobRecord, JobTables
from storage.journal.postgres import PostgresJournal
from storage.key_refresh import refresh_forever
from storage.logs import configure_logging
from storage.privacy.records import PrivacyTables
from storage.reactions import ReactionTables
from storage.settings import Settings
from storage.tracing.config import open_tracer

log = structlog.get_logger()

REACTOR: Final = "reactor"
LEASE_SECONDS: Final = 6.0
"""A reactor that died is followed by the next one after so long, one that moved at once."""


class Reactor:
    """Runs every reaction for as long as the process lives."""

    def __init__(self, config: RuntimeConfig, settings: Settings) -> None:
        configure_logging(config.log_path(REACTOR), service=REACTOR)
        self._config = config
        self._settings = settings
        self._tracer = open_tracer(config.traces, REACTOR)
        self._running: list[asyncio.Task[None]] = []
        self._leaders: list[Leader] = []
        self._standing: Standing

    async def begin(self) -> None:
        """Connect and start; repeated calls do nothing."""
        if self._running:
            return
        config, settings, clock = self._config, self._settings, SystemClock()
        holder = f"{REACTOR}-{new_id()}"
        keys = await config.open_keys()
        client = await connect_client(config, holder, self._tracer)
        database = Database(config.database_url, settings)
        journal = await PostgresJournal(config.database_url).open()
        bus = await Bus.connect(config.redis_url)
        catalog = CatalogStore(database)
        carts = Carts(client, ProductCache(catalog, clock), clock)
        placements = Placements(client, carts, catalog, History(journal, KINDS, keys))
        tables = ReactionTables(database)
        loop = asyncio.get_running_loop()
        for reaction in reactions(placements, HandOffs(client), bus, settings.stream_length_max):
            leader = Leader(self._runner(reaction, journal, tables, keys), tables, holder)
            self._leaders.append(leader)
            self._running.append(loop.create_task(leader.run_forever()))
        self._standing = Standing(FigureTables(database))
        self._running.append(loop.create_task(self._standing.read_forever()))
        self._running += self._jobs(database, keys, holder)
        self._running.append(loop.create_task(settle_forever()))
        self._running.append(loop.create_task(refresh_forever(keys, config.keys_refresh_s)))

    def _jobs(self, database: Database, keys: KeyRing, holder: str) -> list[asyncio.Task[None]]:
        """Jobs run as Ray tasks, each in a process of its own; this one hands them out."""
        config, settings, clock = self._config, self._settings, SystemClock()

        async def as_task(job: JobRecord, of: str) -> None:
            await run_task(run_claimed, config, settings, job.id, of)

        store = JobTables(database)
        board = JobBoard(store, KINDS_OF_JOBS, as_task, holder)
        calendar = Calendar(Jobs(store, clock), PrivacyTables(database, keys), clock)
        loop = asyncio.get_running_loop()
        return [loop.create_task(board.run_forever()), loop.create_task(calendar.run_forever())]

    async def figures(self) -> bytes:
        """msgpack of `Sample`s. Only once it has begun."""
        samples = list(self._standing.samples)
        for leader in self._leaders:
            name = (leader.runner.reaction.name,)
            samples.append(Sample("atrium_reaction_running", name, float(leader.leading)))
            samples.append(Sample("atrium_reaction_handled", name, leader.runner.handled))
        return packed(samples)

    def _runner(
        self, reaction: Reaction, journal: PostgresJournal, tables: ReactionTables, keys: KeyRing
    ) -> TailRunner:
        return TailRunner(
            reaction,
            journal,
            tables,
            KINDS,
            SystemClock(),
            attempts_max=self._settings.reaction_attempts_max,
            backoff_ms=self._settings.reaction_backoff_ms,
            keys=keys,
            tracer=self._tracer,
        )


class Leader:
    """Runs a reaction whenever the lease is ours: asks for it, runs while it lasts, renews it, for ever."""

    def __init__(self, runner: TailRunner, tables: ReactionTables, holder: str) -> None:
        self.runner = runner
        self.leading = False
        self._tables = tables
        self._holder = holder

    async def run_forever(self) -> None:
        name = self.runner.reaction.name
        running: asyncio.Task[None] | None = None
        while True:
            self.leading = await _acquire(self._tables, name, self._holder)
            if self.leading and (running is None or running.done()):
                running = asyncio.get_running_loop().create_task(self.runner.run_forever())
                log.info("reaction_taken_up", reaction=name)
            elif not self.leading and running is not None:
                running.cancel()
                running = None
                self.runner.forget_place()
                log.info("reaction_given_up", reaction=name)
            await asyncio.sleep(LEASE_SECONDS / 3)


async def _acquire(tables: ReactionTables, name: str, holder: str) -> bool:
    try:
        return await tables.acquire(name, holder, LEASE_SECONDS)
    except Exception as error:
        log.warning("reaction_lease_unknown", reaction=name, error=repr(error))
        return False
