"""SQLAlchemy's engine and sessions for plain tables. One request or reaction is one transaction."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from domain.errors import Unavailable
from storage.settings import Settings

_AWAY_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
"""SQLSTATE classes of a server that is absent, overloaded, stopping, or broke a deadlock: try again."""


def _away() -> Unavailable:
    return Unavailable("The database does not answer.", retry_after_ms=1_000)


def make_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine on asyncpg for a plain `postgresql://` URL. `options` go to SQLAlchemy."""
    return create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), **options)


class Database:
    """Sessions on one pool. Close it when done."""

    def __init__(self, url: str, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.engine = make_engine(
            url,
            pool_size=settings.database_pool_max,
            max_overflow=0,
            pool_timeout=settings.database_timeout_s,
            pool_pre_ping=True,
            connect_args={
                "timeout": settings.database_timeout_s,
                "command_timeout": settings.database_timeout_s,
                "server_settings": {
                    "application_name": "atrium-tables",
                    "statement_timeout": str(int(settings.database_timeout_s * 1000)),
                    # The journal's tail waits for the oldest transaction: one of a stopped process must end.
                    "idle_in_transaction_session_timeout": str(int(settings.database_timeout_s * 1000)),
                },
            },
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._single = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed when the block ends, rolled back when it raises.

        Raises `Unavailable` when the database is away or does not answer in time.
        """
        with _told():
            async with self._sessions.begin() as session:
                yield session

    async def execute(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """One statement that is a transaction by itself, and the rows it returns, if it does. Build it once: that costs
        more than to send it.

        Spares the journeys of BEGIN and COMMIT. Raises as `session`.
        """
        with _told():
            async with self._single.connect() as connection:
                result = await connection.execute(statement, parameters)
                return result.all() if result.returns_rows else ()

    async def close(self) -> None:
        await self.engine.dispose()


@contextmanager
def _told() -> Iterator[None]:
    """What it means when the database fails, in the house's errors."""
    try:
        yield
    except (OSError, PoolTimeout) as error:
        raise _away() from error
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")[:2]
        if error.connection_invalidated or not state or state in _AWAY_CLASSES:
            raise _away() from error
        raise
