"""What operators do to the data keys: each act one transaction, together with its event in the audit trail."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Unavailable
from storage.crypto import KEY_BYTES
from storage.data_keys import DataKeyTable, context_of, read_data_keys
from storage.db import Also, Database, nothing_else
from storage.journal.connection import StoreAway
from storage.journal.interface import JournalError
from storage.key_wrapping import EncryptionKeyError, KeyWrapper
from storage.models import DataKeyRow

_LATEST: Final = select(func.max(DataKeyRow.id)).where(DataKeyRow.retired_at.is_(None)).scalar_subquery()


async def next_key_id(url: str) -> int:
    """Under which `make_current_key` makes one. Raises `OSError`, `JournalError`."""
    return max((row.id for row in await read_data_keys(url)), default=0) + 1


async def make_current_key(url: str, wrapper: KeyWrapper, key_id: int, also: Also = nothing_else) -> bool:
    """Make a new data key. Everybody seals with it as soon as they read the keys again.

    False, and nothing is done, if another process has made the one of this id.
    Raises `EncryptionKeyError`, `OSError`, `JournalError`.
    """
    wrapped = await wrapper.wrap(secrets.token_bytes(KEY_BYTES), context_of(key_id))
    values = {"id": key_id, "wrapped": wrapped, "wrapper": wrapper.name}
    statement = insert(DataKeyRow).values(values).on_conflict_do_nothing().returning(DataKeyRow.id)
    async with _session(url) as session:
        made = (await session.execute(statement)).first() is not None
        if made:
            await also(session)
    return made


async def retire_data_key(url: str, key_id: int, also: Also = nothing_else) -> bool:
    """Whether it is retired now: the current one never is. It stays readable. Raises `OSError`, `JournalError`."""
    older = update(DataKeyRow).where(DataKeyRow.id == key_id, DataKeyRow.retired_at.is_(None), DataKeyRow.id < _LATEST)
    async with _session(url) as session:
        changed = await session.execute(older.values(retired_at=func.now()).returning(DataKeyRow.id))
        retired = changed.first() is not None
        if retired:
            await also(session)
    return retired


async def rewrap_data_keys(url: str, old: KeyWrapper, new: KeyWrapper, also: Also = nothing_else) -> int:
    """Wrap all data keys by another key-encryption key, all or none; returns how many were not yet.

    Raises `EncryptionKeyError` for one that neither has wrapped, `OSError`, `JournalError`.
    """
    stored = [row for row in await read_data_keys(url) if row.wrapper != new.name]
    table = DataKeyTable(url, old)
    fresh = {row: await new.wrap(await table.unwrap(row), context_of(row.id)) for row in stored}
    async with _session(url) as session:
        for row, wrapped in fresh.items():
            still = update(DataKeyRow).where(DataKeyRow.id == row.id, DataKeyRow.wrapped == row.wrapped)
            changed = still.values(wrapped=wrapped, wrapper=new.name).returning(DataKeyRow.id)
            if (await session.execute(changed)).first() is None:
                raise EncryptionKeyError(f"data key {row.id} was changed by somebody else at the same time")
        await also(session)
    return len(stored)


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[AsyncSession]:
    database = Database(url)
    try:
        async with database.session() as session:
            yield session
    except Unavailable as error:
        raise StoreAway(error.failure.detail) from error
    except SQLAlchemyError as error:
        raise JournalError(f"{type(error).__name__}: {error}") from error
    finally:
        await database.close()
