import asyncio
import sys
from collections import Counter

import msgspec

from loadtests.http_load import Call, HttpPlan, run_http_load
from loadtests.measure import LoadResult

_ADD = Call("POST", "/carts/1/items", {"product_id": "p", "quantity": 1})


def _plan(*urls, **changes):
    settings = {"scripts": [[_ADD]], "connections": 8, "seconds": 0.2, "warmup_seconds": 0.05, **changes}
    return HttpPlan(base_urls=list(urls), **settings)


async def test_every_success_reached_the_server_exactly_once_under_a_key_of_its_own(http_server):
    async with http_server() as (url, seen):
        result = await run_http_load(_plan(url))
    assert sum(result.acknowledged) == len(seen.requests)
    assert set(seen.keys().values()) == {1}
    assert result.outcomes == {"200": result.requests}
    assert result.errors == 0


async def test_the_body_is_sent_as_json(http_server):
    async with http_server() as (url, seen):
        await run_http_load(_plan(url, connections=1))
    assert msgspec.json.decode(seen.requests[0][2]) == {"product_id": "p", "quantity": 1}


async def test_an_answer_that_is_no_success_is_an_error_without_retry(http_server):
    async with http_server(lambda number: 500 if number % 2 else 200) as (url, _):
        result = await run_http_load(_plan(url, connections=1))
    assert result.errors == result.outcomes["500"]
    assert result.requests == result.outcomes["200"]


async def test_with_retry_a_refused_request_is_repeated_under_the_same_key_until_it_succeeds(http_server):
    async with http_server(lambda number: 503 if number % 3 else 200) as (url, seen):
        result = await run_http_load(_plan(url, connections=2, retry=True))
    assert result.errors == 0
    assert result.retried > 0
    assert sum(result.acknowledged) == len(seen.keys())


async def test_with_retry_a_lost_connection_is_reopened_and_the_request_repeated(http_server):
    async with http_server(lambda number: None if number % 5 == 3 else 200) as (url, seen):
        result = await run_http_load(_plan(url, connections=2, retry=True))
    assert result.outcomes["lost"] > 0
    assert sum(result.acknowledged) == len(seen.keys())
    assert result.unresolved == [0, 0]


async def test_without_retry_a_lost_connection_leaves_its_request_unresolved(http_server):
    async with http_server(lambda number: None if number == 0 else 200) as (url, seen):
        result = await run_http_load(_plan(url, connections=1))
    assert result.unresolved == [1]
    assert sum(result.acknowledged) == len(seen.requests) - 1


async def test_workers_cycle_through_the_scripts_they_are_given(http_server):
    scripts = [[Call("GET", "/a"), Call("GET", "/b")], [Call("GET", "/c")]]
    async with http_server() as (url, seen):
        await run_http_load(_plan(url, scripts=scripts, connections=2))
    paths = Counter(path for path, _, _ in seen.requests)
    assert set(paths) == {"/a", "/b", "/c"}
    assert abs(paths["/a"] - paths["/b"]) <= 1


async def test_the_command_prints_one_line_of_results(http_server):
    async with http_server() as (url, seen):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "loadtests.http_load", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(msgspec.json.encode(_plan(url)))
    result = msgspec.json.decode(out, type=LoadResult)
    assert sum(result.acknowledged) == len(seen.requests)


async def test_connections_spread_evenly_over_several_servers(http_server):
    async with http_server() as (one, at_one), http_server() as (other, at_other):
        result = await run_http_load(_plan(one, other, connections=4))
    assert sum(result.acknowledged) == len(at_one.requests) + len(at_other.requests)
    assert at_one.requests
    assert at_other.requests
