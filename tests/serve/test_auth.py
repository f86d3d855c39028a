"""Accounts over HTTP: registration, logins and their tokens."""

import pytest

from domain.ids import new_id
from tests.hearing import heard
from tests.serve.clinic import CLINIC
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD

AUTH = "/api/v1/auth"
ADA = "ada@example.test"


async def join(house, email=ADA, password=PASSWORD):
    """Register and confirm; the account."""
    body = {"email": email, "password": password, "name": "Ada Lovelace"}
    answer = await house.http.post(f"{AUTH}/register", json=body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    await house.gateway.accounts.background.settled()
    answer = await house.http.post(f"{AUTH}/verify-email", json={"token": house.mail.code(email)})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def log_in(house, email=ADA, password=PASSWORD, **more):
    answer = await house.http.post(f"{AUTH}/login", json={"email": email, "password": password, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(login):
    return {"Authorization": f"Bearer {login['access_token']}"}


async def refused(house, path, status, code, **body):
    answer = await house.http.post(f"{AUTH}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer


async def test_from_registration_to_a_shopping_cart(house):
    account = await join(house)
    assert (account["email"], account["status"]) == (ADA, "active")
    login = await log_in(house, device="Phone")
    assert (login["subject"], login["roles"], login["organizations"]) == (account["id"], ["customer"], [])
    cart = await house.new_cart(bearer(login))
    assert cart["owner"] == account["id"]
    session = (await house.http.get(f"{AUTH}/session", headers=bearer(login))).json()
    assert session["user"]["name"] == "Ada Lovelace"
    assert session["memberships"] == []


async def test_every_refusal_has_its_code(house):
    account = await join(house)
    await house.http.post(f"{AUTH}/register", json={"email": "bob@example.test", "password": PASSWORD, "name": "Bob"})
    await refused(house, "login", 401, "login_failed", email=ADA, password=OTHER_PASSWORD)
    await refused(house, "login", 401, "login_failed", email="nobody@example.test", password=PASSWORD)
    await refused(house, "login", 403, "email_unverified", email="bob@example.test", password=PASSWORD)
    await refused(house, "login", 403, "not_a_member", email=ADA, password=PASSWORD, organization_id=new_id())
    await refused(house, "refresh", 401, "refresh_token_invalid", refresh_token="never was one")
    await refused(house, "verify-email", 422, "invalid", token="never was one")
    await refused(house, "reset-password", 422, "invalid", token="never was one", password=PASSWORD)
    for _ in range(4):
        await refused(house, "login", 401, "login_failed", email="eve@example.test", password=OTHER_PASSWORD)
    await refused(house, "login", 401, "login_failed", email="eve@example.test", password=OTHER_PASSWORD)
    locked = await refused(house, "login", 429, "login_locked", email="eve@example.test", password=OTHER_PASSWORD)
    assert locked.headers["retry-after"] == "60"
    assert account["id"] not in locked.text


async def test_registering_twice_looks_the_same_and_mass_assignment_is_refused(house):
    await join(house)
    again = await house.http.post(f"{AUTH}/register", json={"email": ADA, "password": PASSWORD, "name": "Mallory"})
    assert (again.status_code, again.json()) == (202, {"accepted": True})
    for extra in ({"status": "active"}, {"roles": ["admin"]}, {"verified_at": "2026-01-01T00:00:00Z"}):
        body = {"email": "eve@example.test", "password": PASSWORD, "name": "Eve", **extra}
        answer = await house.http.post(f"{AUTH}/register", json=body)
        assert answer.json()["errors"][0]["code"] == "unknown_field"


async def test_an_invalid_body_is_answered_without_the_password_in_it(house):
    body = {"email": 7, "password": PASSWORD, "name": "Ada"}
    answer = await house.http.post(f"{AUTH}/register", json=body)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text


async def test_refreshing_reusing_and_logging_out(house):
    await join(house)
    login = await log_in(house)
    first = (await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})).json()
    again = (await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})).json()
    assert first["refresh_token"] == again["refresh_token"]
    house.clock.advance(seconds=11)
    await refused(house, "refresh", 401, "refresh_token_reused", refresh_token=login["refresh_token"])
    await refused(house, "refresh", 401, "refresh_token_invalid", refresh_token=first["refresh_token"])
    other = await log_in(house)
    answer = await house.http.post(f"{AUTH}/logout", json={"refresh_token": other["refresh_token"]})
    assert (answer.status_code, answer.content) == (204, b"")
    await refused(house, "refresh", 401, "refresh_token_invalid", refresh_token=other["refresh_token"])


async def test_login_sessions_are_listed_and_ended_by_their_owner_only(house):
    await join(house)
    await join(house, "bob@example.test")
    phone, tablet = await log_in(house, device="Phone"), await log_in(house, device="Tablet")
    bob = await log_in(house, "bob@example.test")
    listed = (await house.http.get(f"{AUTH}/sessions", headers=bearer(phone))).json()["items"]
    assert {one["device"] for one in listed} == {"Phone", "Tablet"}
    path = f"{AUTH}/sessions/{tablet['session_id']}"
    assert (await house.http.delete(path, headers=bearer(bob))).status_code == 404
    assert (await house.http.delete(path, headers=bearer(phone))).status_code == 204
    assert (await house.http.delete(path, headers=bearer(phone))).status_code == 404
    answer = await house.http.delete(f"{AUTH}/sessions", headers=bearer(phone))
    assert answer.json() == {"revoked": 1}
    await refused(house, "refresh", 401, "refresh_token_invalid", refresh_token=phone["refresh_token"])
    assert (await house.http.get(f"{AUTH}/sessions")).status_code == 401


async def test_a_forgotten_password(house):
    await join(house)
    for email in (ADA, "nobody@example.test"):
        answer = await house.http.post(f"{AUTH}/forgot-password", json={"email": email})
        assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    await house.gateway.accounts.background.settled()
    body = {"token": house.mail.code(ADA), "password": OTHER_PASSWORD}
    assert (await house.http.post(f"{AUTH}/reset-password", json=body)).status_code == 204
    await log_in(house, password=OTHER_PASSWORD)
    await refused(house, "login", 401, "login_failed", email=ADA, password=PASSWORD)


async def test_a_new_password_by_the_old_one(house):
    await join(house)
    login = await log_in(house)
    body = {"current_password": OTHER_PASSWORD, "password": OTHER_PASSWORD}
    answer = await house.http.post(f"{AUTH}/change-password", json=body, headers=bearer(login))
    assert answer.json()["errors"][0]["code"] == "wrong_password"
    body["current_password"] = PASSWORD
    answer = await house.http.post(f"{AUTH}/change-password", json=body, headers=bearer(login))
    assert answer.status_code == 204
    await log_in(house, password=OTHER_PASSWORD)


async def test_reauthenticating_gives_a_proof_of_now_and_guests_cannot(house):
    await join(house)
    login = await log_in(house)
    house.clock.advance(seconds=1_000)
    body = {"password": PASSWORD}
    fresh = (await house.http.post(f"{AUTH}/reauthenticate", json=body, headers=bearer(login))).json()
    now = house.clock.now_ms() // 1_000
    assert house.tokens.verify(fresh["access_token"]).auth_time == now
    assert house.tokens.verify(login["access_token"]).auth_time == now - 1_000
    guest = (await house.http.post(f"{AUTH}/guest")).json()
    for path, sent in (
        ("reauthenticate", body),
        ("change-password", {"current_password": PASSWORD, "password": OTHER_PASSWORD}),
    ):
        answer = await house.http.post(f"{AUTH}/{path}", json=sent, headers=bearer(guest))
        assert (answer.status_code, answer.json()["code"]) == (403, "account_required")
    session = (await house.http.get(f"{AUTH}/session", headers=bearer(guest))).json()
    assert "user" not in session
    assert "authenticated_at" not in session


async def test_profiles(house):
    await join(house)
    login = await log_in(house)
    wanted = {"name": "Ada King", "locale": "de-AT", "time_zone": "Europe/Vienna"}
    answer = await house.http.put("/api/v1/users/profile", json=wanted, headers=bearer(login))
    assert answer.status_code == 200, answer.text
    shown = (await house.http.get("/api/v1/users/profile", headers=bearer(login))).json()
    assert {name: shown[name] for name in wanted} == wanted
    bad = wanted | {"time_zone": "Mars/Olympus"}
    assert (await house.http.put("/api/v1/users/profile", json=bad, headers=bearer(login))).status_code == 422
    assert (await house.http.get("/api/v1/users/profile", headers=house.bearer())).status_code == 404
    body = {"email": "ada@elsewhere.test", "password": PASSWORD}
    answer = await house.http.post("/api/v1/users/profile/email", json=body, headers=bearer(login))
    assert answer.status_code == 202
    await house.gateway.accounts.background.settled()
    code = house.mail.code("ada@elsewhere.test")
    changed = await house.http.post(f"{AUTH}/verify-email", json={"token": code})
    assert changed.json()["email"] == "ada@elsewhere.test"


async def test_members_of_an_organization(house):
    account = await join(house)
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    path = f"/api/v1/organizations/{CLINIC}/members"
    for status in (201, 201):
        answer = await house.http.post(path, json={"email": ADA, "role": "provider"}, headers=boss)
        assert (answer.status_code, answer.json()["roles"]) == (status, ["provider"])
    assert answer.headers["idempotent-replayed"] == "true"
    await house.http.post(path, json={"user_id": account["id"], "role": "admin"}, headers=boss)
    login = await log_in(house, organization_id=CLINIC)
    assert (login["roles"], login["organizations"]) == (["admin", "provider"], [CLINIC])
    listed = (await house.http.get(path, headers=bearer(login))).json()["items"]
    assert [(one["user_id"], one["roles"]) for one in listed] == [(account["id"], ["admin", "provider"])]
    answer = await house.http.delete(f"{path}/{account['id']}", headers=boss)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    answer = await house.http.delete(f"{path}/{account['id']}?role=provider", headers=boss)
    assert answer.status_code == 204
    house.clock.advance(seconds=1)
    login = await log_in(house, organization_id=CLINIC)
    session = (await house.http.get(f"{AUTH}/session", headers=bearer(login))).json()
    assert session["memberships"] == [{"organization_id": CLINIC, "roles": ["admin"]}]


@pytest.mark.parametrize("body", [{"role": "provider"}, {"role": "customer", "email": ADA}, {"role": "system"}])
async def test_a_membership_needs_a_person_and_a_role_of_organizations(house, body):
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    answer = await house.http.post(f"/api/v1/organizations/{CLINIC}/members", json=body, headers=boss)
    assert answer.status_code == 422


async def test_strangers_see_no_members(house):
    path = f"/api/v1/organizations/{CLINIC}/members"
    for headers in (house.bearer(), house.bearer(new_id(), "provider", orgs=(CLINIC,)), house.staff()):
        assert (await house.http.get(path, headers=headers)).status_code == 404
        body = {"email": ADA, "role": "admin"}
        assert (await house.http.post(path, json=body, headers=headers)).status_code == 404


async def test_no_log_line_has_an_address_a_password_or_a_token(house):
    with heard() as lines:
        await join(house)
        await house.http.post(f"{AUTH}/register", json={"email": ADA, "password": PASSWORD, "name": "Ada"})
        await refused(house, "login", 401, "login_failed", email=ADA, password=OTHER_PASSWORD)
        login = await log_in(house)
        await house.http.post(f"{AUTH}/refresh", json={"refresh_token": login["refresh_token"]})
        house.clock.advance(seconds=11)
        await refused(house, "refresh", 401, "refresh_token_reused", refresh_token=login["refresh_token"])
        await house.http.post(f"{AUTH}/forgot-password", json={"email": ADA})
        await house.accounts.background.settled()
    assert lines
    text = repr(lines)
    secrets = (ADA, "Lovelace", PASSWORD, OTHER_PASSWORD, login["refresh_token"], house.mail.code(ADA))
    assert [one for one in secrets if one in text] == []
    assert login["access_token"] not in text
