import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.pool import NullPool

from storage import migrate
from storage.db import make_engine
from storage.embedded.postgres import EmbeddedPostgres
from storage.models import INDEX_TABLES, Base

pytestmark = pytest.mark.stack


@pytest.fixture
async def empty_url(postgres_server: EmbeddedPostgres, database_url):
    """The test's own database, taken back to before the first migration."""
    engine = make_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        await connection.execute(sa.text("CREATE SCHEMA public"))
    await engine.dispose()
    return database_url


async def _run(url, work):
    engine = make_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def test_models_and_migrations_agree(database_url):
    def differences(connection):
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)

    assert await _run(database_url, differences) == []


async def test_an_empty_database_is_brought_to_the_head(empty_url):
    assert await migrate.current_revision(empty_url) is None
    assert await migrate.upgrade(empty_url) == migrate.head_revision()
    assert await migrate.current_revision(empty_url) == migrate.head_revision()


async def test_migrating_again_changes_nothing(database_url):
    assert await migrate.upgrade(database_url) == migrate.head_revision()


async def test_a_database_of_newer_code_is_refused(database_url):
    await _run(database_url, lambda one: one.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(migrate.SchemaTooNew, match="9999"):
        await migrate.upgrade(database_url)
    with pytest.raises(migrate.SchemaTooNew):
        await migrate.check(database_url)


async def test_a_database_that_is_away_is_an_os_error():
    with pytest.raises(ConnectionError):
        await migrate.upgrade("postgresql://atrium@127.0.0.1:1/atrium")


async def test_there_are_256_shards_from_the_start(database_url):
    count = await _run(database_url, lambda one: one.scalar(sa.text("SELECT count(*) FROM shards")))
    assert count == 256


def test_every_index_table_has_an_id_and_a_version():
    assert set(INDEX_TABLES) >= {"carts", "orders"}
    for table in INDEX_TABLES.values():
        assert {"id", "version"} <= set(table.columns.keys())
        assert list(table.primary_key.columns.keys()) == ["id"]
