"""Logins by another provider over HTTP: there and back, accounts that are made, found, linked and unlinked."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from domain.ids import new_id
from services.oidc.flows import challenge_of
from services.oidc.oidc import Oidc
from storage.accounts.factor_records import TotpRecord
from storage.accounts.records import UserStatus
from tests.serve.clinic import CLINIC
from tests.serve.test_auth import ADA, bearer, join, log_in
from tests.services.accounts.people import PASSWORD
from tests.services.oidc.scripted import EMAIL, SETTINGS

AUTH = "/api/v1/auth"
PAGE = "https://shop.example/logged-in?from=oidc"
VERIFIER = "v" * 43
NEW = {"email": "grace@example.test", "email_verified": True, "name": "Grace Hopper"}


async def begin(house, provider="test", **query):
    wanted = {"challenge": challenge_of(VERIFIER), **query}
    return await house.http.get(f"{AUTH}/oidc/{provider}/start", params=wanted)


async def come_back(house, provider="test", **said):
    return await house.http.get(f"{AUTH}/oidc/{provider}/callback", params=said)


async def code_of(house, *, sub="ada-1", fresh=False, **claims):
    """A code of ours, after a login there and back."""
    started = await begin(house, fresh=str(fresh).lower())
    assert started.status_code == 303, started.text
    back = await come_back(house, **house.provider.authorize(started.headers["location"], sub, **claims))
    assert back.status_code == 200, back.text
    assert back.json()["expires_in"] == 60
    return back.json()["code"]


async def exchange(house, code, verifier=VERIFIER, **more):
    return await house.http.post(f"{AUTH}/oidc/exchange", json={"code": code, "verifier": verifier, **more})


async def logged_in(house, **claims):
    answer = await exchange(house, await code_of(house, **claims), device="Phone")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def link(house, login, **claims):
    code = await code_of(house, **claims)
    return await house.http.post(f"{AUTH}/identities", json={"code": code, "verifier": VERIFIER}, headers=bearer(login))


async def identities(house, login):
    answer = await house.http.get(f"{AUTH}/identities", headers=bearer(login))
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def use_providers(house, providers, outgoing):
    """From now on people log in by these."""
    gateway = house.gateway
    parts = (gateway.keys, house.identities, house.account_stores, house.accounts, gateway.audit, house.clock)
    gateway.oidc = Oidc(providers, outgoing, *parts, public_url="http://test", origins=())


async def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_the_providers_are_listed(house):
    answer = await house.http.get(f"{AUTH}/oidc")
    assert answer.json() == {"items": [{"name": "test", "label": "Test"}]}


async def test_a_browser_is_sent_there_with_all_that_a_login_must_have(house):
    answer = await begin(house, return_to=PAGE)
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"] == "http://test/api/v1/auth/oidc/test/callback"
    assert (asked["client_id"], asked["scope"]) == (SETTINGS.client_id, "openid email profile")
    assert len({asked["state"], asked["nonce"], asked["code_challenge"], challenge_of(VERIFIER)}) == 4
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("atrium-oidc=")
    assert all(each in cookie for each in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"))
    assert asked["state"] not in cookie


async def test_behind_tls_the_cookie_is_of_this_host_only_and_crosses_sites_only_for_forms(house):
    oidc = house.gateway.oidc
    oidc.public_url = "https://api.shop.example"
    cookie = (await begin(house)).headers["set-cookie"]
    assert cookie.startswith("__Host-atrium-oidc=")
    assert "; Secure; SameSite=Lax" in cookie
    provider = oidc.flows.provider("test")
    provider.settings = msgspec.structs.replace(SETTINGS, response_mode="form_post")
    started = await begin(house)
    assert "; Secure; SameSite=None" in started.headers["set-cookie"]
    assert "response_mode=form_post" in started.headers["location"]


async def test_whoever_has_no_account_gets_one_and_the_next_time_it_is_found(house):
    first = await logged_in(house, sub="grace-1", **NEW)
    user = first["user"]
    assert (user["email"], user["name"], user["status"]) == ("grace@example.test", "Grace Hopper", "active")
    house.clock.advance(seconds=5)
    again = await logged_in(house, sub="grace-1", email="other@example.test", email_verified=False)
    assert again["user"]["id"] == user["id"]
    (identity,) = await identities(house, again)
    assert identity["provider"] == "test"
    assert identity["last_used_at"] > identity["linked_at"]
    listed = await house.http.get(f"{AUTH}/sessions", headers=bearer(again))
    assert [each["device"] for each in listed.json()["items"]] == ["Phone", "Phone"]
    assert house.mail.sent == []


async def test_the_page_that_began_gets_a_code_in_the_fragment_and_the_cookie_is_gone(house):
    started = await begin(house, return_to=PAGE)
    back = await come_back(house, **house.provider.authorize(started.headers["location"], **EMAIL))
    assert back.status_code == 303
    page, _, fragment = back.headers["location"].partition("#")
    assert page == PAGE
    assert "Max-Age=0" in back.headers["set-cookie"]
    assert (await exchange(house, fragment.removeprefix("code="))).status_code == 200


@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example/#code=mine",
        "https://shop.example/\r\nset-cookie: a=b",
        "//shop.example/",
        "/logged-in",
        "javascript:alert(1)",
        "https://shop.example:444/",
        "http://shop.example/",
    ],
)
async def test_a_login_returns_to_no_foreign_page(house, return_to):
    await refused(await begin(house, return_to=return_to), 422, "invalid")


async def test_a_provider_that_answers_by_a_form_is_understood(house):
    started = await begin(house)
    form = house.provider.authorize(started.headers["location"], **EMAIL)
    answer = await house.http.post(f"{AUTH}/oidc/test/callback", data={**form, "user": "{}"})
    assert answer.status_code == 200, answer.text
    assert (await exchange(house, answer.json()["code"])).status_code == 200
    answer = await house.http.post(f"{AUTH}/oidc/test/callback", json=form)
    assert answer.status_code == 415


async def test_an_account_of_the_same_address_is_linked_when_both_sides_have_proved_it_and_told(house):
    account = await join(house)
    login = await logged_in(house, **EMAIL)
    await house.accounts.background.settled()
    assert login["user"]["id"] == account["id"]
    assert house.mail.to(ADA)[-1]["Subject"] == "A new way to log in to your account"
    assert (await log_in(house))["user"]["id"] == account["id"]


@pytest.mark.parametrize(
    "claims", [{"email_verified": False}, {"email_verified": "no"}, {"email": ...}, {"email": "x"}]
)
async def test_an_address_that_the_provider_does_not_vouch_for_links_nothing_and_makes_nothing(house, claims):
    await join(house)
    code = await code_of(house, **{**EMAIL, **claims})
    await refused(await exchange(house, code), 403, "oidc_email_unverified")
    assert house.identities.by_id == {}


async def test_an_active_account_that_never_proved_its_address_links_itself_or_not_at_all(house):
    account = await join(house)
    users = house.account_stores.users
    users.by_id[account["id"]] = msgspec.structs.replace(users.by_id[account["id"]], verified_at_ms=0)
    await refused(await exchange(house, await code_of(house, **EMAIL)), 409, "account_exists")


async def test_whoever_registered_with_anothers_address_first_is_locked_out_of_it(house):
    body = {"email": ADA, "password": PASSWORD, "name": "Mallory"}
    await house.http.post(f"{AUTH}/register", json=body)
    await house.accounts.background.settled()
    mailed = house.mail.code(ADA)
    login = await logged_in(house, **EMAIL)
    assert login["user"]["status"] == "active"
    answer = await house.http.post(f"{AUTH}/login", json={"email": ADA, "password": PASSWORD})
    await refused(answer, 401, "login_failed")
    await refused(await house.http.post(f"{AUTH}/verify-email", json={"token": mailed}), 422, "invalid")


@pytest.mark.parametrize(
    ("status", "answer"),
    [(UserStatus.SUSPENDED, (403, "account_suspended")), (UserStatus.DELETED, (401, "login_failed"))],
)
async def test_who_may_not_log_in_may_not_by_a_provider_either(house, status, answer):
    login = await logged_in(house, **EMAIL)
    users = house.account_stores.users
    users.by_id[login["user"]["id"]] = msgspec.structs.replace(users.by_id[login["user"]["id"]], status=status)
    await refused(await exchange(house, await code_of(house, **EMAIL)), *answer)
    await refused(await exchange(house, await code_of(house, sub="another", **EMAIL)), *answer)


async def test_many_at_once_with_one_identity_make_one_account(house):
    codes = [await code_of(house, sub="grace-1", **NEW) for _ in range(4)]
    answers = await asyncio.gather(*(exchange(house, each) for each in codes))
    assert {each.status_code for each in answers} == {200}
    assert len({each.json()["user"]["id"] for each in answers}) == 1
    assert len(house.identities.by_id) == 1


async def test_a_person_links_providers_lists_and_unlinks_them(house):
    await join(house)
    login = await log_in(house)
    linked = await link(house, login, sub="work", email="ada@work.test")
    assert linked.status_code == 201, linked.text
    assert (await link(house, login, sub="work")).json() == linked.json()
    assert await identities(house, login) == [linked.json()]
    await house.accounts.background.settled()
    assert house.mail.to(ADA)[-1]["Subject"] == "A new way to log in to your account"
    assert (await logged_in(house, sub="work"))["user"]["email"] == ADA
    path = f"{AUTH}/identities/{linked.json()['id']}"
    assert (await house.http.delete(path, headers=bearer(login))).status_code == 204
    assert await identities(house, login) == []
    await refused(await house.http.delete(path, headers=bearer(login)), 404, "not_found")
    actions = [each.action for each in house.gateway.audit_store.kept]
    assert [each for each in actions if "identity" in each] == ["identity_linked", "identity_unlinked"]


async def test_linking_and_unlinking_need_a_login_just_now_and_a_person(house):
    await join(house)
    login = await log_in(house)
    linked = (await link(house, login, sub="work")).json()
    house.clock.advance(seconds=house.accounts.limits.step_up_seconds + 1)
    await refused(await link(house, login, sub="home"), 403, "reauthentication_required")
    gone = await house.http.delete(f"{AUTH}/identities/{linked['id']}", headers=bearer(login))
    await refused(gone, 403, "reauthentication_required")
    code = await code_of(house)
    nobody = house.bearer(new_id())
    answer = await house.http.post(f"{AUTH}/identities", json={"code": code, "verifier": VERIFIER}, headers=nobody)
    await refused(answer, 403, "account_required")


async def test_what_is_somebody_elses_is_not_linked_and_not_unlinked(house):
    grace = await logged_in(house, sub="grace-1", **NEW)
    await join(house)
    ada = await log_in(house)
    await refused(await link(house, ada, sub="grace-1"), 409, "identity_taken")
    (hers,) = await identities(house, grace)
    await refused(await house.http.delete(f"{AUTH}/identities/{hers['id']}", headers=bearer(ada)), 404, "not_found")
    assert len(await identities(house, grace)) == 1


async def test_there_is_a_most_and_the_last_way_in_stays(house):
    now = house.clock.now_ms() // 1_000
    login = await logged_in(house, sub="1", **NEW, auth_time=now)
    for sub in range(2, house.gateway.oidc.limits.identities_max + 1):
        assert (await link(house, login, sub=str(sub))).status_code == 201
    await refused(await link(house, login, sub="one more"), 409, "identities_full")
    listed = await identities(house, login)
    for each in listed[:-1]:
        gone = await house.http.delete(f"{AUTH}/identities/{each['id']}", headers=bearer(login))
        assert gone.status_code == 204
    last = await house.http.delete(f"{AUTH}/identities/{listed[-1]['id']}", headers=bearer(login))
    await refused(last, 409, "last_login_way")


async def test_a_login_is_as_old_as_the_provider_says_and_of_unknown_age_when_it_does_not(house):
    now = house.clock.now_ms() // 1_000
    old = await logged_in(house, **EMAIL, auth_time=now - 900)
    assert house.tokens.verify(old["access_token"]).auth_time == now - 900
    unknown = await logged_in(house, **EMAIL)
    assert house.tokens.verify(unknown["access_token"]).auth_time == 0
    listed = await house.http.get(f"{AUTH}/sessions", headers=bearer(unknown))
    assert all(each["authenticated_at"].startswith("2026") for each in listed.json()["items"])
    await refused(await link(house, unknown, sub="home"), 403, "reauthentication_required")
    started = await begin(house, fresh="true")
    assert "prompt=login&max_age=0" in started.headers["location"]
    fresh = await exchange(house, await code_of(house, fresh=True, **EMAIL, auth_time=now))
    assert (await link(house, fresh.json(), sub="home")).status_code == 201


@pytest.mark.parametrize("auth_time", [..., 0, -100])
async def test_a_fresh_login_must_be_one(house, auth_time):
    said = house.clock.now_ms() // 1_000 + auth_time if isinstance(auth_time, int) and auth_time else auth_time
    started = await begin(house, fresh="true")
    back = await come_back(house, **house.provider.authorize(started.headers["location"], auth_time=said))
    await refused(back, 401, "oidc_refused")


async def test_the_code_is_for_one_minute_one_use_and_one_verifier(house):
    code = await code_of(house, **EMAIL)
    await refused(await exchange(house, code, "w" * 43), 401, "oidc_flow_unknown")
    await refused(await exchange(house, code[:-2]), 401, "oidc_flow_unknown")
    await refused(await exchange(house, "AAAA"), 401, "oidc_flow_unknown")
    assert (await exchange(house, code)).status_code == 200
    await refused(await exchange(house, code), 401, "oidc_flow_unknown")
    late = await code_of(house, **EMAIL)
    house.clock.advance(seconds=60)
    await refused(await exchange(house, late), 401, "oidc_flow_unknown")


async def test_a_page_may_have_the_tokens_in_cookies_and_a_foreign_one_may_not(house):
    code = await code_of(house, **EMAIL)
    path, body = f"{AUTH}/oidc/exchange", {"code": code, "verifier": VERIFIER, "cookie": True}
    answer = await house.http.post(path, json=body, headers={"Origin": "https://evil.example"})
    await refused(answer, 403, "csrf_failed")
    answer = await house.http.post(path, json=body, headers={"Origin": "http://test"})
    assert answer.status_code == 200, answer.text
    assert "access_token" not in answer.json()
    assert "__Host-atrium_access=" in str(answer.headers.get_list("set-cookie"))


async def test_who_has_no_role_at_an_organization_does_not_act_for_it(house):
    await refused(await exchange(house, await code_of(house, **EMAIL), organization_id=CLINIC), 403, "not_a_member")


async def test_a_refusal_at_the_provider_goes_back_to_the_page(house):
    started = await begin(house, return_to=PAGE)
    said = house.provider.authorize(started.headers["location"])
    back = await come_back(house, state=said["state"], error="access_denied", error_description="<b>no</b>")
    assert (back.status_code, back.headers["location"]) == (303, f"{PAGE}#error=oidc_denied")


async def test_what_only_the_userinfo_endpoint_tells_is_asked_there(house):
    house.provider.metadata = {"userinfo_endpoint": "https://login.test/userinfo"}
    house.provider.userinfo = {"sub": "grace-1", **NEW}
    login = await logged_in(house, sub="grace-1")
    assert login["user"]["name"] == "Grace Hopper"
    house.provider.userinfo["sub"] = "somebody-else"
    started = await begin(house)
    back = await come_back(house, **house.provider.authorize(started.headers["location"], "grace-1"))
    await refused(back, 401, "oidc_refused")


async def test_a_provider_that_is_away_is_told_and_unknown_ones_are_unknown(house):
    house.provider.away = {"/.well-known/openid-configuration"}
    await refused(await begin(house), 503, "oidc_unavailable")
    for path in ("nobody/start", "nobody/callback"):
        await refused(await house.http.get(f"{AUTH}/oidc/{path}?challenge={challenge_of(VERIFIER)}"), 404, "not_found")
    house.gateway.oidc = None
    await refused(await house.http.get(f"{AUTH}/oidc"), 404, "not_found")


async def test_a_second_factor_is_asked_for_after_a_provider_too(house):
    user_id = (await logged_in(house, **EMAIL))["user"]["id"]
    now = house.clock.now_ms()
    factor = TotpRecord(
        id=new_id(), user_id=user_id, name="Phone", secret="JBSWY3DPEHPK3PXP", created_at_ms=now, confirmed_at_ms=now
    )
    assert await house.account_stores.factors.put_totp(factor)
    answer = await exchange(house, await code_of(house, **EMAIL))
    await refused(answer, 401, "mfa_required")
    assert answer.json()["challenge"]
