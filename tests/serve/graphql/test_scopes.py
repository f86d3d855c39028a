"""Wherever something is reached, an API key needs the same scope for it, and a stranger a token."""

import inspect
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, get_named_type

from serve.graphql.measure import reads_of
from serve.graphql.schema import CORE

NOUNS = {
    "CartEntry": "carts",
    "CityCount": "locations",
    "CountryCount": "locations",
    "DocumentEntry": "documentation",
    "DocumentHistoryEntry": "documentation",
    "Document": "documentation",
    "Cart": "carts",
    "Job": "jobs",
    "LocationRoom": "locations",
    "Location": "locations",
    "Me": "",
    "Member": "members",
    "Membership": "",
    "Merchant": "merchants",
    "Order": "orders",
    "OrderEntry": "orders",
    "OrderHistoryEntry": "orders",
    "OrderStats": "orders",
    "OrderTracking": "orders",
    "Organization": "organizations",
    "Person": "users",
    "Preferences": "users",
    "Product": "products",
    "Profile": "users",
    "Room": "rooms",
    "RoomHistoryEntry": "rooms",
    "Session": "sessions",
    "SessionEntry": "sessions",
}
"""By what a field shows, or what the page that it shows is of: the first part of the path that REST has it under."""
UNDER_ANOTHER = {("Merchant", "menu"): "merchants"}
"""`/merchants/{id}/menu`."""
PUBLIC = {"CityCount", "CountryCount", "Merchant", "OrderTracking", "Product"}
"""What REST shows to anybody; a tracking by its share link."""


def fields() -> Iterator[tuple[str, str, GraphQLField]]:
    for kind in CORE.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            yield from ((kind.name, name, field) for name, field in kind.fields.items())


def shown(field: GraphQLField) -> str:
    return str(get_named_type(field.type)).removesuffix("Connection")


def resolver_of(field: GraphQLField) -> Any:
    definition: Any = field.extensions["strawberry-definition"]
    return definition.base_resolver.wrapped_func if definition.base_resolver else None


def test_the_same_thing_needs_the_same_scope_on_every_way_to_it() -> None:
    for kind, name, field in fields():
        reads = reads_of(field)
        if reads is not None:
            assert reads.noun == UNDER_ANOTHER.get((kind, name), NOUNS[shown(field)]), (kind, name)


def test_only_what_rest_shows_to_anybody_is_public() -> None:
    for kind, name, field in fields():
        reads = reads_of(field)
        if reads is not None and reads.public:
            assert shown(field) in PUBLIC, (kind, name)
    nested = {(kind, name) for kind, name, field in fields() if (reads := reads_of(field)) and reads.public}
    assert ("Order", "tracking") not in nested


def test_whatever_asks_a_use_case_says_for_which_noun() -> None:
    asking = [
        (kind, name, reads_of(field))
        for kind, name, field in fields()
        if (resolver := resolver_of(field)) is not None and inspect.iscoroutinefunction(resolver)
    ]
    assert len(asking) > len(NOUNS)
    assert [one for one in asking if one[2] is None] == []
