"""Invitations in the hands of those who mean ill."""

import msgspec
import pytest

from actors.runtime.entity import Actor
from domain.errors import Forbidden, Invalid
from domain.ids import new_id
from storage.accounts.records import UserRecord, UserStatus
from tests.serve.clinic import CLINIC

ADA = "ada@example.test"
BOSS = Actor(new_id(), ("admin",), (CLINIC,))


async def invited(people):
    """The token that is mailed."""
    await people.accounts.invitations.invite(BOSS, CLINIC, ADA, ("provider",))
    await people.settled()
    return people.mail.code(ADA)


async def test_an_account_that_has_not_proved_the_address_does_not_take_it_up(people):
    """However it came to be active: whoever reads the mail registers, or proves it first."""
    now = people.clock.now_ms()
    claimed = UserRecord(
        id=new_id(), email=ADA, name="Eve", status=UserStatus.ACTIVE, created_at_ms=now, updated_at_ms=now
    )
    assert await people.stores.users.add_user(claimed)
    token = await invited(people)
    with pytest.raises(Forbidden, match="invitation_not_yours"):
        await people.accounts.invitations.accept(Actor(claimed.id), token)
    assert await people.accounts.members.of_user(claimed.id) == {}


async def test_guests_and_programs_do_not_take_one_up(people):
    token = await invited(people)
    service = await people.accounts.services.create(BOSS, CLINIC, "Lab", ("provider",))
    for actor in (Actor(f"guest:{new_id()}", ("customer",)), Actor(service.id, ("provider",), (CLINIC,)), Actor("")):
        with pytest.raises(Forbidden, match="account_required"):
            await people.accounts.invitations.accept(actor, token)


async def test_the_token_is_in_no_event_and_what_is_kept_of_it_opens_nothing(people):
    user_id, token = await people.join(ADA), await invited(people)
    [made] = await people.accounts.invitations.list(BOSS, CLINIC, "", 10)
    for text in (made.id, token.upper(), f"{token} ", token[:-1]):
        with pytest.raises(Invalid):
            await people.accounts.invitations.accept(Actor(user_id), text)
    await people.accounts.invitations.accept(Actor(user_id), token)
    assert token not in str([msgspec.structs.asdict(one) for one in people.trail.kept])
    assert token not in str(made)
