"""The adapter between Starlette's WebSocket and a session; it is all that knows about ASGI."""

import contextlib
from typing import cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime import codes
from realtime.channels import Scope
from realtime.codec import JSON, negotiate
from realtime.gateway import Gateway
from realtime.ports import Credentials

_BEARER = "bearer "


class StarletteSocket:
    """`realtime.ports.Socket` over an accepted Starlette WebSocket."""

    __slots__ = ("_receive", "_text", "_websocket")

    def __init__(self, websocket: WebSocket, *, text: bool) -> None:
        self._websocket = websocket
        self._receive = websocket.receive
        self._text = text

    async def receive(self) -> str | bytes | None:
        try:
            message = await self._receive()
        except (RuntimeError, WebSocketDisconnect):
            return None
        if message["type"] != "websocket.receive":
            return None
        text = message.get("text")
        return cast("str | bytes", message["bytes"] if text is None else text)

    async def send(self, frame: bytes) -> None:
        try:
            if self._text:
                await self._websocket.send({"type": "websocket.send", "text": frame.decode()})
            else:
                await self._websocket.send({"type": "websocket.send", "bytes": frame})
        except (RuntimeError, WebSocketDisconnect, OSError) as error:
            raise ConnectionError(str(error)) from error

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._websocket.close(code, reason)
        except (RuntimeError, WebSocketDisconnect, OSError) as error:
            raise ConnectionError(str(error)) from error


def credentials_of(websocket: WebSocket, order_id: str = "") -> Credentials:
    """The upgrade's bearer token and the share link's token (`?share=`); the hello may bring another token."""
    header = websocket.headers.get("authorization", "")
    bearer = header[len(_BEARER) :].strip() if header.lower().startswith(_BEARER) else ""
    return Credentials(bearer=bearer, share=websocket.query_params.get("share", ""), order_id=order_id)


async def serve_socket(websocket: WebSocket, gateway: Gateway, scope: Scope, *, order_id: str = "") -> None:
    """Accept with the encoding the client prefers and serve it until it is closed.

    A client that offers only subprotocols we do not speak is accepted and closed with 4506, so that it learns why.
    """
    offered = list(websocket.scope.get("subprotocols", []))
    codec = negotiate(offered)
    try:
        # RFC 6455: a server that names a subprotocol which was not offered is hung up on.
        await websocket.accept(codec.subprotocol if offered and codec is not None else None)
    except (RuntimeError, WebSocketDisconnect, OSError):
        return  # gone before it was accepted
    socket = StarletteSocket(websocket, text=(codec or JSON).text)
    if codec is None:
        with contextlib.suppress(ConnectionError):
            await socket.close(codes.VERSION, "no common subprotocol")
        return
    await gateway.serve(socket, codec, scope, credentials_of(websocket, order_id))
