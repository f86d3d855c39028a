"""Queries made to hurt, for every operation of the document that takes one."""

import pytest

from tests.hostile.operations import Operation, operations, person, ready
from tests.hostile.test_bodies import TEXTS
from tests.serve.access.world import World
from tests.serve.house import House

QUERIES = [each for each in operations() if each.query and each.method == "GET"]
VALUES = (*TEXTS[:-1], "x" * 10_000, "-1", "1e400", "NaN", "9" * 400, "\u0660", "true", "[]", "null", "\ud7ff")


@pytest.mark.parametrize("operation", QUERIES, ids=lambda each: each.name)
async def test_whatever_stands_in_a_query_is_refused_or_found_to_be_nothing(house: House, operation: Operation) -> None:
    world = World(house)
    await ready(operation, world)
    asking, url = person("admin"), operation.url(world.ids)
    for name in operation.query:
        for value in VALUES:
            answer = await house.http.get(url, params={name: value}, headers=asking.headers(house))
            assert answer.status_code in {200, 202, 204, 302, 303, 400, 401, 403, 404, 409, 422}, (
                name,
                value[:40],
                answer.text,
            )
            assert "set-cookie" not in answer.headers
            assert "\r" not in str(answer.headers)


@pytest.mark.parametrize("operation", QUERIES, ids=lambda each: each.name)
async def test_a_query_has_known_fields_and_few(house: House, operation: Operation) -> None:
    asking = person("admin")
    refusals = {401, 403, 404, 422} | ({400} if operation.name == "GET /graphql" else set())
    for query in ("admin=true&role=admin", "&".join(f"a{at}=1" for at in range(1_000)), "%00=%00", "a=%ff%fe", "=&=&="):
        answer = await house.http.get(f"{operation.url({})}?{query}", headers=asking.headers(house))
        assert answer.status_code in refusals, (query[:40], answer.text)
