"""What a live client makes of an upgrade that is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from realtime.client.backoff import FullJitter
from realtime.client.errors import LiveClosedError
from realtime.client.live import LiveClient


@asynccontextmanager
async def _refusing_first(status: HTTPStatus) -> AsyncIterator[str]:
    """A server that answers the first upgrade with `status` and welcomes whoever comes again."""
    seen = 0

    def refuse(connection: ServerConnection, _: Request) -> Response | None:
        nonlocal seen
        seen += 1
        return connection.respond(status, "") if seen == 1 else None

    async def welcome(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(json.dumps({"t": "welcome", "conn_id": "c1"}))
        await connection.wait_closed()

    protocols = ["atrium.v1.json"]
    async with serve(welcome, "127.0.0.1", 0, process_request=refuse, subprotocols=protocols) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/live"


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY])
async def test_a_client_comes_back_when_no_gateway_was_there(status: HTTPStatus) -> None:
    async with _refusing_first(status) as url, LiveClient(url, backoff=FullJitter(0.001, 0.001)) as client:
        async with asyncio.timeout(5):
            await client.connected()
        assert client.stats.connects == 1


async def test_a_refusal_by_the_house_is_final() -> None:
    async with _refusing_first(HTTPStatus.FORBIDDEN) as url, LiveClient(url) as client:
        with pytest.raises(LiveClosedError) as closed:
            await client.connected()
        assert closed.value.code == HTTPStatus.FORBIDDEN
