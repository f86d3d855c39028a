"""How single things are read, and the fields that lead from one thing to another by its id."""

from collections.abc import Sequence
from typing import Any

from domain.errors import NotFound
from serve.graphql.context import Context, Info, Read, elsewhere, reads, viewed
from serve.graphql.derive import Shown, shape
from services.accounts.people import Found
from services.organizations import Organization

# -- readings ---------------------------------------------------------------------------------------


async def read_merchant(context: Context, merchant_id: str) -> Shown:
    return shape(await context.runtime.catalog.merchant(merchant_id), whole=True)


async def read_products(context: Context, ids: Sequence[str]) -> Sequence[Shown | Exception]:
    found = await context.runtime.catalog.products(ids)
    return [shape(found[each], whole=True) if each in found else NotFound("There is no such product.") for each in ids]


async def read_cart(context: Context, cart_id: str) -> Shown:
    return viewed(await context.runtime.carts.get(context.actor, cart_id, context.correlation))


async def read_order(context: Context, order_id: str) -> Shown:
    return viewed(await context.runtime.orders.get(context.actor, order_id, context.correlation))


async def read_organization(context: Context, organization_id: str) -> Shown:
    return organization_shown(await context.runtime.organizations.get(context.actor, organization_id))


async def read_location(context: Context, location_id: str) -> Shown:
    return shape(await context.runtime.locations.get(context.actor, location_id))


async def read_room(context: Context, room_id: str) -> Shown:
    return viewed(await context.runtime.rooms.get(context.actor, room_id, context.correlation))


async def read_session(context: Context, session_id: str) -> Shown:
    return viewed(await context.runtime.sessions.get(context.actor, session_id, context.correlation))


async def read_document(context: Context, document_id: str) -> Shown:
    """Each document is in the audit trail once for a request, however often it asks for it."""
    return viewed(await context.runtime.documents.get(context.sender, document_id))


async def read_person(context: Context, user_id: str) -> Shown:
    return person_shown(await context.accounts.people.get(context.actor, user_id, context.correlation))


def organization_shown(record: Organization) -> Shown:
    return {**shape(record), "time_zone": record.time_zone, "status": record.status}


def person_shown(found: Found) -> Shown:
    """As REST: of a colleague the name and the roles alone."""
    user = found.user
    memberships = [{"organization_id": each, "roles": list(roles)} for each, roles in found.roles.items()]
    shown: Shown = {"id": user.id, "name": user.name, "memberships": memberships}
    if not found.whole:
        return shown
    whole = shape(user)
    wanted = ("email", "phone", "created_at", "deleted_at")
    of_account = {name: whole[name] for name in wanted if whole.get(name)}
    return {**shown, **of_account, "status": user.status.value, "roles": list(user.roles)}


# -- fields -----------------------------------------------------------------------------------------


def to_merchant() -> Any:
    return _link("merchant_id", "merchants", read_merchant, ("Merchant", "shops"), "Whose it is.", public=True)


def to_product() -> Any:
    async def product(root: Shown, info: Info) -> Shown | None:
        """The product as it is sold now."""
        product_id = root.get("product_id")
        return await info.context.load_of_many(read_products, product_id) if product_id else None

    return reads("products", product, elsewhere("Product", "shops"), public=True)


def to_cart(key: str = "cart_id") -> Any:
    return _link(key, "carts", read_cart, ("Cart", "carts"), "The whole cart, for its customer.")


def to_order(key: str = "order_id") -> Any:
    return _link(key, "orders", read_order, ("Order", "orders"), "The whole order.")


def to_organization() -> Any:
    found = ("Organization", "clinics")
    return _link("organization_id", "organizations", read_organization, found, "Whose it is.")


def to_location() -> Any:
    return _link("location_id", "locations", read_location, ("Location", "clinics"), "Where it is.")


def to_room(key: str = "room_id") -> Any:
    return _link(key, "rooms", read_room, ("Room", "clinics"), "What happens in the room now.")


def to_session() -> Any:
    return _link("id", "sessions", read_session, ("Session", "sessions"), "The whole session.")


def to_document() -> Any:
    return _link("id", "documentation", read_document, ("Document", "documents"), "All of it; that is audited.")


def to_person(key: str) -> Any:
    return _link(key, "users", read_person, ("Person", "people"), "Who that is, to colleagues; that is audited.")


def _link(key: str, noun: str, read: Read, kind: tuple[str, str], what: str, *, public: bool = False) -> Any:
    async def linked(root: Shown, info: Info) -> Shown | None:
        found = root.get(key)
        return await info.context.load(read, found) if found else None

    linked.__doc__ = what
    return reads(noun, linked, elsewhere(*kind), public=public)
