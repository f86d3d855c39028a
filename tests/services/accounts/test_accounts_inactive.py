"""An organization that is not active gives nothing to anybody, and all of it again once it is."""

import pytest

from actors.runtime.entity import Actor
from domain.errors import Forbidden, Unauthenticated
from domain.ids import new_id
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.services.accounts.people import PASSWORD

ADA = "ada@example.test"
PLATFORM = Actor(new_id(), ("admin",))


async def employed(people, *organizations):
    user_id = await people.join(ADA)
    for each in organizations:
        await people.accounts.members.add(PLATFORM, each, "provider", email=ADA)
    return user_id


def outdated(people, token):
    with pytest.raises(Unauthenticated) as refused:
        people.tokens.verify(token)
    return refused.value.failure.code


async def test_tokens_lose_it_at_once_and_refresh_without_it(people):
    await employed(people, CLINIC)
    opened = await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    assert people.tokens.verify(opened.access_token).organizations == (CLINIC,)
    await people.set_active(CLINIC, active=False)
    assert outdated(people, opened.access_token) == "token_outdated"
    people.clock.advance(seconds=1)
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert people.tokens.verify(again.access_token).organizations == ()
    with pytest.raises(Forbidden, match="organization_inactive"):
        await people.accounts.logins.refresh(again.refresh_token, CLINIC)
    with pytest.raises(Forbidden, match="organization_inactive"):
        await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)


async def test_it_is_in_no_token_for_another_organization(people):
    await employed(people, CLINIC, OTHER_CLINIC)
    opened = await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    assert set(opened.grant.organizations) == {CLINIC, OTHER_CLINIC}
    await people.set_active(OTHER_CLINIC, active=False)
    assert outdated(people, opened.access_token) == "token_outdated"
    people.clock.advance(seconds=1)
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert again.grant.organizations == (CLINIC,)
    people.tokens.verify(again.access_token)


async def test_reactivated_it_gives_what_its_people_have_there_now(people):
    user_id = await employed(people, CLINIC)
    await people.set_active(CLINIC, active=False)
    assert await people.accounts.members.of_user(user_id, inactive=False) == {}
    assert await people.accounts.members.of_user(user_id) == {CLINIC: ("provider",)}
    await people.accounts.members.add(PLATFORM, CLINIC, "billing", email=ADA)
    await people.set_active(CLINIC, active=True)
    people.clock.advance(seconds=1)
    opened = await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    assert opened.grant.roles == ("billing", "provider")
    people.tokens.verify(opened.access_token)


async def test_keys_of_people_for_it_are_refused_while_it_is_inactive(people):
    user_id = await employed(people, CLINIC)
    keys, actor = people.accounts.keys, Actor(user_id, ("provider",), (CLINIC,))
    made = await keys.create(actor, await keys.own(actor, CLINIC), name="CI", scopes=("rooms:read",))
    check = people.accounts.key_check
    assert (await check.verify(made.key)).organizations == (CLINIC,)
    await people.set_active(CLINIC, active=False)
    people.clock.advance(seconds=1)
    with pytest.raises(Unauthenticated, match="token_revoked"):
        await check.verify(made.key)
    with pytest.raises(Forbidden, match="organization_inactive"):
        await keys.own(actor, CLINIC)
    await people.set_active(CLINIC, active=True)
    assert (await check.verify(made.key)).organizations == (CLINIC,)
