"""WebSocket endpoints: where they are and what they let through. The protocol is `realtime`'s."""

from typing import Final

from fastapi import APIRouter
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


@router.websocket("/live")
async def live_socket(websocket: WebSocket) -> None:
    await _serve(websocket, live(_LIVE_KINDS))


@router.websocket("/orders/{order_id}/track")
async def track_order(websocket: WebSocket, order_id: str) -> None:
    """An id that is none is served too: the protocol says that it is unknown."""
    order_id = order_id.lower() if is_uuid(order_id) else _UNKNOWN
    await _serve(websocket, order_tracking(order_id), order_id)


@router.websocket("/treatments/room-status")
async def room_status(websocket: WebSocket) -> None:
    """The board of one location (`?location=`). One that is none is served too, as above."""
    await _serve(websocket, room_board(_asked_for(websocket, "location") or _UNKNOWN))


@router.websocket("/treatments/provider-sync")
async def sync_provider(websocket: WebSocket) -> None:
    """A provider's tablet (`?location=` where it works): its session, rooms and open documents."""
    await _serve(websocket, provider_sync(_CLINIC_KINDS, _asked_for(websocket, "location")))


@router.websocket("/treatments/documentation-update")
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
