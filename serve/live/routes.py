"""WebSocket endpoints: where they are and what they let through. The protocol is `realtime`'s."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Send
from starlette.types import Scope as Asgi

from domain.ids import is_uuid
from realtime.channels import Scope, documentation, live, order_tracking, provider_sync, room_board
from realtime.endpoint import serve_socket
from serve.platform.cookies import ACCESS, cookie
from serve.platform.edge import API_PREFIX, FIELDS

router = APIRouter(prefix=API_PREFIX)

_UNKNOWN: Final = "unknown"
TRY_AGAIN_LATER: Final = 1013
_CLINIC_KINDS: Final = frozenset({"room", "session", "document"})
_LIVE: Final = live(frozenset({"cart", "order"}) | _CLINIC_KINDS)


class _Socket:
    """A WebSocket that was asked for."""

    def __init__(self, asgi: Asgi, receive: Receive, send: Send) -> None:
        self._asgi = asgi
        self._receive = receive
        self._send = send

    def asked_for(self, name: str) -> str:
        """The id in the query, "" without one; one that is none is `_UNKNOWN`."""
        value = HTTPConnection(self._asgi).query_params.get(name, "")
        return value.lower() if is_uuid(value) else value and _UNKNOWN

    def serve(self, scope: Scope, order_id: str = "") -> Awaitable[None]:
        asgi = self._asgi
        runtime = asgi["app"].state.runtime
        if runtime.live is None:
            return _closed(self._send)
        fields = asgi.pop(FIELDS, {})
        token = cookie(fields, ACCESS) if runtime.browsers.is_trusted(fields) else ""
        return serve_socket(asgi, self._receive, self._send, runtime.live, scope, order_id=order_id, cookie=token)


async def _closed(send: Send) -> None:
    await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": ""})


class _Straight:
    """A route's handler as an application of its own, called by the edge: Starlette and FastAPI would keep a dozen
    frames and two exit stacks between an idle socket and its session, 8 KB for as long as it lives. For the same
    reason nothing here is a coroutine: each hands on what the next one gives."""

    def __init__(self, serve: Callable[..., Awaitable[None]]) -> None:
        self._serve = serve

    def __call__(self, scope: Asgi, receive: Receive, send: Send) -> Awaitable[None]:
        return self._serve(_Socket(scope, receive, send), **scope["path_params"])


def _at(path: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    def add(serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        router.routes.append(WebSocketRoute(API_PREFIX + path, _Straight(serve)))
        return serve

    return add


@_at("/live")
def live_socket(socket: _Socket) -> Awaitable[None]:
    return socket.serve(_LIVE)


@_at("/orders/{order_id}/track")
def track_order(socket: _Socket, order_id: str) -> Awaitable[None]:
    """An id that is none is served too: the protocol says that it is unknown."""
    order_id = order_id.lower() if is_uuid(order_id) else _UNKNOWN
    return socket.serve(order_tracking(order_id), order_id)


@_at("/treatments/room-status")
def room_status(socket: _Socket) -> Awaitable[None]:
    """The board of one location (`?location=`). One that is none is served too, as above."""
    return socket.serve(room_board(socket.asked_for("location") or _UNKNOWN))


@_at("/treatments/provider-sync")
def sync_provider(socket: _Socket) -> Awaitable[None]:
    """A provider's tablet (`?location=` where it works): its session, rooms and open documents."""
    return socket.serve(provider_sync(_CLINIC_KINDS, socket.asked_for("location")))


@_at("/treatments/documentation-update")
def update_documentation(socket: _Socket) -> Awaitable[None]:
    """Charting in one document (`?document=`)."""
    return socket.serve(documentation(socket.asked_for("document") or _UNKNOWN))
