"""How each root field of GraphQL is asked in the walk: what there must be first, and a selection that is right."""

import json
import re
from typing import Final, NamedTuple

from tests.serve.access.world import World
from tests.serve.house import MERCHANT


class Probe(NamedTuple):
    """`rest`: the route that serves the same, to the same people. `needs`: steps of the world. `selection`: `$name` is
    the world's id of that name."""

    rest: str
    needs: tuple[str, ...]
    selection: str


_ENTRIES: Final = "{ edges { node { id } } }"

FIELDS: Final[dict[str, Probe]] = {
    "me": Probe("GET /auth/session", (), "me { subject roles organizationIds }"),
    "person": Probe("GET /users/{user_id}", ("person",), "person(id: $user_id) { id }"),
    "people": Probe("GET /users/search", ("person",), 'people(q: "somebody") { edges { node { id } } }'),
    "organization": Probe(
        "GET /organizations/{organization_id}", ("organization",), "organization(id: $organization_id) { id }"
    ),
    "organizations": Probe("GET /organizations", ("organization",), f"organizations {_ENTRIES}"),
    "location": Probe("GET /locations/{location_id}", ("location",), "location(id: $location_id) { id }"),
    "locations": Probe("GET /locations", ("location",), f"locations {_ENTRIES}"),
    "countries": Probe("GET /locations/countries", ("location",), "countries { country locations }"),
    "room": Probe("GET /rooms/{room_id}", ("room",), "room(id: $room_id) { id }"),
    "session": Probe("GET /sessions/{session_id}", ("session",), "session(id: $session_id) { id }"),
    "sessions": Probe("GET /sessions", ("session",), f"sessions {_ENTRIES}"),
    "document": Probe("GET /documentation/{document_id}", ("document",), "document(id: $document_id) { id }"),
    "documents": Probe("GET /documentation", ("document",), f"documents {_ENTRIES}"),
    "cosignQueue": Probe("GET /documentation/cosign-queue", ("cosignable",), f"cosignQueue {_ENTRIES}"),
    "merchant": Probe("GET /merchants/{merchant_id}", (), f'merchant(id: "{MERCHANT}") {{ id }}'),
    "merchants": Probe("GET /merchants", (), f"merchants {_ENTRIES}"),
    "product": Probe("GET /products/{product_id}", ("product",), "product(id: $product_id) { id }"),
    "products": Probe("GET /products", (), f'products(merchantId: "{MERCHANT}") {_ENTRIES}'),
    "cart": Probe("GET /carts/{cart_id}", ("cart",), "cart(id: $cart_id) { id }"),
    "carts": Probe("GET /carts", ("cart",), f"carts {_ENTRIES}"),
    "order": Probe("GET /orders/{order_id}", ("order_assigned",), "order(id: $order_id) { id }"),
    "orders": Probe("GET /orders", ("order",), f"orders {_ENTRIES}"),
    "orderStats": Probe("GET /orders/stats", ("order",), f'orderStats(merchantId: "{MERCHANT}") {{ ordersCount }}'),
    "tracking": Probe(
        "GET /orders/{order_id}/tracking", ("order_assigned",), "tracking(orderId: $order_id) { status }"
    ),
    "job": Probe("GET /jobs/{job_id}", ("job",), "job(id: $job_id) { id }"),
    "jobs": Probe("GET /jobs", ("job",), f"jobs {_ENTRIES}"),
}


def query_of(probe: Probe, world: World) -> str:
    selection = re.sub(r"\$(\w+)", lambda found: json.dumps(world.ids[found[1]]), probe.selection)
    return f"{{ {selection} }}"
