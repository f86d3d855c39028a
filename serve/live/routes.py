"""WebSocket endpoints: where they are and what they let through. The protocol is `realtime`'s."""

from typing import Final

from fastapi import APIRouter
from starlette.websockets import WebSocket

from domain.ids import is_uuid
from realtime.channels import Scope, live, order_tracking, room_board
from realtime.endpoint import serve_socket
from serve.platform.edge import API_PREFIX

router = APIRouter(prefix=API_PREFIX)

TRY_AGAIN_LATER: Final = 1013
_LIVE_KINDS: Final = frozenset({"cart", "order", "room"})


@router.websocket("/live")
async def live_socket(websocket: WebSocket) -> None:
    await _serve(websocket, live(_LIVE_KINDS))


@router.websocket("/orders/{order_id}/track")
async def track_order(websocket: WebSocket, order_id: str) -> None:
    """An id that is none is served too: the protocol says that it is unknown."""
    order_id = order_id.lower() if is_uuid(order_id) else "unknown"
    await _serve(websocket, order_tracking(order_id), order_id)


@router.websocket("/treatments/room-status")
async def room_status(websocket: WebSocket) -> None:
    """The board of one location (`?location=`). One that is none is served too, as above."""
    location_id = websocket.query_params.get("location", "")
    location_id = location_id.lower() if is_uuid(location_id) else "unknown"
    await _serve(websocket, room_board(location_id))


async def _serve(websocket: WebSocket, scope: Scope, order_id: str = "") -> None:
    gateway = websocket.app.state.runtime.live
    if gateway is None:
        await websocket.close(TRY_AGAIN_LATER)
        return
    await serve_socket(websocket, gateway, scope, order_id=order_id)
