"""People as others see them: found, looked at, given roles, shut out, deleted."""

import asyncio

import pytest

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, TooMany, Unauthenticated
from domain.ids import new_id
from services.accounts.limits import DEFAULTS
from storage.accounts.records import UserStatus
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.services.accounts.people import PASSWORD

PLATFORM = Actor(new_id(), ("admin",))
ITS_ADMIN = Actor(new_id(), ("admin",), (CLINIC,))
COLLEAGUE = Actor(new_id(), ("provider",), (CLINIC,))
OTHER_ADMIN = Actor(new_id(), ("admin",), (OTHER_CLINIC,))
WHY = "as agreed by telephone"


async def member(people, name, role="provider", organization=CLINIC) -> str:
    user_id = await people.join(f"{name.split()[0].lower()}@example.test", name=name)
    await people.accounts.members.add(PLATFORM, organization, role, user_id=user_id)
    return user_id


async def found(people, actor, query, limit=10, after="") -> list[str]:
    page, _ = await people.accounts.people.search(actor, query, after, limit)
    return [each.user.name for each in page]


async def test_people_are_found_by_the_beginnings_of_their_names_without_case_or_accents(people):
    await member(people, "Zoe Müller-Groß")
    await member(people, "Bo Muller")
    for query, names in (
        ("mül", {"Zoe Müller-Groß", "Bo Muller"}),
        ("MULLER zoe", {"Zoe Müller-Groß"}),
        ("gross", {"Zoe Müller-Groß"}),
        ("bo", {"Bo Muller"}),
        ("mu", set()),
        ("uller", set()),
        ("zoe bo", set()),
    ):
        assert set(await found(people, ITS_ADMIN, query)) == names, query


async def test_a_new_name_is_found_and_the_old_one_no_more(people):
    user_id = await member(people, "Ada Byron")
    await people.accounts.profiles.put(user_id, name="Ada Lovelace", locale="en", time_zone="UTC")
    assert await found(people, ITS_ADMIN, "byron") == []
    assert await found(people, ITS_ADMIN, "lovelace") == ["Ada Lovelace"]


async def test_everybody_finds_only_people_of_their_own_organizations_and_the_platform_all(people):
    await member(people, "Ada One")
    await member(people, "Bob One", organization=OTHER_CLINIC)
    await people.join("customer@example.test", name="Cy One")
    assert await found(people, COLLEAGUE, "one") == ["Ada One"]
    assert await found(people, OTHER_ADMIN, "one") == ["Bob One"]
    assert len(await found(people, PLATFORM, "one")) == 3
    for nobody in (Actor(new_id(), ("customer",)), Actor(new_id(), ("customer",), (CLINIC,))):
        with pytest.raises(NotFound):
            await found(people, nobody, "one")


async def test_pages_of_a_search_go_on_after_the_last_one(people):
    names = {f"P{number} Same" for number in range(5)}
    for name in names:
        await member(people, name)
    seen, after = [], ""
    while after is not None:
        page, after = await people.accounts.people.search(ITS_ADMIN, "same", after, 2)
        seen += [each.user.name for each in page]
    assert (len(seen), set(seen)) == (5, names)


async def test_a_whole_address_finds_its_owner_for_admins_only(people):
    await member(people, "Ada One")
    assert await found(people, ITS_ADMIN, "ADA@example.test") == ["Ada One"]
    assert await found(people, COLLEAGUE, "ada@example.test") == []
    assert await found(people, OTHER_ADMIN, "ada@example.test") == []


@pytest.mark.parametrize("query", ["", "  ", "...", "a b c d e f g h i", "x" * 201, "ada@"])
async def test_what_is_no_search_is_refused(people, query):
    with pytest.raises(Invalid):
        await found(people, ITS_ADMIN, query)


async def test_whoever_was_shown_to_somebody_by_a_search_is_in_the_audit_trail(people):
    user_id = await member(people, "Ada One")
    await found(people, COLLEAGUE, "one")
    await found(people, COLLEAGUE, "nobody")
    seen = [event for event in people.trail.kept if event.action == "search"]
    assert [(one.actor, one.object_id, one.organization_id) for one in seen] == [
        (COLLEAGUE.subject, user_id, CLINIC),
        (COLLEAGUE.subject, "", CLINIC),
    ]


async def test_admins_see_how_to_reach_somebody_colleagues_only_who_they_are(people):
    user_id = await member(people, "Ada One")
    get = people.accounts.people.get
    for actor, whole in ((PLATFORM, True), (ITS_ADMIN, True), (COLLEAGUE, False), (Actor(user_id), True)):
        seen = await get(actor, user_id)
        assert (seen.whole, seen.roles) == (whole, {CLINIC: ("provider",)})
    for actor in (OTHER_ADMIN, Actor(new_id(), ("customer",)), Actor(new_id(), ("customer",), (CLINIC,))):
        with pytest.raises(NotFound):
            await get(actor, user_id)
    read = [event.actor for event in people.trail.kept if event.action == "read"]
    assert read == [PLATFORM.subject, ITS_ADMIN.subject, COLLEAGUE.subject]


async def test_an_admin_sees_of_a_member_only_the_roles_at_the_own_organization(people):
    user_id = await member(people, "Ada One")
    await people.accounts.members.add(PLATFORM, OTHER_CLINIC, "billing", user_id=user_id)
    assert (await people.accounts.people.get(ITS_ADMIN, user_id)).roles == {CLINIC: ("provider",)}
    assert set((await people.accounts.people.get(PLATFORM, user_id)).roles) == {CLINIC, OTHER_CLINIC}


async def test_an_admin_sets_exactly_the_roles_of_a_member(people):
    user_id = await member(people, "Ada One")
    before = await people.accounts.people.get(ITS_ADMIN, user_id)
    changed = await people.accounts.people.set_roles(
        ITS_ADMIN, user_id, CLINIC, ["billing", "front_desk"], expected=before.user.version
    )
    assert changed.roles == {CLINIC: ("billing", "front_desk")}
    assert changed.user.version > before.user.version
    with pytest.raises(PreconditionFailed) as refused:
        await people.accounts.people.set_roles(ITS_ADMIN, user_id, CLINIC, ["provider"], expected=before.user.version)
    assert refused.value.failure.extra == {"current_version": changed.user.version}
    assert (await people.accounts.people.get(ITS_ADMIN, user_id)).roles == changed.roles
    told = next(event for event in people.trail.kept if event.action == "roles_set")
    assert (told.before, told.after) == ({"roles": ["provider"]}, {"roles": ["billing", "front_desk"]})


async def test_nobody_changes_their_own_roles(people):
    user_id = await member(people, "Ada One", "admin")
    with pytest.raises(Forbidden, match="own_roles"):
        await people.accounts.people.set_roles(Actor(user_id, ("admin",), (CLINIC,)), user_id, CLINIC, ["provider"])
    with pytest.raises(Forbidden, match="own_roles"):
        await people.accounts.people.set_roles(Actor(user_id, ("admin",)), user_id, "", ["admin"])


@pytest.mark.parametrize("actor", [OTHER_ADMIN, COLLEAGUE, Actor(new_id(), ("customer",))])
async def test_only_the_organizations_admins_set_roles_there(people, actor):
    user_id = await member(people, "Ada One")
    with pytest.raises(NotFound):
        await people.accounts.people.set_roles(actor, user_id, CLINIC, ["admin"])
    assert (await people.accounts.people.get(ITS_ADMIN, user_id)).roles == {CLINIC: ("provider",)}


async def test_roles_are_set_only_of_members_and_only_such_as_there_are(people):
    user_id, stranger = await member(people, "Ada One"), await people.join("cy@example.test")
    set_roles = people.accounts.people.set_roles
    for roles in ([], ["customer"], ["owner"]):
        with pytest.raises(Invalid):
            await set_roles(ITS_ADMIN, user_id, CLINIC, roles)
    for actor in (ITS_ADMIN, PLATFORM):
        with pytest.raises(NotFound):
            await set_roles(actor, stranger, CLINIC, ["provider"])
    with pytest.raises(NotFound):
        await set_roles(ITS_ADMIN, user_id, "", ["courier"])


async def test_the_platform_sets_roles_without_an_organization(people):
    user_id = await people.join("cy@example.test")
    changed = await people.accounts.people.set_roles(PLATFORM, user_id, "", ["customer", "courier"])
    assert changed.user.roles == ("courier", "customer")


async def test_the_last_admin_of_an_organization_stays_also_when_two_are_changed_at_once(people):
    ids = [await member(people, name, "admin") for name in ("Ada One", "Bob One")]
    change = people.accounts.people.set_roles
    results = await asyncio.gather(
        *(change(PLATFORM, id_, CLINIC, ["provider"]) for id_ in ids), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in results) == ["Conflict", "Found"]


async def test_the_last_admin_of_the_platform_stays_also_when_two_are_changed_at_once(people):
    ids = [await people.join(f"{name}@example.test") for name in ("ada", "bob")]
    for id_ in ids:
        await people.accounts.people.set_roles(PLATFORM, id_, "", ["admin"])
    results = await asyncio.gather(
        people.accounts.people.suspend(PLATFORM, ids[0], WHY),
        people.accounts.people.set_roles(PLATFORM, ids[1], "", ["customer"]),
        return_exceptions=True,
    )
    assert [one.failure.code for one in results if isinstance(one, Conflict)] == ["last_admin"]


async def test_who_is_suspended_is_out_at_once_and_comes_back_by_a_new_login(people):
    user_id = await people.join("ada@example.test")
    opened = await people.accounts.logins.login("ada@example.test", PASSWORD)
    await people.accounts.people.suspend(PLATFORM, user_id, WHY)
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.refresh(opened.refresh_token)
    with pytest.raises(Forbidden, match="account_suspended"):
        await people.accounts.logins.login("ada@example.test", PASSWORD)
    await people.accounts.people.reinstate(PLATFORM, user_id, WHY)
    with pytest.raises(Unauthenticated):
        await people.accounts.logins.refresh(opened.refresh_token)
    assert (await people.accounts.logins.login("ada@example.test", PASSWORD)).user.id == user_id
    told = [(event.action, event.reason) for event in people.trail.kept if event.actor == PLATFORM.subject]
    assert told == [("account_suspended", WHY), ("account_active", WHY)]


async def test_only_the_platform_suspends_with_a_reason_and_never_itself(people):
    user_id = await member(people, "Ada One")
    for actor in (ITS_ADMIN, COLLEAGUE, Actor(user_id)):
        with pytest.raises(NotFound):
            await people.accounts.people.suspend(actor, user_id, WHY)
    with pytest.raises(Invalid):
        await people.accounts.people.suspend(PLATFORM, user_id, " ")
    with pytest.raises(Forbidden, match="own_account"):
        await people.accounts.people.suspend(Actor(user_id, ("admin",)), user_id, WHY)
    with pytest.raises(Conflict) as refused:
        await people.accounts.people.reinstate(PLATFORM, user_id, WHY)
    assert (refused.value.failure.code, refused.value.failure.extra) == ("account_state", {"current": "active"})


async def test_who_deletes_their_account_is_gone_for_all_but_the_platform_and_keeps_the_address(people):
    user_id = await member(people, "Ada One")
    opened = await people.accounts.logins.login("ada@example.test", PASSWORD)
    await people.accounts.personal.put_position(user_id, 52.5, 13.4)
    deleted = await people.accounts.people.delete(Actor(user_id), user_id)
    assert deleted.status is UserStatus.DELETED
    for attempt in (
        people.accounts.logins.refresh(opened.refresh_token),
        people.accounts.logins.login("ada@example.test", PASSWORD),
    ):
        with pytest.raises(Unauthenticated):
            await attempt
    for actor in (Actor(user_id), COLLEAGUE):
        with pytest.raises(NotFound):
            await people.accounts.people.get(actor, user_id)
    assert await found(people, PLATFORM, "one") == []
    await people.settled()
    assert people.mail.to("ada@example.test")[-1]["Subject"] == "Your account was deleted"
    sent = len(people.mail.sent)
    await people.register("ada@example.test")
    assert len(people.mail.sent) == sent
    assert await people.stores.people.position(user_id, people.clock.now_ms()) is None


async def test_a_deleted_account_can_be_reinstated_until_its_grace_is_over(people):
    user_id = await people.join("ada@example.test")
    deleted = await people.accounts.people.delete(Actor(user_id), user_id)
    await people.accounts.people.reinstate(PLATFORM, user_id, WHY)
    assert (await people.accounts.logins.login("ada@example.test", PASSWORD)).user.id == user_id
    again = await people.accounts.people.delete(PLATFORM, user_id)
    assert again.version > deleted.version
    people.clock.advance(seconds=DEFAULTS.deletion_grace_seconds)
    with pytest.raises(NotFound):
        await people.accounts.people.reinstate(PLATFORM, user_id, WHY)


async def test_the_only_admin_of_an_organization_is_not_deleted_before_another_is_named(people):
    user_id = await member(people, "Ada One", "admin")
    with pytest.raises(Conflict, match="last_admin"):
        await people.accounts.people.delete(Actor(user_id), user_id)
    await member(people, "Bob One", "admin")
    await people.accounts.people.delete(Actor(user_id), user_id)


async def test_nobody_deletes_somebody_else_but_the_platform(people):
    user_id = await member(people, "Ada One")
    for actor in (ITS_ADMIN, COLLEAGUE, OTHER_ADMIN):
        with pytest.raises(NotFound):
            await people.accounts.people.delete(actor, user_id)


async def test_a_wrong_password_locks_also_deleted_accounts_alike(people):
    user_id = await people.join("ada@example.test")
    await people.accounts.people.delete(Actor(user_id), user_id)
    for _ in range(DEFAULTS.attempts_before_lock):
        with pytest.raises(Unauthenticated):
            await people.accounts.logins.login("ada@example.test", "wrong")
    with pytest.raises(TooMany):
        await people.accounts.logins.login("ada@example.test", "wrong")
