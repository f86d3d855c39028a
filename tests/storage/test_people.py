"""How people lie in the tables: nothing personal in clear, and what an older release left so is sealed."""

import pytest
from sqlalchemy import insert, select, text, update

from domain.ids import new_id
from domain.search_words import words_of
from services.accounts.accounts import postgres_stores
from services.accounts.store import AccountStores
from storage.accounts.lookup import Vault
from storage.accounts.records import PositionRecord, UserRecord, UserStatus
from storage.crypto import KEY_BYTES, KeyRing
from storage.db import Database
from storage.models import Membership, Organization, User

pytestmark = pytest.mark.stack


@pytest.fixture
async def database(database_url):
    database = Database(database_url)
    yield database
    await database.close()


def person(name: str, **more) -> UserRecord:
    user_id = new_id()
    fields = {"email": f"{user_id}@example.test", "status": UserStatus.ACTIVE, "created_at_ms": 1, "updated_at_ms": 1}
    return UserRecord(id=user_id, name=name, **fields, **more)


async def everything(database: Database) -> str:
    """All that stands in the tables of people, as text."""
    found = []
    async with database.session() as session:
        for table in ("users", "user_search", "user_positions"):
            found += [str(row) for row in await session.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(found)


async def find(stores: AccountStores, query: str) -> list[str]:
    return [one.name for one in await stores.people.search(words_of(query), None, "", 10)]


async def test_names_numbers_and_positions_do_not_lie_in_clear(database):
    stores = postgres_stores(database, KeyRing.ephemeral())
    ada = person("Gerlinde Winterhalter", phone="+436641234567")
    await stores.users.add_user(ada)
    await stores.people.put_position(
        ada.id, PositionRecord(lat_hundredths=4821, lon_hundredths=1637, consented_at_ms=1, expires_at_ms=2)
    )
    kept = await everything(database)
    assert ada.id in kept
    for clear in ("Gerlinde", "gerlinde", "ger", "Winterhalter", "winter", "6641234567", "4821", ada.email):
        assert clear not in kept.replace(ada.id, ""), clear
    assert (await stores.users.user(ada.id), await find(stores, "winter")) == (ada, ["Gerlinde Winterhalter"])


async def test_what_a_word_is_found_by_differs_between_installations_and_not_between_gateways(database):
    keys = KeyRing.ephemeral()
    first, second = postgres_stores(database, keys), postgres_stores(database, keys)
    await first.users.add_user(person("Ada Lovelace"))
    assert await find(second, "love") == ["Ada Lovelace"]
    async with database.session() as session:
        await session.execute(text("DELETE FROM lookup_keys WHERE name = 'words'"))
    assert await find(postgres_stores(database, keys), "love") == []


async def test_names_of_an_older_release_are_sealed_and_then_found(database):
    stores = postgres_stores(database, KeyRing.ephemeral())
    people = [person(f"Number{number} Older") for number in range(5)]
    for one in people:
        await stores.users.add_user(one)
    async with database.session() as session:
        for one in people:
            await session.execute(update(User).where(User.id == one.id).values(name=one.name, profile=None))
        await session.execute(text("DELETE FROM user_search"))
    assert (await stores.users.user(people[0].id)) == people[0]
    assert [await stores.people.seal_names(3) for _ in range(3)] == [3, 2, 0]
    assert "Older" not in await everything(database)
    assert (await stores.users.user(people[0].id)) == people[0]
    assert len(await find(stores, "older")) == 5
    async with database.session() as session:  # as an erasure leaves them
        await session.execute(update(User).where(User.id == people[0].id).values(name="", profile=None))
    assert await stores.people.seal_names(3) == 0


async def test_positions_that_ran_out_are_deleted_when_somebody_gives_theirs(database):
    stores = postgres_stores(database, KeyRing.ephemeral())
    first, second = person("Ada"), person("Bob")
    for one, consented, expires in ((first, 1, 1_000), (second, 1_000, 2_000)):
        await stores.users.add_user(one)
        position = PositionRecord(lat_hundredths=0, lon_hundredths=0, consented_at_ms=consented, expires_at_ms=expires)
        await stores.people.put_position(one.id, position)
    async with database.session() as session:
        assert list(await session.scalars(text("SELECT user_id FROM user_positions"))) == [second.id]


async def test_a_search_uses_the_index_of_words(database):
    stores = postgres_stores(database, KeyRing.ephemeral())
    async with database.session() as session:
        await session.execute(insert(Organization).values(id="o-1", kind="clinic", name="C", currency="EUR"))
    for number in range(3):
        one = person(f"Ada {number}")
        await stores.users.add_user(one)
        async with database.session() as session:
            await session.execute(
                insert(Membership).values(
                    user_id=one.id, organization_id="o-1", role="provider", created_at=text("now()")
                )
            )
    async with database.session() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.scalars(
            text("EXPLAIN SELECT user_id FROM user_search WHERE words @@ CAST('''ab'' & ''cd''' AS tsquery)")
        )
        assert "ix_user_search_words" in "\n".join(plan)
    assert len(await stores.people.search(["ada"], ["o-1"], "", 10)) == 3
    assert await stores.people.search(["ada"], ["o-2"], "", 10) == []
    async with database.session() as session:
        assert set(await session.scalars(select(User.name))) == {""}


async def test_all_gateways_hash_addresses_by_one_key_that_nothing_else_is_hashed_by(database):
    keys = KeyRing.ephemeral()
    first, second = Vault(database, keys), Vault(database, keys)
    assert await first.address_key() == await second.address_key()
    assert len(await first.address_key()) == KEY_BYTES
    assert await first.address_key() not in {await first._key("words"), await first._key("email")}
