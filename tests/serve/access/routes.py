"""How each HTTP route is asked in the walk: what there must be first, and a request that is right in all else."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tests.serve.access.accounts import NEWCOMER, address_of, invitation_to
from tests.serve.access.factors import asked, new_credential, used_credential
from tests.serve.access.oidc import CHALLENGE, begun, code
from tests.serve.access.people import QUINN, Person
from tests.serve.access.world import DOSE, EMERGENCY_REASON, SITE, World
from tests.serve.clinic import CLINIC
from tests.serve.house import ADDRESS, ALICE, BOB, BREAD, COURIER, MERCHANT
from tests.services.accounts.people import OTHER_PASSWORD, PASSWORD

Body = dict[str, Any] | Callable[[World, Person], Any] | None


class Probe(NamedTuple):
    """`needs`: steps of the world. `body`: as it is, or made from the world and whoever asks."""

    needs: tuple[str, ...] = ()
    body: Body = None
    query: str = ""
    """With the world's ids filled in."""
    form: bool = False
    """Whether the body is sent as one."""


def _injected(world: World) -> dict[str, Any]:
    return {"product_id": world.ids["toxin"], **DOSE}


async def _signed_by(world: World, person: Person) -> Any:
    return await world.signature(person)


_PLACE: Final = {"view": "front", "x": 500, "y": 300}
_REASON: Final = {"reason": "looked again"}
_PRODUCT: Final = {
    "merchant_id": MERCHANT,
    "name": "Roll",
    "sku": "R1",
    "price": {"amount": 100, "currency": "EUR"},
}
_VIAL: Final = {"container_id": "v-2", "amount": "100", "unit": "U"}
_PHOTO: Final = {
    "view": "front",
    "sha256": "9f" * 32,
    "media_type": "image/jpeg",
    "bytes": 2_481_233,
    "taken_at": "2026-03-01T09:20:00.250Z",
}
_CHART: Final = {"organization_id": CLINIC, "patient_id": "p-1"}


PROBES: Final[dict[str, Probe]] = {
    # carts
    "POST /carts/{cart_id}/items": Probe(("cart",), {"product_id": BREAD, "quantity": 1}),
    "GET /carts/{cart_id}": Probe(("cart",)),
    "POST /carts/create": Probe((), {"merchant_id": MERCHANT}),
    "GET /carts": Probe(("cart",)),
    "DELETE /carts/{cart_id}": Probe(("cart",)),
    "GET /carts/{cart_id}/items/{item_id}": Probe(("cart",)),
    "PUT /carts/{cart_id}/items/{item_id}": Probe(("cart",), {"quantity": 3}),
    "DELETE /carts/{cart_id}/items/{item_id}": Probe(("cart",)),
    "POST /carts/{cart_id}/clear": Probe(("cart",)),
    "POST /carts/{cart_id}/notices/dismiss": Probe(("cart",)),
    "POST /carts/{cart_id}/merge": Probe(
        ("cart", "guest_cart"), lambda w, _: {name: w.ids[name] for name in ("source_cart_id", "source_token")}
    ),
    # orders
    "POST /orders/create": Probe(
        ("cart",), lambda w, _: {"cart_id": w.ids["cart_id"], "fulfilment": "delivery", "address": ADDRESS}
    ),
    "GET /orders": Probe(("order",)),
    "GET /orders/user/{user_id}": Probe(("order",)),
    "GET /orders/stats": Probe(("order",), query=f"merchant_id={MERCHANT}"),
    "GET /orders/{order_id}": Probe(("order_assigned",)),
    "PUT /orders/{order_id}/status": Probe(("order_delivered",), {"status": "completed"}),
    "POST /orders/{order_id}/cancel": Probe(("order",), {"reason": "out of bread"}),
    "POST /orders/{order_id}/courier": Probe(
        ("order_ready",), lambda _, who: {} if who.column == "courier" else {"courier_id": COURIER}
    ),
    "POST /orders/{order_id}/location": Probe(("order_away",), {"lat": 52.5, "lon": 13.4}),
    "GET /orders/{order_id}/history": Probe(("order_assigned",)),
    "POST /orders/{order_id}/share": Probe(("order_assigned",)),
    "GET /orders/{order_id}/tracking": Probe(("order_assigned",)),
    # a merchant's catalog
    "GET /merchants": Probe(),
    "GET /merchants/{merchant_id}": Probe(),
    "GET /merchants/{merchant_id}/menu": Probe(),
    "POST /merchants": Probe((), {"name": "New", "currency": "EUR"}),
    "GET /products": Probe(query=f"merchant_id={MERCHANT}"),
    "GET /products/{product_id}": Probe(("product",)),
    "POST /products": Probe((), _PRODUCT),
    "PUT /products/{product_id}": Probe(("product",), {**_PRODUCT, "name": "Bread", "sku": "B1"}),
    # organizations, locations, rooms
    "POST /organizations": Probe((), {"id": CLINIC, "name": "Clinic", "kind": "clinic"}),
    "GET /organizations": Probe(("organization",)),
    "GET /organizations/{organization_id}": Probe(("organization",)),
    "PUT /organizations/{organization_id}": Probe(("organization",), {"name": "Skin Studio"}),
    "POST /organizations/{organization_id}/deactivate": Probe(("organization",), _REASON),
    "POST /organizations/{organization_id}/reactivate": Probe(("inactive_organization",), _REASON),
    "GET /organizations/{organization_id}/members": Probe(("member",)),
    "POST /organizations/{organization_id}/members": Probe(
        ("accounts",), {"email": address_of(BOB), "role": "provider"}
    ),
    "DELETE /organizations/{organization_id}/members/{user_id}": Probe(("member",)),
    "GET /organizations/{organization_id}/invitations": Probe(("invited",)),
    "POST /organizations/{organization_id}/invitations": Probe((), {"email": NEWCOMER, "roles": ["provider"]}),
    "DELETE /organizations/{organization_id}/invitations/{invitation_id}": Probe(("invited",)),
    "POST /invitations/accept": Probe(("accounts",), lambda w, p: invitation_to(w.house, p.subject)),
    "GET /locations/countries": Probe(("location",)),
    "GET /locations/{country}/cities": Probe(("location",)),
    "GET /locations/{location_id}/categories": Probe(("location",)),
    "GET /locations": Probe(("location",)),
    "POST /locations": Probe((), {"organization_id": CLINIC, **SITE}),
    "GET /locations/{location_id}": Probe(("location",)),
    "PUT /locations/{location_id}": Probe(("location",), SITE),
    "DELETE /locations/{location_id}": Probe(("location",)),
    "GET /locations/{location_id}/rooms": Probe(("room",)),
    "POST /locations/{location_id}/rooms": Probe(("location",), {"name": "Room 2"}),
    "GET /locations/{location_id}/rooms/{room_id}": Probe(("room",)),
    "PUT /locations/{location_id}/rooms/{room_id}": Probe(("room",), {"name": "Room 3"}),
    "DELETE /locations/{location_id}/rooms/{room_id}": Probe(("room",)),
    "GET /rooms/{room_id}": Probe(("room",)),
    "GET /rooms/{room_id}/history": Probe(("room",)),
    "POST /rooms/{room_id}/status": Probe(("room",), {"status": "held"}),
    "POST /rooms/{room_id}/undo": Probe(("room_held",), lambda w, _: {"version": w.tokens["undo_version"]}),
    "POST /rooms/{room_id}/claim": Probe(("room",)),
    "POST /rooms/{room_id}/release": Probe(("room_claimed",), lambda w, _: {"token": w.tokens["claim"]}),
    "POST /rooms/{room_id}/take-over": Probe(("room_claimed",), {"reason": "shift change"}),
    # sessions
    "GET /sessions": Probe(("session",)),
    "GET /sessions/{session_id}": Probe(("session",)),
    "GET /sessions/{session_id}/quarantine": Probe(("quarantined",)),
    "GET /sessions/{session_id}/quarantine/{item_id}": Probe(("quarantined",)),
    "POST /sessions/{session_id}/quarantine/{item_id}/resolve": Probe(
        ("quarantined",), {"action": "discard", "reason": "on paper"}
    ),
    "POST /sessions/{session_id}/hand-off": Probe(("session", "room"), {"to": QUINN.subject}),
    "DELETE /sessions/{session_id}/hand-off/{offer_id}": Probe(("offered",)),
    "POST /sessions/{session_id}/hand-off/{offer_id}/take": Probe(
        ("offered",), lambda w, _: {"session": w.ids["other_session"]}
    ),
    "POST /sessions/{session_id}/revoke": Probe(("session",), {"what": "device", "reason": "stolen"}),
    "POST /sessions/{session_id}/restore": Probe(("revoked",)),
    "POST /sessions/{session_id}/sign-out": Probe(("session",)),
    # treatment documents
    "POST /documentation/face-chart": Probe(
        ("location",), lambda w, _: {**_CHART, "location_id": w.ids["location_id"]}
    ),
    "GET /documentation": Probe(("document",)),
    "GET /documentation/cosign-queue": Probe(("cosignable",)),
    "GET /documentation/{document_id}": Probe(("document",)),
    "GET /documentation/{document_id}/history": Probe(("document",)),
    "PATCH /documentation/{document_id}/fields": Probe(("document",), {"fields": {"skin.type": {"value": "II"}}}),
    "POST /documentation/{document_id}/points": Probe(("document",), {**_PLACE, "planned": True}),
    "PATCH /documentation/{document_id}/points/{point_id}": Probe(("point",), {"technique": "serial"}),
    "POST /documentation/{document_id}/points/{point_id}/perform": Probe(("point",), lambda w, _: _injected(w)),
    "POST /documentation/{document_id}/points/{point_id}/strike": Probe(("point",), {"reason": "wrong side"}),
    "POST /documentation/{document_id}/notes": Probe(("document",), {"text": "Ice applied."}),
    "POST /documentation/{document_id}/containers": Probe(
        ("document",), lambda w, _: {**_VIAL, "product_id": w.ids["toxin"]}
    ),
    "POST /documentation/{document_id}/wastage": Probe(
        ("container",), {"container_id": "v-1", "amount": "5", "unit": "U", "reason": "end of the day"}
    ),
    "POST /documentation/{document_id}/photos": Probe(("document",), _PHOTO),
    "POST /documentation/{document_id}/conflicts/{conflict_id}/resolve": Probe(
        ("conflict",), {"value": "II", **_REASON}
    ),
    "POST /documentation/{document_id}/status": Probe(("document",), {"status": "ready"}),
    "POST /documentation/{document_id}/sign": Probe(("ready",), _signed_by),
    "POST /documentation/{document_id}/cosign": Probe(("cosignable",), _signed_by),
    "POST /documentation/{document_id}/reject-cosign": Probe(("cosignable",), _REASON),
    "POST /documentation/{document_id}/addenda": Probe(("signed",), {"text": "The lot was C1235.", **_REASON}),
    "POST /documentation/{document_id}/entered-in-error": Probe(("document",), _REASON),
    "POST /documentation/{document_id}/emergency-access": Probe(
        ("document",),
        lambda w, who: {"reason": EMERGENCY_REASON, "proof": w.proof(who)},
    ),
    "GET /admin/emergency-access": Probe(("emergency",)),
    "POST /admin/emergency-access/{grant_id}/review": Probe(("emergency",), {"note": "justified"}),
    "POST /admin/emergency-access/{grant_id}/revoke": Probe(("emergency",)),
    "POST /treatments/injectable": Probe(
        ("document",), lambda w, _: {"document_id": w.ids["document_id"], **_PLACE, **_injected(w)}
    ),
    "GET /treatments/{treatment_id}": Probe(("document",)),
    # tokens, the trail, operations
    "POST /auth/guest": Probe(),
    "GET /auth/jwks.json": Probe(),
    "POST /auth/register": Probe((), {"email": "a@example.test", "password": PASSWORD, "name": "A"}),
    "POST /auth/verify-email": Probe(("registered",), lambda w, _: {"token": w.ids["mailed"]}),
    "POST /auth/login": Probe(("accounts",), {"email": address_of(ALICE), "password": PASSWORD}),
    "POST /auth/refresh": Probe(("login",), lambda w, _: {"refresh_token": w.ids["refresh_token"]}),
    "POST /auth/logout": Probe(("login",), lambda w, _: {"refresh_token": w.ids["refresh_token"]}),
    "POST /auth/forgot-password": Probe(("accounts",), {"email": address_of(ALICE)}),
    "POST /auth/reset-password": Probe(
        ("forgotten",), lambda w, _: {"token": w.ids["mailed"], "password": OTHER_PASSWORD}
    ),
    "POST /auth/change-password": Probe(("accounts",), {"current_password": PASSWORD, "password": OTHER_PASSWORD}),
    "POST /auth/reauthenticate": Probe(("members",), {"password": PASSWORD}),
    "GET /auth/session": Probe(("accounts",)),
    "GET /auth/sessions": Probe(("login",)),
    "DELETE /auth/sessions": Probe(("login",)),
    "DELETE /auth/sessions/{session_id}": Probe(("login",)),
    "POST /auth/mfa/verify": Probe(("factors",), lambda w, _: asked(w.house)),
    "POST /auth/mfa/enroll": Probe(("accounts",), {"name": "Phone"}),
    "GET /auth/mfa/factors": Probe(("factors",)),
    "DELETE /auth/mfa/factors/{factor_id}": Probe(("factors",)),
    "POST /auth/mfa/recovery-codes": Probe(("factors",)),
    "POST /auth/passkeys/options": Probe(("accounts",)),
    "POST /auth/passkeys": Probe(("accounts",), lambda w, who: new_credential(w.house, who)),
    "POST /auth/passkeys/login/options": Probe(),
    "POST /auth/passkeys/login": Probe(("accounts",), lambda w, _: used_credential(w.house)),
    "GET /auth/api-keys": Probe(("api_key",)),
    "POST /auth/api-keys": Probe(("accounts",), {"name": "CI", "scopes": ["orders:read"]}),
    "POST /auth/api-keys/{key_id}/rotate": Probe(("api_key",), {}),
    "DELETE /auth/api-keys/{key_id}": Probe(("api_key",)),
    "GET /organizations/{organization_id}/service-accounts": Probe(("service",)),
    "POST /organizations/{organization_id}/service-accounts": Probe((), {"name": "Lab", "roles": ["provider"]}),
    "GET /organizations/{organization_id}/service-accounts/{service_id}": Probe(("service",)),
    "PUT /organizations/{organization_id}/service-accounts/{service_id}": Probe(
        ("service",), {"name": "Lab", "roles": ["billing"]}
    ),
    "DELETE /organizations/{organization_id}/service-accounts/{service_id}": Probe(("service",)),
    "POST /organizations/{organization_id}/service-accounts/{service_id}/suspend": Probe(("service",), _REASON),
    "POST /organizations/{organization_id}/service-accounts/{service_id}/reinstate": Probe(("service",)),
    "GET /organizations/{organization_id}/service-accounts/{service_id}/keys": Probe(("service_key",)),
    "POST /organizations/{organization_id}/service-accounts/{service_id}/keys": Probe(
        ("service",), {"name": "CI", "scopes": ["rooms:read"]}
    ),
    "POST /organizations/{organization_id}/service-accounts/{service_id}/keys/{key_id}/rotate": Probe(
        ("service_key",), {}
    ),
    "DELETE /organizations/{organization_id}/service-accounts/{service_id}/keys/{key_id}": Probe(("service_key",)),
    "GET /users/profile": Probe(("accounts",)),
    "PUT /users/profile": Probe(("accounts",), {"name": "A", "locale": "en", "time_zone": "UTC"}),
    "POST /users/profile/email": Probe(("accounts",), {"email": "a@example.test", "password": PASSWORD}),
    "GET /users/preferences": Probe(("accounts",)),
    "PUT /users/preferences": Probe(("accounts",), {"theme": "dark"}),
    "GET /users/location": Probe(("accounts",)),
    "POST /users/location": Probe(("accounts",), {"lat": 52.5, "lon": 13.4, "consent": True}),
    "DELETE /users/location": Probe(("accounts",)),
    "GET /users/search": Probe(("person",), query="q=somebody"),
    "GET /users/{user_id}": Probe(("person",)),
    "GET /users/{user_id}/export": Probe(("accounts", "oneself")),
    "GET /users/{user_id}/export/file": Probe(("accounts", "exported")),
    "GET /graphql": Probe(query="query=%7B__typename%7D"),
    "POST /graphql": Probe((), {"query": "{__typename}"}),
    "GET /graphql/schema": Probe(),
    "POST /jobs": Probe(("accounts",), {"kind": "user_export"}),
    "GET /jobs": Probe(("job",)),
    "GET /jobs/{job_id}": Probe(("job",)),
    "DELETE /jobs/{job_id}": Probe(("job",)),
    "PUT /users/{user_id}/role": Probe(("person",), {"organization_id": CLINIC, "roles": ["billing"]}),
    "POST /users/{user_id}/suspend": Probe(("person",), _REASON),
    "POST /users/{user_id}/reinstate": Probe(("suspended_person",), _REASON),
    "DELETE /users/{user_id}": Probe(("person",)),
    "POST /users/{user_id}/factors/reset": Probe(("person",), _REASON),
    "GET /admin/audit": Probe(("document",)),
    "GET /admin/audit/verify": Probe(("document",)),
    "GET /admin/dead-letters": Probe(("letter",)),
    "POST /admin/dead-letters/{letter_id}/retry": Probe(("letter",)),
    "GET /auth/oidc": Probe(),
    "GET /auth/oidc/{provider}/start": Probe(("provider",), query=f"challenge={CHALLENGE}"),
    "GET /auth/oidc/{provider}/callback": Probe(("come_back",), query="state={state}&code={code}"),
    "POST /auth/oidc/{provider}/callback": Probe(("provider",), lambda w, _: begun(w.house), form=True),
    "POST /auth/oidc/exchange": Probe((), lambda w, _: code(w.house)),
    "GET /auth/identities": Probe(("identity",)),
    "POST /auth/identities": Probe(("accounts",), lambda w, _: code(w.house)),
    "DELETE /auth/identities/{identity_id}": Probe(("identity",)),
    "GET /livez": Probe(),
    "GET /readyz": Probe(),
    "GET /metrics": Probe(),
    "GET /openapi.json": Probe(),
    "GET /docs": Probe(),
}
"""By method and path without the prefix. A route that is not here fails the walk."""

UNPREFIXED: Final = frozenset({"/livez", "/readyz", "/metrics"})


async def body_of(probe: Probe, world: World, person: Person) -> Any:
    body = probe.body(world, person) if callable(probe.body) else probe.body
    return await body if hasattr(body, "__await__") else body
