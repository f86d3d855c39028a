"""Names and telephone numbers of people: sealed together, and found by keyed hashes of the words."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ARRAY, Text, cast, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.search_words import beginnings_of
from storage.accounts.lookup import Vault
from storage.models import User, UserSearch


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """`phone` in the form of E.164, "" for none."""

    name: str
    phone: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Profile).decode


def seal_profile(vault: Vault, user_id: str, profile: Profile) -> bytes:
    return vault.seal(_encode(profile), _place(user_id))


async def profile_of(vault: Vault, row: User) -> Profile:
    """Of an account that no gateway has sealed yet: its name in clear."""
    return Profile(row.name) if row.profile is None else _decode(await vault.open(row.profile, _place(row.id)))


async def blind_words(vault: Vault, name: str) -> list[str]:
    """What this name is found by. Ask for it before a transaction: the first time, it reads the key."""
    return await vault.blind(beginnings_of(name))


async def put_words(session: AsyncSession, user_id: str, words: Sequence[str]) -> None:
    """Replace what this person is found by."""
    vector = func.array_to_tsvector(cast(list(words), ARRAY(Text)))
    statement = insert(UserSearch).values(user_id=user_id, words=vector)
    await session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_={"words": vector}))


def _place(user_id: str) -> str:
    return f"users/profile/{user_id}"
