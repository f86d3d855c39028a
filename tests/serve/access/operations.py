"""How each operation of a device, signal and channel is asked in the walk."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from actors.kinds import DEVICE_OPERATIONS
from domain.ids import new_id
from services.device_commands import RESOLVED
from services.document_operations import OPERATIONS
from tests.serve.access.people import PIA, QUINN, Person
from tests.serve.access.world import DOSE, World
from tests.serve.clinic import CLINIC
from tests.serve.house import ALICE, BREAD, COURIER, MERCHANT

Args = dict[str, Any] | Callable[[World, Person], Any]


class Probe(NamedTuple):
    """`ent`: kind/id with the world's ids in braces, or a group's channel."""

    ent: str
    needs: tuple[str, ...] = ()
    args: Args = {}  # noqa: RUF012 - read only


_CART, _ORDER, _ROOM = "cart/{cart_id}", "order/{order_id}", "room/{room_id}"
_SESSION, _DOCUMENT = "session/{session_id}", "document/{document_id}"
_PLACE: Final = {"view": "front", "x": 500, "y": 300}
_WHY: Final = {"reason": "looked again"}


def _injected(world: World) -> dict[str, Any]:
    return {"product_id": world.ids["toxin"], **DOSE}


async def _signed_by(world: World, person: Person) -> Any:
    return await world.signature(person)


_PHOTO: Final = {
    "view": "front",
    "sha256": "9f" * 32,
    "media_type": "image/jpeg",
    "bytes": 2_481_233,
    "taken_at": "2026-03-01T09:20:00.250Z",
}

COMMANDS: Final[dict[str, Probe]] = {
    "cart create": Probe("cart/{fresh}", (), {"merchant_id": MERCHANT}),
    "cart add_line": Probe(_CART, ("cart",), {"product_id": BREAD}),
    "cart update_line": Probe(_CART, ("cart",), lambda w, _: {"line_id": w.ids["item_id"], "quantity": 3}),
    "cart set_quantity": Probe(_CART, ("cart",), lambda w, _: {"line_id": w.ids["item_id"], "quantity": 3}),
    "cart remove_line": Probe(_CART, ("cart",), lambda w, _: {"line_id": w.ids["item_id"]}),
    "cart clear": Probe(_CART, ("cart",)),
    "cart set_merchant": Probe(_CART, ("cart",), {"merchant_id": MERCHANT}),
    "cart dismiss_notices": Probe(_CART, ("cart",)),
    "cart delete": Probe(_CART, ("cart",)),
    "order set_status": Probe(_ORDER, ("order_delivered",), {"to": "completed"}),
    "order cancel": Probe(_ORDER, ("order",), {"reason": "out of bread"}),
    "order assign_courier": Probe(
        _ORDER, ("order_ready",), lambda _, who: {} if who.column == "courier" else {"courier_id": COURIER}
    ),
    "order report_position": Probe(_ORDER, ("order_away",), {"lat": 52.5, "lon": 13.4}),
    "room set_status": Probe(_ROOM, ("room",), {"to": "held"}),
    "room undo": Probe(_ROOM, ("room_held",), lambda w, _: {"version": w.tokens["undo_version"]}),
    "room claim": Probe(_ROOM, ("room",)),
    "room release": Probe(_ROOM, ("room_claimed",), lambda w, _: {"token": w.tokens["claim"]}),
    "room take_over": Probe(_ROOM, ("room_claimed",), {"reason": "shift change"}),
    "session enter": Probe(_SESSION, ("session", "room"), lambda w, _: {"room_id": w.ids["room_id"]}),
    "session leave": Probe(_SESSION, ("session",)),
    "session open_document": Probe(
        _SESSION, ("session", "document"), lambda w, _: {"document_id": w.ids["document_id"]}
    ),
    "session close_document": Probe(
        _SESSION, ("session", "document"), lambda w, _: {"document_id": w.ids["document_id"]}
    ),
    "session sign_out": Probe(_SESSION, ("session",)),
    "session offer_hand_off": Probe(
        _SESSION, ("session", "room"), lambda _w, _p: {"offer_id": new_id(), "to": QUINN.subject}
    ),
    "session withdraw_hand_off": Probe(_SESSION, ("offered",), lambda w, _: {"offer_id": w.ids["offer_id"]}),
    "session resolve": Probe(
        _SESSION, ("quarantined",), lambda w, _: {"item_id": w.ids["item_id"], "action": "discard", **_WHY}
    ),
    "document create": Probe(
        "document/{fresh}",
        ("location",),
        lambda w, _: {
            "organization_id": CLINIC,
            "location_id": w.ids["location_id"],
            "patient_id": "p-1",
            "template": "toxin",
        },
    ),
    "document set_field": Probe(_DOCUMENT, ("document",), {"name": "skin.type", "value": "II"}),
    "document add_point": Probe(
        _DOCUMENT, ("document",), lambda _w, _p: {"point_id": new_id(), **_PLACE, "planned": True}
    ),
    "document set_point": Probe(
        _DOCUMENT, ("point",), lambda w, _: {"point_id": w.ids["point_id"], "technique": "serial"}
    ),
    "document perform_point": Probe(
        _DOCUMENT, ("point",), lambda w, _: {"point_id": w.ids["point_id"], **_injected(w)}
    ),
    "document strike_point": Probe(_DOCUMENT, ("point",), lambda w, _: {"point_id": w.ids["point_id"], **_WHY}),
    "document open_container": Probe(
        _DOCUMENT,
        ("document",),
        lambda w, _: {"container_id": "v-2", "product_id": w.ids["toxin"], "amount": "100", "unit": "U"},
    ),
    "document record_wastage": Probe(
        _DOCUMENT,
        ("container",),
        lambda _w, _p: {"wastage_id": new_id(), "container_id": "v-1", "amount": "5", "unit": "U", **_WHY},
    ),
    "document append_note": Probe(_DOCUMENT, ("document",), lambda _w, _p: {"note_id": new_id(), "text": "Ice."}),
    "document attach_photo": Probe(_DOCUMENT, ("document",), lambda _w, _p: {"photo_id": new_id(), **_PHOTO}),
    "document resolve": Probe(
        _DOCUMENT, ("conflict",), lambda w, _: {"conflict_id": w.ids["conflict_id"], "value": "II", **_WHY}
    ),
    "document join": Probe(_DOCUMENT, ("document",)),
    "document leave_off": Probe(_DOCUMENT, ("document",)),
    "document set_status": Probe(_DOCUMENT, ("document",), {"to": "ready"}),
    "document sign": Probe(_DOCUMENT, ("ready",), _signed_by),
    "document cosign": Probe(_DOCUMENT, ("cosignable",), _signed_by),
    "document reject_cosign": Probe(_DOCUMENT, ("cosignable",), _WHY),
    "document add_addendum": Probe(
        _DOCUMENT, ("signed",), lambda _w, _p: {"addendum_id": new_id(), "text": "Lot C1235.", **_WHY}
    ),
    "document enter_in_error": Probe(_DOCUMENT, ("document",), _WHY),
}
"""By kind and operation. What `DEVICE_OPERATIONS` or the documents' operations have besides fails the walk."""

SIGNALS: Final[dict[str, Probe]] = {
    "order position": Probe(_ORDER, ("order_away",), {"lat": 52.5, "lon": 13.4}),
}

CHANNELS: Final[dict[str, Probe]] = {
    "cart/{id}": Probe(_CART, ("cart",)),
    "order/{id}": Probe(_ORDER, ("order_assigned",)),
    "room/{id}": Probe(_ROOM, ("room",)),
    "session/{id}": Probe(_SESSION, ("session",)),
    "document/{id}": Probe(_DOCUMENT, ("document",)),
    "merchant/{id}/orders": Probe(f"merchant/{MERCHANT}/orders", ("order",)),
    "user/{id}/orders": Probe(f"user/{ALICE}/orders", ("order",)),
    "courier/{id}/orders": Probe(f"courier/{COURIER}/orders", ("order_assigned",)),
    "location/{id}/rooms": Probe("location/{location_id}/rooms", ("room",)),
    "location/{id}/sessions": Probe("location/{location_id}/sessions", ("session",)),
    "location/{id}/documents": Probe("location/{location_id}/documents", ("document",)),
    "location/{id}/cosign": Probe("location/{location_id}/cosign", ("cosignable",)),
    "user/{id}/rooms": Probe(f"user/{PIA.subject}/rooms", ("room_claimed",)),
    "user/{id}/documents": Probe(f"user/{PIA.subject}/documents", ("document",)),
}

SOCKETS: Final[dict[str, str]] = {
    "/live": "any channel",
    "/orders/{order_id}/track": "`order/{id}`",
    "/treatments/room-status": "`location/{id}/rooms`, `room/{id}`",
    "/treatments/provider-sync": "any channel of rooms, sessions and documents",
    "/treatments/documentation-update": "`document/{id}`",
}
"""What each endpoint lets through (`realtime/channels.py`); within that, the tables of commands and channels hold."""


def every_operation() -> set[str]:
    """What the code lets a device do."""
    found = {f"{kind} {op}" for kind, ops in DEVICE_OPERATIONS.items() for op in ops}
    return found | {f"cart {op}" for op in RESOLVED} | {f"document {op}" for op in OPERATIONS} | {"session resolve"}


async def args_of(probe: Probe, world: World, person: Person) -> dict[str, Any]:
    args = probe.args(world, person) if callable(probe.args) else probe.args
    return dict(await args if hasattr(args, "__await__") else args)


def ent_of(probe: Probe, world: World) -> str:
    return probe.ent.format(**world.ids, fresh=new_id())
