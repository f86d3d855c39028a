"""Cross-site request forgery: every change of the document, as another site would have a visitor's browser make it."""

import pytest

from tests.hostile.operations import operations
from tests.serve.house import House
from tests.serve.test_cookies import EVIL, OWN, Browser, visitor

CHANGES = [each for each in operations() if each.secured and each.method not in {"GET", "HEAD"}]


@pytest.fixture
async def browser(house: House) -> Browser:
    """Somebody who is logged in by cookie."""
    return await visitor(house)


async def test_no_other_site_changes_anything_by_a_visitors_cookies(browser: Browser) -> None:
    token = browser.csrf
    tries = ((EVIL, ""), (EVIL, token), ("null", token), (None, ""), (None, token), (OWN, ""), (OWN, "x"))
    for operation in CHANGES:
        path = operation.url({}).removeprefix("/api/v1")
        for origin, csrf in tries:
            browser.origin, browser.csrf = origin, csrf
            said = await browser.code(operation.method, path, {})
            assert said == "403 csrf_failed", (operation.name, origin, csrf)


async def test_our_own_page_does(browser: Browser) -> None:
    assert await browser.code("POST", "/carts/create", {"currency": "EUR"}) == ""
    assert browser.origin == OWN


async def test_a_token_that_is_sent_by_a_program_needs_none_of_that(house: House) -> None:
    """What no browser sends by itself cannot be forged by a page."""
    answer = await house.http.post(
        "/api/v1/carts/create", json={"currency": "EUR"}, headers=house.bearer() | {"Origin": EVIL}
    )
    assert answer.status_code == 201
    assert "access-control-allow-origin" not in answer.headers
