"""Ways around what a query is measured by, and values that nothing behind GraphQL could take."""

import time

import pytest
from graphql import get_introspection_query

from serve.graphql.measure import measured, parsed
from serve.graphql.schema import CORE
from serve.limits import DEFAULTS
from tests.serve.graphql.asking import PATH, post, refusals
from tests.serve.house import House

SECONDS_MAX = 1.0
"""Generous: what is refused takes some milliseconds."""

PAGE = "query ($n: Int{default}) {{ orders(first: $n) {{ edges {{ node {{ order {{ status }} }} }} }} }}"
AT_ONCE = "fields { type { fields { name } } }"
SCHEMA = {
    "by aliases": "{ __schema {" + "".join(f" a{at}: types {{ {AT_ONCE} }}" for at in range(28)) + "} }",
    "by fragments": "{ __schema {"
    + "".join(f" a{at}: types {{ ...F }}" for at in range(28))
    + f"}} }} fragment F on __Type {{ {AT_ONCE} }}",
    "by questions": "{" + "".join(f" a{at}: __schema {{ types {{ {AT_ONCE} }} }}" for at in range(28)) + "}",
}


@pytest.mark.parametrize(
    ("default", "given"),
    [("", 100), ("", 100.0), (" = 100", None), (" = 1", 100.0), (" = 1", 100)],
    ids=["a number", "a whole float", "by default", "a float in place of the default", "in place of the default"],
)
async def test_a_page_counts_as_long_as_it_is_executed(house: House, default: str, given: float | None) -> None:
    query, variables = PAGE.format(default=default), {} if given is None else {"n": given}
    document = parsed(query, DEFAULTS)
    size = measured(CORE, document, document.definitions[0], variables, DEFAULTS)  # type: ignore[arg-type]
    assert size.reads == 101
    assert await refusals(house, query, None, variables) == {}


async def test_a_fragment_counts_at_each_place_with_the_length_of_its_list(house: House) -> None:
    places = "a: orders(first: 1) { ...F } b: orders(first: 100) { ...F } c: orders(first: 1) { ...F }"
    query = f"{{ {places} }} fragment F on OrderEntryConnection {{ edges {{ node {{ order {{ status }} }} }} }}"
    document = parsed(query, DEFAULTS)
    assert measured(CORE, document, document.definitions[0], {}, DEFAULTS).reads == 3 + 1 + 100 + 1  # type: ignore[arg-type]
    assert await refusals(house, query) == {}


@pytest.mark.parametrize(
    "around", ["... {{ {} }}", "... @include(if: $yes) {{ {} }}", "... on Query @skip(if: $no) {{ {} }}"]
)
async def test_what_may_be_left_out_counts_as_if_it_was_there(house: House, around: str) -> None:
    within = "orders(first: 100) { edges { node { order @skip(if: $no) { status @include(if: $yes) } } } }"
    query = f"query ($yes: Boolean = true, $no: Boolean = false) {{ {around.format(within)} me {{ subject }} }}"
    document = parsed(query, DEFAULTS)
    for variables in ({}, {"yes": False, "no": True}):
        size = measured(CORE, document, document.definitions[0], variables, DEFAULTS)  # type: ignore[arg-type]
        assert (size.reads, size.depth) == (102, 5)
        assert await refusals(house, query, None, variables) == {}


async def test_a_number_of_thousands_of_digits_is_read_by_nobody(house: House) -> None:
    query = f"query ($id: ID = {'1' * 5_000}) {{ merchant(id: $id) {{ name }} }}"
    assert await refusals(house, query) == {("merchant",): "not_found"}


@pytest.mark.parametrize("query", SCHEMA.values(), ids=SCHEMA)
async def test_the_schema_many_times_at_once_is_refused_at_once(house: House, query: str) -> None:
    """Its answer is put together in one go, while nobody else is answered: no time limit would end it."""
    began = time.perf_counter()
    (error,) = (await post(house, query)).json()["errors"]
    assert time.perf_counter() - began < SECONDS_MAX
    assert error["extensions"]["limit"] == "graphql_introspection_values_max"


async def test_tools_ask_for_the_whole_schema(house: House) -> None:
    everything = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    assert await refusals(house, everything) == {}


@pytest.mark.parametrize("text", ['"\\u0000"', '"a\\u{0}"', '"""a\x00"""'], ids=["escaped", "in braces", "a block"])
async def test_text_in_a_query_has_no_nul(house: House, text: str) -> None:
    """Which Postgres could not take."""
    answer = (await post(house, f"{{ merchants(city: {text}) {{ edges {{ cursor }} }} }}")).json()
    assert "data" not in answer
    assert "U+0000" in (answer.get("detail") or answer["errors"][0]["message"])


async def test_variables_by_url_have_no_nul(house: House) -> None:
    query = "query ($c: String!) { merchants(city: $c) { edges { cursor } } }"
    for variables in ('{"c": "\\u0000"}', '{"c": "x", "\\u0000": 1}', '{"c": "x", "": ["\\u0000"]}'):
        params = {"query": query, "variables": variables}
        answer = await house.http.get(PATH, params=params, headers=house.bearer())
        assert (answer.status_code, answer.json()["code"]) == (400, "graphql_request"), answer.text


@pytest.mark.parametrize(
    ("where_from", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://test"}, 200),
    ],
)
async def test_a_link_elsewhere_has_its_visitor_read_nothing(
    house: House, where_from: dict[str, str], status: int
) -> None:
    """The browser sends the cookie along when it follows a link (`SameSite=Lax`)."""
    token = house.bearer()["Authorization"].removeprefix("Bearer ")
    headers = {"Cookie": f"__Host-atrium_access={token}", **where_from}
    answer = await house.http.get(PATH, params={"query": "{ me { subject } }"}, headers=headers)
    assert (answer.status_code, answer.json().get("code")) == (status, "csrf_failed" if status == 403 else None)


async def test_what_anybody_may_read_a_link_may_ask_too(house: House) -> None:
    headers = {"Cookie": "language=de", "Sec-Fetch-Site": "cross-site"}
    query = "{ merchants { edges { node { name } } } }"
    assert (await house.http.get(PATH, params={"query": query}, headers=headers)).status_code == 200
