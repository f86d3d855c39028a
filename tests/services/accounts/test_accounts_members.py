"""Who may say who has which role at an organization."""

import asyncio

import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.ids import new_id
from tests.serve.clinic import CLINIC, OTHER_CLINIC

PLATFORM = Actor(new_id(), ("admin",))
ITS_ADMIN = Actor(new_id(), ("admin",), (CLINIC,))


async def test_admins_give_and_take_roles(people):
    user_id = await people.join("ada@example.test")
    members = people.accounts.members
    for role, repeated in (("provider", False), ("billing", False), ("billing", True)):
        _, seen = await members.add(ITS_ADMIN, CLINIC, role, email="ADA@example.test")
        assert seen is repeated
    listed = await members.list(ITS_ADMIN, CLINIC, "", 10)
    assert [(one.user.id, one.roles) for one in listed] == [(user_id, ("billing", "provider"))]
    await members.remove(ITS_ADMIN, CLINIC, user_id, "billing")
    assert await members.of_user(user_id) == {CLINIC: ("provider",)}
    with pytest.raises(NotFound):
        await members.remove(ITS_ADMIN, CLINIC, user_id, "billing")
    actions = [event.action for event in people.trail.kept if event.organization_id == CLINIC]
    assert actions == ["member_added_provider", "member_added_billing", "member_removed"]


@pytest.mark.parametrize(
    "actor",
    [
        Actor(new_id(), ("admin",), (OTHER_CLINIC,)),
        Actor(new_id(), ("provider",), (CLINIC,)),
        Actor(new_id(), ("customer",)),
    ],
)
async def test_to_all_others_the_organization_does_not_exist(people, actor):
    user_id = await people.join("ada@example.test")
    members = people.accounts.members
    for attempt in (
        members.add(actor, CLINIC, "admin", user_id=user_id),
        members.list(actor, CLINIC, "", 10),
        members.remove(actor, CLINIC, user_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await members.of_user(user_id) == {}


async def test_only_roles_of_organizations_and_only_people_with_an_account(people):
    members = people.accounts.members
    await people.join("ada@example.test")
    with pytest.raises(Invalid):
        await members.add(PLATFORM, CLINIC, "customer", email="ada@example.test")
    with pytest.raises(NotFound, match="user_unknown"):
        await members.add(PLATFORM, CLINIC, "provider", email="nobody@example.test")
    with pytest.raises(NotFound):
        await members.add(PLATFORM, new_id(), "provider", email="ada@example.test")


async def test_the_last_admin_stays_also_when_two_remove_each_other_at_once(people):
    members = people.accounts.members
    ids = [await people.join(f"{name}@example.test") for name in ("ada", "bob")]
    for user_id in ids:
        await members.add(PLATFORM, CLINIC, "admin", user_id=user_id)
    results = await asyncio.gather(*(members.remove(PLATFORM, CLINIC, id_) for id_ in ids), return_exceptions=True)
    assert [type(one) for one in results if one is not None] == [Conflict]
    assert len(await members.list(PLATFORM, CLINIC, "", 10)) == 1


async def test_an_id_alone_makes_nobody_a_member_but_for_the_platform(people):
    """Or a merchant could read the address of every customer who ordered there."""
    user_id = await people.join("ada@example.test")
    members = people.accounts.members
    with pytest.raises(NotFound, match="user_unknown"):
        await members.add(ITS_ADMIN, CLINIC, "provider", user_id=user_id)
    await members.add(ITS_ADMIN, CLINIC, "provider", email="ada@example.test")
    await members.add(ITS_ADMIN, CLINIC, "billing", user_id=user_id)
    assert await members.of_user(user_id) == {CLINIC: ("billing", "provider")}


async def test_an_organizations_admins_give_themselves_nothing_the_platforms_may(people):
    user_id = await people.join("ada@example.test")
    await people.accounts.members.add(PLATFORM, CLINIC, "admin", user_id=user_id)
    with pytest.raises(Forbidden, match="own_roles"):
        await people.accounts.members.add(Actor(user_id, ("admin",), (CLINIC,)), CLINIC, "provider", user_id=user_id)
    await people.accounts.members.add(Actor(user_id, ("admin",)), CLINIC, "billing", user_id=user_id)
    assert await people.accounts.members.of_user(user_id) == {CLINIC: ("admin", "billing")}
