"""ETags of what has no version, and what may be kept of which answer."""

import pytest

from serve.app import NOUNS, create_app
from serve.platform.routing import ApiRoute
from tests.serve.access.accounts import give_accounts
from tests.serve.house import ALICE, BREAD, MERCHANT, House

SHARED = {
    **dict.fromkeys(("/merchants", "/merchants/{merchant_id}", "/merchants/{merchant_id}/menu"), 10),
    **dict.fromkeys(("/products", "/products/{product_id}"), 10),
    **dict.fromkeys(("/locations/countries", "/locations/{country}/cities", "/locations/{location_id}/categories"), 10),
    "/auth/jwks.json": 300,
}


def test_only_what_is_the_same_for_everybody_may_be_shared(house: House) -> None:
    found = {}
    for route in create_app(NOUNS, house.gateway).routes:
        if isinstance(route, ApiRoute) and route._cache_control:
            assert not route.authenticated, route.path
            found[route.path.removeprefix("/api/v1")] = route._cache_control.decode()
    assert found == {path: f"public, max-age={seconds}" for path, seconds in SHARED.items()}


async def test_the_catalog_may_be_kept_for_a_while_and_nothing_personal(house: House) -> None:
    public = await house.http.get(f"/api/v1/products/{BREAD}")
    assert public.headers["cache-control"] == "public, max-age=10"
    same = await house.http.get(f"/api/v1/products/{BREAD}", headers={"If-None-Match": public.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (304, "public, max-age=10")
    refused = await house.http.get("/api/v1/products/nonsense")
    assert (refused.status_code, refused.headers["cache-control"]) == (404, "no-store")
    await give_accounts(house)
    for path in ("/carts", "/auth/session", "/users/profile"):
        answer = await house.http.get(f"/api/v1{path}", headers=house.bearer(ALICE))
        assert answer.headers["cache-control"] == "no-store", path


@pytest.mark.parametrize(
    "path", ["/carts", "/merchants", f"/merchants/{MERCHANT}/menu", f"/products/{BREAD}", "/auth/jwks.json", "/orders"]
)
async def test_whoever_has_the_same_bytes_gets_304(house: House, path: str) -> None:
    await house.new_order()
    first = await house.http.get(f"/api/v1{path}", headers=house.bearer())
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    for known in (tag, tag.removeprefix("W/"), f'"0", {tag}', "*"):
        again = await house.http.get(f"/api/v1{path}", headers=house.bearer() | {"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in again.headers
    other = await house.http.get(f"/api/v1{path}", headers=house.bearer() | {"If-None-Match": 'W/"0"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_what_changed_has_another_tag(house: House) -> None:
    before = await house.http.get("/api/v1/carts", headers=house.bearer())
    await house.new_cart()
    after = await house.http.get("/api/v1/carts", headers=house.bearer() | {"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.headers["etag"] != before.headers["etag"]


async def test_a_refusal_has_no_tag(house: House) -> None:
    answer = await house.http.get("/api/v1/carts", headers={"If-None-Match": "*"})
    assert answer.status_code == 401
    assert "etag" not in answer.headers


async def test_a_version_that_is_not_there_is_told_which_are(house: House) -> None:
    for path in ("/api/v2/carts", "/api/v0/carts", "/api/v10/merchants"):
        answer = await house.http.get(path, headers=house.bearer())
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_api_version")
        assert answer.json()["versions"] == ["v1"]
    assert (await house.http.get("/api/vat", headers=house.bearer())).json()["code"] == "not_found"
