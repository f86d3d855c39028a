"""Cross-site request forgery: every change of the document, as another site would have a visitor's browser make it."""

import pytest

from tests.hostile.operations import Operation, operations
from tests.serve.house import House
from tests.serve.test_cookies import EVIL, OWN, Browser, visitor

CHANGES = [each for each in operations() if each.secured and each.method not in {"GET", "HEAD"}]


@pytest.fixture
async def browser(house: House) -> Browser:
    """Somebody who is logged in by cookie."""
    return await visitor(house)


@pytest.mark.parametrize("operation", CHANGES, ids=lambda each: each.name)
async def test_no_other_site_changes_anything_by_a_visitors_cookies(browser: Browser, operation: Operation) -> None:
    token, path = browser.csrf, operation.url({}).removeprefix("/api/v1")
    for origin, csrf in ((EVIL, ""), (EVIL, token), ("null", token), (None, ""), (None, token), (OWN, ""), (OWN, "x")):
        browser.origin, browser.csrf = origin, csrf
        assert await browser.code(operation.method, path, {}) == "403 csrf_failed", (origin, csrf)
        browser.csrf = token
    browser.origin = OWN
    assert "csrf_failed" not in await browser.code(operation.method, path, {})


async def test_a_token_that_is_sent_by_a_program_needs_none_of_that(house: House) -> None:
    """What no browser sends by itself cannot be forged by a page."""
    answer = await house.http.post(
        "/api/v1/carts/create", json={"currency": "EUR"}, headers=house.bearer() | {"Origin": EVIL}
    )
    assert answer.status_code == 201
    assert "access-control-allow-origin" not in answer.headers
