"""Broken object level authorization: real ids of others, in every path of the document."""

import pytest

from domain.ids import new_id
from serve.app import NOUNS
from tests.hostile.operations import Operation, operations, ready, right_body
from tests.serve.access.page import policy
from tests.serve.access.people import Person
from tests.serve.access.world import World
from tests.serve.house import House

POLICY = policy("route")
ORGANIZATION = new_id()
STRANGERS = (
    Person("customer", "foreign", new_id(), ("customer",)),
    Person("provider", "foreign", new_id(), ("provider", "front_desk"), (ORGANIZATION,)),
    Person("admin", "foreign", new_id(), ("admin", "billing", "merchant_staff"), (ORGANIZATION,)),
    Person("customer", "foreign", f"guest:{new_id()}", ("customer",)),
)


def _is_somebodys(operation: Operation) -> bool:
    row = POLICY.get(operation.name, {})
    return bool(operation.parameters) and operation.secured and row.get(("customer", "foreign")) != "yes"


OWNED = [each for each in operations() if _is_somebodys(each)]


def test_there_is_something_to_attack() -> None:
    assert len(OWNED) > 40
    assert set(NOUNS) > {"carts", "orders", "documentation"}


@pytest.mark.parametrize("operation", OWNED, ids=lambda each: each.name)
async def test_a_strangers_request_for_a_real_id_gets_what_an_unknown_id_gets(
    house: House, operation: Operation
) -> None:
    world = World(house)
    await ready(operation, world)
    for stranger in STRANGERS:
        body = await right_body(operation, world, stranger)
        headers = stranger.headers(house)
        real, unknown = [
            await house.http.request(operation.method, operation.url(ids), json=body, headers=headers)
            for ids in (world.ids, {})
        ]
        if real.is_success and real.json() == {"items": []}:
            continue  # a list of nothing
        assert real.status_code in {401, 403, 404}, (stranger.roles, real.text)
        assert (real.status_code, real.json()["code"]) == (unknown.status_code, unknown.json()["code"]), stranger.roles


@pytest.mark.parametrize("operation", OWNED, ids=lambda each: each.name)
async def test_an_id_is_a_uuid_and_nothing_else(house: House, operation: Operation) -> None:
    world = World(house)
    await ready(operation, world)
    owner = Person("platform", "", new_id(), ("admin",))
    body = await right_body(operation, world, owner)
    for odd in ("0", "-1", "%00", "..%2f..%2fadmin", "' OR '1'='1", "{}", "%0d%0aSet-Cookie:%20a=b", "null", "*"):
        url = operation.path.format(**dict.fromkeys(operation.parameters, odd))
        answer = await house.http.request(operation.method, url, json=body, headers=owner.headers(house))
        assert answer.status_code in {200, 403, 404, 405, 422}, (odd, answer.text)
        if answer.status_code == 200:
            assert answer.json() == {"items": []}, odd
        assert "set-cookie" not in answer.headers
