import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from realtime.client.http import HttpClient, HttpError

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + b'{"id": "7"}'
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
RUNNING = b"HTTP/1.1 409 Conflict\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
NO_GATEWAY_YET = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n\r\n"
GATEWAY_GONE = b"HTTP/1.1 500 Internal\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"
PROBLEM = (
    b"HTTP/1.1 500 Internal\r\ncontent-type: application/problem+json\r\ncontent-length: 40\r\n\r\n"
    b'{"code": "internal", "detail": "broken"}'
)
GOODBYE = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
CUT = b""


class Seen:
    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0


@asynccontextmanager
async def serving(answer: Callable[[int], bytes]) -> AsyncIterator[tuple[str, Seen]]:
    """Answers request n (from 0) with these bytes; none of them cuts the connection."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")), 0
                )
                body = await reader.readexactly(length)
                number = len(seen.requests)
                seen.requests.append(head + body)
                writer.write(answer(number))
                if answer(number) in (CUT, GOODBYE):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        await server.wait_closed()


def test_it_works_on_uvloop_too() -> None:
    async def once() -> int:
        async with serving(lambda _: OK) as (url, _):
            client = HttpClient(url)
            try:
                return (await client.send("GET", "/")).status
            finally:
                await client.close()

    assert uvloop.run(once()) == 200


async def test_a_request_carries_token_key_and_body_and_keeps_its_connection() -> None:
    async with serving(lambda _: OK) as (url, seen):
        client = HttpClient(url)
        for _ in range(3):
            response = await client.send("POST", "/carts", token="t0", key="k1", body={"n": 1})
            assert response.expect().json() == {"id": "7"}
            assert response.attempts == 1
        await client.close()
        assert seen.connections == 1
        assert b"authorization: Bearer t0\r\n" in seen.requests[0]
        assert b"idempotency-key: k1\r\n" in seen.requests[0]
        assert seen.requests[0].endswith(b'\r\n\r\n{"n":1}')


@pytest.mark.parametrize(
    "first", [BUSY, RUNNING, NO_GATEWAY_YET, GATEWAY_GONE, CUT], ids=["503", "409", "bare 404", "bare 500", "lost"]
)
async def test_a_keyed_request_is_sent_again_under_the_same_key(first: bytes) -> None:
    async with serving(lambda number: first if number < 2 else OK) as (url, seen):
        client = HttpClient(url)
        response = await client.send("POST", "/orders", key="k9", body={})
        await client.close()
        assert (response.status, response.attempts, client.repeats) == (200, 3, 2)
        assert seen.requests[0] == seen.requests[1] == seen.requests[2]


async def test_a_request_that_may_not_run_twice_is_not_sent_again_after_a_lost_reply() -> None:
    async with serving(lambda _: CUT) as (url, seen):
        client = HttpClient(url)
        with pytest.raises(HttpError):
            await client.send("POST", "/orders", body={})
        await client.close()
        assert len(seen.requests) == 1


async def test_without_a_key_an_answer_that_leaves_the_outcome_open_is_not_asked_for_twice() -> None:
    async with serving(lambda _: GATEWAY_GONE) as (url, seen):
        client = HttpClient(url)
        assert (await client.send("POST", "/carts/create", body={})).status == 500
        await client.close()
    assert len(seen.requests) == 1


@pytest.mark.parametrize("first", [BUSY, NO_GATEWAY_YET])
async def test_without_a_key_what_was_not_taken_up_is_sent_again(first: bytes) -> None:
    async with serving(lambda number: first if number == 0 else OK) as (url, seen):
        client = HttpClient(url)
        assert (await client.send("POST", "/carts/create", body={})).status == 200
        await client.close()
    assert len(seen.requests) == 2


async def test_a_read_is_sent_again_without_a_key() -> None:
    async with serving(lambda number: CUT if number == 0 else OK) as (url, _):
        client = HttpClient(url)
        assert (await client.send("GET", "/orders")).attempts == 2
        await client.close()


async def test_a_problem_of_ours_is_final_and_names_its_code() -> None:
    async with serving(lambda _: PROBLEM) as (url, seen):
        client = HttpClient(url)
        with pytest.raises(HttpError, match="internal broken") as caught:
            (await client.send("POST", "/orders", key="k")).expect()
        await client.close()
        assert (caught.value.status, caught.value.code, len(seen.requests)) == (500, "internal", 1)


async def test_a_connection_that_the_server_ends_is_replaced() -> None:
    async with serving(lambda _: GOODBYE) as (url, seen):
        client = HttpClient(url)
        for _ in range(3):
            (await client.send("GET", "/")).expect(200)
        await client.close()
        assert seen.connections == 3


async def test_at_most_so_many_connections_are_open() -> None:
    async with serving(lambda _: OK) as (url, seen):
        client = HttpClient(url, connections_max=4)
        await asyncio.gather(*(client.send("GET", f"/{number}") for number in range(40)))
        await client.close()
        assert (seen.connections, len(seen.requests)) == (4, 40)


async def test_patience_ends_at_the_deadline() -> None:
    async with serving(lambda _: BUSY) as (url, _):
        client = HttpClient(url, deadline_s=0.0)
        assert (await client.send("POST", "/", key="k")).status == 503
        await client.close()
    gone = HttpClient(url, deadline_s=0.0)
    with pytest.raises(HttpError):
        await gone.send("GET", "/")
    await gone.close()


def test_only_plain_http_is_spoken() -> None:
    with pytest.raises(ValueError, match="plain HTTP"):
        HttpClient("https://localhost")
