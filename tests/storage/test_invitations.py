"""Invitations in Postgres, where several at once are one after the other."""

import pytest

from domain.ids import new_id
from services.accounts.accounts import postgres_stores
from storage.accounts.invitations import InvitationRecord, Joined
from storage.accounts.records import MembershipRecord, UserRecord, UserStatus
from storage.accounts.secret_tokens import token_hash
from storage.crypto import KeyRing
from storage.organizations import OrganizationRecord, OrganizationTables
from tests.storage.crowding import at_once

pytestmark = pytest.mark.stack

ADA = "ada@example.test"
NOW_MS = 1_772_357_400_000
WRITES_HELD = "LOCK TABLE invitations IN EXCLUSIVE MODE"
"""Whoever reads goes on; whoever writes, or locks a row, waits."""


@pytest.fixture
async def stores(database):
    await OrganizationTables(database).add(OrganizationRecord(id="o-1", kind="clinic", name="C", currency="EUR"))
    return postgres_stores(database, KeyRing.ephemeral())


def invitation(email=ADA, *roles):
    return InvitationRecord(
        id=new_id(),
        organization_id="o-1",
        email=email,
        roles=roles or ("provider",),
        locale="en",
        invited_by=new_id(),
        created_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 1_000,
    )


def added(stores, made, *, count_max=99, same_max=99):
    return stores.invitations.add(made, token_hash(made.id), since_ms=0, count_max=count_max, same_max=same_max)


def person(**fields):
    fields = {
        "id": new_id(),
        "email": ADA,
        "name": "Ada",
        "status": UserStatus.ACTIVE,
        "verified_at_ms": NOW_MS,
    } | fields
    return UserRecord(created_at_ms=NOW_MS, updated_at_ms=NOW_MS, **fields)


async def test_they_read_back_as_they_were_written(stores):
    made = invitation(ADA, "admin", "billing")
    assert await added(stores, made)
    assert await stores.invitations.invitations("o-1", "", 10) == [made]
    assert await stores.invitations.by_hash(token_hash(made.id), NOW_MS) == made
    assert await stores.invitations.by_hash(token_hash(made.id), NOW_MS + 1_000) is None


async def test_several_at_once_are_counted_like_several_after_each_other(stores, database_url):
    made = [invitation(f"{number}@example.test") for number in range(4)]
    done = await at_once(database_url, WRITES_HELD, *(added(stores, one, count_max=2) for one in made))
    assert sorted(done) == [False, False, True, True]


async def test_several_to_one_address_at_once_leave_one_that_holds(stores, database_url):
    made = [invitation(each) for each in (ADA, ADA.upper(), ADA)]
    done = await at_once(database_url, WRITES_HELD, *(added(stores, one, same_max=2) for one in made))
    assert sorted(done) == [False, True, True]
    assert len(await stores.invitations.invitations("o-1", "", 10)) == 1


async def test_two_who_accept_at_once_are_one_member(stores, database_url):
    made, ada = invitation(), person()
    await added(stores, made)
    await stores.users.add_user(ada)
    accept = stores.invitations.accept
    attempts = (accept(token_hash(made.id), ada.id, NOW_MS) for _ in range(2))
    done = await at_once(database_url, WRITES_HELD, *attempts)
    assert sorted(done, key=str) == [Joined(ada.id, (), ("provider",)), None]


async def test_two_who_register_at_once_are_one_account(stores, database_url):
    made = invitation()
    await added(stores, made)
    register = stores.invitations.register
    attempts = (register(token_hash(made.id), person(), NOW_MS) for _ in range(2))
    done = await at_once(database_url, WRITES_HELD, *attempts)
    [joined] = [one for one in done if one is not None]
    assert (await stores.users.user_by_email(ADA)).id == joined.user_id


async def test_who_registers_without_it_at_the_same_moment_has_the_account(stores, database_url):
    made, other = invitation(), person(status=UserStatus.PENDING, verified_at_ms=0)
    await added(stores, made)
    register = stores.invitations.register(token_hash(made.id), person(), NOW_MS)
    done = await at_once(database_url, "LOCK TABLE users IN EXCLUSIVE MODE", stores.users.add_user(other), register)
    user = await stores.users.user_by_email(ADA)
    assert done in (
        [True, None],
        [False, Joined(user.id, (), ("provider",))],
        [True, Joined(other.id, (), ("provider",))],
    )
    still = await stores.invitations.by_hash(token_hash(made.id), NOW_MS)
    assert (still is None) == (user.status is UserStatus.ACTIVE)


async def test_nobody_is_a_member_by_an_address_that_is_not_theirs_or_not_active(stores):
    made = invitation()
    await added(stores, made)
    for one in (person(email="bob@example.test"), person(status=UserStatus.SUSPENDED)):
        await stores.users.add_user(one)
        assert await stores.invitations.accept(token_hash(made.id), one.id, NOW_MS) is None
        assert await stores.members.memberships(one.id) == []
    assert await stores.invitations.accept(token_hash(made.id), new_id(), NOW_MS) is None
    assert await stores.invitations.register(token_hash(made.id), person(email="cleo@example.test"), NOW_MS) is None
    assert await stores.invitations.by_hash(token_hash(made.id), NOW_MS) == made


async def member(stores, *roles):
    ada = person()
    await stores.users.add_user(ada)
    for role in roles:
        await stores.members.add_membership(MembershipRecord(user_id=ada.id, organization_id="o-1", role=role), NOW_MS)
    return ada


async def test_with_a_role_goes_what_is_open_to_the_same_address_there(stores):
    ada = await member(stores, "provider", "billing", "front_desk")
    takings = (
        lambda: stores.members.remove_memberships("o-1", ada.id, "provider", "admin", NOW_MS),
        lambda: stores.people.set_member_roles("o-1", ada.id, ["billing"], expected=-1, now_ms=NOW_MS),
        lambda: stores.members.remove_memberships("o-1", ada.id, "", "admin", NOW_MS),
    )
    for taking in takings:
        made, other = invitation(ADA.upper()), invitation("bob@example.test")
        assert await added(stores, made)
        assert await added(stores, other)
        await taking()
        assert await stores.invitations.invitations("o-1", "", 10) == [other]
        assert await stores.invitations.accept(token_hash(made.id), ada.id, NOW_MS) is None


async def test_what_takes_nothing_away_leaves_what_is_open(stores):
    made = invitation()
    await added(stores, made)
    ada = await member(stores, "admin")
    assert await stores.members.remove_memberships("o-1", ada.id, "", "admin", NOW_MS) is None
    assert await stores.members.remove_memberships("o-1", ada.id, "provider", "admin", NOW_MS) == 0
    assert await stores.invitations.invitations("o-1", "", 10) == [made]


async def test_who_accepts_while_their_roles_are_taken_has_none_of_them_in_the_end(stores, database_url):
    made = invitation()
    await added(stores, made)
    ada = await member(stores, "provider", "billing")
    taken = stores.members.remove_memberships("o-1", ada.id, "", "admin", NOW_MS)
    accepted = stores.invitations.accept(token_hash(made.id), ada.id, NOW_MS)
    done = await at_once(database_url, WRITES_HELD, accepted, taken)
    assert done[1] == 2
    assert isinstance(done[0], Joined | None)
    assert await stores.members.memberships(ada.id) == []
