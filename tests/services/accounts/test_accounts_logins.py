"""Logging in and staying in."""

import asyncio

import pytest
from pwdlib.hashers.bcrypt import BcryptHasher

from actors.runtime.entity import Actor
from domain.errors import Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from domain.ids import new_id
from storage.accounts.records import MembershipRecord, PositionRecord
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD

ADA = "ada@example.test"


async def test_a_login_gives_a_token_that_says_when_they_proved_who_they_are(people):
    user_id = await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD, device="Phone")
    seen = people.tokens.verify(opened.access_token)
    assert seen.actor == Actor(user_id, ("customer",))
    proved = seen.auth_time
    people.clock.advance(seconds=3_000)
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert people.tokens.verify(again.access_token).auth_time == proved
    fresh = await people.accounts.logins.reauthenticate(seen.actor, PASSWORD)
    assert people.tokens.verify(fresh.access_token).auth_time == proved + 3_000


async def test_unknown_addresses_and_wrong_passwords_have_one_answer(people):
    await people.join(ADA)
    refusals = []
    for email in (ADA, "nobody@example.test"):
        with pytest.raises(Unauthenticated) as refused:
            await people.accounts.logins.login(email, OTHER_PASSWORD)
        refusals.append(refused.value.failure)
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("email", [ADA, "nobody@example.test"])
async def test_too_many_attempts_lock_an_address_for_longer_and_longer_whether_it_exists_or_not(people, email):
    await people.join(ADA)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await people.accounts.logins.login(email, OTHER_PASSWORD)
    waits = []
    for _ in range(8):
        with pytest.raises(TooMany, match="login_locked") as locked:
            await people.accounts.logins.login(email, PASSWORD)
        waits.append(locked.value.failure.retry_after_ms // 1_000)
        people.clock.advance(seconds=waits[-1])
        with pytest.raises(Unauthenticated):
            await people.accounts.logins.login(email, OTHER_PASSWORD)
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]


async def test_many_attempts_at_once_are_counted_like_many_after_each_other(people):
    await people.join(ADA)
    tries = (people.accounts.logins.login(ADA, f"{OTHER_PASSWORD} {n}") for n in range(20))
    refusals = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Unauthenticated) for one in refusals) == 5
    assert sum(isinstance(one, TooMany) for one in refusals) == 15


async def test_a_success_and_a_day_of_quiet_forget_the_attempts(people):
    await people.join(ADA)
    for pause in (0, 24 * 3_600 + 1):
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                await people.accounts.logins.login(ADA, OTHER_PASSWORD)
        people.clock.advance(seconds=pause)
        if not pause:
            await people.accounts.logins.login(ADA, PASSWORD)
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.login(ADA, OTHER_PASSWORD)
    assert await people.accounts.logins.login(ADA, PASSWORD)


async def test_a_bcrypt_hash_from_elsewhere_verifies_and_is_upgraded(people):
    user_id = await people.join(ADA)
    await people.stores.users.change_password(user_id, BcryptHasher(rounds=4).hash(PASSWORD), people.clock.now_ms())
    await people.accounts.logins.login(ADA, PASSWORD)
    assert (await people.stores.users.user(user_id)).password_hash.startswith("$argon2id$")
    await people.accounts.logins.login(ADA, PASSWORD)


async def test_two_tabs_that_refresh_at_once_both_stay_logged_in(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    token = opened.refresh_token
    for _ in range(5):
        tabs = await asyncio.gather(*(people.accounts.logins.refresh(token) for _ in range(4)))
        successors = {tab.refresh_token for tab in tabs}
        assert len(successors) == 1
        assert successors != {token}
        token = successors.pop()
    assert len(await people.accounts.logins.list(opened.user.id)) == 1


async def test_a_lost_answer_is_given_again_for_ten_seconds(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    lost = await people.accounts.logins.refresh(opened.refresh_token)
    people.clock.advance(seconds=9.9)
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert again.refresh_token == lost.refresh_token


async def test_a_token_that_is_used_again_later_ends_the_whole_login(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    other = await people.accounts.logins.login(ADA, PASSWORD)
    newer = await people.accounts.logins.refresh(opened.refresh_token)
    people.clock.advance(seconds=10)
    with pytest.raises(Unauthenticated, match="refresh_token_reused"):
        await people.accounts.logins.refresh(opened.refresh_token)
    with pytest.raises(Unauthenticated, match="refresh_token_invalid"):
        await people.accounts.logins.refresh(newer.refresh_token)
    assert [login.id for login in await people.accounts.logins.list(opened.user.id)] == [other.login.id]
    assert [event.outcome for event in people.trail.kept if event.action == "refresh"] == ["refresh_token_reused"]


async def test_a_login_ends_when_unused_for_a_month_and_after_three_in_any_case(people):
    await people.join(ADA)
    idle = await people.accounts.logins.login(ADA, PASSWORD)
    used = (await people.accounts.logins.login(ADA, PASSWORD)).refresh_token
    for _ in range(3):
        people.clock.advance(seconds=30 * 24 * 3_600 - 1)
        used = (await people.accounts.logins.refresh(used)).refresh_token
    people.clock.advance(seconds=3)
    for token in (idle.refresh_token, used, "never was one"):
        with pytest.raises(Unauthenticated, match="refresh_token_invalid"):
            await people.accounts.logins.refresh(token)


async def test_a_logout_ends_one_login_and_a_revocation_the_others(people):
    user_id = await people.join(ADA)
    first, second, third = [await people.accounts.logins.login(ADA, PASSWORD, device=name) for name in "abc"]
    await people.accounts.logins.logout(first.refresh_token)
    await people.accounts.logins.logout("never was one")
    assert {login.device for login in await people.accounts.logins.list(user_id)} == {"b", "c"}
    await people.accounts.logins.revoke(user_id, second.login.id)
    assert [login.device for login in await people.accounts.logins.list(user_id)] == ["c"]
    assert await people.accounts.logins.revoke(user_id) == 1
    for ended in (first, second, third):
        with pytest.raises(Unauthenticated):
            await people.accounts.logins.refresh(ended.refresh_token)


async def test_nobody_ends_the_login_of_another(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    with pytest.raises(NotFound):
        await people.accounts.logins.revoke(new_id(), opened.login.id)
    assert await people.accounts.logins.refresh(opened.refresh_token)


async def test_a_forgotten_password_is_reset_by_mail_and_all_logins_end(people):
    await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    await people.accounts.recovery.forgot(ADA)
    await people.accounts.recovery.forgot("nobody@example.test")
    await people.settled()
    assert people.mail.to("nobody@example.test") == []
    code = people.mail.code(ADA)
    await people.accounts.recovery.reset(code, OTHER_PASSWORD)
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.refresh(opened.refresh_token)
    with pytest.raises(Invalid):
        await people.accounts.recovery.reset(code, PASSWORD)
    assert await people.accounts.logins.login(ADA, OTHER_PASSWORD)


async def test_a_reset_opens_a_locked_address(people):
    await people.join(ADA)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await people.accounts.logins.login(ADA, OTHER_PASSWORD)
    await people.accounts.recovery.forgot(ADA)
    await people.settled()
    await people.accounts.recovery.reset(people.mail.code(ADA), OTHER_PASSWORD)
    assert await people.accounts.logins.login(ADA, OTHER_PASSWORD)


async def test_changing_the_password_needs_the_old_one_and_ends_all_logins(people):
    user_id = await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    with pytest.raises(Invalid, match="not your password"):
        await people.accounts.recovery.change(user_id, OTHER_PASSWORD, OTHER_PASSWORD)
    await people.accounts.recovery.change(user_id, PASSWORD, OTHER_PASSWORD)
    await people.settled()
    assert people.mail.to(ADA)[-1]["Subject"] == "Your password was changed"
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.refresh(opened.refresh_token)


async def test_roles_of_different_organizations_are_never_in_one_token(people):
    user_id = await people.join(ADA)
    third = OTHER_CLINIC
    for organization, role in ((CLINIC, "provider"), (CLINIC, "admin"), (third, "front_desk")):
        await _give(people, user_id, organization, role)
    logins = people.accounts.logins
    assert (await logins.login(ADA, PASSWORD)).grant.roles == ("customer",)
    at_clinic = await logins.login(ADA, PASSWORD, organization_id=CLINIC)
    assert people.tokens.verify(at_clinic.access_token).actor == Actor(user_id, ("admin", "provider"), (CLINIC,))
    moved = await logins.refresh(at_clinic.refresh_token, third)
    assert people.tokens.verify(moved.access_token).actor == Actor(user_id, ("front_desk",), (third,))
    stays = await logins.refresh(moved.refresh_token)
    assert stays.grant.organizations == (third,)
    himself = await logins.refresh(stays.refresh_token, "")
    assert (himself.grant.roles, himself.grant.organizations) == (("customer",), ())
    with pytest.raises(Forbidden, match="not_a_member"):
        await logins.refresh(himself.refresh_token, new_id())
    assert await logins.refresh(himself.refresh_token)


async def test_organizations_with_the_very_same_roles_share_a_token(people):
    user_id = await people.join(ADA)
    for organization in (CLINIC, OTHER_CLINIC):
        await _give(people, user_id, organization, "provider")
    grant = (await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)).grant
    assert grant.organizations == (CLINIC, OTHER_CLINIC)


async def test_who_has_no_role_any_more_goes_on_for_themselves(people):
    user_id = await people.join(ADA)
    await _give(people, user_id, CLINIC, "provider")
    opened = await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)
    await people.stores.members.remove_memberships(CLINIC, user_id, "", "admin", people.clock.now_ms())
    again = await people.accounts.logins.refresh(opened.refresh_token)
    assert (again.grant.roles, again.grant.organizations) == (("customer",), ())
    with pytest.raises(Forbidden, match="not_a_member"):
        await people.accounts.logins.login(ADA, PASSWORD, organization_id=CLINIC)


async def _give(people, user_id, organization_id, role):
    membership = MembershipRecord(user_id=user_id, organization_id=organization_id, role=role)
    assert await people.stores.members.add_membership(membership, people.clock.now_ms())


async def test_a_new_password_voids_what_was_mailed_and_asked_before_it(people):
    """Whoever knew the old one may have asked for another address, or be at the second factor."""
    user_id = await people.join(ADA)
    await people.accounts.registration.change_email(user_id, PASSWORD, "mallory@example.test")
    await people.accounts.recovery.forgot(ADA)
    await people.settled()
    theirs, reset = people.mail.code("mallory@example.test"), people.mail.code(ADA)
    begun = await people.accounts.enrolments.begin(user_id, "Mallory's phone")
    await people.accounts.recovery.change(user_id, PASSWORD, OTHER_PASSWORD)
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.registration.verify(theirs)
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.recovery.reset(reset, PASSWORD)
    with pytest.raises(Unauthenticated, match="challenge_spent"):
        await people.accounts.factors.challenged(begun.challenge, "enrolment")
    assert await people.accounts.logins.login(ADA, OTHER_PASSWORD)


async def test_a_reset_voids_another_address_that_was_asked_for(people):
    user_id = await people.join(ADA)
    await people.accounts.registration.change_email(user_id, PASSWORD, "mallory@example.test")
    await people.accounts.recovery.forgot(ADA)
    await people.settled()
    await people.accounts.recovery.reset(people.mail.code(ADA), OTHER_PASSWORD)
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.registration.verify(people.mail.code("mallory@example.test"))


async def test_a_new_address_voids_what_was_mailed_to_the_old_one(people):
    user_id = await people.join(ADA)
    await people.accounts.recovery.forgot(ADA)
    await people.settled()
    reset = people.mail.code(ADA)
    await people.accounts.registration.change_email(user_id, PASSWORD, "new@example.test")
    await people.settled()
    await people.accounts.registration.verify(people.mail.code("new@example.test"))
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.recovery.reset(reset, OTHER_PASSWORD)


async def test_who_is_shut_out_takes_over_no_address_until_they_are_let_in_again(people):
    """Nor then: it may have been asked for by whoever they were shut out for."""
    user_id, admin = await people.join(ADA), Actor(new_id(), ("admin",))
    await people.accounts.registration.change_email(user_id, PASSWORD, "mallory@example.test")
    await people.settled()
    await people.accounts.people.suspend(admin, user_id, "Stolen account")
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.registration.verify(people.mail.code("mallory@example.test"))
    await people.accounts.people.reinstate(admin, user_id, "Hers again")
    with pytest.raises(Invalid, match="ask for a new one"):
        await people.accounts.registration.verify(people.mail.code("mallory@example.test"))


async def test_a_password_and_the_logins_by_the_old_one_change_together(people):
    """A process that dies between the two would leave them to whoever had the old one."""
    user_id = await people.join(ADA)
    opened = await people.accounts.logins.login(ADA, PASSWORD)
    await people.stores.users.change_password(user_id, "another", people.clock.now_ms())
    with pytest.raises(Unauthenticated, match="refresh_token_invalid"):
        await people.accounts.logins.refresh(opened.refresh_token)


@pytest.mark.parametrize("meanwhile", ["suspended", "another_password"])
async def test_who_was_shut_out_while_their_password_was_looked_at_does_not_get_in(people, meanwhile):
    user_id = await people.join(ADA)
    proved = await people.stores.users.user(user_id)
    if meanwhile == "suspended":
        await people.accounts.people.suspend(Actor(new_id(), ("admin",)), user_id, "Stolen account")
    else:
        await people.accounts.recovery.change(user_id, PASSWORD, OTHER_PASSWORD)
    with pytest.raises(Unauthenticated, match="login_failed"):
        await people.accounts.logins.begin(proved)
    assert await people.accounts.logins.list(user_id) == []


async def test_people_who_come_back_at_once_after_a_quiet_day_do_not_block_each_other(people):
    """Each attempt forgets old ones of others, who may be making theirs; each position likewise."""
    ids = [await people.join(f"p{number}@example.test") for number in range(8)]
    logins, personal = people.stores.logins, people.stores.people

    async def come(user_id):
        now = people.clock.now_ms()
        await logins.attempt(f"{user_id}@example.test", now_ms=now, window_ms=1_000, lock_ms=lambda _: 0)

    async def put(user_id):
        now = people.clock.now_ms()
        place = PositionRecord(lat_hundredths=1, lon_hundredths=1, consented_at_ms=now, expires_at_ms=now + 1_000)
        await personal.put_position(user_id, place)

    for _ in range(6):
        await asyncio.gather(*map(come, ids))
        await asyncio.gather(*map(put, ids))
        people.clock.advance(seconds=60)
