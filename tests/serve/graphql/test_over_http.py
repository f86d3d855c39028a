"""GraphQL over HTTP: what is a request, in which type the answer is, and with which status."""

import json

import pytest
from graphql import build_client_schema, get_introspection_query

from serve.graphql.schema import SDL
from tests.hearing import heard
from tests.serve.graphql.asking import PATH, post
from tests.serve.house import ALICE, House

GRAPHQL = "application/graphql-response+json"
ME = "{ me { subject } }"
SHOWN = {"data": {"me": {"subject": ALICE}}}


async def test_a_query_is_answered_under_both_paths_by_post_and_by_get(house: House) -> None:
    for path in (PATH, "/api/graphql"):
        posted = await house.http.post(path, json={"query": ME}, headers=house.bearer())
        got = await house.http.get(path, params={"query": ME}, headers=house.bearer())
        for answer in (posted, got):
            assert (answer.status_code, answer.json()) == (200, SHOWN)
            assert answer.headers["cache-control"] == "no-store"
    assert posted.headers["content-type"] == "application/json"


async def test_variables_and_the_operation_s_name_come_by_body_and_by_url(house: House) -> None:
    query = "query A($no: Boolean!) { me { subject @skip(if: $no) } } query B { me { roles } }"
    body = await post(house, query, None, {"no": True}, operationName="A")
    params = {"query": query, "variables": '{"no": false}', "operationName": "A"}
    url = await house.http.get(PATH, params=params, headers=house.bearer())
    assert body.json() == {"data": {"me": {}}}
    assert url.json() == SHOWN
    other = await post(house, query, operationName="B")
    assert other.json() == {"data": {"me": {"roles": ["customer"]}}}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}; charset=utf-8, application/json", GRAPHQL),
        (f"{GRAPHQL};q=0.5, application/json;q=0.9", "application/json"),
        (f"{GRAPHQL};q=0, */*", "application/json"),
        (f"{GRAPHQL};q=x", "application/json"),
    ],
)
async def test_the_answer_has_the_type_that_is_accepted(house: House, accept: str, kind: str) -> None:
    good = await post(house, ME, {**house.bearer(), "Accept": accept})
    bad = await post(house, "{ nothing }", {**house.bearer(), "Accept": accept})
    broken = await post(house, "{", {**house.bearer(), "Accept": accept})
    assert {good.headers["content-type"], bad.headers["content-type"], broken.headers["content-type"]} == {kind}
    refused = 400 if kind == GRAPHQL else 200
    assert (good.status_code, bad.status_code, broken.status_code) == (200, refused, refused)
    for answer in (bad, broken):
        assert "data" not in answer.json()
        assert answer.json()["errors"][0]["extensions"] == {"code": "graphql_invalid", "status": 400}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        f"[{json.dumps({'query': ME})}]",
        '"{ me }"',
        "{}",
        '{"query": null}',
        '{"query": 1}',
        '{"query": ["{ me { subject } }"]}',
        '{"query": "{ me { subject } }", "variables": []}',
        '{"query": "{ me { subject } }", "variables": "{}"}',
        '{"query": "{ me { subject } }", "operationName": 1}',
        '{"query": "{ me { subject } }", "extensions": 1}',
        '{"query": "{ me { subject } }", "operationName": "Other"}',
        '{"query": "query A { me { subject } } query B { me { subject } }"}',
        '{"query": "fragment F on Query { me { subject } }"}',
        '{"query": "{ me \\u0000 { subject } }"}',
        '{"query": "{ me { subject } }", "variables": {"a": "\\u0000"}}',
        "[" * 60_000,
        '{"query": "{ me { subject } }", "variables": ' + '{"a":' * 10_000 + "1" + "}" * 10_001,
    ],
)
async def test_what_is_no_request_is_a_problem(house: House, body: str) -> None:
    headers = {**house.bearer(), "Content-Type": "application/json", "Accept": GRAPHQL}
    answer = await house.http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
    assert answer.json()["code"] in {"graphql_request", "unknown_operation"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "variables=%7B%7D",
        "query=%7Bme%7Bsubject%7D%7D&variables=%5B%5D",
        "query=%7Bme%7Bsubject%7D%7D&variables=nothing",
        "query=%7Bme%7Bsubject%7D%7D&query=%7Bme%7Broles%7D%7D",
        "query=%7Bme%00%7Bsubject%7D%7D",
        "query=%FF%FE",
        "&".join(f"a{at}=1" for at in range(100)),
    ],
)
async def test_what_is_no_request_by_url_is_a_problem(house: House, query: str) -> None:
    answer = await house.http.get(f"{PATH}?{query}", headers=house.bearer())
    assert (answer.status_code, answer.json()["code"]) == (400, "graphql_request"), answer.text


async def test_a_body_of_another_type_or_too_large_is_refused_as_everywhere(house: House) -> None:
    form = await house.http.post(PATH, data={"query": ME}, headers=house.bearer())
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    large = await post(house, ME, None, {"a": "x" * 70_000})
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
    assert large.json()["limit_bytes"] == 65_536


@pytest.mark.parametrize("kind", ["mutation", "subscription"])
async def test_there_are_queries_only(house: House, kind: str) -> None:
    query = f"{kind} {{ deleteEverything }}"
    headers = {**house.bearer(), "Accept": GRAPHQL}
    posted = await post(house, query, headers)
    assert posted.status_code == 400
    assert posted.json()["errors"][0]["extensions"]["code"] == "operation_not_supported"
    got = await house.http.get(PATH, params={"query": query}, headers=house.bearer())
    assert (got.status_code, got.json()["code"]) == (405, "method_not_allowed")


async def test_variables_that_do_not_fit_are_refused_before_anything_is_read(house: House) -> None:
    query = "query ($id: ID!, $first: Int) { order(id: $id) { status } orders(first: $first) { edges { cursor } } }"
    headers = {**house.bearer(), "Accept": GRAPHQL}
    variables: list[dict[str, object]] = [{}, {"id": None}, {"id": [1]}, {"id": {}}, {"id": "x", "first": "two"}]
    for wrong in variables:
        answer = await post(house, query, headers, wrong)
        assert (answer.status_code, "data" in answer.json()) == (400, False), answer.text
        assert {each["extensions"]["code"] for each in answer.json()["errors"]} == {"graphql_invalid"}


async def test_a_page_asks_with_its_cookie_and_the_login_s_csrf_token(house: House) -> None:
    token = house.bearer()["Authorization"].removeprefix("Bearer ")
    page = {"Cookie": f"__Host-atrium_access={token}", "Origin": "http://test", "Sec-Fetch-Site": "same-origin"}
    posted = await post(house, ME, page)
    assert (posted.status_code, posted.json()["code"]) == (403, "csrf_failed")
    got = await house.http.get(PATH, params={"query": ME}, headers=page)
    assert got.json() == SHOWN


async def test_an_answer_by_url_has_an_etag_and_304_when_it_is_known(house: House) -> None:
    first = await house.http.get(PATH, params={"query": ME}, headers=house.bearer())
    known = {**house.bearer(), "If-None-Match": first.headers["etag"]}
    assert (await house.http.get(PATH, params={"query": ME}, headers=known)).status_code == 304


async def test_the_schema_is_for_who_is_logged_in(house: House) -> None:
    shown = await house.http.get(f"{PATH}/schema", headers=house.bearer())
    assert (shown.text, shown.headers["content-type"]) == (SDL, "text/plain; charset=utf-8")
    assert (await house.http.get(f"{PATH}/schema")).status_code == 401
    for query in (get_introspection_query(), '{ __type(name: "Order") { name } }'):
        answer = await post(house, query, {})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    introspected = (await post(house, get_introspection_query())).json()["data"]
    assert set(build_client_schema(introspected).type_map) >= {"Order", "Room", "Document"}
    assert (await post(house, "{ __typename }", {})).json() == {"data": {"__typename": "Query"}}


async def test_who_may_not_ask_for_the_schema_is_not_helped_to_guess_it(house: House) -> None:
    assert "Did you mean" in (await post(house, "{ ordre }")).text
    assert "Did you mean" not in (await post(house, "{ ordre }", {})).text


async def test_each_query_is_one_line_in_the_log_without_its_text_or_variables(house: House) -> None:
    query = "query Screen($secret: ID!) { order(id: $secret) { id } }"
    with heard() as lines:
        await post(house, query, None, {"secret": "private-id"}, operationName="Screen")
    (line,) = [each for each in lines if each["event"] == "graphql_query"]
    assert (line["operation"], line["depth"], line["values"], line["reads"]) == ("Screen", 2, 2, 1)
    assert (line["refused"], line["subject"]) == (["not_found"], ALICE)
    assert "secret" not in str(lines)
    assert "private-id" not in str(lines)


async def test_root_fields_are_counted_by_what_they_came_to(house: House) -> None:
    await post(house, '{ a: order(id: "x") { id } me { subject } }')
    await post(house, "{ nothing }")
    metrics = house.gateway.metrics.exposition().decode()
    for code, field in (("not_found", "order"), ("ok", "me"), ("graphql_invalid", "")):
        assert f'atrium_graphql_fields_total{{code="{code}",field="{field}",gateway="gateway-1"}} 1.0' in metrics


async def test_head_answers_like_get_without_the_body(house: House) -> None:
    answer = await house.http.head(PATH, params={"query": ME}, headers=house.bearer())
    assert (answer.status_code, answer.content) == (200, b"")
