"""Whose orders somebody may list."""

import msgspec

from actors.runtime.entity import Actor
from domain.errors import invalid_field
from services.access.check import may, refusal, require
from services.access.policy import Permission
from services.listings import OrderFilter


def permitted(actor: Actor, wanted: OrderFilter) -> OrderFilter:
    """`wanted` if the actor may list it; without any party, the actor's own orders, and all for who runs the platform.

    Raises `NotFound` for another user's, merchant's or courier's list, as for any foreign id.
    """
    if not (wanted.user_id or wanted.merchant_id or wanted.courier_id):
        runs = may(actor, Permission.PLATFORM_RUN)
        return wanted if runs else msgspec.structs.replace(wanted, user_id=actor.subject)
    if not (
        (wanted.user_id and may(actor, Permission.ORDERS_OF_PERSON, person=wanted.user_id))
        or (wanted.merchant_id and may(actor, Permission.ORDERS_OF_MERCHANT, organization_id=wanted.merchant_id))
        or (wanted.courier_id and may(actor, Permission.ORDERS_OF_COURIER, courier=wanted.courier_id))
    ):
        raise refusal(Permission.ORDERS_OF_PERSON)
    return wanted


def require_merchant(actor: Actor, merchant_id: str) -> None:
    """Raises `NotFound` unless the actor works for this merchant (or runs the platform), `Invalid` for none."""
    if not merchant_id:
        raise invalid_field("merchant_id", "missing", "Which merchant?")
    require(actor, Permission.MERCHANT_RUN, organization_id=merchant_id)
