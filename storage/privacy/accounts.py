"""The account of somebody who is erased: overwritten, with its address free again."""

import hashlib
from typing import Any, Final

from sqlalchemy import func, update

from storage.crypto import KeyRing
from storage.db import Database
from storage.models import User
from storage.sealed_columns import column_place

STAYS: Final = frozenset({"id", "created_at", "updated_at", "deleted_at", "version"})
"""Columns of `users` that an erasure leaves. All others are in `erased_values`; a test sees to it."""


class ErasedAccounts:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def close(self, user_id: str) -> None:
        """Nobody logs in with it from now on."""
        statement = update(User).where(User.id == user_id, User.status != "deleted")
        closed = {"status": "deleted", "deleted_at": func.now(), "version": User.version + 1}
        async with self._database.session() as session:
            await session.execute(statement.values(closed))

    async def erase(self, user_id: str) -> bool:
        """Whether there was something left to erase: the second time there is not."""
        statement = update(User).where(User.id == user_id, User.email_hash != _nobody(user_id))
        values = erased_values(self._keys, user_id) | {"version": User.version + 1}
        async with self._database.session() as session:
            return (await session.execute(statement.values(values).returning(User.id))).first() is not None


def erased_values(keys: KeyRing, user_id: str) -> dict[str, Any]:
    return {
        "email": keys.seal(b"", column_place("users", "email", user_id)),
        "email_hash": _nobody(user_id),
        "name": "",
        "profile": None,
        "preferences": None,
        "status": "deleted",
        "password_hash": "",
        "roles": [],
        "locale": "en",
        "time_zone": "UTC",
        "verified_at": None,
    }


def _nobody(user_id: str) -> bytes:
    """In place of an address's keyed hash: unique, and of no address."""
    return hashlib.sha256(f"erased/{user_id}".encode()).digest()
