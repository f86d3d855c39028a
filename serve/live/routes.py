"""WebSocket endpoints: where they are and what they let through. The protocol is `realtime`'s."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Send
from starlette.types import Scope as Asgi
from starlette.websockets import WebSocket

from domain.ids import is_uuid
from realtime.channels import Scope, documentation, live, order_tracking, provider_sync, room_board
from realtime.endpoint import serve_socket
from serve.platform.edge import API_PREFIX

router = APIRouter(prefix=API_PREFIX)

_UNKNOWN: Final = "unknown"
TRY_AGAIN_LATER: Final = 1013
_CLINIC_KINDS: Final = frozenset({"room", "session", "document"})
_LIVE_KINDS: Final = frozenset({"cart", "order"}) | _CLINIC_KINDS


class _Straight:
    """A route's handler as an application of its own, called by the edge: Starlette and FastAPI would keep a dozen
    frames and two exit stacks between an idle socket and its session, 8 KB for as long as it lives."""

    def __init__(self, serve: Callable[..., Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Asgi, receive: Receive, send: Send) -> None:
        await self._serve(WebSocket(scope, receive, send), **scope["path_params"])


def _at(path: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    def add(serve: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        router.routes.append(WebSocketRoute(API_PREFIX + path, _Straight(serve)))
        return serve

    return add


@_at("/live")
async def live_socket(websocket: WebSocket) -> None:
    await _serve(websocket, live(_LIVE_KINDS))


@_at("/orders/{order_id}/track")
async def track_order(websocket: WebSocket, order_id: str) -> None:
    """An id that is none is served too: the protocol says that it is unknown."""
    order_id = order_id.lower() if is_uuid(order_id) else _UNKNOWN
    await _serve(websocket, order_tracking(order_id), order_id)


@_at("/treatments/room-status")
async def room_status(websocket: WebSocket) -> None:
    """The board of one location (`?location=`). One that is none is served too, as above."""
    await _serve(websocket, room_board(_asked_for(websocket, "location") or _UNKNOWN))


@_at("/treatments/provider-sync")
async def sync_provider(websocket: WebSocket) -> None:
    """A provider's tablet (`?location=` where it works): its session, rooms and open documents."""
    await _serve(websocket, provider_sync(_CLINIC_KINDS, _asked_for(websocket, "location")))


@_at("/treatments/documentation-update")
async def update_documentation(websocket: WebSocket) -> None:
    """Charting in one document (`?document=`)."""
    await _serve(websocket, documentation(_asked_for(websocket, "document") or _UNKNOWN))


def _asked_for(websocket: WebSocket, name: str) -> str:
    """The id in the query, "" without one; one that is none is `_UNKNOWN`."""
    value = websocket.query_params.get(name, "")
    return value.lower() if is_uuid(value) else value and _UNKNOWN


async def _serve(websocket: WebSocket, scope: Scope, order_id: str = "") -> None:
    gateway = websocket.app.state.runtime.live
    if gateway is None:
        await websocket.close(TRY_AGAIN_LATER)
        return
    await serve_socket(websocket, gateway, scope, order_id=order_id)
