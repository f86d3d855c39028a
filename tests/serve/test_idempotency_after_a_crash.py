"""The key's row and the change are two transactions (decision 0017): what a gateway leaves that dies in between."""

from typing import Any

import pytest

from domain.ids import new_id
from serve.limits import DEFAULTS
from tests.serve.clinic import CLINIC
from tests.serve.house import MERCHANT, House
from tests.serve.keyed_answers import MemoryKeyedAnswers
from tests.serve.test_auth import AUTH, bearer, join, log_in

KEY = {"Idempotency-Key": "k"}
BOSS = new_id()
ROLL = {"merchant_id": MERCHANT, "name": "Roll", "sku": "R1", "price": {"amount": 100, "currency": "EUR"}}
SITE = {
    "name": "Main",
    "address": {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE"},
    "time_zone": "Europe/Berlin",
    "opening_hours": [],
}
SERVICES = f"/organizations/{CLINIC}/service-accounts"


class Crashing(MemoryKeyedAnswers):
    """Of a gateway that dies when the change is made, and before its answer is kept or given."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = True

    async def finish(self, key: bytes, attempt_id: str, answer: bytes) -> None:
        if not self.dies:
            await super().finish(key, attempt_id, answer)


async def crashed(house: House) -> Crashing:
    once, store = house.gateway.once, Crashing()
    assert once is not None
    once._store = store
    return store


async def post(house: House, path: str, body: Any, headers: dict[str, str]) -> Any:
    return await house.http.post(f"/api/v1{path}", json=body, headers=headers | KEY)


@pytest.mark.parametrize(
    ("path", "body", "roles"),
    [
        ("/products", ROLL, ("merchant_staff",)),
        ("/merchants", {"name": "Corner", "currency": "EUR"}, ("platform",)),
        ("/organizations", {"name": "Clinic", "kind": "clinic"}, ("platform",)),
        ("/locations", {"organization_id": CLINIC, **SITE}, ("admin",)),
        (SERVICES, {"name": "Lab", "roles": ["provider"]}, ("admin",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_creation_is_repeated_after_a_minute_and_makes_nothing_twice(
    house: House, path: str, body: dict[str, Any], roles: tuple[str, ...]
) -> None:
    headers = (
        house.bearer(BOSS, "admin")
        if roles == ("platform",)
        else house.bearer(BOSS, *roles, orgs=(MERCHANT if path == "/products" else CLINIC,))
    )
    store = await crashed(house)
    first = await post(house, path, body, headers)
    assert first.status_code == 201, first.text
    at_once = await post(house, path, body, headers)
    assert (at_once.status_code, at_once.json()["code"]) == (409, "request_running")
    house.clock.advance(seconds=DEFAULTS.idempotency_running_seconds_max)
    store.dies = False
    again = await post(house, path, body, headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await post(house, path, body, headers)).headers["idempotent-replayed"] == "true"


async def test_another_body_by_the_key_of_a_service_account_is_refused_after_a_crash_too(house: House) -> None:
    boss = house.bearer(BOSS, "admin", orgs=(CLINIC,))
    await crashed(house)
    first = {"name": "Lab", "roles": ["provider"]}
    assert (await post(house, SERVICES, first, boss)).status_code == 201
    house.clock.advance(seconds=DEFAULTS.idempotency_running_seconds_max)
    for other in (first | {"name": "Till"}, first | {"roles": ["billing"]}):
        answer = await post(house, SERVICES, other, boss)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        house.clock.advance(seconds=DEFAULTS.idempotency_running_seconds_max)


async def test_a_key_that_nobody_was_shown_stays_behind_and_can_be_seen_and_revoked(house: House) -> None:
    """The one creation that happens twice: to show the same secret again it would have to be kept."""
    await join(house)
    login = bearer(await log_in(house))
    await crashed(house)
    body = {"name": "CI", "scopes": ["carts:read"]}
    path = f"{AUTH}/api-keys".removeprefix("/api/v1")
    lost = (await post(house, path, body, login)).json()
    house.clock.advance(seconds=DEFAULTS.idempotency_running_seconds_max)
    shown = (await post(house, path, body, login)).json()
    listed = (await house.http.get(f"/api/v1{path}", headers=login)).json()["items"]
    assert {one["id"] for one in listed} == {lost["id"], shown["id"]}
    assert (await house.http.delete(f"/api/v1{path}/{lost['id']}", headers=login)).status_code == 204
