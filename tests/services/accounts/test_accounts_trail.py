"""What happens to accounts is in the audit trail: what for, and what sensitive fields were before and after."""

from actors.runtime.entity import Actor
from domain.ids import new_id
from services.accounts.api_keys import Owner
from services.accounts.registration import NewUser
from services.audit import OPERATIONS, OWN
from storage.accounts.api_keys import SERVICE
from tests.serve.clinic import CLINIC
from tests.services.accounts.people import PASSWORD

ADMIN = Actor(new_id(), ("admin",), (CLINIC,))


def changes(people, *actions):
    """(action, before, after) of these, oldest first."""
    return [(one.action, one.before, one.after) for one in people.trail.kept if one.action in actions]


async def test_a_change_of_roles_shows_both_sides(people):
    user_id = await people.join("ada@example.test")
    members = people.accounts.members
    for role in ("provider", "billing"):
        await members.add(ADMIN, CLINIC, role, email="ada@example.test")
    await members.remove(ADMIN, CLINIC, user_id, "provider")
    await members.remove(ADMIN, CLINIC, user_id)
    assert changes(people, "member_added_provider", "member_added_billing", "member_removed") == [
        ("member_added_provider", {"roles": []}, {"roles": ["provider"]}),
        ("member_added_billing", {"roles": ["provider"]}, {"roles": ["billing", "provider"]}),
        ("member_removed", {"roles": ["billing", "provider"]}, {"roles": ["billing"]}),
        ("member_removed", {"roles": ["billing"]}, {"roles": []}),
    ]
    assert {one.purpose for one in people.trail.kept if one.actor == ADMIN.subject} == {OPERATIONS}


async def test_an_account_made_by_command_is_in_the_trail_with_its_roles(people):
    wanted = NewUser(email="boss@example.test", password=PASSWORD, name="Boss")
    made = await people.accounts.registration.create(wanted, ("customer", "admin"))
    assert await people.accounts.registration.create(wanted, ("admin",)) is None
    (event,) = [one for one in people.trail.kept if one.action == "account_created"]
    assert (event.actor, event.object_id, event.purpose) == ("system", made.id, OPERATIONS)
    assert event.after == {"email": "b***@e***.test", "roles": ["admin", "customer"]}


async def test_a_change_of_address_is_ones_own_and_masked(people):
    user_id = await people.join("ada@example.test")
    await people.accounts.registration.change_email(user_id, PASSWORD, "lovelace@elsewhere.test")
    await people.settled()
    await people.accounts.registration.verify(people.mail.code("lovelace@elsewhere.test"))
    (event,) = [one for one in people.trail.kept if one.action == "email_changed"]
    assert (event.actor, event.object_id, event.purpose) == (user_id, user_id, OWN)
    assert (event.before, event.after) == ({"email": "a***@e***.test"}, {"email": "l***@e***.test"})


async def test_keys_and_service_accounts_show_what_they_may(people):
    accounts = people.accounts
    service = await accounts.services.create(ADMIN, CLINIC, "till", ("front_desk",))
    owner = Owner(SERVICE, service.id, CLINIC)
    new = await accounts.keys.create(ADMIN, owner, name="till 1", scopes=("carts:read",), days=1)
    await accounts.services.suspend(ADMIN, CLINIC, service.id, "stolen")
    await accounts.keys.revoke(ADMIN, owner, new.record.id)
    until = new.record.expires_at_ms
    till = {"name": "till", "roles": ["front_desk"]}
    assert changes(
        people, "service_account_created", "api_key_created", "service_account_suspended", "api_key_revoked"
    ) == [
        ("service_account_created", {}, {**till, "status": "active"}),
        ("api_key_created", {}, {"id": new.record.id, "scopes": ["carts:read"], "expires_at_ms": until}),
        ("service_account_suspended", {**till, "status": "active"}, {**till, "status": "suspended"}),
        ("api_key_revoked", {}, {"revoked": True}),
    ]
    assert new.key not in str(people.trail.kept)
