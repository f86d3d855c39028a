"""Queries that are meant to cost: refused from their text and the schema alone, before anything is read."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from graphql import Lexer, Source, Token, TokenKind, get_introspection_query

from serve.graphql.errors import QueryRefusedError
from serve.graphql.measure import measured, parsed
from serve.graphql.schema import CORE
from serve.limits import DEFAULTS, GatewayLimits
from tests.serve.graphql.asking import post, refusals
from tests.serve.house import MERCHANT, House, open_house

SECONDS_MAX = 1.0
"""Generous: what is refused takes some milliseconds."""

LINES = "lines { product { name } } cart { lines { product { name } } }"
CHAIN = "".join(f"fragment F{at} on Query {{ {f'...F{at + 1} ' * 16} me {{ subject }} }}" for at in range(13))
"""Each sixteen times in the one before: 16^13 in the end."""

TOO_LARGE = {
    "graphql_depth_max": "{ order(id: 1) {" + "cart { order {" * 6 + "status" + "}}" * 6 + "} }",
    "graphql_tokens_max": "{" + "me { subject } " * 600 + "}",
    "graphql_fields_max": "{ me {" + " subject" * 250 + "} }",
    "graphql_aliases_max": "{" + "".join(f"a{at}: me {{ subject }} " for at in range(31)) + "}",
    "graphql_directives_max": "{ me { subject " + "@skip(if: false) " * 31 + "} }",
    "graphql_fragments_max": "{ ...F0 }" + "".join(f"fragment F{at} on Query {{ __typename }}" for at in range(16)),
    "graphql_values_max": "{ ...F0 }" + CHAIN + "fragment F13 on Query { me { subject } }",
    "graphql_reads_max": "{ orders(first: 100) { edges { node { order { " + LINES + " tracking { status } } } } } }",
}

HOSTILE = {
    **TOO_LARGE,
    "deep beyond the parser": "{" + "me {" * 300 + "}" * 301,
    "brackets": "{ order(id: " + "[" * 900 + "1" + "]" * 900 + ") { id } }",
    "open brackets": "{ order(id: " + "{a:" * 600,
    "10,000 fields": "{" + " a" * 10_000 + "}",
    "fragments in a circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "a fragment in itself": "{ ...A } fragment A on Query { me { subject } ...A }",
    "introspection within introspection": "{ __schema { types {"
    + " fields { type {" * 6
    + " name"
    + "} }" * 6
    + "} } }",
    "long introspection": '{ __type(name: "Order") { ' + "ofType {" * 25 + "name" + "}" * 25 + "} }",
    "unknown fields": "{" + " ".join(f"x{at}" for at in range(240)) + "}",
    "the same field with other arguments": "{ carts(first: 1) { edges { cursor } } carts(first: 2) { __typename } }",
    "defer": "{ ... @defer { me { subject } } }",
    "nothing": "",
    "blanks": " " * 60_000,
    "comments": "#" + "x" * 60_000,
    "null": "{ me \x01 { subject } }",
    "text without end": '{ order(id: "' + "x" * 60_000,
    "pages of pages": "{ locations(first: 100) { edges { node { rooms(first: 100) { edges { cursor } } } } } }",
    "a page that is far too long": "{ orders(first: 2147483647) { edges { cursor } } }",
}


@pytest.fixture
async def untouched() -> AsyncIterator[House]:
    """A house whose entities and catalog may not be asked for anything."""

    class Nobody:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    async with open_house(wrap=lambda _: Nobody()) as house:
        house.gateway.catalog._store = Nobody()
        house.gateway.orders._listings = Nobody()
        yield house


@pytest.mark.parametrize("query", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_query_is_refused_at_once_and_reads_nothing(untouched: House, query: str) -> None:
    headers = {**untouched.bearer(), "Accept": "application/graphql-response+json"}
    began = time.perf_counter()
    answer = await post(untouched, query, headers)
    assert time.perf_counter() - began < SECONDS_MAX
    assert answer.status_code == 400, answer.text
    assert "data" not in answer.json()
    assert 1 <= len(answer.json().get("errors", [None])) <= 11


@pytest.mark.parametrize(("limit", "query"), TOO_LARGE.items(), ids=TOO_LARGE)
async def test_a_query_that_is_too_large_is_told_which_limit_it_is_past(house: House, limit: str, query: str) -> None:
    (error,) = (await post(house, query)).json()["errors"]
    extensions = {"code": "query_too_large", "status": 400, "limit": limit, "max": getattr(DEFAULTS, limit)}
    assert error["extensions"] == extensions
    assert error["message"].startswith(limit)


@pytest.mark.parametrize("name", ["deep beyond the parser", "brackets", "open brackets"])
async def test_what_is_nested_too_deep_is_not_even_parsed(house: House, name: str) -> None:
    (error,) = (await post(house, HOSTILE[name])).json()["errors"]
    assert error["extensions"]["limit"] == "graphql_depth_max"


async def test_what_the_limits_leave_room_for(house: House) -> None:
    cart = "cart { lines { product { merchant { name } } } }"
    depth = f"{{ orders {{ edges {{ node {{ order {{ cart {{ order {{ {cart} }} }} }} }} }} }} }}"
    screen = """{ orders(first: 50) { edges { cursor node { id status merchant { id name city }
        order { lines { name quantity product { name sku price { amount currency } } } } } } } }"""
    for query in (depth, screen, get_introspection_query(), "{ me {" + " subject" * 249 + "} }"):
        assert await refusals(house, query) == {}, query


@pytest.mark.parametrize("limit", [name for name in TOO_LARGE if name.endswith("_max")])
def test_each_limit_is_what_its_setting_says(limit: str) -> None:
    """One less than a query has is too little; just as much is enough."""
    query = "query ($n: Int!) { a: me { subject @skip(if: true) } orders(first: $n) { ...F } }"
    query += " fragment F on OrderEntryConnection { edges { node { order { lines { name } } } } }"
    document = parsed(query, DEFAULTS)
    size = measured(CORE, document, document.definitions[0], {"n": 7}, DEFAULTS)  # type: ignore[arg-type]
    assert (size.depth, size.values, size.reads) == (6, 2 + 2 + 7 * (3 + 5), 9)
    has = {
        "graphql_depth_max": size.depth,
        "graphql_values_max": size.values,
        "graphql_reads_max": size.reads,
        "graphql_fields_max": 9,
        "graphql_aliases_max": 1,
        "graphql_directives_max": 1,
        "graphql_fragments_max": 1,
        "graphql_tokens_max": sum(1 for _ in tokens(query)),
    }

    def fits(bound: int) -> bool:
        limits: GatewayLimits = msgspec.structs.replace(DEFAULTS, **{limit: bound})
        try:
            again = parsed(query, limits)
            measured(CORE, again, again.definitions[0], {"n": 7}, limits)  # type: ignore[arg-type]
        except QueryRefusedError as error:
            return bool(error.failure.extra["limit"] != limit)
        return True

    assert fits(has[limit])
    assert not fits(has[limit] - 1)


async def test_an_answer_that_is_too_long_is_not_sent() -> None:
    async with open_house(GatewayLimits(graphql_answer_bytes_max=200)) as house:
        answer = await post(
            house, f'{{ merchant(id: "{MERCHANT}") {{ menu {{ edges {{ node {{ id name sku }} }} }} }} }}'
        )
        assert answer.json()["errors"][0]["extensions"]["limit"] == "graphql_answer_bytes_max"
        assert (await post(house, "{ __typename }")).json() == {"data": {"__typename": "Query"}}


def tokens(query: str) -> Iterator[Token]:
    lexer = Lexer(Source(query))
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        yield token
