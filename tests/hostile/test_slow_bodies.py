"""Requests that come one byte at a time, on a real socket."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from serve.limits import GatewayLimits
from tests.serve.house import House, open_house

BODY_SECONDS = 0.3


@asynccontextmanager
async def served(house: House) -> AsyncIterator[int]:
    """The application behind a real server; its port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(100)
    config = uvicorn.Config(house.app, lifespan="off", log_level="critical", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def head(house: House, length: int) -> bytes:
    lines = [
        "POST /api/v1/carts/create HTTP/1.1",
        "Host: test",
        f"Authorization: {house.bearer()['Authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


async def test_a_body_that_drips_is_cut_off_and_its_connection_ends() -> None:
    async with open_house(GatewayLimits(body_seconds_max=BODY_SECONDS)) as house, served(house) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        writer.write(head(house, 1_000) + b'{"currency"')
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"request_timeout"' in answer
        assert time.monotonic() - began >= BODY_SECONDS
        writer.close()


async def test_a_body_that_comes_in_pieces_but_in_time_is_taken() -> None:
    async with open_house(GatewayLimits(body_seconds_max=10)) as house, served(house) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"currency": "EUR"}'
        writer.write(head(house, len(body)))
        for at in range(len(body)):
            writer.write(body[at : at + 1])
            await writer.drain()
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 201 ")
        writer.close()


async def test_many_that_drip_do_not_keep_others_out() -> None:
    async with open_house(GatewayLimits(body_seconds_max=BODY_SECONDS)) as house, served(house) as port:
        dripping = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        for _, writer in dripping:
            writer.write(head(house, 500) + b"{")
        assert (await house.new_cart())["currency"] == "EUR"
        answers = await asyncio.gather(*(asyncio.wait_for(reader.read(), 10) for reader, _ in dripping))
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408"}
        for _, writer in dripping:
            writer.close()


async def test_two_lengths_and_a_length_with_chunks_are_not_two_requests() -> None:
    """Request smuggling: the server refuses what two readers could read in two ways."""
    async with open_house() as house, served(house) as port:
        token = house.bearer()["Authorization"]
        start = f"POST /api/v1/carts/create HTTP/1.1\r\nHost: t\r\nAuthorization: {token}\r\n"
        hidden = "GET /api/v1/admin/audit HTTP/1.1\r\nHost: t\r\n\r\n"
        for more in (
            "Content-Length: 2\r\nContent-Length: 50\r\n\r\n{}",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: +2\r\n\r\n{}",
            "Content-Length : 2\r\n\r\n{}",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write((start + more + hidden).encode())
            first = await asyncio.wait_for(reader.readline(), 10)
            assert first[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 415", b"HTTP/1.1 422", b""}, (more, first)
            rest = await asyncio.wait_for(reader.read(), 10)
            assert rest.count(b"HTTP/1.1") == 0, more
            writer.close()
