"""Sealing and finding personal values: addresses are sealed, and found by a keyed hash of them."""

import hashlib
import hmac
import secrets
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.crypto import KEY_BYTES, KeyRing
from storage.db import Database
from storage.models import LookupKeyRow

_NAME: Final = "email"


class Vault:
    """Seals the personal columns of the account tables; `hash_email` is what addresses are found by.

    The lookup key is random, made once and kept sealed: it survives every rotation of data keys.
    """

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys
        self._lookup = b""

    def seal(self, plain: bytes, place: str) -> bytes:
        """`place` is table/column/row: sealed bytes open nowhere else."""
        return self._keys.seal(plain, place.encode())

    async def open(self, sealed: bytes, place: str) -> bytes:
        """Raises `SealError`; a data key that another process has just made is fetched."""
        if self._keys.lacks(sealed):
            await self._keys.refresh()
        return self._keys.open(sealed, place.encode())

    async def hash_email(self, email: str) -> bytes:
        """HMAC-SHA256 of the address, without regard to case."""
        if not self._lookup:
            self._lookup = await self._load()
        return hmac.new(self._lookup, email.lower().encode(), hashlib.sha256).digest()

    async def _load(self) -> bytes:
        place = f"lookup_keys/sealed/{_NAME}"
        fresh = self.seal(secrets.token_bytes(KEY_BYTES), place)
        async with self._database.session() as session:
            # Of two processes that make it at once, one wins, and both read what it wrote.
            await session.execute(insert(LookupKeyRow).values(name=_NAME, sealed=fresh).on_conflict_do_nothing())
        async with self._database.session() as session:
            sealed = (await session.scalars(select(LookupKeyRow.sealed).where(LookupKeyRow.name == _NAME))).one()
        return await self.open(sealed, place)
