"""SQLAlchemy's engine and sessions for plain tables. One request or reaction is one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from storage.settings import Settings


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
                },
            },
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed when the block ends, rolled back when it raises."""
        async with self._sessions.begin() as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
