"""Invitations over HTTP, from the admin's request to the member's first one."""

from typing import Any

import httpx
import pytest

from actors.runtime.entity import Actor
from domain.ids import new_id
from domain.times import to_rfc3339
from tests.serve.access.accounts import address_of, give_account
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House
from tests.services.accounts.people import PASSWORD

PATH = f"/api/v1/organizations/{CLINIC}/invitations"
ACCEPT = "/api/v1/invitations/accept"
REGISTER = "/api/v1/auth/register"
ADA = "ada@example.test"


def admin(house: House) -> dict[str, str]:
    return house.bearer(new_id(), "admin", orgs=(CLINIC,))


async def invite(house: House, email: str = ADA, **more: Any) -> httpx.Response:
    headers = more.pop("headers", None) or admin(house)
    body = {"email": email, "roles": ["provider"], **more}
    answer = await house.http.post(PATH, json=body, headers=headers)
    await house.accounts.background.settled()
    return answer


async def register(house: House, token: str, email: str = ADA, **more: Any) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, "name": "Ada", "invitation": token, **more}
    return await house.http.post(REGISTER, json=body)


async def accept(house: House, token: str, user_id: str) -> httpx.Response:
    return await house.http.post(ACCEPT, json={"token": token}, headers=house.bearer(user_id))


async def test_an_invitation_is_shown_to_its_admins_until_it_is_revoked(house: House) -> None:
    made = await invite(house)
    assert made.status_code == 201, made.text
    shown = made.json()
    now = house.clock.now_ms()
    assert (shown["email"], shown["roles"], shown["status"], shown["locale"]) == (ADA, ["provider"], "open", "en")
    assert (shown["created_at"], shown["expires_at"]) == (to_rfc3339(now), to_rfc3339(now + 7 * 86_400_000))
    headers = admin(house)
    assert (await house.http.get(PATH, headers=headers)).json() == {"items": [shown]}
    assert (await house.http.delete(f"{PATH}/{shown['id']}", headers=headers)).status_code == 204
    assert (await house.http.delete(f"{PATH}/{shown['id']}", headers=headers)).status_code == 404
    assert (await house.http.get(PATH, headers=headers)).json() == {"items": []}


async def test_the_token_is_in_the_mail_and_in_no_answer(house: House) -> None:
    made = await invite(house)
    listed = await house.http.get(PATH, headers=admin(house))
    assert house.mail.code(ADA) not in made.text + listed.text


async def test_they_come_in_pages_and_say_what_has_run_out(house: House) -> None:
    for name in "abc":
        await invite(house, f"{name}@example.test")
    headers, found, cursor = admin(house), [], ""
    for _ in range(2):
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await house.http.get(PATH, params=query, headers=headers)).json()
        found += [one["email"][0] for one in answer["items"]]
        cursor = answer.get("next_cursor", "")
    assert (sorted(found), cursor) == (["a", "b", "c"], "")
    house.clock.advance(seconds=7 * 86_400)
    answer = await house.http.get(PATH, headers=admin(house))
    assert {one["status"] for one in answer.json()["items"]} == {"expired"}


async def test_who_registers_with_it_is_a_member_at_once_and_gets_no_second_mail(house: House) -> None:
    await invite(house)
    answer = await register(house, house.mail.code(ADA))
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    await house.accounts.background.settled()
    assert len(house.mail.to(ADA)) == 1
    body = {"email": ADA, "password": PASSWORD, "organization_id": CLINIC}
    opened = (await house.http.post("/api/v1/auth/login", json=body)).json()
    assert (opened["roles"], opened["organizations"], opened["user"]["status"]) == (["provider"], [CLINIC], "active")


async def test_who_has_an_account_accepts_it_and_refreshes_for_the_organization(house: House) -> None:
    user_id = await give_account(house, "Ada")
    await invite(house, address_of(user_id), roles=["provider", "billing"])
    code = house.mail.code(address_of(user_id))
    answer = await accept(house, code, user_id)
    assert answer.json() == {"organization_id": CLINIC, "roles": ["billing", "provider"]}
    session = await house.http.get("/api/v1/auth/session", headers=house.bearer(user_id))
    assert session.json()["memberships"] == [{"organization_id": CLINIC, "roles": ["billing", "provider"]}]
    again = await accept(house, code, user_id)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "token_spent")


async def test_the_answer_is_the_same_whether_or_not_there_is_an_account(house: House) -> None:
    user_id = await give_account(house, "Ada")
    there, none = await invite(house, address_of(user_id)), await invite(house, "nobody@example.test")
    differ = {"id", "email"}
    assert {name: value for name, value in there.json().items() if name not in differ} | {"invited_by": ""} == {
        name: value for name, value in none.json().items() if name not in differ
    } | {"invited_by": ""}
    assert there.status_code == none.status_code
    await house.accounts.background.settled()
    first = await register(house, house.mail.code(address_of(user_id)), address_of(user_id))
    second = await register(house, house.mail.code("nobody@example.test"), "nobody@example.test")
    assert (first.status_code, first.content) == (second.status_code, second.content)


async def test_another_ones_token_is_refused(house: House) -> None:
    bob = await give_account(house, "Bob")
    await invite(house)
    refused = await accept(house, house.mail.code(ADA), bob)
    assert (refused.status_code, refused.json()["code"]) == (403, "invitation_not_yours")
    refused = await register(house, house.mail.code(ADA), "mallory@example.test")
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "invitation")
    guest = {"Authorization": f"Bearer {house.tokens.issue_guest()[0]}"}
    refused = await house.http.post(ACCEPT, json={"token": house.mail.code(ADA)}, headers=guest)
    assert (refused.status_code, refused.json()["code"]) == (403, "account_required")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"email": "nobody"}, "email"),
        ({"roles": []}, "roles"),
        ({"roles": ["customer"]}, "roles.0"),
        ({"roles": ["provider"] * 7}, "roles"),
        ({"locale": "deutsch"}, "locale"),
        ({"organization_id": OTHER_CLINIC}, "organization_id"),
        ({"invited_by": new_id()}, "invited_by"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(house: House, change: dict[str, Any], path: str) -> None:
    answer = await invite(house, **change)
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)
    assert house.mail.sent == []


async def test_too_many_in_an_hour_are_refused_until_later(house: House) -> None:
    headers = admin(house)
    answers = [await invite(house, headers=headers) for _ in range(house.accounts.limits.mails_per_hour_max + 1)]
    assert [one.status_code for one in answers] == [201] * (len(answers) - 1) + [429]
    assert answers[-1].json()["code"] == "too_many_invitations"
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_no_api_key_sees_or_makes_invitations(house: House) -> None:
    accounts, boss = house.accounts, Actor(new_id(), ("admin",), (CLINIC,))
    made = await accounts.services.create(boss, CLINIC, "Lab", ("provider",))
    owner = await accounts.services.owner(boss, CLINIC, made.id)
    key = await accounts.keys.create(boss, owner, name="CI", scopes=("organizations:read",))
    headers = {"X-API-Key": key.key}
    assert (await house.http.get(f"/api/v1/organizations/{CLINIC}", headers=headers)).status_code == 404
    for method, path in (("GET", PATH), ("POST", PATH), ("POST", ACCEPT)):
        answer = await house.http.request(method, path, json={"token": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), path


async def test_a_repeat_with_the_same_key_sends_one_mail(house: House) -> None:
    headers = admin(house) | {"Idempotency-Key": "k-1"}
    first, again = await invite(house, headers=headers), await invite(house, headers=headers)
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert len(house.mail.to(ADA)) == 1
