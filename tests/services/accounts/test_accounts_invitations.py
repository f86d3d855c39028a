"""Invitations: what is mailed makes its reader a member, once, with that address and no other."""

import asyncio
import re

import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated
from domain.ids import new_id
from services.accounts.registration import NewUser
from storage.accounts.secret_tokens import token_hash
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD, text_of

ADA = "ada@example.test"
BOB = "bob@example.test"
BOSS = Actor(new_id(), ("admin",), (CLINIC,))
PLATFORM = Actor(new_id(), ("admin",))
WEEK_SECONDS = 7 * 24 * 3_600


async def invited(people, email=ADA, *roles, by=BOSS, **more):
    """The token that is mailed."""
    await people.accounts.invitations.invite(by, CLINIC, email, roles or ("provider",), **more)
    await people.settled()
    return people.mail.code(email)


async def register(people, token, email=ADA, password=PASSWORD, **more):
    wanted = NewUser(email=email, password=password, **({"name": "Ada"} | more))
    await people.accounts.registration.register(wanted, token)
    await people.settled()


async def roles_of(people, user_id):
    return await people.accounts.members.of_user(user_id)


async def log_in(people, email=ADA, password=PASSWORD, **more):
    return await people.accounts.logins.login(email, password, **more)


def trail(people):
    return [(one.action, one.actor, one.before, one.after) for one in people.trail.kept if one.organization_id]


# -- who has an account ----------------------------------------------------------------------------


async def test_who_has_an_account_accepts_and_may_act_there(people):
    user_id = await people.join(ADA)
    token = await invited(people, "ADA@Example.test", "provider", "billing")
    joined = await people.accounts.invitations.accept(Actor(user_id, ("customer",)), token)
    assert (joined.organization_id, joined.roles) == (CLINIC, ("billing", "provider"))
    opened = await log_in(people, organization_id=CLINIC)
    assert opened.grant.roles == ("billing", "provider")
    assert (await people.accounts.people.get(PLATFORM, user_id)).roles == {CLINIC: ("billing", "provider")}


async def test_roles_are_added_to_those_they_have(people):
    user_id = await people.join(ADA)
    await people.accounts.members.add(PLATFORM, CLINIC, "front_desk", email=ADA)
    version = (await people.accounts.profiles.get(user_id)).version
    joined = await people.accounts.invitations.accept(Actor(user_id), await invited(people, ADA, "billing"))
    assert joined.roles == ("billing", "front_desk")
    assert await roles_of(people, user_id) == {CLINIC: ("billing", "front_desk")}
    assert (await people.accounts.profiles.get(user_id)).version > version


async def test_a_token_is_good_once_also_when_it_is_sent_twice_at_once(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    accept = people.accounts.invitations.accept
    done = await asyncio.gather(*(accept(Actor(user_id), token) for _ in range(3)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Invalid", "Invalid", "Membership"]
    assert await people.accounts.invitations.list(BOSS, CLINIC, "", 10) == []


async def test_it_runs_out_after_a_week(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    people.clock.advance(seconds=WEEK_SECONDS)
    with pytest.raises(Invalid, match="ask to be invited again"):
        await people.accounts.invitations.accept(Actor(user_id), token)
    [left] = await people.accounts.invitations.list(BOSS, CLINIC, "", 10)
    assert left.expires_at_ms <= people.clock.now_ms()


async def test_nobody_takes_up_what_was_sent_to_another_address(people):
    user_id = await people.join(BOB)
    token = await invited(people)
    with pytest.raises(Forbidden, match="invitation_not_yours"):
        await people.accounts.invitations.accept(Actor(user_id), token)
    with pytest.raises(Forbidden, match="account_required"):
        await people.accounts.invitations.accept(Actor(f"guest:{new_id()}"), token)
    assert await roles_of(people, user_id) == {}


async def test_an_address_that_they_have_no_more_is_another_one(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    await people.accounts.registration.change_email(user_id, PASSWORD, BOB)
    await people.settled()
    await people.accounts.registration.verify(people.mail.code(BOB))
    with pytest.raises(Forbidden, match="invitation_not_yours"):
        await people.accounts.invitations.accept(Actor(user_id), token)


@pytest.mark.parametrize("token", ["", "x", "é" * 43])
async def test_what_is_no_token_opens_nothing(people, token):
    user_id = await people.join(ADA)
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)


# -- who has none ----------------------------------------------------------------------------------


async def test_who_has_no_account_registers_and_is_a_member_without_a_second_mail(people):
    token = await invited(people)
    await register(people, token, "ADA@example.test", time_zone="Europe/Berlin")
    opened = await log_in(people, organization_id=CLINIC)
    assert (opened.grant.roles, opened.user.name, opened.user.time_zone) == (("provider",), "Ada", "Europe/Berlin")
    assert opened.user.verified_at_ms
    assert len(people.mail.to(ADA)) == 1
    found, _ = await people.accounts.people.search(PLATFORM, "ada", "", 10)
    assert [one.user.id for one in found] == [opened.user.id]


async def test_it_opens_no_account_with_another_address(people):
    token = await invited(people)
    with pytest.raises(Invalid) as refused:
        await register(people, token, BOB)
    assert [(one.path, one.code) for one in refused.value.failure.errors] == [("invitation", "token_spent")]
    with pytest.raises(Unauthenticated):
        await log_in(people, BOB)


async def test_an_account_that_is_there_keeps_its_password_and_the_invitation_waits(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    await register(people, token, password=OTHER_PASSWORD, name="Mallory")
    assert people.mail.to(ADA)[-1]["Subject"] == "You already have an account"
    with pytest.raises(Unauthenticated):
        await log_in(people, password=OTHER_PASSWORD)
    assert (await roles_of(people, user_id), (await log_in(people)).user.name) == ({}, "Ada")
    assert (await people.accounts.invitations.accept(Actor(user_id), token)).roles == ("provider",)


async def test_who_registered_with_the_address_and_never_proved_it_gets_nothing(people):
    await people.register(ADA, OTHER_PASSWORD, name="Mallory")
    theirs = people.mail.code(ADA)
    await register(people, await invited(people))
    opened = await log_in(people, organization_id=CLINIC)
    assert (opened.user.name, opened.user.status) == ("Ada", "active")
    with pytest.raises(Unauthenticated):
        await log_in(people, password=OTHER_PASSWORD)
    assert await people.stores.users.token(token_hash(theirs), ("verify",), people.clock.now_ms()) is None
    with pytest.raises(Invalid):
        await people.accounts.registration.verify(theirs)


async def test_who_was_shut_out_or_deleted_does_not_come_back_by_an_invitation(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    await people.accounts.people.suspend(PLATFORM, user_id, "chargebacks")
    await register(people, token, password=OTHER_PASSWORD)
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)
    await people.accounts.people.delete(PLATFORM, user_id)
    await register(people, token, password=OTHER_PASSWORD)
    with pytest.raises(Unauthenticated):
        await log_in(people, password=OTHER_PASSWORD)
    assert await roles_of(people, user_id) == {}


async def test_two_who_register_with_it_at_once_make_one_account(people):
    token = await invited(people)
    done = await asyncio.gather(*(register(people, token) for _ in range(3)), return_exceptions=True)
    assert all(one is None or isinstance(one, Invalid) for one in done)
    assert (await log_in(people, organization_id=CLINIC)).grant.roles == ("provider",)
    assert len((await people.accounts.people.search(PLATFORM, ADA, "", 10))[0]) == 1


async def test_registering_and_accepting_use_up_the_same_token(people):
    token = await invited(people)
    await register(people, token)
    user_id = (await log_in(people)).user.id
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)
    with pytest.raises(Invalid):
        await register(people, token)


async def test_a_weak_password_uses_up_nothing(people):
    token = await invited(people)
    with pytest.raises(Invalid):
        await register(people, token, password="password1234")
    await register(people, token)
    assert (await log_in(people)).user.email == ADA


# -- who invites -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "actor",
    [
        Actor(new_id(), ("admin",), (OTHER_CLINIC,)),
        Actor(new_id(), ("provider",), (CLINIC,)),
        Actor(new_id(), ("customer",)),
    ],
)
async def test_to_all_but_its_admins_the_organization_does_not_exist(people, actor):
    await invited(people)
    invitations = people.accounts.invitations
    [made] = await invitations.list(BOSS, CLINIC, "", 10)
    for attempt in (
        invitations.invite(actor, CLINIC, BOB, ("provider",)),
        invitations.list(actor, CLINIC, "", 10),
        invitations.revoke(actor, CLINIC, made.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert len(people.mail.sent) == 1


async def test_only_roles_of_organizations_are_offered_and_an_admin_may_offer_their_own(people):
    invite = people.accounts.invitations.invite
    for roles in ((), ("customer",), ("provider", "system"), ("share",)):
        with pytest.raises(Invalid):
            await invite(BOSS, CLINIC, ADA, roles)
    with pytest.raises(Invalid):
        await invite(BOSS, CLINIC, "ada@example.test\r\nBcc: eve@example.test", ("provider",))
    with pytest.raises(NotFound):
        await invite(PLATFORM, new_id(), ADA, ("provider",))
    assert people.mail.sent == []
    made = await invite(BOSS, CLINIC, ADA, ("admin", "provider", "admin"))
    assert made.roles == ("admin", "provider")


async def test_nobody_gives_themselves_roles_but_the_platforms_admins(people):
    user_id = await people.join(ADA)
    await people.accounts.members.add(PLATFORM, CLINIC, "admin", email=ADA)
    own = Actor(user_id, ("admin",), (CLINIC,))
    token = await invited(people, ADA, "provider", by=own)
    with pytest.raises(Forbidden, match="own_roles"):
        await people.accounts.invitations.accept(own, token)
    with pytest.raises(Forbidden, match="own_roles"):
        await people.accounts.invitations.accept(Actor(user_id, ("customer",)), token)
    platform = Actor(user_id, ("admin",))
    token = await invited(people, ADA, "provider", by=platform)
    assert (await people.accounts.invitations.accept(platform, token)).roles == ("admin", "provider")


async def test_an_admin_who_is_shut_out_or_admin_no_more_leaves_no_way_in(people):
    boss_id = await people.join(BOB)
    await people.accounts.members.add(PLATFORM, CLINIC, "admin", email=BOB)
    user_id = await people.join(ADA)
    token = await invited(people, by=Actor(boss_id, ("admin",), (CLINIC,)))
    await people.accounts.people.suspend(PLATFORM, boss_id, "left us")
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)
    await people.accounts.people.reinstate(PLATFORM, boss_id, "came back")
    await people.accounts.members.add(PLATFORM, CLINIC, "admin", user_id=user_id)
    await people.accounts.members.remove(PLATFORM, CLINIC, boss_id)
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)


async def test_whose_roles_were_taken_does_not_take_them_back_by_an_earlier_mail(people):
    user_id, members = await people.join(ADA), people.accounts.members
    for taken in (
        lambda: members.remove(BOSS, CLINIC, user_id),
        lambda: members.remove(BOSS, CLINIC, user_id, "provider"),
        lambda: people.accounts.people.set_roles(BOSS, user_id, CLINIC, ("billing",)),
    ):
        await members.add(BOSS, CLINIC, "provider", email=ADA)
        token = await invited(people, "Ada@Example.test")
        await taken()
        with pytest.raises(Invalid):
            await people.accounts.invitations.accept(Actor(user_id), token)


async def test_inviting_again_renews_and_the_first_token_is_void(people):
    user_id = await people.join(ADA)
    first = await invited(people, ADA, "provider")
    people.clock.advance(seconds=WEEK_SECONDS - 1)
    second = await invited(people, "Ada@example.test", "billing")
    [left] = await people.accounts.invitations.list(BOSS, CLINIC, "", 10)
    assert left.roles == ("billing",)
    people.clock.advance(seconds=2)
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), first)
    assert (await people.accounts.invitations.accept(Actor(user_id), second)).roles == ("billing",)


async def test_what_was_revoked_is_void_and_is_revoked_once(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    invitations = people.accounts.invitations
    [made] = await invitations.list(BOSS, CLINIC, "", 10)
    with pytest.raises(NotFound):
        await invitations.revoke(PLATFORM, OTHER_CLINIC, made.id)
    await invitations.revoke(BOSS, CLINIC, made.id)
    with pytest.raises(NotFound):
        await invitations.revoke(BOSS, CLINIC, made.id)
    with pytest.raises(Invalid):
        await invitations.accept(Actor(user_id), token)
    with pytest.raises(Invalid):
        await register(people, token)


async def test_an_organization_mails_only_so_many_in_an_hour_and_to_one_address_fewer(people):
    limits = people.accounts.limits
    for _ in range(limits.mails_per_hour_max):
        await invited(people)
    with pytest.raises(TooMany, match="too_many_invitations"):
        await invited(people)
    for number in range(limits.invitations_per_hour_max - limits.mails_per_hour_max):
        await invited(people, f"somebody{number}@example.test")
    with pytest.raises(TooMany) as refused:
        await invited(people, BOB)
    assert refused.value.failure.retry_after_ms > 0
    assert len(people.mail.sent) == limits.invitations_per_hour_max
    await people.accounts.invitations.invite(PLATFORM, OTHER_CLINIC, BOB, ("provider",))
    people.clock.advance(seconds=3_601)
    await invited(people, BOB)


async def test_they_are_listed_by_id_page_by_page(people):
    for name in ("ada", "bob", "cleo"):
        await invited(people, f"{name}@example.test")
    listed = people.accounts.invitations.list
    everything = await listed(BOSS, CLINIC, "", 10)
    assert [one.id for one in everything] == sorted(one.id for one in everything)
    assert {one.email for one in everything} == {ADA, BOB, "cleo@example.test"}
    assert await listed(BOSS, CLINIC, everything[0].id, 1) == [everything[1]]


async def test_an_inactive_organization_invites_nobody_and_lets_nobody_in_until_it_is_back(people):
    user_id = await people.join(ADA)
    token = await invited(people)
    await people.set_active(CLINIC, active=False)
    with pytest.raises(Conflict, match="organization_state"):
        await people.accounts.invitations.invite(PLATFORM, CLINIC, BOB, ("provider",))
    with pytest.raises(Invalid):
        await people.accounts.invitations.accept(Actor(user_id), token)
    with pytest.raises(Invalid):
        await register(people, token)
    await people.set_active(CLINIC, active=True)
    assert (await people.accounts.invitations.accept(Actor(user_id), token)).roles == ("provider",)


# -- what is written -------------------------------------------------------------------------------


async def test_who_invites_hears_and_sees_the_same_whether_or_not_there_is_an_account(people):
    await people.join(ADA)
    there = await people.accounts.invitations.invite(BOSS, CLINIC, ADA, ("provider",))
    none = await people.accounts.invitations.invite(BOSS, CLINIC, BOB, ("provider",))
    await people.settled()
    same = ("organization_id", "roles", "locale", "invited_by", "created_at_ms", "expires_at_ms")
    assert [getattr(there, name) for name in same] == [getattr(none, name) for name in same]
    texts = [re.sub(r"Code: \S+", "", text_of(people.mail.to(each)[-1])) for each in (ADA, BOB)]
    assert texts[0] == texts[1]


async def test_the_mail_is_in_the_language_that_was_asked_for_or_the_inviters(people):
    boss_id = await people.join(BOB, locale="de-AT")
    await people.accounts.members.add(PLATFORM, CLINIC, "admin", email=BOB)
    await invited(people, by=Actor(boss_id, ("admin",), (CLINIC,)))
    assert people.mail.to(ADA)[-1]["Subject"] == "Sie wurden in eine Organisation eingeladen"
    await invited(people, by=Actor(boss_id, ("admin",), (CLINIC,)), locale="en")
    assert people.mail.to(ADA)[-1]["Subject"] == "You have been invited to an organization"


async def test_the_trail_has_who_was_invited_masked_and_what_they_may_since(people):
    user_id = await people.join(ADA)
    await people.accounts.members.add(PLATFORM, CLINIC, "front_desk", email=ADA)
    people.trail.kept.clear()
    token = await invited(people, ADA, "billing")
    [made] = await people.accounts.invitations.list(BOSS, CLINIC, "", 10)
    await people.accounts.invitations.accept(Actor(user_id), token)
    await invited(people, BOB)
    [other] = await people.accounts.invitations.list(BOSS, CLINIC, "", 10)
    await people.accounts.invitations.revoke(BOSS, CLINIC, other.id)
    masked = {"email": "b***@e***.test", "roles": ["provider"]}
    assert trail(people) == [
        ("member_invited", BOSS.subject, {}, {"email": "a***@e***.test", "roles": ["billing"]}),
        (
            "invitation_accepted",
            user_id,
            {"roles": ["front_desk"]},
            {"roles": ["billing", "front_desk"], "invitation": made.id},
        ),
        ("member_invited", BOSS.subject, {}, masked),
        ("invitation_revoked", BOSS.subject, masked, {}),
    ]
