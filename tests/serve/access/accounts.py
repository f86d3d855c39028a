"""Accounts of everybody who asks in the walk, and what was mailed to one of them."""

import re
from typing import Final

from actors.runtime.entity import Actor
from domain.ids import new_id
from storage.accounts.records import MembershipRecord, UserRecord, UserStatus
from tests.serve.access.people import PEOPLE
from tests.serve.clinic import CLINIC
from tests.serve.house import ALICE, House
from tests.services.accounts.people import PASSWORD, text_of

NEWCOMER: Final = "newcomer@example.test"


def address_of(subject: str) -> str:
    return f"{subject}@example.test"


async def give_accounts(house: House) -> None:
    """To everybody with a token."""
    accounts, now = house.accounts, house.clock.now_ms()
    hashed = await accounts.passwords.hash(PASSWORD)
    for person in PEOPLE:
        if person.subject:
            user = UserRecord(
                id=person.subject,
                email=address_of(person.subject),
                name=person.column,
                status=UserStatus.ACTIVE,
                password_hash=hashed,
                verified_at_ms=now,
                created_at_ms=now,
                updated_at_ms=now,
            )
            assert await house.account_stores.users.add_user(user)


async def give_account(house: House, name: str) -> str:
    """To somebody new; their id."""
    user_id, now = new_id(), house.clock.now_ms()
    user = UserRecord(
        id=user_id,
        email=address_of(user_id),
        name=name,
        status=UserStatus.ACTIVE,
        verified_at_ms=now,
        created_at_ms=now,
        updated_at_ms=now,
    )
    assert await house.account_stores.users.add_user(user)
    return user_id


async def give_roles(house: House) -> None:
    """The roles that their tokens say."""
    for person in PEOPLE:
        for organization_id in person.organizations:
            for role in person.roles:
                held = MembershipRecord(user_id=person.subject, organization_id=organization_id, role=role)
                assert await house.account_stores.members.add_membership(held, house.clock.now_ms())


async def mailed(house: House, path: str, address: str, **body: str) -> str:
    """The token that this request has mailed."""
    answer = await house.http.post(f"/api/v1/auth/{path}", json={"email": address, **body})
    assert answer.is_success, answer.text
    await house.accounts.background.settled()
    found = re.search(r"^Code: (\S+)$", text_of(house.mail.to(address)[-1]), re.MULTILINE)
    assert found is not None
    return found[1]


async def invitation_to(house: House, subject: str) -> dict[str, str]:
    """What was mailed to them, by an admin who is none of those who ask."""
    address = address_of(subject) if subject else NEWCOMER
    boss = Actor(new_id(), ("admin",), (CLINIC,))
    await house.accounts.invitations.invite(boss, CLINIC, address, ("front_desk",))
    await house.accounts.background.settled()
    return {"token": house.mail.code(address)}


async def logged_in(house: House) -> dict[str, str]:
    body = {"email": address_of(ALICE), "password": PASSWORD}
    answer = await house.http.post("/api/v1/auth/login", json=body)
    assert answer.is_success, answer.text
    return {name: answer.json()[name] for name in ("refresh_token", "session_id")}
