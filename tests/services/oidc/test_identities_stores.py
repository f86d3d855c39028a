"""Where identities are kept: the same contract in memory and on Postgres, raced."""

import asyncio

import msgspec
import pytest

from domain.ids import new_id
from services.accounts.accounts import postgres_stores
from storage.accounts.identities import IdentityRecord, IdentityTables, Linked
from storage.accounts.records import UserRecord, UserStatus
from storage.crypto import KeyRing
from storage.db import Database
from tests.services.accounts.memory import memory_stores
from tests.services.oidc.memory import MemoryIdentities

NOW = 1_772_357_400_000
ISSUER = "https://login.test"


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def url(request) -> str:
    """ "" for memory."""
    return "" if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def stores(url):
    if not url:
        people = memory_stores(set())
        yield people.users, MemoryIdentities(people)
        return
    database = Database(url)
    yield postgres_stores(database, KeyRing.ephemeral()).users, IdentityTables(database)
    await database.close()


async def person(users, status=UserStatus.ACTIVE, password_hash="hash"):
    user = UserRecord(
        id=new_id(),
        email=f"{new_id()}@example.test",
        name="Ada",
        status=status,
        password_hash=password_hash,
        created_at_ms=NOW,
        updated_at_ms=NOW,
    )
    assert await users.add_user(user)
    return user.id


def identity(user_id, subject="ada", **more):
    fields = {"provider": "test", "issuer": ISSUER, "linked_at_ms": NOW, **more}
    return IdentityRecord(id=new_id(), user_id=user_id, subject=subject, **fields)


async def test_an_identity_is_somebodys_and_nobody_elses(stores):
    users, identities = stores
    ada, bob = await person(users), await person(users)
    mine = identity(ada)
    assert await identities.add(mine, 10) is Linked.DONE
    assert await identities.add(identity(bob), 10) is Linked.TAKEN
    assert await identities.add(identity(ada), 10) is Linked.TAKEN
    assert await identities.add(identity(bob, issuer="https://other.test"), 10) is Linked.DONE
    assert await identities.add(identity(bob, subject="Ada"), 10) is Linked.DONE
    assert await identities.identity(ISSUER, "ada") == mine
    assert await identities.identity(ISSUER, "nobody") is None
    await identities.used(mine.id, NOW + 5)
    assert await identities.identities(ada) == [msgspec.structs.replace(mine, last_used_at_ms=NOW + 5)]


async def test_nobody_has_more_than_so_many_and_only_active_people_any(stores):
    users, identities = stores
    ada = await person(users)
    added = await asyncio.gather(*(identities.add(identity(ada, subject=str(n)), 3) for n in range(6)))
    assert sorted(added) == [Linked.DONE] * 3 + [Linked.FULL] * 3
    for user_id in (await person(users, UserStatus.SUSPENDED), new_id()):
        assert await identities.add(identity(user_id, subject="x"), 3) is Linked.MISSING


async def test_two_who_come_with_one_identity_at_once_are_one_after_the_other(stores):
    users, identities = stores
    people = [await person(users) for _ in range(4)]
    added = await asyncio.gather(*(identities.add(identity(each), 10) for each in people))
    assert sorted(added) == [Linked.DONE] + [Linked.TAKEN] * 3


async def test_the_last_way_to_log_in_stays_also_when_two_are_taken_at_once(stores):
    users, identities = stores
    ada = await person(users, password_hash="")
    both = [identity(ada, subject=each) for each in ("a", "b")]
    for each in both:
        assert await identities.add(each, 10) is Linked.DONE
    gone = await asyncio.gather(*(identities.remove(ada, each.id, other_way=False) for each in both))
    assert sorted(gone) == [Linked.DONE, Linked.LAST]
    (left,) = await identities.identities(ada)
    assert await identities.remove(ada, new_id(), other_way=False) is Linked.MISSING
    assert await identities.remove(await person(users), left.id, other_way=True) is Linked.MISSING
    assert await identities.remove(ada, left.id, other_way=True) is Linked.DONE
    bob = await person(users)
    only = identity(bob)
    await identities.add(only, 10)
    assert await identities.remove(bob, only.id, other_way=False) is Linked.DONE


async def test_whoever_registered_before_the_address_was_proved_does_not_keep_their_password(stores):
    users, identities = stores
    pending = await person(users, UserStatus.PENDING)
    claimed = await asyncio.gather(*(identities.claim(pending, NOW + 1) for _ in range(3)))
    assert sorted(claimed) == [False, False, True]
    user = await users.user(pending)
    assert (user.status, user.password_hash, user.verified_at_ms) == (UserStatus.ACTIVE, "", NOW + 1)
    assert not await identities.claim(await person(users), NOW)


async def test_a_one_time_value_is_used_once_whoever_comes_at_once(stores):
    _, identities = stores
    used = await asyncio.gather(*(identities.spend(b"h" * 32, NOW + 1_000, NOW) for _ in range(5)))
    assert sorted(used) == [False] * 4 + [True]
    assert await identities.spend(b"i" * 32, NOW + 5_000, NOW + 2_000)
    assert not await identities.spend(b"i" * 32, NOW + 5_000, NOW + 2_000)
