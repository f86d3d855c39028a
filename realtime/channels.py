"""Channel names: `kind/id` is one entity, `kind/id/name` a group; and what an endpoint lets through."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from actors.parties import serves
from actors.runtime.entity import Actor

Ref = tuple[str, str]
"""(kind, id)"""

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,127}"
_ENTITY: Final = re.compile(rf"([a-z_]{{1,32}})/({_ID})")
_WITHOUT_PRESENCE: Final = frozenset({"cart", "order"})
_GROUP: Final = re.compile(rf"[a-z_]{{1,32}}/{_ID}/[a-z_]{{1,32}}")


def entity_ref(name: str) -> Ref | None:
    """(kind, id) when `name` is well-formed as an entity."""
    match = _ENTITY.fullmatch(name)
    return (match[1], match[2]) if match else None


def is_group(name: str) -> bool:
    return _GROUP.fullmatch(name) is not None


def is_personal(name: str) -> bool:
    """Whether the group is one person's, whatever their rights are now: members join it by what that person did.

    One's own orders stay one's own; a clinic's documents and rooms are seen only by who works there.
    """
    party, _, rest = name.partition("/")
    return party == "user" and rest.rpartition("/")[2] in {"documents", "rooms"}


def is_clinical(name: str) -> bool:
    """Whether the group's members are treatment documents: each that is shown is in the trail first (C8)."""
    return is_group(name) and name.rpartition("/")[2] in {"documents", "cosign"}


def shows_presence(name: str, actor: Actor, *, narrowed: bool = False) -> bool:
    """Whether people on this channel see each other: never around a cart or an order, and never customers or
    (`narrowed`) whoever sees only part of the state by a share link."""
    kind = name.partition("/")[0]
    return not narrowed and kind not in _WITHOUT_PRESENCE and serves(actor)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What one endpoint admits. `only` empty: every channel of `kinds`, and groups if `groups`.

    `only_groups` not empty: of the groups, these.

    `subscribes` are its own subscriptions, made after the hello, with `{session}` and `{subject}` filled in; `tracking`
    ones coalesce for slow consumers. `place` is the location that a device there works at, "" for unknown.
    """

    kinds: frozenset[str]
    groups: bool = True
    only: frozenset[str] = frozenset()
    only_groups: frozenset[str] = frozenset()
    subscribes: tuple[str, ...] = ()
    tracking: bool = False
    place: str = ""

    def admits_entity(self, name: str) -> bool:
        """Whether commands and signals may go there."""
        return self._has_entity(name)

    def admits_channel(self, name: str) -> bool:
        if self._has_entity(name):
            return True
        if not self.groups or self.only or not is_group(name):
            return False
        return not self.only_groups or name in self.only_groups

    def _has_entity(self, name: str) -> bool:
        if self.only:
            return name in self.only
        match = _ENTITY.fullmatch(name)
        return match is not None and match[1] in self.kinds


class NarrowedScope(Scope, frozen=True, kw_only=True):
    """Of that, what an API key was made for: `may(channel, "read" | "write")`."""

    may: Callable[[str, str], bool]

    def admits_entity(self, name: str) -> bool:
        return self._has_entity(name) and self.may(name, "write")

    def admits_channel(self, name: str) -> bool:
        return super().admits_channel(name) and self.may(name, "read")


def narrowed(scope: Scope, may: Callable[[str, str], bool]) -> Scope:
    fields = {name: getattr(scope, name) for name in Scope.__struct_fields__}
    return NarrowedScope(**fields, may=may)


def live(kinds: frozenset[str]) -> Scope:
    """`/api/v1/live`: any admitted kind and any group; subscribes nothing by itself."""
    return Scope(kinds=kinds)


def room_board(location_id: str) -> Scope:
    """`/api/v1/treatments/room-status`: the rooms of that location, and commands to rooms."""
    name = f"location/{location_id}/rooms"
    return Scope(kinds=frozenset({"room"}), only_groups=frozenset({name}), subscribes=(name,), place=location_id)


def provider_sync(kinds: frozenset[str], location_id: str) -> Scope:
    """`/api/v1/treatments/provider-sync`: the provider's session, its rooms, its open documents, and the location's
    rooms if it is known; any channel and command of a clinic's kinds."""
    board = (f"location/{location_id}/rooms",) if location_id else ()
    own = ("session/{session}", "user/{subject}/rooms", "user/{subject}/documents")
    return Scope(kinds=kinds, subscribes=(*own, *board), place=location_id)


def documentation(document_id: str) -> Scope:
    """`/api/v1/treatments/documentation-update`: that document and nothing else."""
    name = f"document/{document_id}"
    return Scope(kinds=frozenset({"document"}), groups=False, only=frozenset({name}), subscribes=(name,))


def order_tracking(order_id: str) -> Scope:
    """`/api/v1/orders/{id}/track`: that order and nothing else."""
    name = f"order/{order_id}"
    return Scope(
        kinds=frozenset({"order"}),
        groups=False,
        only=frozenset({name}),
        subscribes=(name,),
        tracking=True,
    )
