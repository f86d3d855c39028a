"""SQLAlchemy's engine and sessions for plain tables. One request or reaction is one transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeAlias

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from domain.errors import Unavailable
from storage.settings import Settings

Also: TypeAlias = Callable[[AsyncSession], Awaitable[None]]
"""What else is written in somebody's transaction, if what it is about is done: an event of the audit trail."""

_AWAY_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
"""SQLSTATE classes of a server that is absent, overloaded, stopping, or broke a deadlock: try again."""


_STATEMENTS_MAX: Final = 4
"""Connections for single statements, besides the sessions' pool; each statement takes well under a millisecond."""


async def nothing_else(_: AsyncSession) -> None:
    """An `Also` that writes nothing."""


def _away() -> Unavailable:
    return Unavailable("The database does not answer.", retry_after_ms=1_000)


def make_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine on asyncpg for a plain `postgresql://` URL. `options` go to SQLAlchemy."""
    return create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), **options)


class Database:
    """Sessions on one pool. Close it when done."""

    def __init__(self, url: str, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self._url = url
        self._timeout_s = settings.database_timeout_s
        milliseconds = str(int(settings.database_timeout_s * 1000))
        self._server_settings = {
            "application_name": "atrium-tables",
            "statement_timeout": milliseconds,
            # The journal's tail waits for the oldest transaction: one of a stopped process must end.
            "idle_in_transaction_session_timeout": milliseconds,
        }
        self._statements: asyncpg.Pool[asyncpg.Record] | None = None
        self.engine = make_engine(
            url,
            pool_size=settings.database_pool_max,
            max_overflow=0,
            pool_timeout=settings.database_timeout_s,
            pool_pre_ping=True,
            connect_args={
                "timeout": settings.database_timeout_s,
                "command_timeout": settings.database_timeout_s,
                "server_settings": self._server_settings,
            },
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed when the block ends, rolled back when it raises.

        Raises `Unavailable` when the database is away or does not answer in time.
        """
        with _told():
            async with self._sessions.begin() as session:
                yield session

    async def fetch(self, statement: str, *arguments: Any) -> "list[asyncpg.Record]":
        """One statement that is a transaction by itself, with `$1` for the first argument, and the rows it returns.

        Straight on asyncpg, for what is asked many times a second: SQLAlchemy's share, and the journeys of BEGIN,
        COMMIT and the pool's ping, are ten times what such a statement costs by itself. Raises as `session`.
        """
        with _told():
            if self._statements is None:
                self._statements = asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_STATEMENTS_MAX,
                    reset=_keep,
                    timeout=self._timeout_s,
                    command_timeout=self._timeout_s,
                    server_settings=self._server_settings,
                )
            pool = await self._statements
            return await pool.fetch(statement, *arguments)

    async def close(self) -> None:
        await self.engine.dispose()
        if self._statements is not None:
            await self._statements.close()


async def _keep(_: Any) -> None:
    """Instead of the pool's reset, a round trip: a statement leaves nothing behind on its connection."""


@contextmanager
def _told() -> Iterator[None]:
    """What it means when the database fails, in the house's errors."""
    try:
        yield
    except (OSError, PoolTimeout, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise _away() from error
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in _AWAY_CLASSES:
            raise _away() from error
        raise
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")[:2]
        if error.connection_invalidated or not state or state in _AWAY_CLASSES:
            raise _away() from error
        raise
