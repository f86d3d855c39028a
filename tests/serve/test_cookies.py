"""Logins in cookies, and the sites that would like to use them."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from domain.ids import new_id
from serve.app import NOUNS, create_app
from serve.live.adapters import TokenAuthenticator
from serve.platform.browsers import Browsers
from serve.platform.cookies import cookie
from services.csrf import Csrf
from tests.realtime.fakes import House as Sockets
from tests.realtime.fakes import settle
from tests.serve.house import SIGNING_KEY, open_house
from tests.serve.test_auth import ADA, AUTH, bearer, join, log_in
from tests.services.accounts.people import PASSWORD

OWN = "http://test"
SHOP = "https://shop.example"
EVIL = "https://evil.example"
ACCESS, REFRESH, CSRF = (f"__Host-atrium_{name}" for name in ("access", "refresh", "csrf"))


class Browser:
    """Keeps cookies and sends them along; says where its page is from."""

    def __init__(self, house: Any, origin: str | None = OWN) -> None:
        self.house = house
        self.origin = origin
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        if self.origin is not None:
            sent.setdefault("origin", self.origin)
        if self.csrf:
            sent.setdefault("x-csrf-token", self.csrf)
        answer = await self.house.http.request(method, f"/api/v1{path}", json=body, headers=sent)
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        self.csrf = self.cookies.get(CSRF, "")
        self.house.http.cookies.clear()
        return answer

    async def code(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        answer = await self.ask(method, path, body, **headers)
        return "" if answer.is_success else f"{answer.status_code} {answer.json()['code']}"


async def visitor(house, email=ADA, **more) -> Browser:
    """Somebody who is logged in by cookie."""
    await join(house, email)
    browser = Browser(house)
    answer = await browser.ask("POST", "/auth/login", {"email": email, "password": PASSWORD, "cookie": True, **more})
    assert answer.status_code == 200, answer.text
    return browser


async def test_a_login_by_cookie_shows_its_page_no_token(house):
    await join(house)
    browser = Browser(house)
    body = {"email": ADA, "password": PASSWORD, "cookie": True}
    answer = await browser.ask("POST", "/auth/login", body)
    assert set(browser.cookies) == {ACCESS, REFRESH, CSRF}
    assert browser.cookies[ACCESS] not in answer.text
    assert browser.cookies[REFRESH] not in answer.text
    assert answer.json()["csrf_token"] == browser.cookies[CSRF]
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        flags = {flag.strip().lower() for flag in rest.split(";")[1:]}
        assert {"path=/", "secure", "samesite=lax"} <= flags
        assert not any(flag.startswith("domain") for flag in flags)
        assert ("httponly" in flags) == (name != CSRF)


async def test_a_page_of_ours_reads_and_changes_by_cookie(house):
    browser = await visitor(house)
    assert (await browser.ask("GET", "/auth/session")).json()["user"]["email"] == ADA
    assert await browser.code("POST", "/carts/create", {"merchant_id": None}) != "403 csrf_failed"
    assert await browser.code("DELETE", f"/carts/{new_id()}") == "404 not_found"


@pytest.mark.parametrize("origin", [EVIL, "null", "http://test.evil.example", "http://test:81", "", "test", None])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_no_other_page_changes_anything_even_with_the_token(house, origin, method):
    browser = await visitor(house)
    browser.origin = origin
    path = {"POST": "/auth/reauthenticate", "DELETE": "/auth/sessions", "PUT": "/users/profile"}.get(method)
    path = path or f"/documentation/{new_id()}/fields"
    assert await browser.code(method, path, {}) == "403 csrf_failed"


@pytest.mark.parametrize(
    ("site", "allowed"), [("same-origin", True), ("same-site", False), ("cross-site", False), ("none", False)]
)
async def test_without_an_origin_the_browser_has_to_say_that_it_is_ours(house, site, allowed):
    browser = await visitor(house)
    browser.origin = None
    code = await browser.code("DELETE", "/auth/sessions", **{"sec-fetch-site": site})
    assert code == ("" if allowed else "403 csrf_failed")


async def test_the_token_has_to_be_that_of_this_very_login(house):
    browser, other = await visitor(house), await visitor(house, "bob@example.test")
    mine = browser.csrf
    for wrong in ("", "x", mine[:-1], mine.upper(), other.csrf, Csrf(SIGNING_KEY).of("")):
        browser.csrf = ""
        code = await browser.code("DELETE", "/auth/sessions", **{"x-csrf-token": wrong})
        assert code == "403 csrf_failed", wrong
    browser.csrf = mine
    assert await browser.code("DELETE", "/auth/sessions") == ""
    assert not Csrf(SIGNING_KEY).holds("login", "ä")
    assert not Csrf(SIGNING_KEY).holds("", Csrf(SIGNING_KEY).of(""))


async def test_a_planted_cookie_next_to_ours_opens_nothing(house):
    browser, mallory = await visitor(house), await visitor(house, "mallory@example.test")
    text = f"{ACCESS}={mallory.cookies[ACCESS]}; {ACCESS}={browser.cookies[ACCESS]}"
    answer = await house.http.get(f"{AUTH}/session", headers={"cookie": text})
    assert answer.json()["code"] == "token_missing"


async def test_a_header_wins_over_the_cookie_and_needs_no_token(house):
    browser = await visitor(house)
    await join(house, "bob@example.test")
    bob = await log_in(house, "bob@example.test")
    browser.origin, browser.csrf = EVIL, ""
    answer = await browser.ask("DELETE", "/auth/sessions", **bearer(bob))
    assert answer.status_code == 200
    assert (await browser.ask("GET", "/auth/session")).json()["user"]["email"] == ADA
    for header in ({"authorization": "Basic x"}, {"authorization": ""}, {"x-api-key": "x"}):
        assert (await browser.code("GET", "/auth/session", **header)).startswith("401")


async def test_a_named_origin_may_act_by_cookie_and_any_origin_may_not(house):
    browser = await visitor(house)
    browser.origin = SHOP
    assert await browser.code("POST", "/auth/reauthenticate", {"password": PASSWORD}) == "403 csrf_failed"
    for named, allowed in (((SHOP,), True), (("*",), False)):
        async with open_house() as other:
            other.gateway.browsers = Browsers(named)
            page = await visitor(other)
            page.origin = SHOP
            code = await page.code("POST", "/auth/reauthenticate", {"password": PASSWORD})
            assert code == ("" if allowed else "403 csrf_failed")


async def test_another_site_cannot_log_its_visitors_in(house):
    await join(house)
    body = {"email": ADA, "password": PASSWORD, "cookie": True}
    for origin in (EVIL, None):
        browser = Browser(house, origin)
        assert await browser.code("POST", "/auth/login", body) == "403 csrf_failed"
        assert browser.cookies == {}
    login = await log_in(house)
    moved = {"refresh_token": login["refresh_token"], "cookie": True}
    assert await Browser(house, EVIL).code("POST", "/auth/refresh", moved) == "403 csrf_failed"
    browser = Browser(house)
    assert await browser.code("POST", "/auth/refresh", moved) == ""
    assert set(browser.cookies) == {ACCESS, REFRESH, CSRF}


async def test_refreshing_by_cookie(house):
    browser = await visitor(house)
    before = dict(browser.cookies)
    house.clock.advance(seconds=3_700)
    assert await browser.code("GET", "/auth/session") == "401 token_expired"
    browser.origin = EVIL
    assert await browser.code("POST", "/auth/refresh", {"cookie": True}) == "403 csrf_failed"
    browser.origin = OWN
    assert await browser.code("POST", "/auth/refresh", {"cookie": True}, **{"x-csrf-token": ""}) == "403 csrf_failed"
    assert await browser.code("POST", "/auth/refresh", {}) == "422 invalid"
    assert await browser.code("POST", "/auth/refresh", {"cookie": True}) == ""
    assert browser.cookies[REFRESH] != before[REFRESH]
    assert browser.cookies[CSRF] == before[CSRF]
    assert await browser.code("GET", "/auth/session") == ""
    assert await Browser(house).code("POST", "/auth/refresh", {"cookie": True}) == "401 refresh_token_invalid"


async def test_logging_out_by_cookie_ends_the_login_and_clears_the_browser(house):
    browser = await visitor(house)
    kept = dict(browser.cookies)
    browser.origin = EVIL
    assert await browser.code("POST", "/auth/logout", {"cookie": True}) == "403 csrf_failed"
    browser.origin = OWN
    assert await browser.code("POST", "/auth/logout", {"cookie": True}) == ""
    assert browser.cookies == {}
    browser.cookies = kept
    assert await browser.code("GET", "/auth/session") == "401 token_revoked"


@pytest.mark.parametrize(
    "text", ["", ";", "=", f"{ACCESS}", f"{ACCESS}=", f"x{ACCESS}=a", f"{ACCESS.lower()}=a", "a=b;;"]
)
def test_what_is_no_cookie_of_ours(text):
    assert cookie({b"cookie": text.encode()}, ACCESS.encode()) == ""


@pytest.mark.parametrize(
    ("origin", "opened"), [(OWN, True), (SHOP, True), (None, False), ("null", False), ("http://other", False)]
)
async def test_a_socket_takes_the_cookie_only_from_our_pages_and_named_ones(house, origin, opened):
    browser = await visitor(house)
    async with Sockets() as sockets:
        sockets.use(authenticator=TokenAuthenticator(house.tokens), revoked=house.tokens.revoked)
        house.gateway.live = sockets.gateway
        house.gateway.browsers = Browsers((SHOP, "*") if origin in {SHOP, "null", "http://other"} else ())
        codes = await upgraded(house, browser, origin)
        assert (codes == []) == opened, codes


async def upgraded(house: Any, browser: Browser, origin: str | None) -> list[int]:
    """With which codes a socket is closed that says hello without a token."""
    app = create_app(NOUNS, house.gateway)
    sent: list[Any] = []
    inbox = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": '{"t":"hello","v":[1,1]}'}]

    async def receive() -> Any:
        await settle()
        return inbox.pop(0) if inbox else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"test"), (b"cookie", f"{ACCESS}={browser.cookies[ACCESS]}".encode())]
    headers += [] if origin is None else [(b"origin", origin.encode())]
    scope = {"type": "websocket", "path": "/api/v1/live", "headers": headers, "query_string": b"", "subprotocols": []}
    await app(scope, receive, send)
    return [message["code"] for message in sent if message["type"] == "websocket.close"]
