"""What ends a login ends its access tokens, in memory and on Postgres alike; and no race gets around it."""

import asyncio

import pytest

from domain.errors import Unauthenticated
from domain.ids import new_id
from services.accounts.revocations import Revocations
from services.revocation_list import RevocationList
from storage.accounts.records import MembershipRecord
from storage.accounts.revocations import KEPT_MS, Ending, for_ever, up_to
from tests.serve.clinic import CLINIC
from tests.services.accounts.people import PASSWORD

ADA = "ada@example.test"


async def ending_of(people, access_token):
    try:
        people.tokens.verify(access_token)
    except Unauthenticated as error:
        return error.failure.code
    return ""


async def elsewhere(people) -> RevocationList:
    """What another gateway would know that starts now."""
    known = RevocationList()
    await Revocations(people.stores.revocations, known, people.clock).load()
    return known


async def test_a_logout_is_known_here_at_once_and_elsewhere_from_the_database(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    verified = people.tokens.verify(opened.access_token)
    assert (await elsewhere(people)).ending(verified) is None
    await people.accounts.logins.logout(opened.refresh_token)
    assert await ending_of(people, opened.access_token) == "token_revoked"
    assert (await elsewhere(people)).ending(verified) is Ending.ENDED


async def test_whoever_loses_a_role_is_outdated_and_others_are_not(people):
    user_id = await people.join(ADA)
    member = MembershipRecord(user_id=user_id, organization_id=CLINIC, role="provider")
    await people.stores.members.add_membership(member, people.clock.now_ms())
    opened = await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    now = people.clock.now_ms()
    assert await people.stores.members.remove_memberships(CLINIC, new_id(), "", "admin", now) == 0
    assert len(await elsewhere(people)) == 0
    assert await people.stores.members.remove_memberships(CLINIC, user_id, "", "admin", now) == 1
    known = await elsewhere(people)
    assert known.ending(people.tokens.verify(opened.access_token)) is Ending.OUTDATED


async def test_who_is_shut_out_has_no_login_and_no_token_left(people):
    user_id = await people.join(ADA)
    opened = [await people.accounts.logins.login(ADA, PASSWORD) for _ in range(3)]
    assert await people.accounts.revocations.revoke_person(user_id, "suspended") == 3
    assert await people.accounts.logins.list(user_id) == []
    assert {await ending_of(people, one.access_token) for one in opened} == {"token_revoked"}
    assert len(await elsewhere(people)) == 4


async def test_refreshes_that_race_with_a_logout_leave_no_token_that_holds(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    logins = people.accounts.logins
    answers = await asyncio.gather(
        *(logins.refresh(opened.refresh_token) for _ in range(4)),
        logins.logout(opened.refresh_token),
        return_exceptions=True,
    )
    given = [one.access_token for one in answers if not isinstance(one, BaseException) and one is not None]
    assert {await ending_of(people, token) for token in given} <= {"token_revoked"}


async def test_a_revocation_only_ever_reaches_further(people):
    store, id_, now = people.stores.revocations, new_id(), people.clock.now_ms()
    await store.add([up_to(id_, Ending.ENDED, now)])
    await store.add([up_to(id_, Ending.ENDED, now - 5_000), up_to(id_, Ending.OUTDATED, now)])
    await store.add([])
    known = RevocationList()
    await Revocations(store, known, people.clock).load()
    assert len(known) == 2
    assert max(one.cutoff_ms for one in await store.recent()) == now


@pytest.mark.parametrize("kind", [for_ever, lambda id_, now: up_to(id_, Ending.ENDED, now)])
async def test_what_has_run_out_is_deleted(people, kind):
    await people.stores.revocations.add([kind(new_id(), people.clock.now_ms())])
    assert len(await elsewhere(people)) == 1
    people.clock.advance(seconds=KEPT_MS / 1_000)
    assert len(await elsewhere(people)) == 0
    assert await people.stores.revocations.recent() == []
