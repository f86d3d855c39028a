"""Second factors and passkeys over HTTP."""

from typing import Any

import pytest
from pyotp import TOTP

from domain.ids import new_id
from tests.hearing import heard
from tests.serve.clinic import CLINIC
from tests.serve.house import House
from tests.serve.test_auth import ADA, AUTH, bearer, join, log_in
from tests.serve.test_cookies import Browser
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD

CREDENTIALS = {"email": ADA, "password": PASSWORD}


def code_of(house: House, secret: str) -> str:
    return TOTP(secret).at(house.clock.now_ms() // 1_000)


async def post(house: House, path: str, body: Any = None, headers: Any = None, status: int = 200) -> Any:
    answer = await house.http.post(f"{AUTH}/{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def enrolled(house: House) -> tuple[str, list[str], dict[str, str]]:
    """Ada with an authenticator app: its secret, her recovery codes, headers of before."""
    await join(house)
    headers = bearer(await log_in(house))
    begun = await post(house, "mfa/enroll", {"name": "Phone"}, headers)
    assert begun["otpauth_uri"].startswith("otpauth://totp/Atrium:ada%40example.test?secret=")
    confirmed = await post(
        house, "mfa/verify", {"challenge": begun["challenge"], "code": code_of(house, begun["secret"])}
    )
    assert confirmed["confirmed"]
    house.clock.advance(seconds=30)
    return begun["secret"], confirmed["recovery_codes"], headers


async def both(house: House, secret: str) -> dict[str, str]:
    """Headers of a login with both factors."""
    wanted = await post(house, "login", CREDENTIALS, status=401)
    login = await post(house, "mfa/verify", {"challenge": wanted["challenge"], "code": code_of(house, secret)})
    house.clock.advance(seconds=30)
    return bearer(login)


async def test_from_the_password_to_the_code_to_a_login(house):
    secret, codes, _ = await enrolled(house)
    answer = await house.http.post(f"{AUTH}/login", json={**CREDENTIALS, "device": "Phone"})
    wanted = answer.json()
    assert (answer.status_code, wanted["code"], wanted["methods"]) == (401, "mfa_required", ["recovery_code", "totp"])
    assert "access_token" not in answer.text
    wrong = await post(house, "mfa/verify", {"challenge": wanted["challenge"], "code": "000000"}, status=401)
    assert wrong["code"] == "mfa_failed"
    login = await post(house, "mfa/verify", {"challenge": wanted["challenge"], "code": code_of(house, secret)})
    assert login["user"]["email"] == ADA
    session = (await house.http.get(f"{AUTH}/session", headers=bearer(login))).json()
    assert session["amr"] == ["pwd", "otp", "mfa"]
    listed = (await house.http.get(f"{AUTH}/sessions", headers=bearer(login))).json()["items"]
    assert "Phone" in {one["device"] for one in listed}
    spent = await post(house, "mfa/verify", {"challenge": wanted["challenge"], "code": codes[0]}, status=401)
    assert spent["code"] == "challenge_spent"


async def test_changing_factors_wants_a_proof_of_now_with_the_factor(house):
    secret, _, single = await enrolled(house)
    factors = (await house.http.get(f"{AUTH}/mfa/factors", headers=single)).json()
    (factor,) = factors["items"]
    assert (factor["kind"], factor["name"], factors["recovery_codes_left"]) == ("totp", "Phone", 10)
    path = f"{AUTH}/mfa/factors/{factor['id']}"
    refused = await house.http.delete(path, headers=single)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    for route in ("mfa/enroll", "mfa/recovery-codes", "passkeys/options"):
        body = {} if route == "mfa/enroll" else None
        assert (await post(house, route, body, single, 403))["code"] == "reauthentication_required"
    headers = await both(house, secret)
    assert (await post(house, "mfa/enroll", {}, headers, 409))["code"] == "factor_exists"
    assert len((await post(house, "mfa/recovery-codes", None, headers))["recovery_codes"]) == 10
    house.clock.advance(seconds=300)
    assert (await house.http.delete(path, headers=headers)).status_code == 403
    asked = await post(house, "reauthenticate", {"password": PASSWORD}, headers, 422)
    assert [(one["path"], one["code"]) for one in asked["errors"]] == [("code", "required")]
    fresh = await post(house, "reauthenticate", {"password": PASSWORD, "code": code_of(house, secret)}, headers)
    assert (await house.http.delete(path, headers=bearer(fresh))).status_code == 204
    assert (await house.http.delete(path, headers=bearer(fresh))).status_code == 404
    assert await log_in(house)
    assert (await post(house, "mfa/recovery-codes", None, bearer(fresh), 409))["code"] == "no_factor"


async def test_a_stolen_login_of_before_the_factor_changes_neither_password_nor_address(house):
    secret, _, single = await enrolled(house)
    headers = await both(house, secret)
    password = {"current_password": PASSWORD, "password": OTHER_PASSWORD}
    address = {"email": "eve@example.test", "password": PASSWORD}
    for path, body, status in (("/users/profile/email", address, 202), ("/auth/change-password", password, 204)):
        refused = await house.http.post(f"/api/v1{path}", json=body, headers=single)
        assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
        assert (await house.http.post(f"/api/v1{path}", json=body, headers=headers)).status_code == status


async def test_a_passkey_from_registration_to_login_to_step_up(house):
    await join(house)
    headers, device = bearer(await log_in(house)), Authenticator()
    options = await post(house, "passkeys/options", None, headers)
    assert (options["rp"], options["user"]["name"]) == ({"name": "Atrium", "id": "localhost"}, ADA)
    assert options["authenticatorSelection"]["residentKey"] == "required"
    body = {"credential": device.create(options), "name": "Laptop"}
    made = await post(house, "passkeys", body, headers, 201)
    assert (made["name"], len(made["recovery_codes"])) == ("Laptop", 10)
    credential = device.get(await post(house, "passkeys/login/options"))
    login = await post(house, "passkeys/login", {"credential": credential, "device": "Laptop"})
    assert house.tokens.verify(login["access_token"]).amr == ("pop", "mfa")
    again = await post(house, "passkeys/login", {"credential": credential}, status=401)
    assert again["code"] == "challenge_spent"
    house.clock.advance(seconds=1_000)
    passkey = device.get(await post(house, "passkeys/login/options"))
    fresh = await post(house, "reauthenticate", {"passkey": passkey}, bearer(login))
    assert house.tokens.verify(fresh["access_token"]).auth_time == house.clock.now_ms() // 1_000
    (factor,) = (await house.http.get(f"{AUTH}/mfa/factors", headers=bearer(fresh))).json()["items"]
    assert (factor["kind"], factor["id"]) == ("passkey", made["id"])
    gone = await house.http.delete(f"{AUTH}/mfa/factors/{made['id']}", headers=bearer(fresh))
    assert gone.status_code == 204
    refused = device.get(await post(house, "passkeys/login/options"))
    assert (await post(house, "passkeys/login", {"credential": refused}, status=401))["code"] == "passkey_refused"


async def test_a_passkey_logs_in_for_an_organization(house):
    await join(house)
    headers, device = bearer(await log_in(house)), Authenticator()
    options = await post(house, "passkeys/options", None, headers)
    await post(house, "passkeys", {"credential": device.create(options)}, headers, 201)
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    member = {"email": ADA, "role": "provider"}
    await house.http.post(f"/api/v1/organizations/{CLINIC}/members", json=member, headers=boss)
    credential = device.get(await post(house, "passkeys/login/options"))
    login = await post(house, "passkeys/login", {"credential": credential, "organization_id": CLINIC})
    assert (login["roles"], login["organizations"]) == (["provider"], [CLINIC])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"password": PASSWORD, "passkey": {}},
        {"code": "123456"},
        {"password": PASSWORD, "code": ""},
        {"password": PASSWORD, "amr": ["mfa"]},
    ],
)
async def test_reauthenticating_takes_one_way_and_nothing_else(house, body):
    await join(house)
    assert (await post(house, "reauthenticate", body, bearer(await log_in(house)), 422))["code"] == "invalid"


async def test_an_old_proof_of_one_factor_does_not_sign_for_who_has_two(house):
    await join(house)
    member = {"email": ADA, "role": "provider"}
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    await house.http.post(f"/api/v1/organizations/{CLINIC}/members", json=member, headers=boss)
    login = await log_in(house, organization_id=CLINIC)
    verified = house.tokens.verify(login["access_token"])
    proofs = house.gateway.documents._proofs
    assert await proofs.proved(login["access_token"], verified.actor, 300)
    begun = await post(house, "mfa/enroll", {}, bearer(login))
    await post(house, "mfa/verify", {"challenge": begun["challenge"], "code": code_of(house, begun["secret"])})
    with pytest.raises(Exception, match="reauthentication_required"):
        await proofs.proved(login["access_token"], verified.actor, 300)
    house.clock.advance(seconds=30)
    body = {"password": PASSWORD, "code": code_of(house, begun["secret"])}
    fresh = await post(house, "reauthenticate", body, bearer(login))
    assert await proofs.proved(fresh["access_token"], verified.actor, 300)


async def test_the_platforms_admin_resets_factors_and_all_tokens_end(house):
    secret, _, _ = await enrolled(house)
    headers = await both(house, secret)
    user_id = (await house.http.get("/api/v1/users/profile", headers=headers)).json()["id"]
    path, body = f"/api/v1/users/{user_id}/factors/reset", {"reason": "phone lost"}
    assert (await house.http.post(path, json=body, headers=headers)).status_code == 404
    boss = new_id()
    stale = house.tokens.issue(boss, ("admin",), auth_time=house.clock.now_ms() // 1_000 - 301)
    refused = await house.http.post(path, json=body, headers={"Authorization": f"Bearer {stale}"})
    assert refused.json()["code"] == "reauthentication_required"
    house.clock.advance(seconds=1)
    answer = await house.http.post(path, json=body, headers=house.bearer(boss, "admin"))
    assert (answer.status_code, answer.json()) == (200, {"removed": 1})
    assert (await house.http.get("/api/v1/users/profile", headers=headers)).status_code == 401
    house.clock.advance(seconds=1)
    assert await log_in(house)


async def test_no_log_line_has_a_secret_a_code_or_a_challenge(house):
    with heard() as lines:
        secret, codes, _ = await enrolled(house)
        wanted = await post(house, "login", CREDENTIALS, status=401)
        await post(house, "mfa/verify", {"challenge": wanted["challenge"], "code": codes[0]})
        broken = Authenticator(origin="https://evil.example", user_handle="AAAA")
        credential = broken.get(await post(house, "passkeys/login/options"))
        await post(house, "passkeys/login", {"credential": credential}, status=401)
        await house.accounts.background.settled()
    text = repr(lines)
    assert [one for one in (ADA, PASSWORD, secret, wanted["challenge"], *codes) if one in text] == []


async def test_in_a_browser_both_factors_end_in_cookies_and_the_step_up_too(house):
    secret, _, _ = await enrolled(house)
    browser = Browser(house)
    wanted = (await browser.ask("POST", "/auth/login", {**CREDENTIALS, "cookie": True})).json()
    body = {"challenge": wanted["challenge"], "code": code_of(house, secret), "cookie": True}
    evil = Browser(house, "https://evil.example")
    assert await evil.code("POST", "/auth/mfa/verify", body) == "403 csrf_failed"
    shown = await browser.ask("POST", "/auth/mfa/verify", body)
    assert (shown.status_code, "access_token" in shown.text) == (200, False)
    assert await browser.code("POST", "/auth/mfa/recovery-codes") == ""
    house.clock.advance(seconds=301)
    assert await browser.code("POST", "/auth/mfa/recovery-codes") == "403 reauthentication_required"
    again = {"password": PASSWORD, "code": code_of(house, secret)}
    assert await browser.code("POST", "/auth/reauthenticate", again) == ""
    assert await browser.code("POST", "/auth/mfa/recovery-codes") == ""


async def test_a_passkey_logs_a_browser_in(house):
    await join(house)
    headers, device = bearer(await log_in(house)), Authenticator()
    options = await post(house, "passkeys/options", None, headers)
    await post(house, "passkeys", {"credential": device.create(options)}, headers, 201)
    browser = Browser(house)
    credential = device.get((await browser.ask("POST", "/auth/passkeys/login/options")).json())
    assert await browser.code("POST", "/auth/passkeys/login", {"credential": credential, "cookie": True}) == ""
    assert (await browser.ask("GET", "/auth/session")).json()["amr"] == ["pop", "mfa"]
