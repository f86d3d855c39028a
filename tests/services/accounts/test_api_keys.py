"""API keys and service accounts, in memory and on Postgres alike."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from domain.ids import new_id
from services.accounts.api_keys import DAY_MS, ApiKeys, KeyCheck
from services.accounts.key_format import SHOWN_CHARACTERS, is_key, new_key
from services.accounts.key_limits import DEFAULTS
from services.accounts.revocations import Revocations
from services.audit import Audit
from services.revocation_list import RevocationList
from storage.accounts.records import MembershipRecord
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.services.accounts.memory_keys import MemoryKeys

ADA = "ada@example.test"
BOSS = Actor(new_id(), ("admin",), (CLINIC,))
STRANGER = Actor(new_id(), ("admin",), (OTHER_CLINIC,))
SCOPES = ("orders:read", "carts:write")


async def made(people, **more):
    """A person and a key of theirs."""
    user_id = await people.join(ADA)
    actor = Actor(user_id, ("customer",))
    keys = people.accounts.keys
    return actor, await keys.create(actor, await keys.own(actor, ""), name="CI", scopes=SCOPES, **more)


async def machine(people, *roles):
    """A service account of the clinic and a key of it."""
    services = people.accounts.services
    service = await services.create(BOSS, CLINIC, "Lab", roles or ("provider",))
    owner = await services.owner(BOSS, CLINIC, service.id)
    key = await people.accounts.keys.create(BOSS, owner, name="Lab", scopes=("rooms:read",))
    return service, key.key


async def refusal(people, key):
    try:
        await people.accounts.key_check.verify(key)
    except Unauthenticated as error:
        return error.failure.code
    return ""


async def test_a_key_speaks_for_its_person_within_its_scopes(people):
    actor, new = await made(people)
    verified = await people.accounts.key_check.verify(new.key)
    assert (verified.actor, verified.scopes, verified.login) == (actor, frozenset(SCOPES), new.record.id)
    assert verified.auth_time == 0
    listed = await people.accounts.keys.list(actor.subject)
    assert [(one.id, one.prefix, one.scopes) for one in listed] == [
        (new.record.id, new.key[:SHOWN_CHARACTERS], tuple(sorted(SCOPES)))
    ]


async def test_the_secret_is_kept_nowhere(people):
    _, new = await made(people)
    kept = await people.stores.keys.key(new.record.owner_id, new.record.id)
    assert new.key[SHOWN_CHARACTERS:] not in repr(kept) + repr(people.trail.__dict__)


async def test_keys_that_are_none_are_not_looked_up_when_they_are_mistyped(people):
    _, new = await made(people)
    wrong = new.key[:20] + ("A" if new.key[20] != "A" else "B") + new.key[21:]
    for text in ("", "atr_live_", wrong, new.key + "x", new.key[:-1], "atr_live_" + "ä" * 49, new_key()):
        assert await refusal(people, text) == "token_invalid"


@given(st.integers(0, 57), st.sampled_from("0Aaz9Z"))
def test_a_key_with_one_other_character_is_none(at, character):
    key = new_key()
    assert is_key(key)
    changed = key[:at] + character + key[at + 1 :]
    assert is_key(changed) == (changed == key)


async def test_a_key_runs_out_and_is_revoked_for_good_at_once(people):
    actor, new = await made(people, days=1)
    other = await people.accounts.keys.create(
        actor, await people.accounts.keys.own(actor, ""), name="Other", scopes=SCOPES
    )
    assert await refusal(people, new.key) == await refusal(people, other.key) == ""
    people.clock.advance(seconds=DAY_MS / 1_000)
    assert await refusal(people, new.key) == "token_expired"
    owner = await people.accounts.keys.own(actor, "")
    await people.accounts.keys.revoke(actor, owner, other.record.id)
    assert await refusal(people, other.key) == "token_revoked"
    with pytest.raises(NotFound):
        await people.accounts.keys.revoke(actor, owner, other.record.id)
    assert await people.accounts.keys.list(actor.subject) == []


async def test_what_is_known_of_a_key_is_not_believed_past_its_end(people):
    _, new = await made(people, days=1)
    people.clock.advance(seconds=DAY_MS / 1_000 - 1)
    await people.accounts.key_check.verify(new.key)
    assert people.accounts.key_check.known(new.key) is not None
    people.clock.advance(seconds=1)
    assert people.accounts.key_check.known(new.key) is None


async def test_another_gateway_that_knows_the_key_refuses_it_as_soon_as_it_hears(people):
    actor, new = await made(people)
    revocations = Revocations(people.stores.revocations, RevocationList(), people.clock)
    there = KeyCheck(people.stores.keys, people.stores, revocations, people.clock)
    await there.verify(new.key)
    await people.accounts.keys.revoke(actor, await people.accounts.keys.own(actor, ""), new.record.id)
    await there.verify(new.key)  # it has not heard
    await revocations.load()
    assert there.known(new.key) is None
    with pytest.raises(Unauthenticated):
        await there.verify(new.key)


async def test_nobody_revokes_or_rotates_the_key_of_another(people):
    _, new = await made(people)
    other_id = await people.join("bob@example.test")
    bob = Actor(other_id, ("customer",))
    owner = await people.accounts.keys.own(bob, "")
    for asked in (people.accounts.keys.revoke, people.accounts.keys.rotate):
        with pytest.raises(NotFound):
            await asked(bob, owner, new.record.id)


async def test_a_rotated_key_goes_on_for_the_overlap_only(people):
    actor, new = await made(people)
    owner = await people.accounts.keys.own(actor, "")
    await people.accounts.key_check.verify(new.key)
    rotated = await people.accounts.keys.rotate(actor, owner, new.record.id, 60)
    people.clock.advance(seconds=30)
    assert await refusal(people, new.key) == await refusal(people, rotated.key) == ""
    assert rotated.record.scopes == new.record.scopes
    people.clock.advance(seconds=31)
    assert [await refusal(people, one.key) for one in (new, rotated)] == ["token_expired", ""]
    with pytest.raises(NotFound):
        await people.accounts.keys.rotate(actor, owner, new.record.id)


async def test_a_key_that_is_revoked_while_it_is_rotated_has_no_heir(people):
    actor, new = await made(people)
    keys, owner = people.accounts.keys, await people.accounts.keys.own(actor, "")
    old = await people.stores.keys.key(actor.subject, new.record.id)
    heir = msgspec.structs.replace(old, id=new_id())
    await keys.revoke(actor, owner, old.id)
    now = people.clock.now_ms()
    rotated = await people.stores.keys.rotate_key(old.id, heir, b"heir", until_ms=now, live_max=25, now_ms=now)
    assert rotated is None
    assert await keys.list(actor.subject) == []


async def test_an_overlap_of_nothing_ends_the_old_key_at_once(people):
    actor, new = await made(people)
    await people.accounts.key_check.verify(new.key)
    people.clock.advance(seconds=1)
    await people.accounts.keys.rotate(actor, await people.accounts.keys.own(actor, ""), new.record.id, 0)
    people.clock.advance(seconds=0.001)
    assert await refusal(people, new.key) == "token_expired"


async def test_a_key_acts_where_its_person_has_a_role_and_no_longer(people):
    user_id = await people.join(ADA)
    actor = Actor(user_id, ("customer",))
    with pytest.raises(Forbidden):
        await people.accounts.keys.own(actor, CLINIC)
    for organization_id in (CLINIC, OTHER_CLINIC):
        member = MembershipRecord(user_id=user_id, organization_id=organization_id, role="provider")
        await people.stores.members.add_membership(member, people.clock.now_ms())
    owner = await people.accounts.keys.own(actor, CLINIC)
    new = await people.accounts.keys.create(actor, owner, name="Rooms", scopes=("rooms:read",))
    verified = await people.accounts.key_check.verify(new.key)
    assert (verified.actor.roles, verified.actor.organizations) == (("provider",), (CLINIC,))
    await people.accounts.members.remove(BOSS, CLINIC, user_id)
    people.clock.advance(seconds=1)
    assert await refusal(people, new.key) == "token_revoked"


async def test_the_keys_of_whoever_is_shut_out_are_refused(people):
    actor, new = await made(people)
    assert await refusal(people, new.key) == ""
    people.clock.advance(seconds=1)
    await people.accounts.revocations.revoke_person(actor.subject, "suspended")
    assert await refusal(people, new.key) == "token_revoked"


async def test_guests_have_no_keys(people):
    with pytest.raises(Forbidden):
        await people.accounts.keys.own(Actor(f"guest:{new_id()}", ("customer",)), "")


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": ()}, {"scopes": ("auth:write",)}, {"scopes": ("*",)}, {"days": 0}, {"days": 367}, {"name": " "}],
)
async def test_a_key_needs_a_name_known_scopes_and_an_end(people, wrong):
    actor = Actor(await people.join(ADA), ("customer",))
    asked = {"name": "CI", "scopes": SCOPES, **wrong}
    with pytest.raises(Invalid):
        await people.accounts.keys.create(actor, await people.accounts.keys.own(actor, ""), **asked)


async def test_one_owner_has_so_many_keys_only_also_when_they_are_made_at_once(people):
    actor = Actor(await people.join(ADA), ("customer",))
    owner = await people.accounts.keys.own(actor, "")
    asked = (
        people.accounts.keys.create(actor, owner, name=str(n), scopes=SCOPES)
        for n in range(DEFAULTS.keys_per_owner_max + 3)
    )
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in answers) == 3
    full = await people.accounts.keys.list(actor.subject)
    assert len(full) == DEFAULTS.keys_per_owner_max
    await people.accounts.keys.rotate(actor, owner, full[0].id)


async def test_when_it_was_used_last_is_written_down_in_batches(people):
    actor, new = await made(people)
    await people.accounts.key_check.verify(new.key)
    assert (await people.accounts.keys.list(actor.subject))[0].last_used_at_ms == 0
    await people.accounts.key_check.flush()
    assert (await people.accounts.keys.list(actor.subject))[0].last_used_at_ms == people.clock.now_ms()
    await people.accounts.key_check.flush()


async def test_many_requests_with_one_key_look_it_up_once(people):
    _, new = await made(people)
    await asyncio.gather(*(people.accounts.key_check.verify(new.key) for _ in range(20)))
    if isinstance(people.stores.keys, MemoryKeys):
        assert people.stores.keys.lookups == 1


async def test_a_service_account_has_its_roles_at_its_organization(people):
    service, key = await machine(people, "provider", "front_desk")
    actor = (await people.accounts.key_check.verify(key)).actor
    assert actor == Actor(service.id, ("front_desk", "provider"), (CLINIC,))


async def test_a_service_account_is_not_found_by_admins_of_others(people):
    service, _ = await machine(people)
    services = people.accounts.services
    for asked in (
        services.get(STRANGER, CLINIC, service.id),
        services.get(STRANGER, OTHER_CLINIC, service.id),
        services.owner(STRANGER, OTHER_CLINIC, service.id),
        services.suspend(STRANGER, OTHER_CLINIC, service.id, "why"),
        services.delete(STRANGER, OTHER_CLINIC, service.id),
        services.change(STRANGER, OTHER_CLINIC, service.id, "Mine", ("provider",)),
        services.create(STRANGER, CLINIC, "Mine", ("provider",)),
        services.list(STRANGER, CLINIC, "", 10),
        services.create(Actor(new_id(), ("provider",), (CLINIC,)), CLINIC, "Mine", ("provider",)),
    ):
        with pytest.raises(NotFound):
            await asked
    assert [one.id for one in await services.list(BOSS, CLINIC, "", 10)] == [service.id]


@pytest.mark.parametrize("roles", [(), ("admin",), ("customer",), ("provider", "system")])
async def test_no_service_account_is_an_admin(people, roles):
    with pytest.raises(Invalid):
        await people.accounts.services.create(BOSS, CLINIC, "Lab", roles)


async def test_suspended_changed_and_deleted_service_accounts(people):
    service, key = await machine(people)
    services = people.accounts.services
    await services.suspend(BOSS, CLINIC, service.id, "leaked")
    people.clock.advance(seconds=1)
    assert await refusal(people, key) == "token_revoked"
    await services.reinstate(BOSS, CLINIC, service.id)
    people.clock.advance(seconds=1)
    assert await refusal(people, key) == ""
    await services.change(BOSS, CLINIC, service.id, "Lab 2", ("billing",))
    people.clock.advance(seconds=1)
    assert (await people.accounts.key_check.verify(key)).actor.roles == ("billing",)
    await services.delete(BOSS, CLINIC, service.id)
    people.clock.advance(seconds=1)
    assert await refusal(people, key) == "token_revoked"
    with pytest.raises(NotFound):
        await services.reinstate(BOSS, CLINIC, service.id)
    assert await services.list(BOSS, CLINIC, "", 10) == []


async def test_service_accounts_stop_with_their_organization(people):
    _, key = await machine(people)
    assert await refusal(people, key) == ""
    await people.set_active(CLINIC, active=False)
    people.clock.advance(seconds=0.001)
    assert await refusal(people, key) == "token_revoked"
    await people.set_active(CLINIC, active=True)
    assert await refusal(people, key) == ""


async def test_a_new_key_is_told_to_its_person_and_a_replaced_one_too(people):
    actor, new = await made(people)
    await people.settled()
    before = len(people.mail.sent)
    owner = await people.accounts.keys.own(actor, "")
    await people.accounts.keys.rotate(actor, owner, new.record.id)
    await people.settled()
    mails = people.mail.to(ADA)
    assert [mail["Subject"] for mail in mails[-2:]] == ["A new API key speaks for you"] * 2
    assert len(people.mail.sent) == before + 1
    assert new.key not in "".join(mail.as_string() for mail in mails)
    await people.accounts.keys.revoke(actor, owner, new.record.id)
    await people.settled()
    assert len(people.mail.sent) == before + 1


async def test_a_new_key_is_in_the_trail_before_it_is_told_to_anybody(people):
    """Whom to tell may not be found out at that moment; what was done is known all the same."""

    class Away:
        async def user(self, _):
            raise Unavailable("away")

    actor, new = await made(people)
    accounts, stores = people.accounts, msgspec.structs.replace(people.stores, users=Away())
    audit = Audit(people.trail, people.clock)
    keys = ApiKeys(stores.keys, stores, accounts.revocations, None, accounts.alerts, audit, people.clock)
    owner, before = await accounts.keys.own(actor, ""), len(people.trail.kept)
    with pytest.raises(Unavailable):
        await keys.create(actor, owner, name="CI", scopes=SCOPES)
    with pytest.raises(Unavailable):
        await keys.rotate(actor, owner, new.record.id)
    assert [one.action for one in people.trail.kept[before:]] == ["api_key_created", "api_key_rotated"]


async def test_a_key_that_was_refused_is_told_to_nobody(people):
    actor, _ = await made(people)
    owner = await people.accounts.keys.own(actor, "")
    await people.settled()
    before = len(people.mail.sent)
    with pytest.raises(Invalid):
        await people.accounts.keys.create(actor, owner, name="CI", scopes=("everything",))
    with pytest.raises(NotFound):
        await people.accounts.keys.rotate(actor, owner, new_id())
    await people.settled()
    assert len(people.mail.sent) == before


async def test_a_service_accounts_new_key_is_told_to_the_admins_of_its_organization_only(people):
    platform = Actor(new_id(), ("admin",))
    for email, organization_id, role, locale in (
        (ADA, CLINIC, "admin", "en"),
        ("bob@example.test", CLINIC, "admin", "de-AT"),
        ("cleo@example.test", CLINIC, "provider", "en"),
        ("dora@example.test", OTHER_CLINIC, "admin", "en"),
    ):
        await people.join(email, locale=locale)
        await people.accounts.members.add(platform, organization_id, role, email=email)
    people.mail.sent.clear()
    await machine(people)
    await people.settled()
    assert {mail["To"]: mail["Subject"] for mail in people.mail.sent} == {
        ADA: "A service account of your organization has a new key",
        "bob@example.test": "Ein Dienstkonto Ihrer Organisation hat einen neuen Schlüssel",
    }
