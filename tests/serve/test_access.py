"""The access policy: each route, operation and channel, asked by each role at its own and at a foreign organization."""

from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute

from serve.app import NOUNS, create_app
from serve.graphql.schema import CORE
from tests.serve.access import operations, routes
from tests.serve.access.fields import FIELDS
from tests.serve.access.page import SECTIONS, policy, sockets, table
from tests.serve.access.people import PEOPLE
from tests.serve.access.permissions import TABLES
from tests.serve.access.walk import walk
from tests.serve.house import House

PREFIX = "/api/v1"
ROWS = [(section, name) for section, (_, probes) in SECTIONS.items() for name in probes]
POLICY = {section: policy(section) for section in SECTIONS}


@pytest.mark.parametrize(("section", "name"), ROWS, ids=[f"{section}: {name}" for section, name in ROWS])
async def test_everybody_gets_what_the_policy_says(section: str, name: str) -> None:
    expected = POLICY[section].get(name)
    assert expected is not None, f"docs/access.md has no row for {name}: run python -m tests.serve.access"
    assert await walk(section, name, expected) == expected


def test_every_route_of_the_application_has_a_row(house: House) -> None:
    application = create_app(NOUNS, house.gateway)
    served = {
        f"{method} {route.path.removeprefix(PREFIX)}"
        for route in application.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served == set(routes.PROBES) == set(POLICY["route"])


def test_every_socket_has_a_row(house: House) -> None:
    application: Any = create_app(NOUNS, house.gateway)
    served = {route.path.removeprefix(PREFIX) for route in application.routes if isinstance(route, WebSocketRoute)}
    assert served == set(operations.SOCKETS)
    assert sockets() == operations.SOCKETS


def test_every_root_field_of_graphql_has_a_row_and_gives_what_rest_gives() -> None:
    assert CORE.query_type is not None
    assert set(CORE.query_type.fields) == set(FIELDS) == set(POLICY["field"])
    for name, probe in FIELDS.items():
        assert POLICY["field"][name] == POLICY["route"][probe.rest], name


def test_every_operation_of_a_device_has_a_row() -> None:
    assert operations.every_operation() == set(operations.COMMANDS) == set(POLICY["command"])
    assert set(operations.SIGNALS) == set(POLICY["signal"])
    assert set(operations.CHANNELS) == set(POLICY["channel"])


def test_nothing_is_allowed_at_a_foreign_organization_that_is_not_open_to_everybody() -> None:
    """Any courier may claim a delivery that is ready and nobody's."""
    for rows in POLICY.values():
        for name, row in rows.items():
            foreign = {row[one.column, one.side] for one in PEOPLE if one.side == "foreign" and one.column != "courier"}
            assert "yes" not in foreign or row["customer", "foreign"] == "yes", name


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_the_table_that_the_code_goes_by(heading: str) -> None:
    assert table(heading) == TABLES[heading][1], "run python -m tests.serve.access, and read what it changes"


async def test_what_is_not_routed_is_unknown_to_everybody(house: House) -> None:
    for path in ("/", "/docs", "/api/v1/admin", "/api/v2/carts", "/docs/oauth2-redirect"):
        answer = await house.http.get(path, headers=house.bearer(admin_of_the_platform(), "admin"))
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


def admin_of_the_platform() -> str:
    return next(one.subject for one in PEOPLE if one.column == "platform")
