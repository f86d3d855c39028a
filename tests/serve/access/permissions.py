"""The table of `services/access/policy.py`, and who sees live entities, as `docs/access.md` shows them."""

from collections.abc import Mapping
from typing import Final

from actors import cart, document_status, order_status, room_status
from actors.parties import Parties, Party
from services.access.policy import RULES

PERMISSIONS: Final = "Permissions"
ENTITIES: Final = "Live entities"

_SEES: Final[Mapping[str, Parties]] = {
    "cart": cart.SEES,
    "order": order_status.SEES,
    "room": room_status.SEES,
    "session": room_status.SEES | {Party.OWNER},
    "document": document_status.SEES,
}


def permissions() -> list[list[str]]:
    """Permission, who has it, what all others get."""
    return [[f"`{name}`", _names(rule.parties), "403" if rule.forbidden else "404"] for name, rule in RULES.items()]


def entities() -> list[list[str]]:
    """Kind, who sees it."""
    return [[f"`{kind}`", _names(sees)] for kind, sees in _SEES.items()]


def _names(parties: Parties) -> str:
    return ", ".join(party.replace("_", " ") for party in Party if party in parties)


TABLES: Final = {
    PERMISSIONS: (["Permission", "Who", "Others"], permissions()),
    ENTITIES: (["Kind", "Who sees it"], entities()),
}
"""By heading: the head of its table, and the rows."""
