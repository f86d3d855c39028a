"""Sealing and finding personal values: addresses and names are sealed, and found by keyed hashes of them."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from storage.crypto import KEY_BYTES, KeyRing
from storage.db import Database
from storage.models import LookupKeyRow

_EMAIL: Final = "email"
_WORDS: Final = "words"
_ADDRESSES: Final = "addresses"
_WORD_BYTES: Final = 8
"""Of the hash of a word: what two words share by chance is one name too many in a list."""


class Vault:
    """Seals the personal columns of the account tables; `hash_email` is what addresses are found by, `blind` names.

    The lookup keys are random, made once and kept sealed: they survive every rotation of data keys.
    """

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys
        self._lookup: dict[str, bytes] = {}

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
        return _keyed(await self._key(_EMAIL), email.lower())

    async def blind(self, words: Sequence[str]) -> list[str]:
        """What stands for these words in an index: hexadecimal, the same for the same word, under a key of its own."""
        key = await self._key(_WORDS)
        return [_keyed(key, word)[:_WORD_BYTES].hex() for word in words]

    async def address_key(self) -> bytes:
        """By which all gateways hash clients' addresses. Raises `Unavailable` when the database is away."""
        return await self._key(_ADDRESSES)

    async def _key(self, name: str) -> bytes:
        if name not in self._lookup:
            self._lookup[name] = await self._load(name)
        return self._lookup[name]

    async def _load(self, name: str) -> bytes:
        place = f"lookup_keys/sealed/{name}"
        fresh = self.seal(secrets.token_bytes(KEY_BYTES), place)
        async with self._database.session() as session:
            # Of two processes that make it at once, one wins, and both read what it wrote.
            await session.execute(insert(LookupKeyRow).values(name=name, sealed=fresh).on_conflict_do_nothing())
        async with self._database.session() as session:
            sealed = (await session.scalars(select(LookupKeyRow.sealed).where(LookupKeyRow.name == name))).one()
        return await self.open(sealed, place)


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
