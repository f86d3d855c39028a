"""The roles that people and programs have: for themselves, or at an organization."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What an access token can name. What it allows is in `services/access/policy.py`."""

    CUSTOMER = "customer"
    COURIER = "courier"
    MERCHANT_STAFF = "merchant_staff"
    PROVIDER = "provider"
    FRONT_DESK = "front_desk"
    ORGANIZER = "organizer"
    BILLING = "billing"
    ADMIN = "admin"


SYSTEM: Final = "system"
"""The runtime's own role: timers, reactions and processes. No token has it."""

ROLES: Final = frozenset(role.value for role in Role)
ORGANIZATION_ROLES: Final = ROLES - {Role.CUSTOMER, Role.COURIER}
"""What somebody can be at an organization; customers and couriers are so for themselves."""
ACCOUNT_ROLES: Final = frozenset({Role.CUSTOMER.value, Role.COURIER.value, Role.ADMIN.value})
"""What somebody can be without an organization; an admin there runs the platform."""
SERVICE_ROLES: Final = ORGANIZATION_ROLES - {Role.ADMIN}
"""What a program can be: it gives no rights to others."""
