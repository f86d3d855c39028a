"""Every kind of live entity by its name, and which of their operations a device may send as they are."""

from typing import Any, Final

from actors.cart import CartKind
from actors.document import DocumentKind
from actors.order import OrderKind
from actors.room import RoomKind
from actors.runtime.entity import EntityKind
from actors.session import SessionKind

KINDS: Final[dict[str, EntityKind[Any]]] = {
    kind.name: kind for kind in (CartKind(), OrderKind(), RoomKind(), SessionKind(), DocumentKind())
}

_DOCUMENT_EDITS: Final = frozenset(
    {
        "create",
        "set_field",
        "add_point",
        "set_point",
        "perform_point",
        "strike_point",
        "open_container",
        "record_wastage",
        "append_note",
        "attach_photo",
        "resolve",
        "add_addendum",
        "enter_in_error",
    }
)

DEVICE_OPERATIONS: Final[dict[str, frozenset[str]]] = {
    "cart": frozenset({"set_quantity", "remove_line", "clear", "set_merchant", "dismiss_notices", "delete"}),
    "order": frozenset({"set_status", "cancel", "assign_courier", "report_position"}),
    "room": frozenset({"set_status", "undo", "claim", "release", "take_over"}),
    "session": frozenset(
        {
            "enter",
            "leave",
            "open_document",
            "close_document",
            "sign_out",
            "offer_hand_off",
            "withdraw_hand_off",
        }
    ),
    "document": frozenset({*_DOCUMENT_EDITS, "join", "leave_off", "set_status", "reject_cosign"}),
}
"""Operations whose fields are the sender's own to say; the entity checks who may.

All others carry prices or other facts that the edge must resolve first, or belong to processes.
"""

CLINICAL_OPERATIONS: Final[dict[str, frozenset[str]]] = {"document": _DOCUMENT_EDITS}
"""Operations that say something of a patient: refused, they are quarantined until somebody has decided."""
