"""Access tokens die with what they rest on, at once, over HTTP."""

from domain.ids import new_id
from tests.serve.clinic import CLINIC
from tests.serve.test_auth import ADA, AUTH, bearer, join, log_in
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD


async def code(house, headers):
    answer = await house.http.get(f"{AUTH}/session", headers=headers)
    return answer.json().get("code", "")


async def test_logging_out_ends_every_access_token_of_that_login_and_no_other(house):
    await join(house)
    phone, tablet = await log_in(house), await log_in(house)
    again = (await house.http.post(f"{AUTH}/refresh", json={"refresh_token": phone["refresh_token"]})).json()
    proof = await house.http.post(f"{AUTH}/reauthenticate", json={"password": PASSWORD}, headers=bearer(phone))
    assert (await house.http.post(f"{AUTH}/logout", json={"refresh_token": again["refresh_token"]})).status_code == 204
    for one in (phone, again, proof.json()):
        assert await code(house, bearer(one)) == "token_revoked"
    assert await code(house, bearer(tablet)) == ""


async def test_revoked_sessions_end_with_their_access_tokens(house):
    await join(house)
    phone, tablet, third = await log_in(house), await log_in(house), await log_in(house)
    await house.http.delete(f"{AUTH}/sessions/{tablet['session_id']}", headers=bearer(phone))
    assert [await code(house, bearer(one)) for one in (phone, tablet)] == ["", "token_revoked"]
    await house.http.delete(f"{AUTH}/sessions", headers=bearer(phone))
    assert {await code(house, bearer(one)) for one in (phone, third)} == {"token_revoked"}


async def test_a_new_password_ends_access_tokens_however_it_was_set(house):
    await join(house)
    before = await log_in(house)
    body = {"current_password": PASSWORD, "password": OTHER_PASSWORD}
    assert (await house.http.post(f"{AUTH}/change-password", json=body, headers=bearer(before))).status_code == 204
    assert await code(house, bearer(before)) == "token_revoked"
    before = await log_in(house, password=OTHER_PASSWORD)
    await house.http.post(f"{AUTH}/forgot-password", json={"email": ADA})
    await house.accounts.background.settled()
    reset = {"token": house.mail.code(ADA), "password": PASSWORD}
    assert (await house.http.post(f"{AUTH}/reset-password", json=reset)).status_code == 204
    assert await code(house, bearer(before)) == "token_revoked"
    assert await code(house, bearer(await log_in(house))) == ""


async def test_a_copied_refresh_token_ends_the_access_tokens_too(house):
    await join(house)
    login = await log_in(house)
    await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})
    house.clock.advance(seconds=11)
    await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})
    assert await code(house, bearer(login)) == "token_revoked"


async def test_who_loses_a_role_refreshes_and_goes_on_without_it(house):
    account = await join(house)
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    path = f"/api/v1/organizations/{CLINIC}/members"
    await house.http.post(path, json={"email": ADA, "role": "provider"}, headers=boss)
    login = await log_in(house, organization_id=CLINIC)
    assert (await house.http.delete(f"{path}/{account['id']}", headers=boss)).status_code == 204
    assert await code(house, bearer(login)) == "token_outdated"
    house.clock.advance(seconds=1)
    fresh = (await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})).json()
    assert (fresh["roles"], await code(house, bearer(fresh))) == (["customer"], "")


async def test_an_admin_who_removes_a_stranger_outdates_nobody(house):
    stranger = await join(house)
    login = await log_in(house)
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    answer = await house.http.delete(f"/api/v1/organizations/{CLINIC}/members/{stranger['id']}", headers=boss)
    assert (answer.status_code, await code(house, bearer(login))) == (404, "")


async def test_who_is_shut_out_is_so_with_every_token(house):
    account = await join(house)
    login = await log_in(house)
    assert await house.accounts.revocations.revoke_person(account["id"], "suspended") == 1
    assert await code(house, bearer(login)) == "token_revoked"
    assert await code(house, house.bearer()) == ""
