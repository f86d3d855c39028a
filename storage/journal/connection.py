"""asyncpg connections as the journal wants them, and what an error of one of them means."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from storage.journal.interface import CommitRefused, CommitUnknown, JournalError

COMMIT_APPLICATION: Final = "atrium-commit"
"""The `application_name` of connections that commit; only these are ever terminated by a fence."""
READ_APPLICATION: Final = "atrium-journal"

_POSTGRES_EPOCH_MS: Final = 946_684_800_000
"""Postgres counts microseconds since 2000-01-01 UTC."""

_REFUSED_CLASSES: Final = frozenset({"0A", "21", "22", "23", "42", "54"})
"""SQLSTATE classes that blame the data or the statement: the transaction is known to be rolled back."""

_AWAY_CLASSES: Final = frozenset({"08", "25", "40", "53", "55", "57", "58"})

if TYPE_CHECKING:
    Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
else:  # asyncpg's classes take no parameters at run time
    Connection = asyncpg.Connection | PoolConnectionProxy


class StoreAway(ConnectionError):
    """The database cannot be reached, is starting or stopping, or did not answer in time."""


def _settings(application: str, statement_timeout_s: float) -> dict[str, str]:
    return {
        "application_name": application,
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        # A process that is stopped between two statements of a move holds locks that every fence needs.
        "idle_in_transaction_session_timeout": "2000",
        "timezone": "UTC",
        "jit": "off",
        # Plans are made once, maybe while the tables are empty: they must be the ones for large tables.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }


def _uuid_bytes(value: bytes) -> bytes:
    """Checked here: a wrong length breaks the message for Postgres, which is then no refusal of the data."""
    if len(value) != 16:
        raise ValueError("a command id has 16 bytes")
    return value


async def _prepare(connection: Any) -> None:
    """Times as integer milliseconds and UUIDs as 16 bytes, without a datetime or UUID object in between."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        format="tuple",
        encoder=lambda ms: ((ms - _POSTGRES_EPOCH_MS) * 1000,),
        decoder=lambda value: value[0] // 1000 + _POSTGRES_EPOCH_MS,
    )
    await connection.set_type_codec("uuid", schema="pg_catalog", format="binary", encoder=_uuid_bytes, decoder=bytes)


async def connect(url: str, application: str, statement_timeout_s: float) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection with the journal's codecs. Raises `OSError` when there is none to be had."""
    async with store_errors():
        connection = await asyncpg.connect(
            url,
            timeout=statement_timeout_s,
            server_settings=_settings(application, statement_timeout_s),
        )
        await _prepare(connection)
        return connection


async def _keep(_: Any) -> None:
    """Instead of the pool's reset, a round trip: the journal leaves nothing behind on a connection."""


def make_pool(
    url: str, size: int, connect_timeout_s: float, statement_timeout_s: float
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool that connects when it is first needed; enter it before use."""
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        init=_prepare,
        reset=_keep,
        timeout=connect_timeout_s,
        server_settings=_settings(READ_APPLICATION, statement_timeout_s),
    )


def _sqlstate(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def commit_error(error: Exception) -> JournalError:
    """What a failed commit means: refused only where Postgres says so, unknown in every other case."""
    if _sqlstate(error)[:2] in _REFUSED_CLASSES:
        return CommitRefused(f"{type(error).__name__}: {error}")
    return CommitUnknown(f"{type(error).__name__}: {error}")


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn asyncpg's errors into `StoreAway` where the store is away, and into `JournalError` elsewhere."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state = _sqlstate(error)[:2]
        if state in _AWAY_CLASSES or isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
            raise StoreAway(f"{type(error).__name__}: {error}") from error
        raise JournalError(f"{type(error).__name__}: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise StoreAway(f"{type(error).__name__}: {error}") from error
    except TimeoutError as error:
        raise StoreAway("no answer in time") from error
