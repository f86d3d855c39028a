"""What a thief of the database finds of second factors."""

import pytest
from sqlalchemy import text

from services.accounts.accounts import postgres_stores
from storage.crypto import KeyRing, SealError
from storage.db import Database
from tests.services.accounts.factors import asked, with_app
from tests.services.accounts.people import People

pytestmark = pytest.mark.stack


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


async def test_no_secret_code_or_challenge_lies_open(people: People, database_url: str) -> None:
    app = await with_app(people)
    challenge = await asked(people)
    database = Database(database_url)
    kept = b""
    async with database.session() as session:
        for table in ("totp_factors", "recovery_codes", "factor_challenges"):
            rows = (await session.execute(text(f"SELECT * FROM {table}"))).all()
            assert rows
            kept += b"".join(each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row)
    await database.close()
    plain = (app.secret, challenge, *app.recovery_codes, *(one.replace("-", "") for one in app.recovery_codes))
    assert [one for one in plain if one.encode() in kept] == []


async def test_a_secret_opens_in_its_own_row_only(people: People, database_url: str) -> None:
    ada, bob = await with_app(people), await with_app(people, "bob@example.test")
    database = Database(database_url)
    async with database.session() as session:
        other = "SELECT secret FROM totp_factors WHERE user_id = :bob"
        swap = f"UPDATE totp_factors SET secret = ({other}) WHERE user_id = :ada"
        await session.execute(text(swap), {"ada": ada.user_id, "bob": bob.user_id})
    with pytest.raises(SealError):
        await people.stores.factors.totp(ada.user_id)
    stranger = postgres_stores(database, KeyRing.ephemeral())
    with pytest.raises(SealError):
        await stranger.factors.totp(bob.user_id)
    await database.close()
