"""The adapter between ASGI's WebSocket and a session; it is all that knows about ASGI.

It holds the server's two functions and nothing else: whatever stood between them and an idle session would be kept
as often as there are sockets.
"""

import contextlib
from typing import Any, cast

from starlette.requests import HTTPConnection
from starlette.types import Receive, Send
from starlette.types import Scope as Asgi

from realtime import codes
from realtime.channels import Scope
from realtime.codec import JSON, negotiate
from realtime.gateway import Gateway
from realtime.ports import Credentials

_BEARER = "bearer "
_FORGOTTEN: list[str] = []
_NO_CREDENTIALS = Credentials()
"""Shared by all whose hello brings the token."""


class AsgiSocket:
    """`realtime.ports.Socket` over a WebSocket of the server's."""

    __slots__ = ("_closed", "_receive", "_send", "_text")

    def __init__(self, receive: Receive, send: Send, *, text: bool) -> None:
        self._receive = receive
        self._send = send
        self._text = text
        self._closed = False

    async def accept(self, subprotocol: str | None) -> None:
        await self._receive()  # ASGI begins with its own `websocket.connect`
        await self._put({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

    async def receive(self) -> str | bytes | None:
        if self._closed:
            return None
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._closed = True
            return None
        text = message.get("text")
        return cast("str | bytes", message["bytes"] if text is None else text)

    async def send(self, frame: bytes) -> None:
        if self._text:
            await self._put({"type": "websocket.send", "text": frame.decode()})
        else:
            await self._put({"type": "websocket.send", "bytes": frame})

    async def close(self, code: int, reason: str) -> None:
        await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self._closed = True

    async def _put(self, message: dict[str, Any]) -> None:
        if self._closed:
            raise ConnectionError("closed")
        try:
            await self._send(message)
        except (RuntimeError, OSError) as error:
            raise ConnectionError(str(error)) from error


def credentials_of(connection: HTTPConnection, order_id: str = "", cookie: str = "") -> Credentials:
    """The upgrade's bearer token or `cookie`, and the share link's token (`?share=`); the hello may bring another."""
    header = connection.headers.get("authorization", "")
    bearer = header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""
    bearer, share = bearer or cookie, connection.query_params.get("share", "")
    return (
        Credentials(bearer=bearer, share=share, order_id=order_id) if bearer or share or order_id else _NO_CREDENTIALS
    )


async def serve_socket(
    asgi: Asgi,
    receive: Receive,
    send: Send,
    gateway: Gateway,
    scope: Scope,
    *,
    order_id: str = "",
    cookie: str = "",
) -> None:
    """Accept with the encoding the client prefers and serve it until it is closed.

    A client that offers only subprotocols we do not speak is accepted and closed with 4506, so that it learns why.
    `cookie` is the token of a browser's login, when the page may use it.
    """
    offered = list(asgi.get("subprotocols", []))
    credentials = credentials_of(HTTPConnection(asgi), order_id, cookie)
    codec = negotiate(offered)
    # RFC 6455: a server that names a subprotocol which was not offered is hung up on.
    named = codec.subprotocol if offered and codec is not None else None
    # The scope, and this frame, live as long as the socket; who asks for these has asked by now.
    asgi["headers"] = asgi["subprotocols"] = offered = _FORGOTTEN
    socket = AsgiSocket(receive, send, text=(codec or JSON).text)
    try:
        await socket.accept(named)
    except ConnectionError:
        return  # gone before it was accepted
    if codec is None:
        with contextlib.suppress(ConnectionError):
            await socket.close(codes.VERSION, "no common subprotocol")
        return
    await gateway.serve(socket, codec, scope, credentials)
