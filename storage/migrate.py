"""Bring a database to the schema of this code, or say that it is ahead of it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.pool import NullPool

from storage.db import make_engine

_LOCK = 0x61747269756D  # "atrium": two starts at once migrate one after the other


class SchemaTooNew(RuntimeError):
    """The database was migrated by newer code; `revision` is unknown here. Upgrade the program."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(f"the database is at revision {revision}, which this version does not know")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head_revision() -> str:
    """The revision this code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


def _known(revision: str) -> bool:
    scripts = ScriptDirectory.from_config(_config())
    return any(script.revision == revision for script in scripts.walk_revisions())


def _upgrade(connection: Connection) -> str:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and not _known(current):
        raise SchemaTooNew(current)
    head = head_revision()
    if current != head:
        migrate_to(connection, head)
    return head


def migrate_to(connection: Connection, revision: str) -> None:
    """Bring the schema to a revision, forwards or backwards, in the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    backwards = current is not None and known.index(revision) > known.index(current)
    (command.downgrade if backwards else command.upgrade)(config, revision)


async def upgrade(url: str) -> str:
    """Migrate `url` to the head in one transaction; answers the head. Raises `SchemaTooNew`, `OSError`."""
    engine = make_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def current_revision(url: str) -> str | None:
    """The revision the database is at; None: never migrated."""
    engine = make_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def check(url: str) -> None:
    """Raise `SchemaTooNew` if the database is ahead of this code."""
    revision = await current_revision(url)
    if revision is not None and not _known(revision):
        raise SchemaTooNew(revision)
